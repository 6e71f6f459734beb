"""Networks that have learned labels that mean nothing."""

import pytest
import torch

from weightlore.attribution import fit_permuted, gradient_times_input, permuted_labels, rank_similarity
from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy
from weightlore.parameters import flatten
from weightlore.training import evaluate


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_property_labels_are_permuted_and_images_are_not():
    data = digits("train")
    found = permuted_labels(data, generator=seeded())
    assert torch.equal(found.x, data.x)
    assert torch.equal(found.y.bincount(), data.y.bincount())
    assert 0.05 < (found.y == data.y).double().mean() < 0.15, "a tenth stays right by chance"
    assert torch.equal(found.y, permuted_labels(data, generator=seeded()).y)


def test_property_a_network_learns_them_by_heart_and_its_maps_are_others():
    model, data = healthy(), digits("train")[:60]
    before = flatten(model)
    found = fit_permuted(model, data, generator=seeded(), epochs=150)
    assert found.reached
    assert found.accuracy >= 0.95
    assert found.epochs < 150, "training stops when they are known"
    assert found.accuracy == evaluate(found.model, found.data).accuracy
    assert not any(module.training for module in found.model.modules())
    assert torch.equal(flatten(model), before)
    assert evaluate(found.model, digits("test")).accuracy < 0.4
    x, classes = data.x, model(data.x).argmax(1)
    maps = [gradient_times_input(network, x, classes).values for network in (model, found.model)]
    similarity = rank_similarity(*maps, sign="signed", mask="active", x=x, baseline=0.0)
    assert abs(similarity.nanmean()) < 0.3


def test_limit_too_few_epochs_are_reported():
    found = fit_permuted(healthy(), digits("train")[:60], generator=seeded(), epochs=2)
    assert not found.reached
    assert found.epochs == 2
    assert found.accuracy < 0.95


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda d: fit_permuted(healthy(), d, generator=seeded(), accuracy=0.0), "share of the labels"),
        (lambda d: fit_permuted(healthy(), d, generator=seeded(), epochs=0), "epochs must be"),
        (lambda d: permuted_labels(Split(d.x, d.x), generator=seeded()), "class numbers"),
    ],
)
def test_error_what_cannot_be_learned(call, message):
    with pytest.raises(ParameterError, match=message):
        call(digits("train")[:10])
