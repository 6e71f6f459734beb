"""The exercises on crossed fates: answers by hand, and what is particular to them."""

import numpy as np
import pytest

from weightlore.teaching import check
from weightlore.teaching.claims import interval
from weightlore.teaching.exercises import exercises

OURS = {exercise.id: exercise for exercise in exercises("crossed")}


def error(network, control):
    gains = [one - other for one, other in zip(network, control, strict=True)]
    mean = sum(gains) / len(gains)
    return (sum((gain - mean) ** 2 for gain in gains) / (len(gains) - 1) / len(gains)) ** 0.5


def half(gains, many):
    low, high = interval(gains, confidence=1 - 0.05 / many)
    return (high - low) / 2


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("effect", 3.2 / 3.7**0.5),
        ("chance", 4.35),
        ("paired", error),
        ("together", half),
        ("pairs_needed", 7),  # t is 2.571 for six pairs and 2.447 for seven
        ("wager", 1.609),
        ("all_one_way", 1 / 512),
    ],
)
def test_oracle_answers_by_another_way(name, answer):
    assert check(f"crossed.{name}", answer).verdict == "right"


def test_limit_an_answer_that_raises_is_a_wrong_answer():
    assert check("crossed.paired", lambda network: network).verdict == "wrong"
    assert check("crossed.together", lambda gains, many: np.nan).verdict == "wrong"
