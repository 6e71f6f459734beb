"""Paired comparison over seeds, against the textbook and scipy."""

from math import inf

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from weightlore.errors import ParameterError
from weightlore.transfer import paired


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def accuracies(count=10, seed=0, ahead=0.02):
    common = torch.randn(count, generator=seeded(seed), dtype=torch.float64)
    own = torch.randn(2, count, generator=seeded(seed + 1), dtype=torch.float64)
    return 0.7 + 0.1 * common + 0.01 * own[0] + ahead, 0.7 + 0.1 * common + 0.01 * own[1]


@pytest.mark.parametrize("count", [2, 5, 10, 40])
@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_oracle_t_test_interval_and_sign_test_of_scipy(count, confidence):
    ours, theirs = accuracies(count)
    found = paired(ours, theirs, generator=seeded(), confidence=confidence)
    known = stats.ttest_rel(ours.numpy(), theirs.numpy())
    assert found.t == pytest.approx(known.statistic, rel=1e-9)
    assert found.p == pytest.approx(known.pvalue, rel=1e-9)
    assert found.interval == pytest.approx(tuple(known.confidence_interval(confidence)), rel=1e-9)
    assert found.error == pytest.approx(stats.sem((ours - theirs).numpy()), rel=1e-9)
    assert found.mean == pytest.approx(float(ours.mean() - theirs.mean()), rel=1e-9)
    assert found.sign_p == stats.binomtest(found.wins, found.wins + found.losses).pvalue


@pytest.mark.parametrize("seed", range(4))
def test_oracle_bootstrap_of_scipy(seed):
    d = torch.randn(12, generator=seeded(seed), dtype=torch.float64).exp()  # far from normal
    found = paired(d, torch.zeros(12), generator=seeded(), resamples=40_000)
    draws = np.random.default_rng(seed)
    known = stats.bootstrap((d.numpy(),), np.mean, n_resamples=40_000, method="BCa", random_state=draws)
    width = known.confidence_interval.high - known.confidence_interval.low
    assert found.bootstrap == pytest.approx(tuple(known.confidence_interval), abs=0.04 * width)


def test_property_what_all_seeds_share_cancels():
    ours, theirs = accuracies(20)
    found = paired(ours, theirs, generator=seeded())
    unpaired = stats.ttest_ind(ours.numpy(), theirs.numpy())
    assert found.p < 0.01 < 0.3 < unpaired.pvalue
    assert found.interval[0] > 0
    assert found.bootstrap[0] > 0


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), min_size=2, max_size=12), st.integers(0, 9))
def test_property_mirrored_when_turned_around(pairs, seed):
    ours, theirs = ([number / 50 for number in side] for side in zip(*pairs, strict=True))
    one = paired(ours, theirs, generator=seeded(seed), resamples=200)
    other = paired(theirs, ours, generator=seeded(seed), resamples=200)
    assert one.mean == -other.mean
    assert one.p == other.p
    assert one.interval == (-other.interval[1], -other.interval[0])
    assert (one.wins, one.ties, one.losses) == (other.losses, other.ties, other.wins)
    assert one.wins + one.ties + one.losses == len(pairs)
    assert one.interval[0] <= one.mean <= one.interval[1]
    assert one.bootstrap[0] <= one.bootstrap[1]
    lowest, highest = float(one.differences.min()), float(one.differences.max())
    assert lowest - 1e-12 <= one.bootstrap[0] <= one.bootstrap[1] <= highest + 1e-12


def test_limit_equal_differences_have_intervals_without_width():
    same = paired([0.5, 0.6, 0.7], [0.4, 0.5, 0.6], generator=seeded())  # equal but for rounding
    assert same.mean == pytest.approx(0.1)
    assert same.error == 0
    assert same.t == inf
    assert same.p == 0
    assert same.interval == same.bootstrap == (same.mean, same.mean)
    none = paired([0.5, 0.6], [0.5, 0.6], generator=seeded())
    assert (none.t, none.p, none.sign_p, none.ties) == (0.0, 1.0, 1.0, 2)


def test_property_the_generator_decides_the_bootstrap_alone():
    ours, theirs = accuracies()
    one, same, other = (paired(ours, theirs, generator=seeded(seed)) for seed in (1, 1, 2))
    assert one.bootstrap == same.bootstrap != other.bootstrap
    assert one.interval == other.interval


@pytest.mark.parametrize(
    ("ours", "theirs", "options", "message"),
    [
        ([0.5], [0.4], {}, "two or more seeds"),
        ([0.5, 0.6], [0.4], {}, "same two or more"),
        ([[0.5], [0.6]], [[0.4], [0.3]], {}, "one number for each"),
        ([0.5, float("nan")], [0.4, 0.3], {}, "ours must be finite"),
        ([0.5, 0.5], [0.4, inf], {}, "theirs must be finite"),
        ([0.5, 0.6], [0.4, 0.3], {"confidence": 1.0}, "within 0 and 1"),
        ([0.5, 0.6], [0.4, 0.3], {"resamples": 0}, "at least 1"),
    ],
)
def test_error_says_what_is_needed(ours, theirs, options, message):
    with pytest.raises(ParameterError, match=message):
        paired(ours, theirs, generator=seeded(), **options)
