"""Intervals and quantiles: by hand, against every candidate, and through gradients."""

import math
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_pinball_loss

from weightlore.errors import ParameterError
from weightlore.uncertainty.predictions import IntervalPrediction
from weightlore.uncertainty.regression import (
    coverage_width_criterion,
    interval_score,
    mpiw,
    nmpiw,
    picp,
    pinball_loss,
    quality_driven_loss,
)

LOWER, UPPER = torch.tensor([0.0, 1.0, -2.0], dtype=torch.float64), torch.tensor([1.0, 3.0, 2.0], dtype=torch.float64)
Y = torch.tensor([1.0, 0.0, 2.5], dtype=torch.float64)  # on the edge, 1 below, 0.5 above


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def test_oracle_numbers_by_hand():
    both = (LOWER, UPPER)
    assert float(picp(both, Y)) == pytest.approx(1 / 3), "the edge is inside"
    assert float(mpiw(both)) == pytest.approx(7 / 3)
    assert float(nmpiw(both, torch.tensor([10.0, 24.0]))) == pytest.approx(1 / 6)
    assert interval_score(both, Y, level=0.8).tolist() == pytest.approx([1.0, 2 + 10 * 1.0, 4 + 10 * 0.5])
    asked = IntervalPrediction(LOWER, UPPER, 0.8)
    assert torch.equal(interval_score(asked, Y), interval_score(both, Y, level=0.8))
    assert torch.equal(interval_score(asked, Y, level=0.5), interval_score(both, Y, level=0.5))
    assert float(picp(asked, Y)) == pytest.approx(1 / 3)


@pytest.mark.parametrize("level", [0.05, 0.5, 0.9])
def test_oracle_pinball_is_that_of_scikit_learn(level):
    q, y = normal(40), normal(40, seed=1)
    assert float(pinball_loss(q, y, level)) == pytest.approx(mean_pinball_loss(y, q, alpha=level), abs=1e-14)


def test_oracle_pinball_of_many_levels_is_the_mean_of_single_ones():
    q, y, levels = normal(30, 4), normal(30, seed=1), torch.tensor([0.1, 0.3, 0.5, 0.95], dtype=torch.float64)
    one_by_one = torch.stack([pinball_loss(q[:, k], y, float(t)) for k, t in enumerate(levels)])
    assert torch.allclose(pinball_loss(q, y, levels), one_by_one.mean(), atol=1e-14)
    each = torch.rand(30, generator=seeded(2), dtype=torch.float64) * 0.9 + 0.05
    rows = torch.stack([pinball_loss(q[i : i + 1, 0], y[i : i + 1], float(t)) for i, t in enumerate(each)])
    assert torch.allclose(pinball_loss(q[:, 0], y, each), rows.mean(), atol=1e-14)


def test_oracle_interval_score_is_the_sum_of_two_pinballs():
    level = 0.9
    low, high = (pinball_loss(end, Y, t) for end, t in ((LOWER, 0.05), (UPPER, 0.95)))
    right = 2 / (1 - level) * (low + high)
    assert torch.allclose(interval_score((LOWER, UPPER), Y, level=level).mean(), right, atol=1e-12)


def test_property_interval_score_is_smallest_at_the_true_quantiles():
    y = normal(20000)
    ends = torch.linspace(-3, 3, 61, dtype=torch.float64)
    scores = torch.stack(
        [
            torch.stack([interval_score((a.expand(20000), b.expand(20000)), y, level=0.8).mean() for b in ends[31:]])
            for a in ends[:31]
        ]
    )
    best = divmod(int(scores.argmin()), 30)
    assert float(ends[:31][best[0]]) == pytest.approx(-1.2816, abs=0.11)
    assert float(ends[31:][best[1]]) == pytest.approx(1.2816, abs=0.11)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=20), st.floats(0.05, 0.95))
def test_property_pinball_is_smallest_at_the_empirical_quantile(values, level):
    y = torch.tensor(values, dtype=torch.float64)
    losses = torch.stack([pinball_loss(q.expand(len(y)), y, level) for q in y])
    at_quantile = y.sort().values[min(len(y) - 1, max(0, math.ceil(level * len(y)) - 1))]
    assert float(pinball_loss(at_quantile.expand(len(y)), y, level)) <= float(losses.min()) + 1e-12


def test_oracle_quality_driven_loss_by_hand_and_by_differences():
    level, weight, softness = 0.9, 2.0, 5.0
    lower, upper = LOWER.clone().requires_grad_(), UPPER.clone().requires_grad_()
    soft = 1 / (1 + (-softness * (Y - LOWER)).exp()) / (1 + (-softness * (UPPER - Y)).exp())
    right = 1.0 + weight * 3 / 0.09 * (0.9 - soft.mean()) ** 2  # only the first interval holds its target

    def loss(a, b):
        return quality_driven_loss(a, b, Y, level=level, weight=weight, softness=softness)

    assert torch.allclose(loss(lower, upper), right, atol=1e-12)
    inside = torch.tensor([0.5, 2.0, 0.0], dtype=torch.float64)  # differences must not step over an edge
    assert torch.autograd.gradcheck(
        lambda a, b: quality_driven_loss(a, b, inside, level=level, weight=weight, softness=softness), (lower, upper)
    )


def test_property_quality_driven_loss_trains_intervals_that_hold():
    y = normal(2000)
    ends = torch.tensor([-0.3, 0.3], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([ends], lr=0.02)
    for _ in range(400):
        optimizer.zero_grad()
        quality_driven_loss(ends[0].expand(2000), ends[1].expand(2000), y, level=0.9, softness=20.0).backward()
        optimizer.step()
    low, high = ends.detach()
    assert float(picp((low.expand(2000), high.expand(2000)), y)) == pytest.approx(0.9, abs=0.03)
    assert float(high - low) == pytest.approx(2 * 1.645, abs=0.4)


def test_limit_quality_driven_loss_where_no_target_is_held():
    lower = torch.tensor([2.0, 3.0], dtype=torch.float64, requires_grad=True)
    upper = torch.tensor([1.0, 4.0], dtype=torch.float64, requires_grad=True)  # the first is crossed
    loss = quality_driven_loss(lower, upper, torch.zeros(2, dtype=torch.float64), level=0.9, weight=1.0, softness=2.0)
    loss.backward()
    soft = torch.sigmoid(-2 * lower) * torch.sigmoid(2 * upper)
    assert torch.allclose(loss, 2 / 0.09 * (0.9 - soft.mean()) ** 2, atol=1e-12)
    assert bool(torch.isfinite(lower.grad).all())
    assert bool((lower.grad > 0).all()), "down towards the targets"
    enough = quality_driven_loss(-9 + 0 * lower, 9 + 0 * lower, 0 * lower, level=0.9)
    assert float(enough.detach()) == 18.0, "coverage above the promised one costs nothing"


def test_oracle_coverage_width_criterion_in_both_variants():
    train = torch.tensor([0.0, 14.0], dtype=torch.float64)
    asked = IntervalPrediction(LOWER, UPPER, 0.5)
    width, covered = 1 / 6, 1 / 3
    right = width * (1 + math.exp(-10 * (covered - 0.5)))
    assert float(coverage_width_criterion(asked, Y, train, eta=10.0)) == pytest.approx(right)
    assert float(coverage_width_criterion(asked, Y, train, eta=10.0, penalty="always")) == pytest.approx(right)
    assert float(coverage_width_criterion(asked, Y, train, eta=10.0, level=0.2)) == pytest.approx(width)
    half = IntervalPrediction(LOWER[:2], UPPER[:2], 0.5)
    kept = coverage_width_criterion(half, Y[:2], train, eta=10.0)
    assert float(kept) == pytest.approx(1.5 / 14), "the promise is just kept, and nothing is fined"
    always = coverage_width_criterion(asked, Y, train, eta=10.0, level=0.2, penalty="always")
    assert float(always) == pytest.approx(width * (1 + math.exp(-10 * (covered - 0.2))))


def test_limit_infinite_intervals_hold_everything():
    n = 5
    ends = (torch.full((n,), -math.inf), torch.full((n,), math.inf))
    y = torch.randn(n, generator=seeded())
    assert float(picp(ends, y)) == 1.0
    assert float(mpiw(ends)) == math.inf
    assert interval_score(ends, y, level=0.9).tolist() == [math.inf] * n
    below = (torch.full((1,), -math.inf), torch.full((1,), -math.inf))
    assert float(mpiw(below)) == 0.0
    assert float(picp(below, y[:1])) == 0.0
    assert float(interval_score(below, y[:1], level=0.9)) == math.inf


def test_limit_points_one_example_and_dtypes():
    y = torch.tensor([2.0])
    assert float(picp((y, y), y)) == 1.0
    assert float(interval_score((y, y), y, level=0.9)) == 0.0
    for dtype in (torch.float32, torch.float64):
        ends = (LOWER.to(dtype), UPPER.to(dtype))
        assert picp(ends, Y.to(dtype)).dtype == dtype
        assert mpiw(ends).dtype == dtype
        assert interval_score(ends, Y.to(dtype), level=0.9).dtype == dtype
    assert float(pinball_loss(y, y, 0.3)) == 0.0


def test_error_crossed_ends_and_shapes():
    with pytest.raises(ParameterError, match="sort each pair"):
        mpiw((UPPER, LOWER))
    with pytest.raises(ParameterError, match="one shape"):
        mpiw((LOWER, UPPER[:2]))
    with pytest.raises(ParameterError, match="floating"):
        mpiw((torch.tensor([0]), torch.tensor([1])))
    with pytest.raises(ParameterError, match="NaN"):
        mpiw((torch.tensor([math.nan]), torch.tensor([1.0])))
    with pytest.raises(ParameterError, match=r"y\[:, None\]"):
        picp((LOWER[:, None], UPPER[:, None]), Y)
    with pytest.raises(ParameterError, match="finite"):
        picp((LOWER, UPPER), torch.tensor([1.0, math.inf, 0.0], dtype=torch.float64))


def test_error_levels_and_ranges():
    both = (LOWER, UPPER)
    with pytest.raises(ParameterError, match=r"level=0\.9"):
        interval_score(both, Y)
    for level in (0.0, 1.0, 1.5, math.nan):
        with pytest.raises(ParameterError, match="between 0 and 1"):
            interval_score(both, Y, level=level)
        with pytest.raises(ParameterError, match="between 0 and 1"):
            pinball_loss(LOWER, Y, level)
    with pytest.raises(ParameterError, match="use mpiw"):
        nmpiw(both, torch.ones(4))
    with pytest.raises(ParameterError, match="no target"):
        nmpiw(both, torch.ones(0))
    with pytest.raises(ParameterError, match="one of 'below', 'always'"):
        coverage_width_criterion(both, Y, Y, eta=1.0, level=0.9, penalty="sometimes")
    for eta in (-1.0, 0.0, math.inf):
        with pytest.raises(ParameterError, match="eta"):
            coverage_width_criterion(both, Y, Y, eta=eta, level=0.9)
    with pytest.raises(ParameterError, match="softness"):
        quality_driven_loss(LOWER, UPPER, Y, level=0.9, softness=0.0)
    with pytest.raises(ParameterError, match="finite"):
        quality_driven_loss(LOWER / 0, UPPER, Y, level=0.9)
    with pytest.raises(ParameterError, match="level must be a number"):
        pinball_loss(torch.zeros(3, 2), torch.zeros(3), torch.tensor([0.1, 0.2, 0.3]))
    with pytest.raises(ParameterError, match="IntervalPrediction"):
        interval_score(SimpleNamespace(lower=LOWER, upper=UPPER), Y)
