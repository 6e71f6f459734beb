"""The clip-floor-shift activation: against a neuron, and its gradient against the formula."""

import pytest
import torch

from weightlore.binary import ClipFloorShift, clip_floor_shift
from weightlore.errors import ParameterError
from weightlore.spiking import Neuron, SpikingLayer, SpikingNetwork, simulate


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("levels", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("ceiling", [0.5, 1.0, 2.0])
def test_oracle_a_neuron_that_starts_at_half_its_threshold_fires_at_this_rate(levels, ceiling):
    z = torch.randn(2000, generator=seeded(), dtype=torch.float64) * ceiling
    z = z[:, None]
    layer = SpikingLayer(torch.nn.Identity(), Neuron(threshold=ceiling, initial=ceiling / 2))
    counts = simulate(SpikingNetwork([layer]), z, levels).spike_counts[0]
    expected = clip_floor_shift(z, ceiling, levels)
    torch.testing.assert_close(counts.double() * ceiling / levels, expected, rtol=1e-12, atol=1e-12)


def test_oracle_the_formula_value_by_value():
    z = torch.linspace(-1, 3, 801, dtype=torch.float64)
    for value, found in zip(z.tolist(), clip_floor_shift(z, 1.5, 4).tolist(), strict=True):
        step = int((value * 4 / 1.5 + 0.5) // 1)
        assert found == pytest.approx(1.5 * min(max(step / 4, 0), 1), abs=1e-12)


def test_oracle_gradients():
    z = torch.tensor([-1.0, 0.3, 0.7, 1.2, 1.8, 5.0], dtype=torch.float64, requires_grad=True)
    ceiling = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    h = clip_floor_shift(z, ceiling, 4)
    by_z, by_ceiling = torch.autograd.grad(h, (z, ceiling), torch.eye(6, dtype=torch.float64), is_grads_batched=True)
    assert torch.equal(by_z.diagonal(), torch.tensor([0.0, 1, 1, 1, 0, 0], dtype=torch.float64))
    inside = (h / ceiling - z / ceiling).detach()
    expected = torch.where(z < 0, 0.0, torch.where(z < 1.5, inside, 1.0)).detach()
    torch.testing.assert_close(by_ceiling, expected, rtol=1e-12, atol=1e-12)


def test_property_values_are_the_rates_and_the_mean_error_is_none():
    z = torch.rand(20_000, generator=seeded(), dtype=torch.float64)
    h = clip_floor_shift(z, 1.0, 8)
    assert torch.equal((h * 8).round(), h * 8)
    assert float((h - z).abs().max()) <= 1 / 16
    assert abs(float((h - z).mean())) < 1e-3
    assert abs(float(((z * 8).floor() / 8 - z).mean()) + 1 / 16) < 1e-3, "without the shift the error has a mean"


def test_limit_many_levels_are_a_clipped_relu():
    z = torch.randn(500, generator=seeded(), dtype=torch.float64)
    torch.testing.assert_close(clip_floor_shift(z, 1.0, 10**7), z.clamp(0, 1), rtol=0, atol=1e-7)


def test_property_the_module_learns_its_ceiling():
    module = ClipFloorShift(4, ceiling=0.25, dtype=torch.float64)
    z = torch.full((10,), 3.0, dtype=torch.float64)
    module(z).sum().backward()
    assert float(module.ceiling.grad) == 10.0
    assert "levels=4, ceiling=0.25" in repr(module)
    assert torch.equal(module(z), clip_floor_shift(z, 0.25, 4))


@pytest.mark.parametrize("ceiling", [0.0, -1.0, float("nan"), float("inf"), "1", True])
def test_error_ceilings_that_are_none(ceiling):
    with pytest.raises(ParameterError, match="must be positive and finite"):
        ClipFloorShift(4, ceiling=ceiling)
    if not isinstance(ceiling, str | bool):
        with pytest.raises(ParameterError, match="lower the learning rate"):
            clip_floor_shift(torch.zeros(2), ceiling, 4)


@pytest.mark.parametrize("levels", [0, -1, 2.0, True, "4"])
def test_error_levels_that_are_none(levels):
    with pytest.raises(ParameterError, match="a whole number >= 1"):
        ClipFloorShift(levels)
    with pytest.raises(ParameterError, match="a whole number >= 1"):
        clip_floor_shift(torch.zeros(2), 1.0, levels)
