"""The exercises on other trainings and other arrays: answers by hand, and what is particular to them."""

import math

import pytest
import torch

from weightlore.teaching import check
from weightlore.teaching.exercises import exercises
from weightlore.teaching.exercises.sliced import changes, lines

OURS = {e.id: e for part in (changes, lines) for e in vars(part).values() if isinstance(e, part.Exercise)}


def test_property_the_chapter_offers_them():
    assert set(OURS) <= {exercise.id for exercise in exercises("sliced")}
    assert len(OURS) == 5


def test_oracle_answers_by_hand():
    assert check("sliced.equal_force", [1, 4, 16, 64]).verdict == "right"
    assert check("sliced.pruned_step", [0.28, 0, 0, -0.06]).verdict == "right"
    assert check("sliced.pruned_step", [0.28, 0.082, -0.046, -0.06]).diagnosis == "nothing pruned"
    assert check("sliced.taller", [1, 0, 1, 1]).verdict == "right"
    written_out = check("sliced.fullest_line", lambda v: sum(max(sum(line) for line in s) for s in v.tolist()))
    assert written_out.verdict == "right"


def test_oracle_the_slope_in_the_exponent_by_autograd():
    def answer(q):
        exponent = torch.tensor(8.0, dtype=torch.float64, requires_grad=True)
        rest = total = q * 2.0 ** (8 - exponent)
        total = 0.0 * total
        for k in (3, 2, 1, 0):
            digit = rest / 4**k
            digit = digit + (digit.detach().floor() - digit.detach())
            total, rest = total + digit.abs(), rest - 4**k * digit.detach()
        total.backward()
        return float(exponent.grad)

    assert check("sliced.learned_step", answer).verdict == "right"
    assert answer(255) == pytest.approx(-math.log(2) * 255 * 85 / 64)


def test_property_two_halves_never_take_more_than_one_bit():
    for larger in range(1, 200):
        for smaller in range(larger + 1):
            assert (larger + smaller).bit_length() - larger.bit_length() in (0, 1)
