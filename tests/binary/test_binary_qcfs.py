"""Training with the activations of spiking networks, and what it saves in time steps."""

import pytest
import torch
from torch import nn

from weightlore.binary import (
    BinaryRecipe,
    ClipFloorShift,
    absorb_scales,
    absorbed_layers,
    fit_binary,
    fit_clip_floor_shift,
    normalization_factors,
    staged,
    to_spiking,
    with_clip_floor_shift,
)
from weightlore.data import digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy, resnet20, vgg15
from weightlore.spiking import simulate
from weightlore.training import evaluate

TRAIN, TEST = digits("train"), digits("test")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def accuracy(network, steps):
    """After each of the steps."""
    return (simulate(network, TEST.x, steps).potential.argmax(-1) == TEST.y).double().mean(-1)


@pytest.fixture(scope="module")
def fitted():
    return fit_clip_floor_shift(healthy("biasless"), TRAIN, levels=4, generator=seeded(), epochs=12)


def test_property_every_relu_is_replaced_and_starts_at_its_percentile():
    model = healthy("cnn")
    found = with_clip_floor_shift(model, TRAIN, levels=4, percentile=99.0)
    factors = normalization_factors(model, TRAIN, percentile=99.0)
    steps = [m for m in found.modules() if isinstance(m, ClipFloorShift)]
    assert torch.equal(torch.stack([m.ceiling.detach() for m in steps]), factors)
    assert [m.levels for m in steps] == [4, 4, 4]
    assert not any(type(m) is nn.ReLU for m in found.modules())
    assert sum(type(m) is nn.ReLU for m in model.modules()) == 3
    assert steps[0].ceiling.dtype == torch.float64


@pytest.mark.parametrize("name", ["vgg", "resnet"])
def test_property_dropout_and_residual_blocks(name):
    if name == "vgg":
        model = vgg15(channels=1, width=2, size=8, generator=seeded(), dtype=torch.float64)
    else:
        model = resnet20(channels=1, width=2, generator=seeded(), dtype=torch.float64)
    x = TRAIN.x[:32].reshape(-1, 1, 8, 8)
    count = len(staged(model))
    found = with_clip_floor_shift(model, levels=2, ceilings=torch.linspace(0.5, 1.0, count, dtype=torch.float64))
    assert sum(isinstance(m, ClipFloorShift) for m in found.modules()) == count
    assert found(x).shape == (32, 10)
    assert len(to_spiking(found).layers) == count + 1


def test_property_many_levels_and_high_ceilings_are_the_network_itself():
    model = healthy("biasless")
    found = with_clip_floor_shift(model, TRAIN, levels=10**6, percentile=100)
    torch.testing.assert_close(found(TRAIN.x), model(TRAIN.x), rtol=0, atol=1e-3)


@pytest.mark.parametrize("levels", [2, 4])
def test_oracle_the_first_layer_fires_at_exactly_the_rate_of_its_activation(levels):
    model = with_clip_floor_shift(healthy("biasless"), TRAIN, levels=levels)
    record = simulate(to_spiking(model), TEST.x, levels)
    ceiling = model.nonlinear[0].ceiling.detach()
    rate = record.spike_counts[0].double() * ceiling / levels
    torch.testing.assert_close(rate, model.activations(TEST.x)[0].detach(), rtol=1e-12, atol=1e-12)


def test_property_one_hidden_layer_loses_nothing_at_all():
    model = nn.Sequential(nn.Linear(64, 30), nn.ReLU(), nn.Linear(30, 10)).double()
    found = with_clip_floor_shift(model, TRAIN, levels=4)
    network = to_spiking(found)
    logits = network.logits(simulate(network, TEST.x, 4))[-1]
    torch.testing.assert_close(logits, found(TEST.x).detach(), rtol=1e-10, atol=1e-10)


def test_oracle_training_moves_weights_and_ceilings_of_a_copy(fitted):
    model = healthy("biasless")
    start = normalization_factors(model, TRAIN)
    ceilings = torch.stack([m.ceiling.detach() for m in fitted.network.modules() if isinstance(m, ClipFloorShift)])
    assert bool(((ceilings - start).abs() > 0.01).all())
    assert not torch.equal(fitted.network.layers[0].weight, model.layers[0].weight)
    assert len(fitted.history.train_loss) == 12
    assert not fitted.network.training


def test_property_two_steps_are_enough_after_training(fitted):
    plain = accuracy(to_spiking(healthy("biasless"), TRAIN), 4)
    found = accuracy(to_spiking(fitted.network), 4)
    assert evaluate(fitted.network, TEST).accuracy > 0.95
    assert float(found[1]) > 0.94
    assert float(plain[1]) < 0.2
    assert float(found[3]) > float(plain[3]) + 0.1


def test_property_training_repeats_with_its_generator(tmp_path):
    runs = [fit_clip_floor_shift(healthy("mlp"), TRAIN[:200], levels=2, generator=seeded(), epochs=2) for _ in range(2)]
    kept = fit_clip_floor_shift(
        healthy("mlp"), TRAIN[:200], levels=2, generator=seeded(), epochs=2, checkpoint=tmp_path / "run.pt"
    )
    again = fit_clip_floor_shift(
        healthy("mlp"), TRAIN[:200], levels=2, generator=seeded(), epochs=2, checkpoint=tmp_path / "run.pt"
    )
    for other in (runs[1], kept, again):
        for a, b in zip(runs[0].network.parameters(), other.network.parameters(), strict=True):
            assert torch.equal(a, b)


def test_property_with_binary_weights():
    model = with_clip_floor_shift(healthy("biasless"), TRAIN, levels=4)
    fitted = fit_binary(model, TRAIN, generator=seeded(), recipe=BinaryRecipe(epochs=12))
    network = absorb_scales(to_spiking(fitted.network))
    assert absorbed_layers(network) == (2, 3)
    found = accuracy(network, 4)
    assert evaluate(fitted.network, TEST).accuracy > 0.94
    assert float(found[3]) > 0.93
    assert float(found[1]) > 0.85


def test_error_what_is_missing():
    with pytest.raises(ParameterError, match="pass some hundred training images, or ceilings"):
        with_clip_floor_shift(healthy(), levels=4)
    with pytest.raises(ParameterError, match="whole number >= 1"):
        with_clip_floor_shift(healthy(), TRAIN, levels=0)
    with pytest.raises(ParameterError, match="the 2 non-linearities need"):
        with_clip_floor_shift(healthy(), levels=4, ceilings=torch.ones(3))
    relu = nn.ReLU()
    shared = nn.Sequential(nn.Linear(64, 8), relu, nn.Linear(8, 8), relu, nn.Linear(8, 2)).double()
    with pytest.raises(ParameterError, match="stands at two places of the model"):
        with_clip_floor_shift(shared, TRAIN.x[:20], levels=4)
