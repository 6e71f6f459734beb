"""Conformal quantiles and intervals: exact ranks, coverage over many splits, and what too few examples give."""

import math
from fractions import Fraction
from itertools import product

import pytest
import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.uncertainty.conformal import (
    ConformalizedQuantileRegressor,
    CrossConformalRegressor,
    SplitConformalRegressor,
    conformal_quantile,
    grouped_thresholds,
    smallest_set,
    uncrossed,
)
from weightlore.uncertainty.conformal.quantile import rank_of
from weightlore.uncertainty.regression import mpiw, picp
from weightlore.uncertainty.warned import UncertaintyWarning


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def within(shares, low, high):
    """Is a mean over splits between two bounds, up to three standard errors?"""
    error = float(shares.std() / math.sqrt(len(shares)))
    return low - 3 * error <= float(shares.mean()) <= high + 3 * error


def test_oracle_rank_is_that_of_exact_fractions():
    for count, percent in product(range(120), range(1, 100)):
        exact = math.ceil((count + 1) * Fraction(percent, 100))
        assert rank_of(count, percent / 100) == exact
        assert rank_of(count, 1 - (100 - percent) / 100) == exact, "1 - a is a little off level"
    assert math.ceil(100 * 0.07) == 8, "which is why"


def test_oracle_quantile_of_sorted_scores():
    scores = normal(99)
    for level in (0.01, 0.5, 0.9, 0.99):
        right = scores.sort().values[math.ceil(100 * level - 1e-9) - 1]
        assert torch.equal(conformal_quantile(scores, level=level), right)
    assert [smallest_set(level) for level in (0.5, 0.8, 0.9, 0.95, 0.99, 0.999, 0.85)] == [1, 4, 9, 19, 99, 999, 6]


@pytest.mark.parametrize("level", [0.8, 0.9, 0.99])
def test_limit_too_few_scores_promise_nothing(level):
    enough = smallest_set(level)
    assert bool(torch.isfinite(conformal_quantile(normal(enough), level=level)))
    with pytest.warns(UncertaintyWarning, match=f"{enough} are needed"):
        assert float(conformal_quantile(normal(enough - 1), level=level)) == math.inf
    with pytest.warns(UncertaintyWarning, match="are needed in each"):
        fitted = SplitConformalRegressor(level=level).fit(normal(enough - 1), normal(enough - 1, seed=1))
    found = fitted.predict(normal(3))
    assert found.lower.tolist() == [-math.inf] * 3
    assert found.upper.tolist() == [math.inf] * 3


def test_limit_no_score_at_all():
    with pytest.warns(UncertaintyWarning, match="0 scores"):
        assert float(conformal_quantile(torch.zeros(0), level=0.5)) == math.inf


@pytest.mark.parametrize("normalized", [False, True])
def test_property_coverage_over_many_splits_of_plain_and_normalized(normalized):
    generator, level, n, m = seeded(1), 0.9, 25, 20
    shares = []
    for _ in range(2000):
        x = torch.rand(n + m, generator=generator, dtype=torch.float64)
        y = x + (0.1 + x) * torch.randn(n + m, generator=generator, dtype=torch.float64)
        scale = (0.3 + x, 0.3 + x) if normalized else (None, None)
        cut = [None if s is None else s[part] for s, part in zip(scale, (slice(n), slice(n, None)), strict=True)]
        fitted = SplitConformalRegressor(level=level).fit(0.9 * x[:n], y[:n], scale=cut[0])
        shares.append(picp(fitted.predict(0.9 * x[n:], scale=cut[1]), y[n:]))
    assert within(torch.stack(shares), level, level + 1 / (n + 1))


@pytest.mark.parametrize("symmetric", [True, False])
def test_property_coverage_of_quantiles_over_many_splits(symmetric):
    generator, level, n, m = seeded(2), 0.8, 24, 20
    shares = []
    for _ in range(2000):
        x = torch.rand(n + m, generator=generator, dtype=torch.float64)
        y = x + (0.1 + x) * torch.randn(n + m, generator=generator, dtype=torch.float64)
        lower, upper = x - 0.7 * x, x + 0.5 + x
        fitted = ConformalizedQuantileRegressor(level=level, symmetric=symmetric)
        fitted.fit(lower[:n], upper[:n], y[:n])
        shares.append(picp(fitted.predict(lower[n:], upper[n:]), y[n:]))
    assert within(torch.stack(shares), level, level + (1 if symmetric else 2) / (n + 1))


def test_property_each_group_is_covered_and_not_only_their_mean():
    generator, level, n = seeded(3), 0.8, 4000
    groups = torch.arange(n) % 2
    y = torch.where(groups == 0, 1.0, 3.0) * torch.randn(n, generator=generator, dtype=torch.float64)
    mean, half = torch.zeros_like(y), n // 2
    one = SplitConformalRegressor(level=level).fit(mean[:half], y[:half]).predict(mean[half:])
    each = SplitConformalRegressor(level=level).fit(mean[:half], y[:half], groups=groups[:half])
    each = each.predict(mean[half:], groups=groups[half:])
    for group in (0, 1):
        rows = groups[half:] == group
        assert float(picp((each.lower[rows], each.upper[rows]), y[half:][rows])) == pytest.approx(level, abs=0.04)
        alone = SplitConformalRegressor(level=level)
        alone.fit(mean[:half][groups[:half] == group], y[:half][groups[:half] == group])
        assert torch.equal(alone.predict(mean[:1]).upper, each.upper[rows][:1])
    shares = [
        float(picp((one.lower[groups[half:] == g], one.upper[groups[half:] == g]), y[half:][groups[half:] == g]))
        for g in (0, 1)
    ]
    assert shares[0] > 0.95 > 0.7 > shares[1]


def test_limit_an_unseen_group_is_not_excluded():
    y = normal(40)
    fitted = SplitConformalRegressor(level=0.5).fit(0 * y, y, groups=torch.arange(40) % 2 * 2)
    found = fitted.predict(torch.zeros(4).double(), groups=torch.tensor([0, 1, 2, 7]))
    assert found.upper.isinf().tolist() == [False, True, False, True]
    with pytest.warns(UncertaintyWarning, match="1 of 2 groups"):
        few = grouped_thresholds(normal(5).abs(), torch.tensor([0, 0, 0, 0, 3]), level=0.6)
    assert few.of(torch.tensor([0, 3]), 2).isinf().tolist() == [False, True]


def test_limit_a_negative_correction_may_empty_an_interval():
    n = 40
    y = 0.01 * normal(n)
    lower, upper = -torch.ones(n).double(), torch.ones(n).double()
    fitted = ConformalizedQuantileRegressor(level=0.9).fit(lower, upper, y)
    assert float(fitted.thresholds[0].values) < -0.9, "far too wide quantiles are moved inward"
    inside = fitted.predict(lower, upper)
    assert float(mpiw(inside)) < 0.1
    assert float(picp(inside, y)) >= 0.9
    with pytest.warns(UncertaintyWarning, match="1 of 2 intervals would be empty"):
        found = fitted.predict(torch.tensor([-1.0, 2.0]).double(), torch.tensor([1.0, 2.4]).double())
    assert float(found.lower[1]) == float(found.upper[1]) == pytest.approx(2.2)
    low, high, empty = uncrossed(torch.tensor([0.0, 3.0]), torch.tensor([1.0, 1.0]))
    assert (low.tolist(), high.tolist(), empty.tolist()) == ([0.0, 2.0], [1.0, 2.0], [False, True])


def test_limit_crossed_quantiles_are_scored_as_they_are():
    y = normal(30)
    fitted = ConformalizedQuantileRegressor(level=0.5).fit(y + 1, y - 1, y)  # crossed by 2 everywhere
    assert float(fitted.thresholds[0].values) == pytest.approx(1.0)


class Mean:
    """What a learner of the mean returns."""

    def __init__(self, data, generator):
        self.value = float(data.y.mean())

    def __call__(self, x):
        return torch.full((len(x),), self.value, dtype=torch.float64)


def test_oracle_jackknife_of_means_by_hand():
    y = torch.tensor([0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 17.0, 19.0, 20.0], dtype=torch.float64)
    fitted = CrossConformalRegressor(Mean, level=0.8).fit(Split(y[:, None], y), generator=seeded())
    without = (y.sum() - y) / 8
    residual = (y - without).abs()
    found = fitted.predict(torch.zeros(2, 1).double())
    assert found.lower.tolist() == pytest.approx([float((without - residual).sort().values[1])] * 2)
    assert found.upper.tolist() == pytest.approx([float((without + residual).sort().values[7])] * 2)
    assert len(fitted.learned) == 9


def test_property_cross_conformal_covers_and_shrinks_no_data():
    def line(data, generator):
        design = torch.cat([data.x, torch.ones_like(data.x)], 1)
        w = torch.linalg.lstsq(design, data.y[:, None]).solution
        return lambda x: (torch.cat([x, torch.ones_like(x)], 1) @ w)[:, 0]

    shares, level = [], 0.8
    for seed in range(150):
        x = normal(60, 1, seed=seed)
        y = 2 * x[:, 0] + normal(60, seed=1000 + seed)
        fitted = CrossConformalRegressor(line, level=level, folds=4).fit(Split(x[:20], y[:20]), generator=seeded(seed))
        shares.append(picp(fitted.predict(x[20:]), y[20:]))
    mean = float(torch.stack(shares).mean())
    assert 2 * level - 1 < mean
    assert mean == pytest.approx(level, abs=0.06)


def test_property_chunks_change_nothing(monkeypatch):
    data = Split(normal(30, 1), normal(30, seed=1))

    class Spread(Mean):
        def __call__(self, x):
            return self.value * x[:, 0]

    fitted = CrossConformalRegressor(Spread, level=0.7, folds=5).fit(data, generator=seeded())
    right = fitted.predict(normal(50, 1, seed=2))
    monkeypatch.setattr("weightlore.uncertainty.conformal.cross.CHUNK", 70)
    found = fitted.predict(normal(50, 1, seed=2))
    assert torch.equal(found.lower, right.lower)
    assert torch.equal(found.upper, right.upper)
    again = CrossConformalRegressor(Spread, level=0.7, folds=5).fit(data, generator=seeded())
    assert torch.equal(again.predict(normal(50, 1, seed=2)).lower, right.lower)
    other = CrossConformalRegressor(Spread, level=0.7, folds=5).fit(data, generator=seeded(1))
    assert not torch.equal(other.predict(normal(50, 1, seed=2)).lower, right.lower)


def test_limit_cross_conformal_with_too_few_examples_and_low_levels():
    data = Split(normal(5, 1), normal(5, seed=1))
    fitted = CrossConformalRegressor(Mean, level=0.9).fit(data, generator=seeded())
    with pytest.warns(UncertaintyWarning, match="9 are needed"):
        assert fitted.predict(torch.zeros(2, 1)).upper.tolist() == [math.inf] * 2
    two = CrossConformalRegressor(Mean, level=0.5).fit(Split(data.x[:2], data.y[:2]), generator=seeded())
    assert sorted(float(r) for r in two.residuals) == pytest.approx([float((data.y[0] - data.y[1]).abs())] * 2)
    with pytest.raises(ParameterError, match="cannot be cut"):
        CrossConformalRegressor(Mean, level=0.5).fit(Split(data.x[:1], data.y[:1]), generator=seeded())
    low = CrossConformalRegressor(Mean, level=0.1).fit(data, generator=seeded()).predict(torch.zeros(2, 1))
    assert bool((low.lower <= low.upper).all())


def test_property_networks_and_graphs_are_left_alone():
    network = nn.Linear(1, 1).double()
    before = [p.detach().clone() for p in network.parameters()]

    def learn(data, generator):
        return lambda x: network(x)[:, 0]

    data = Split(normal(20, 1), normal(20, seed=1))
    found = CrossConformalRegressor(learn, level=0.8, folds=2).fit(data, generator=seeded()).predict(data.x)
    assert not found.lower.requires_grad
    mean = network(data.x)[:, 0]
    split = SplitConformalRegressor(level=0.8).fit(mean, data.y).predict(mean)
    assert not split.upper.requires_grad
    assert all(torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert all(p.grad is None for p in network.parameters())


def test_limit_dtypes_stay():
    for dtype in (torch.float32, torch.float64):
        y = normal(30).to(dtype)
        assert SplitConformalRegressor(level=0.8).fit(0 * y, y).predict(y).lower.dtype == dtype
        assert ConformalizedQuantileRegressor(level=0.8).fit(y - 1, y + 1, y).predict(y - 1, y + 1).lower.dtype == dtype
        assert conformal_quantile(y, level=0.5).dtype == dtype


def test_error_levels_and_scores():
    for level in (0.0, 1.0, math.nan):
        for make in (
            SplitConformalRegressor,
            ConformalizedQuantileRegressor,
            lambda level: CrossConformalRegressor(Mean, level=level),
        ):
            with pytest.raises(ParameterError, match="between 0 and 1"):
                make(level=level)
        with pytest.raises(ParameterError, match="between 0 and 1"):
            conformal_quantile(normal(5), level=level)
    with pytest.raises(ParameterError, match="finite"):
        conformal_quantile(torch.tensor([math.nan]), level=0.5)
    with pytest.raises(ParameterError, match="one for each example"):
        conformal_quantile(torch.zeros(2, 2), level=0.5)


def test_error_what_was_given_to_one_of_two_only():
    y = normal(20)
    one = SplitConformalRegressor(level=0.8)
    with pytest.raises(ParameterError, match="call fit"):
        one.predict(y)
    with pytest.raises(ParameterError, match="call fit"):
        ConformalizedQuantileRegressor(level=0.8).predict(y, y)
    with pytest.raises(ParameterError, match="call fit"):
        CrossConformalRegressor(Mean, level=0.8).predict(y[:, None])
    with pytest.raises(ParameterError, match="scale must be given"):
        one.fit(0 * y, y).predict(y, scale=y.abs())
    with pytest.raises(ParameterError, match="groups must be given"):
        one.fit(0 * y, y).predict(y, groups=torch.zeros(20, dtype=torch.int64))
    with pytest.raises(ParameterError, match="groups must be given"):
        one.fit(0 * y, y, groups=torch.zeros(20, dtype=torch.int64)).predict(y)
    with pytest.raises(ParameterError, match="int64"):
        one.fit(0 * y, y, groups=torch.zeros(20))


def test_error_shapes_scales_and_learners():
    y = normal(20)
    one = SplitConformalRegressor(level=0.8)
    with pytest.raises(ParameterError, match="> 0"):
        one.fit(0 * y, y, scale=0 * y)
    with pytest.raises(ParameterError, match="choose an output"):
        one.fit(y[:, None], y[:, None])
    with pytest.raises(ParameterError, match="one for each of 20 predictions"):
        one.fit(y, y[:5])
    with pytest.raises(ParameterError, match="finite"):
        one.fit(y, y / 0)
    with pytest.raises(ParameterError, match="one for each of 20 predictions"):
        ConformalizedQuantileRegressor(level=0.8).fit(y, y[:5], y)
    with pytest.raises(ParameterError, match="folds must be >= 2"):
        CrossConformalRegressor(Mean, level=0.8, folds=1)
    data = Split(y[:, None], y)
    with pytest.raises(ParameterError, match="cannot be cut"):
        CrossConformalRegressor(Mean, level=0.8, folds=21).fit(data, generator=seeded())
    wrong = CrossConformalRegressor(lambda data, g: lambda x: x[:1, 0], level=0.8, folds=2)
    with pytest.raises(ParameterError, match="one number for each of 10 inputs"):
        wrong.fit(data, generator=seeded())
