import hashlib

import pytest
import torch
from safetensors import safe_open

from weightlore.data import digits
from weightlore.errors import DataError, ParameterError
from weightlore.networks import healthy, save_healthy, shipped, train_healthy
from weightlore.parameters import flatten, layout
from weightlore.training import evaluate

KINDS = ("mlp", "cnn", "biasless")
SIZES = {"mlp": 6570, "cnn": 3658, "biasless": 42240}


@pytest.mark.parametrize("kind", KINDS)
def test_oracle_retraining_gives_the_shipped_parameters(kind):
    drift = (flatten(train_healthy(kind)) - flatten(healthy(kind))).abs().max()
    assert drift <= 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_property_healthy_is_a_fresh_float64_network_in_eval_mode(kind):
    one, other = healthy(kind), healthy(kind)
    with torch.no_grad():
        next(one.parameters()).zero_()
    assert flatten(other).dtype == torch.float64
    assert not other.training
    assert layout(other).size == SIZES[kind]
    assert not torch.equal(flatten(one), flatten(other))


@pytest.mark.parametrize("kind", KINDS)
def test_property_the_header_tells_the_accuracy_that_is_measured(kind):
    accuracy = evaluate(healthy(kind), digits("test")).accuracy
    with safe_open(shipped.FOLDER / f"{kind}.safetensors", framework="pt") as file:
        about = file.metadata()["about"]
    assert about.endswith(f"test accuracy {accuracy:.4f}")
    assert accuracy >= 0.97


def test_property_the_book_tells_of_a_network_of_6570_parameters_with_weights_before_biases():
    names = ["layers.0.weight", "layers.0.bias", "layers.1.weight", "layers.1.bias", "readout.weight", "readout.bias"]
    assert list(layout(healthy()).names) == names


def test_property_loading_leaves_the_global_random_state(generator):
    before = torch.get_rng_state()
    healthy("cnn")
    assert torch.equal(torch.get_rng_state(), before)


def test_property_saving_writes_the_same_parameters_and_header(tmp_path, monkeypatch):
    monkeypatch.setattr(shipped, "train_healthy", healthy)
    save_healthy(tmp_path / "new")
    for kind in KINDS:
        names = (tmp_path / "new", shipped.FOLDER)
        one, other = (hashlib.sha256((folder / f"{kind}.safetensors").read_bytes()).hexdigest() for folder in names)
        assert one == other


def test_error_unknown_kind_lists_the_known_ones():
    with pytest.raises(ParameterError, match=r"'mlp', 'cnn', 'biasless', got 'vgg'"):
        healthy("vgg")
    with pytest.raises(ParameterError, match="'biasless'"):
        train_healthy("vgg")


@pytest.mark.parametrize("damage", ["missing", "cut", "other network", "other shape"])
def test_error_damaged_file_says_how_to_mend_it(damage, tmp_path, monkeypatch):
    shipped_bytes = (shipped.FOLDER / "mlp.safetensors").read_bytes()
    other = (shipped.FOLDER / "cnn.safetensors").read_bytes()
    monkeypatch.setattr(shipped, "FOLDER", tmp_path)
    if damage == "cut":
        (tmp_path / "mlp.safetensors").write_bytes(shipped_bytes[:1000])
    if damage == "other network":
        (tmp_path / "mlp.safetensors").write_bytes(other)
    if damage == "other shape":
        (tmp_path / "biasless.safetensors").write_bytes(shipped_bytes)
    kind = "biasless" if damage == "other shape" else "mlp"
    with pytest.raises(DataError, match=r"missing or broken .*reinstall weightlore, or train them again.*save_healthy"):
        healthy(kind)
