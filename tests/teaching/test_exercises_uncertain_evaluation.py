"""The exercises on comparing methods: answers by hand, and what is particular to them."""

import pytest

from weightlore.teaching import check
from weightlore.teaching.exercises import exercises
from weightlore.teaching.exercises.uncertain import evaluation

OURS = {e.id: e for e in vars(evaluation).values() if isinstance(e, evaluation.Exercise)}


def test_property_the_notebook_has_four():
    assert set(OURS) <= {exercise.id for exercise in exercises("uncertain")}
    assert len(OURS) == 4


def kept(uncertainty, wrong, share):
    order = sorted(range(len(wrong)), key=lambda i: float(uncertainty[i]))[: round(share * len(wrong))]
    return sum(float(wrong[i]) for i in order) / len(order)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("area_by_pairs", 0.75),
        ("kept_error", kept),
        ("members_in_time", 6),
        ("unclean_outside", lambda m: 1 - m / 2),
    ],
)
def test_oracle_answers_by_hand(name, answer):
    assert check(f"uncertain.{name}", answer).verdict == "right"


def test_limit_an_answer_that_raises_is_a_wrong_answer():
    assert check("uncertain.kept_error", lambda uncertainty: uncertainty).verdict == "wrong"
    assert check("uncertain.unclean_outside", lambda m: None).verdict == "wrong"
