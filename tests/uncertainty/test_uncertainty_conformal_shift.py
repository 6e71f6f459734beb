"""Beyond exchangeability: ratios of densities, levels that follow the misses, and other losses than missing."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from weightlore.errors import ParameterError
from weightlore.uncertainty.conformal import AdaptiveConformal, conformal_quantile, risk_control, weighted_quantile
from weightlore.uncertainty.warned import UncertaintyWarning


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def uniform(*shape, seed=0):
    return torch.rand(*shape, generator=seeded(seed), dtype=torch.float64)


def by_adding_up(scores, weights, new, level):
    """The weighted quantile by its definition."""
    total = weights.sum() + new
    for t in scores.sort().values:
        if float(weights[scores <= t].sum() / total) >= level - 1e-12:
            return float(t)
    return math.inf


@pytest.mark.parametrize("level", [0.3, 0.8, 0.9])
def test_oracle_weighted_quantile_by_its_definition(level):
    scores, weights, new = uniform(40).round(decimals=1), uniform(40, seed=1), 5 * uniform(20, seed=2)
    with pytest.warns(UncertaintyWarning, match="infinite") if level == 0.9 else torch.no_grad():
        found = weighted_quantile(scores, weights, new, level=level)
    assert found.tolist() == [by_adding_up(scores, weights, float(w), level) for w in new]


@pytest.mark.parametrize("n", [9, 10, 57])
def test_property_equal_weights_are_the_plain_quantile(n):
    scores = uniform(n)
    for level in (0.1, 0.5, 0.7, 0.9):
        for w in (1.0, 0.1, 7.3):
            weights = torch.full((n,), w, dtype=torch.float64)
            found = weighted_quantile(scores, weights, weights[:1], level=level)
            assert torch.equal(found[0], conformal_quantile(scores, level=level))


def test_property_right_weights_restore_the_coverage_and_wrong_ones_do_not():
    # x is uniform where we calibrate and has the density 2 x afterwards; the noise grows with x
    level, n, trials = 0.8, 60, 600
    hits = {"right": [], "none": [], "wrong": []}
    for seed in range(trials):
        x, new = uniform(n, seed=2 * seed), uniform(50, seed=2 * seed + 1).sqrt()
        scores = x**2 * torch.randn(n, generator=seeded(seed + 10**5), dtype=torch.float64).abs()
        truth = new**2 * torch.randn(50, generator=seeded(seed + 2 * 10**5), dtype=torch.float64).abs()
        for name, w in (("right", lambda t: t), ("none", torch.ones_like), ("wrong", lambda t: 1 - t)):
            hits[name].append((truth <= weighted_quantile(scores, w(x), w(new), level=level)).double().mean())
    share = {name: float(torch.stack(found).mean()) for name, found in hits.items()}
    assert level - 0.02 < share["right"] < level + 0.05
    assert share["none"] < level - 0.05
    assert share["wrong"] < share["none"] - 0.05


def test_limit_one_score_is_enough():
    one = torch.ones(1).double()
    assert weighted_quantile(3 * one, one, 0 * one, level=0.9).tolist() == [3.0]


def test_limit_weights_of_zero():
    scores = torch.tensor([1.0, 2.0, 3.0])
    some = torch.tensor([0.0, 1.0, 0.0])
    assert weighted_quantile(scores, some, torch.zeros(1), level=0.9).tolist() == [2.0]
    with pytest.warns(UncertaintyWarning, match="1 of 1"):
        assert weighted_quantile(scores, 0 * some, torch.ones(1), level=0.1).tolist() == [math.inf]
    with pytest.raises(ParameterError, match="all 0"):
        weighted_quantile(scores, 0 * some, torch.zeros(1), level=0.5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.01, 0.3), st.sampled_from([0.5, 0.8, 0.9]))
def test_property_misses_are_held_whatever_the_sequence(seed, rate, level):
    # the adversary covers or misses as he likes wherever the level leaves him the choice
    steps, generator = 400, seeded(seed)
    coins = torch.rand(steps, generator=generator) < torch.rand(1, generator=generator)
    online, misses = AdaptiveConformal(level=level, rate=rate), 0
    for coin in coins.tolist():
        covered = coin if 0 < online.current < 1 else online.current >= 1
        misses += not covered
        assert -rate <= online.current <= 1 + rate
        online.update(covered=covered)
    assert abs(misses / steps - (1 - level)) <= (max(level, 1 - level) + rate) / (rate * steps) + 1e-9


def test_property_coverage_survives_a_drift_that_the_fixed_level_does_not():
    steps, level = 1200, 0.9
    noise = torch.randn(steps, generator=seeded(), dtype=torch.float64) * torch.linspace(1, 6, steps).double()
    online, hits, fixed = AdaptiveConformal(level=level, rate=0.03), [], []
    old = noise[:100].abs()
    for t in range(100, steps):
        hits.append(bool(noise[t].abs() <= online.threshold(old)))
        fixed.append(bool(noise[t].abs() <= conformal_quantile(old, level=level)))
        online.update(covered=hits[-1])
    assert sum(hits) / len(hits) == pytest.approx(level, abs=0.03)
    assert sum(fixed) / len(fixed) < 0.6


def test_limit_levels_beyond_0_and_1():
    scores = uniform(20)
    online = AdaptiveConformal(level=0.9, rate=0.5)
    assert torch.equal(online.threshold(scores), conformal_quantile(scores, level=0.9))
    assert float(online.update(covered=False).threshold(scores)) == math.inf
    assert float(AdaptiveConformal(level=0.99, rate=0.1).threshold(scores)) == math.inf
    for _ in range(30):
        online.update(covered=True)
    assert float(online.threshold(scores)) == -math.inf


def test_oracle_risk_of_missing_is_split_conformal():
    scores = uniform(57)
    settings_ = torch.linspace(0, 1, 1001, dtype=torch.float64)
    losses = (scores[:, None] > settings_).double()
    found = risk_control(losses, settings_, risk=0.1)
    exact = float(conformal_quantile(scores, level=0.9))
    assert exact <= found.setting < exact + 0.001
    assert found.bound <= 0.1
    assert found.bound == pytest.approx((float(losses[:, found.index].sum()) + 1) / 58)
    assert (float(losses[:, found.index - 1].sum()) + 1) / 58 > 0.1, "one less cautious would not do"


def test_property_the_expected_loss_stays_below_the_risk():
    # loss: the share of an example's parts that a threshold misses
    settings_ = torch.linspace(0, 1, 101, dtype=torch.float64)
    risks, n = [], 30
    for seed in range(800):
        parts = uniform(n + 20, 5, seed=seed) ** (0.5 + 2 * uniform(n + 20, 1, seed=seed + 10**5))
        losses = (parts[:, :, None] > settings_).double().mean(1)
        found = risk_control(losses[:n], settings_, risk=0.2)
        risks.append(losses[n:, found.index].mean())
    found = torch.stack(risks)
    error = float(found.std() / math.sqrt(len(found)))
    assert 0.2 - 2 / (n + 1) - 0.01 - 3 * error <= float(found.mean()) <= 0.2 + 3 * error


def test_limit_no_setting_keeps_the_risk():
    losses = torch.tensor([[1.0, 0.5], [1.0, 0.5]])
    with pytest.warns(UncertaintyWarning, match="none of 2 settings"):
        found = risk_control(losses, torch.tensor([0.1, 0.2]), risk=0.3)
    assert (found.setting, found.index, found.bound) == (math.inf, None, 1.0)
    at_once = risk_control(torch.zeros(9, 2), torch.tensor([0.1, 0.2]), risk=0.1)
    assert (at_once.index, at_once.bound) == (0, 0.1)
    scaled = risk_control(100 * torch.zeros(9, 2), torch.tensor([0.1, 0.2]), risk=10.0, largest=100.0)
    assert scaled.bound == 10.0


def test_error_weights_and_rates():
    scores, ones = uniform(5), torch.ones(5).double()
    with pytest.raises(ParameterError, match=">= 0"):
        weighted_quantile(scores, -ones, ones, level=0.5)
    with pytest.raises(ParameterError, match="one for each input"):
        weighted_quantile(scores, ones[:2], ones, level=0.5)
    with pytest.raises(ParameterError, match="finite"):
        weighted_quantile(scores, ones, ones / 0, level=0.5)
    with pytest.raises(ParameterError, match="n >= 1"):
        weighted_quantile(scores[:0], ones[:0], ones, level=0.5)
    for rate in (0.0, -1.0, math.inf):
        with pytest.raises(ParameterError, match="rate"):
            AdaptiveConformal(level=0.9, rate=rate)
    with pytest.raises(ParameterError, match="between 0 and 1"):
        AdaptiveConformal(level=1.0, rate=0.1)
    with pytest.raises(ParameterError, match="finite"):
        AdaptiveConformal(level=0.9, rate=0.1).threshold(scores / 0)


def test_error_losses_that_rise_or_leave_their_range():
    falling, knob = torch.tensor([[1.0, 0.5]]), torch.tensor([0.1, 0.2])
    with pytest.raises(ParameterError, match="rises with the setting"):
        risk_control(falling.flip(1), knob, risk=0.5)
    with pytest.raises(ParameterError, match=r"say largest=\.\.\."):
        risk_control(3 * falling, knob, risk=0.5)
    with pytest.raises(ParameterError, match="rising numbers"):
        risk_control(falling, knob.flip(0), risk=0.5)
    with pytest.raises(ParameterError, match="shape"):
        risk_control(falling[0], knob, risk=0.5)
    with pytest.raises(ParameterError, match="risk and largest"):
        risk_control(falling, knob, risk=0.0)
    with pytest.raises(ParameterError, match="finite"):
        risk_control(falling / 0, knob, risk=0.5)
