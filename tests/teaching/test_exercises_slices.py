"""The exercises on bit slices: answers by hand, and what is particular to them."""

import functools
import math
import re

import numpy as np
import pytest

from weightlore.teaching import check
from weightlore.teaching.exercises import exercises, judge
from weightlore.teaching.exercises.sliced import forces, slices
from weightlore.teaching.variants import variant

OURS = {e.id: e for part in (slices, forces) for e in vars(part).values() if isinstance(e, part.Exercise)}


def twos_stay(q):
    digits = []
    for _ in range(5):
        digits.append(-1 if q % 4 == 3 else q % 4)
        q = (q - digits[-1]) // 4
    return digits


WRONG = {
    ("sliced.detach", 2): [0.0, 0.25, 0.25],
    ("sliced.recoding", 0): lambda q: [q >> 2 * k & 3 for k in range(5)],
    ("sliced.recoding", 1): lambda q: OURS["sliced.recoding"].reference(q)[::-1],
    ("sliced.recoding", 2): lambda q: [-1 if q >> 2 * k & 3 == 3 else q >> 2 * k & 3 for k in range(5)],
    ("sliced.recoding", 3): lambda q: [q, 0, 0, 0, 0],
    ("sliced.recoding", 4): twos_stay,
}


def test_property_the_chapter_offers_them():
    assert set(OURS) <= {exercise.id for exercise in exercises("sliced")}
    assert len(OURS) == 5


def test_oracle_answers_by_hand():
    assert check("sliced.digits", [3, 1, 2, 0]).verdict == "right"
    assert check("sliced.force", lambda q: sum(4.0**-k * ((q >> 2 * k) % 4 > 0) for k in range(4))).verdict == "right"
    assert check("sliced.detach", [0, 1 / 64, 1 / 64]).verdict == "right"
    assert "rounded" in check("sliced.detach", [0, 0.0156, 0.0156]).says
    assert check("sliced.uphill", 63).verdict == "right"


def test_oracle_no_signed_digits_have_a_smaller_sum_than_those_asked_for():
    def least(q, left=5):
        ways = (abs(d) + least((q - d) // 4, left - 1) for d in range(-2, 3) if (q - d) % 4 == 0)
        return min(ways) if left else 0 if q == 0 else math.inf

    signed = OURS["sliced.recoding"].reference
    sums = [sum(map(abs, signed(q))) for q in range(256)]
    assert sums == [least(q) for q in range(256)]
    assert np.mean(sums) == pytest.approx(4.08, abs=0.01)
    assert np.mean([np.count_nonzero(signed(q)) for q in range(256)]) == pytest.approx(3.24, abs=0.01)


def test_property_other_right_answers_are_taken():
    signed = OURS["sliced.recoding"].reference
    assert signed(10) != [2, 2, 0, 0, 0]  # 2 + 8 has the same sum as 16 - 4 - 2
    assert check("sliced.recoding", lambda q: [2, 2, 0, 0, 0] if q == 10 else signed(q)).verdict == "right"


@pytest.mark.parametrize("cell_bits", [1, 2, 3, 4])
def test_oracle_in_other_bases_no_signed_digits_have_a_smaller_sum(cell_bits):
    draw = slices._Recoded(cell_bits)

    @functools.cache
    def least(q, left=draw.count):
        digits = (d for d in range(-draw.half, draw.half + 1) if (q - d) % draw.base == 0)
        return min(abs(d) + least((q - d) // draw.base, left - 1) for d in digits) if left else 0 if q == 0 else 999

    sums = [sum(map(abs, draw.signed(q))) for q in range(256)]
    assert sums == [least(q) for q in range(256)]
    assert draw.value(draw.signed(draw.pays)) == draw.pays
    stays = [(q, sums[q]) for q in range(256) if sums[q] < sum(map(abs, draw.plain(q)))]
    assert draw.pays in dict(stays)


def test_oracle_the_force_with_weights_written_out():
    exercise = variant("sliced.force", 1)
    charges = [int(x) for x in re.search(r"lambda = \((.*?)\)", exercise.prompt)[1].split(", ")]
    answer = judge(exercise, lambda q: sum(charges[k] * 4.0**-k * ((q >> 2 * k) % 4 > 0) for k in range(4)))
    assert answer.verdict == "right"
