"""The exercises on ensembles: answers by hand, and what is particular to them."""

import math

import pytest
import torch

from weightlore.teaching import check
from weightlore.teaching.exercises import Exercise, exercises
from weightlore.teaching.exercises.uncertain import company, ensembles

OURS = {e.id: e for part in (ensembles, company) for e in vars(part).values() if isinstance(e, Exercise)}


def test_property_the_notebook_has_four():
    assert set(OURS) <= {exercise.id for exercise in exercises("uncertain")}
    assert len(OURS) == 4


def mean_gain(p, y):
    of_true = p[:, torch.arange(len(y)), y]
    return (of_true.mean(0).log() - of_true.log().mean(0)).mean()


def restarts(step, steps, cycles):
    c = steps // cycles
    return (math.cos(math.pi * ((step - 1) % c) / c) + 1) / 2


def add_one(p, y, chosen):
    best, smallest = None, math.inf
    for i in range(len(p)):
        if i not in chosen:
            q = p[[*chosen, i]].mean(0)
            loss = -q[torch.arange(len(y)), y].log().mean()
            if loss < smallest:
                best, smallest = i, loss
    return best


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("own_numbers", 4 * (64 + 32 + 32 + 10)),
        ("mean_gain", mean_gain),
        ("restarts", restarts),
        ("add_one", add_one),
    ],
)
def test_oracle_answers_by_hand(name, answer):
    assert check(f"uncertain.{name}", answer).verdict == "right"


def test_property_in_every_case_the_best_alone_is_not_the_best_to_add():
    for p, y, chosen in company.ADD_ONE.inputs():
        alone = -p[:, torch.arange(len(y)), y].log().mean(1)
        alone[chosen] = math.inf
        assert int(alone.argmin()) != company.ADD_ONE.reference(p, y, chosen)


def test_limit_an_answer_that_raises_is_a_wrong_answer():
    assert check("uncertain.mean_gain", lambda p: p).verdict == "wrong"
    assert check("uncertain.add_one", lambda *w: None).verdict == "wrong"
