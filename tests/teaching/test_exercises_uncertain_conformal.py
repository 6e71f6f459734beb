"""The exercises on promised coverage: answers by hand, and what is particular to them."""

import math

import pytest
import torch

from weightlore.teaching import check
from weightlore.teaching.exercises import exercises
from weightlore.teaching.exercises.uncertain import conformal

OURS = {e.id: e for e in vars(conformal).values() if isinstance(e, conformal.Exercise)}


def test_property_the_notebook_has_four():
    assert set(OURS) <= {exercise.id for exercise in exercises("uncertain")}
    assert len(OURS) == 4


def threshold(scores, a):
    r = math.ceil(round((len(scores) + 1) * (1 - a), 9))
    return scores.sort().values[r - 1] if r <= len(scores) else float("inf")


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("how_many", 99),
        ("threshold", threshold),
        ("added_up", lambda p: torch.stack([p[p >= one].sum() for one in p])),
        ("move_ends", lambda low, high, y, a: threshold(torch.maximum(low - y, y - high), a)),
    ],
)
def test_oracle_answers_by_hand(name, answer):
    assert check(f"uncertain.{name}", answer).verdict == "right"


def test_property_one_interval_of_the_last_exercise_shrinks():
    moves = [float(conformal.MOVE_ENDS.reference(*case)) for case in conformal.MOVE_ENDS.inputs()]
    assert moves[0] > 0 > moves[1]


def test_limit_an_answer_that_raises_is_a_wrong_answer():
    assert check("uncertain.threshold", lambda scores: scores).verdict == "wrong"
    assert check("uncertain.move_ends", lambda *w: None).verdict == "wrong"
