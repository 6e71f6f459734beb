"""The exercises on the sources of uncertainty: answers by hand, and what is particular to them."""

import math

import pytest
import torch

from weightlore.teaching import check
from weightlore.teaching.exercises import exercises
from weightlore.teaching.exercises.uncertain import sources

OURS = {e.id: e for e in vars(sources).values() if isinstance(e, sources.Exercise)}


def test_property_the_notebook_has_four():
    assert set(OURS) <= {exercise.id for exercise in exercises("uncertain")}
    assert len(OURS) == 4


def floor(rate, classes):
    chances = [1 - rate] + (classes - 1) * [rate / (classes - 1)]
    return -sum(p * math.log(p) for p in chances if p > 0)


def variance(x, tau, s2, new):
    A = tau * torch.eye(x.shape[1], dtype=x.dtype) + x.T @ x / s2
    return (new @ A.inverse() * new).sum(1)


@pytest.mark.parametrize(
    ("name", "answer"),
    [("two_parts", [6, 2, 4]), ("flip_floor", floor), ("how_many_more", 199), ("known_line", variance)],
)
def test_oracle_answers_by_hand(name, answer):
    assert check(f"uncertain.{name}", answer).verdict == "right"


def test_property_one_example_fewer_is_not_enough():
    def total(n):
        return math.sqrt(0.25 + 0.04 * 50 / n)

    assert total(198) > 0.51 > total(199)


def test_limit_an_answer_that_raises_is_a_wrong_answer():
    assert check("uncertain.flip_floor", lambda rate: rate).verdict == "wrong"
    assert check("uncertain.known_line", lambda *w: None).verdict == "wrong"
