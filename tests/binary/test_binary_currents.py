"""Factors and constants in maps that are already there."""

import pytest
import torch
from torch import nn

from weightlore.binary.currents import Scaled, Shifted, parts_of, rescaled, sequence
from weightlore.errors import ParameterError


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(count=5, channels=1, size=8, seed=3):
    return torch.randn(count, channels, size, size, generator=seeded(seed), dtype=torch.float64)


def test_property_rescaled_maps():
    layer = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2), Shifted(torch.tensor([1.0, 2.0]))).double()
    x = images()[:, 0, 0, :4]
    zero = torch.zeros_like(x)
    linear, constant = layer(x) - layer(zero), layer(zero)
    found = rescaled(layer, 3.0, bias=0.5)
    torch.testing.assert_close(found(zero), _constant(layer, 3.0, 0.5), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found(x) - found(zero), 3.0 * linear, rtol=1e-12, atol=1e-12)
    assert torch.equal(layer(zero), constant)
    assert isinstance(rescaled(nn.Identity(), 2.0, bias=1.0), Scaled)
    assert isinstance(rescaled(nn.Identity(), 1.0, bias=1.0), nn.Identity)
    assert torch.equal(rescaled(nn.AvgPool2d(2), 2.0, bias=1.0)(images()), nn.AvgPool2d(2)(2 * images()))


def _constant(layer, factor, bias):
    first, second, shift = layer
    return (
        (first.bias * bias) @ second.weight.T
        + second.bias * bias
        + shift.amount * bias
        + 0 * factor
        + torch.zeros(5, 2)
    )


def test_property_constants_are_numbers_or_tensors():
    x = torch.zeros(2, 3)
    assert Shifted(0.5)(x).dtype == torch.float32
    assert torch.equal(Shifted(0.5)(x), Shifted(torch.full((3,), 0.5, dtype=torch.float64))(x))
    assert list(Shifted(0.5).state_dict()) == []
    assert list(Shifted(torch.ones(3)).state_dict()) == ["amount"]
    assert "0.25" in repr(Scaled(0.25))


def test_property_parts_and_sequences():
    one, two, three = nn.ReLU(), nn.Flatten(), nn.Identity()
    nested = nn.Sequential(nn.Sequential(one, nn.Sequential(two)), three)
    assert list(parts_of(nested)) == [one, two, three]
    assert list(parts_of(one)) == [one]
    assert sequence(one) is one
    assert isinstance(sequence(), nn.Identity)
    assert list(sequence(one, two)) == [one, two]


def test_error_factors_that_are_not_finite():
    for bad in (float("inf"), float("nan")):
        with pytest.raises(ParameterError, match="factor multiplies weights and must be a finite number"):
            rescaled(nn.Linear(2, 2), bad, bias=1.0)
        with pytest.raises(ParameterError, match="bias multiplies weights and must be a finite number"):
            rescaled(nn.Linear(2, 2), 1.0, bias=bad)
