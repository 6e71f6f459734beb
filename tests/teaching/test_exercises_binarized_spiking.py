"""The exercises on spikes: answers by hand, and what is particular to them."""

import math
from fractions import Fraction

import pytest
import torch

from weightlore.teaching import check
from weightlore.teaching.exercises import exercises, judge
from weightlore.teaching.exercises.binarized import neurons, spiking

OURS = {e.id: e for part in (neurons, spiking) for e in vars(part).values() if isinstance(e, part.Exercise)}
WRONG = {
    ("binarized.zero_mean", 0): [1.0, 1.0, -1.0, -0.5],
    ("binarized.zero_mean", 1): [-1.0, -1.0, 1.0, 1.0],
    ("binarized.zero_mean", 2): [0.25, 0.5, -0.5, -0.25],
}


def test_property_the_chapter_offers_them():
    assert set(OURS) <= {exercise.id for exercise in exercises("binarized")}
    assert len(OURS) == 6


def test_oracle_answers_by_hand():
    assert check("binarized.spike_train", [0, 0, 0, 1, 0, 0, 1, 0, 0, 1]).verdict == "right"
    assert check("binarized.fewest_steps", [100, 50]).verdict == "right"
    assert check("binarized.hard_rate", lambda z: 1 / math.ceil(1 / z)).verdict == "right"
    assert check("binarized.absorb", lambda a, t, v: torch.stack([t / a, v / a])).verdict == "right"
    assert check("binarized.break_even", lambda steps: 4.6 / 0.9 / steps).verdict == "right"


def test_oracle_steps_are_those_of_exact_fractions():
    z = Fraction(1, 100) * 7 - Fraction(1, 10**9)  # just below a fraction of 100
    assert z - Fraction(math.floor(100 * z), 100) < Fraction(1, 100)
    worst = Fraction(1, 99) - Fraction(1, 10**9)
    assert worst - Fraction(math.floor(99 * worst), 99) > Fraction(1, 100)


def test_property_other_right_answers_are_taken():
    assert check("binarized.zero_mean", [2, -1, -1, 0]).verdict == "right"
    assert check("binarized.zero_mean", torch.tensor([0.5, 0.5, -2.0, 1.0])).verdict == "right"
    assert check("binarized.zero_mean", [1, 1, -1]).verdict == "wrong"


def test_limit_the_sum_of_three_tenths_is_no_spike_in_floating_point():
    added = neurons._spikes([0.3] * 10)
    assert added.tolist() == [*OURS["binarized.spike_train"].reference()[:9], 0.0]


@pytest.mark.parametrize("n", [8, 32, 50])
def test_oracle_fewest_steps_of_other_errors(n):
    assert judge(neurons._fewest_steps(n), [n, n // 2]).verdict == "right"


def test_oracle_other_thresholds_and_sizes_written_out():
    assert judge(neurons._hard_rate(2.5), lambda z: 1 / math.ceil(2.5 / z)).verdict == "right"
    assert judge(spiking._absorb(8), lambda a, t, v: torch.stack([8 * t / a, 8 * v / a])).verdict == "right"


def test_property_a_threshold_that_is_met_exactly_is_seen():
    assert [neurons._Driven(3, 0, 10).exact, neurons._Driven(3, 0, 8).exact, neurons._Driven(6, 4, 8).exact] == [
        10,
        0,
        1,
    ]
    assert neurons._Driven(5, 2, 8).exact == 0
