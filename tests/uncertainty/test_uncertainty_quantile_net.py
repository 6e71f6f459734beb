"""All quantiles of one network: what it learns where the answer is known, and crossed ends."""

import math

import pytest
import torch
from torch import nn

from weightlore.data import Split, heteroscedastic_sine
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.networks.layered import built
from weightlore.training import adam, fit
from weightlore.uncertainty.deterministic import SimultaneousQuantileRegressor, quantile_loss_step
from weightlore.uncertainty.regression import pinball_loss


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def linear(weights, bias=0.0):
    """A network of (x, t) whose coefficients are given."""
    layer = built(lambda: nn.Linear(len(weights), 1), generator=seeded(), dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([weights]))
        layer.bias.fill_(bias)
    return SimultaneousQuantileRegressor(layer)


def test_oracle_uniform_noise_has_linear_quantiles():
    """y = 2 x + u with u uniform: the t-quantile is 2 x + t, and a linear network of (x, t) finds it."""
    draws = torch.rand(4000, 2, generator=seeded(), dtype=torch.float64)
    data = Split(draws[:, :1], 2 * draws[:, :1] + draws[:, 1:])
    model = linear([0.0, 0.0])
    fit(model, data, step=quantile_loss_step, optimizer=adam(0.05), epochs=30, batch_size=400, generator=seeded())
    layer = model.network
    torch.testing.assert_close(layer.weight[0], torch.tensor([2.0, 1.0]).double(), atol=0.05, rtol=0)
    assert abs(layer.bias.item()) < 0.05
    found = model.interval(data.x, 0.8)
    inside = (data.y[:, 0] >= found.interval.lower) & (data.y[:, 0] <= found.interval.upper)
    assert abs(float(inside.double().mean()) - 0.8) < 0.03
    assert found.crossing_rate == 0


def test_oracle_the_step_is_the_pinball_loss_at_its_draws():
    model, x = linear([1.0, 0.3]), torch.linspace(0, 1, 7).double()[:, None]
    batch = Split(x, x**2)
    t = torch.rand(7, generator=seeded(3), dtype=torch.float64)
    expected = pinball_loss(x[:, 0] + 0.3 * t, batch.y[:, 0], t)
    torch.testing.assert_close(quantile_loss_step(model, batch, seeded(3)), expected)
    torch.testing.assert_close(quantile_loss_step(model, Split(x, batch.y[:, 0]), seeded(3)), expected)


def test_property_the_step_drives_levels_of_its_own_for_each_example():
    seen = []

    class Spy(nn.Module):
        def forward(self, rows):
            seen.append(rows[:, -1])
            return rows[:, :1]

    x = torch.zeros(200, 1).double()
    quantile_loss_step(SimultaneousQuantileRegressor(Spy()), Split(x, x), seeded())
    assert len(seen[0].unique()) == 200
    assert abs(float(seen[0].mean()) - 0.5) < 0.06


def test_property_noise_that_grows_gives_intervals_that_grow():
    data = heteroscedastic_sine(600, generator=seeded())
    model = SimultaneousQuantileRegressor(mlp((2, 24, 24, 1), generator=seeded()))
    fit(model, data, step=quantile_loss_step, optimizer=adam(0.01), epochs=60, batch_size=100, generator=seeded())
    width = model.interval(torch.tensor([[0.1], [0.9]]).double(), 0.9).interval.width
    assert width[1] > 1.5 * width[0]


def test_property_ends_are_those_of_the_level():
    found = linear([1.0, 2.0]).interval(torch.tensor([[5.0]]).double(), 0.8)
    assert (float(found.interval.lower), float(found.interval.upper)) == pytest.approx((5.2, 6.8))
    assert found.interval.level == 0.8


def test_property_crossed_ends_are_sorted_and_said():
    class Tilted(nn.Module):
        def forward(self, rows):
            return rows[:, 0] * rows[:, 1]  # q = x t falls with t where x is negative

    model = SimultaneousQuantileRegressor(Tilted())
    found = model.interval(torch.tensor([[-1.0], [2.0], [3.0], [4.0]]), 0.5)
    assert found.crossing_rate == 0.25
    torch.testing.assert_close(found.interval.lower, torch.tensor([-0.75, 0.5, 0.75, 1.0]))
    torch.testing.assert_close(found.interval.upper, torch.tensor([-0.25, 1.5, 2.25, 3.0]))


def test_property_an_interval_leaves_modes_and_gradients_alone():
    model = SimultaneousQuantileRegressor(nn.Sequential(nn.Linear(2, 1), nn.Dropout(0.5))).train()
    one, other = (model.interval(torch.ones(3, 1), 0.5).interval for _ in range(2))
    assert torch.equal(one.lower, other.lower)
    assert not one.lower.requires_grad
    assert all(module.training for module in model.modules())


def test_error_of_levels_shapes_and_targets():
    model, x = linear([1.0, 1.0]), torch.zeros(3, 1).double()
    for level in (0.0, 1.0, math.nan):
        with pytest.raises(ParameterError, match="a level is between 0 and 1"):
            model(x, level)
        with pytest.raises(ParameterError, match="level is the share of targets inside"):
            model.interval(x, level)
    with pytest.raises(ParameterError, match="one for all or for each of 3 examples"):
        model(x, torch.full((2,), 0.5))
    with pytest.raises(ParameterError, match=r"x must be floating, shape \(N, D\)"):
        model(torch.zeros(3).double(), 0.5)
    with pytest.raises(ParameterError, match="one number a row, 3 of them"):
        SimultaneousQuantileRegressor(nn.Identity())(x, 0.5)
    with pytest.raises(ParameterError, match="one number an example"):
        quantile_loss_step(model, Split(x, torch.zeros(3, 2)), seeded())
    with pytest.raises(ParameterError, match="a quantile must be finite"):
        linear([1.0, math.nan]).interval(x, 0.5)
