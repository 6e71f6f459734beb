"""The exercises on converters and the whole chip: answers by hand, and what is particular to them."""

import torch

from weightlore.teaching import check
from weightlore.teaching.exercises import exercises
from weightlore.teaching.exercises.sliced import deployment

OURS = {e.id: e for e in vars(deployment).values() if isinstance(e, deployment.Exercise)}
WRONG = {("sliced.expected_sum", 3): [1.632, 0.98]}


def test_property_the_chapter_offers_them():
    assert set(OURS) <= {exercise.id for exercise in exercises("sliced")}
    assert len(OURS) == 4


def test_oracle_answers_by_hand():
    assert check("sliced.expected_sum", [1.63, 1.75]).verdict == "right", "two decimals, as in the solution"
    assert check("sliced.expected_sum", [1.6, 1.7]).verdict == "wrong"
    assert check("sliced.cut_off", [2, 8, 32, 128]).verdict == "right"
    assert check("sliced.whole_chip", lambda s, r: 1 / (1 - s + s / r)).verdict == "right"


def test_oracle_a_share_counted_one_by_one():
    def answer(sums, bits):
        cut = [total >= 2**bits for total in sums.flatten().tolist()]
        return torch.tensor(sum(cut) / len(cut))

    assert check("sliced.saturated", answer).verdict == "right"
