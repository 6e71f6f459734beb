"""The exercises on the transfer unit: answers by hand, and what is particular to them."""

import pytest
import torch

from weightlore.teaching import check
from weightlore.teaching.exercises import exercises
from weightlore.teaching.exercises.transferred import corners, gating, unit

OURS = {e.id: e for part in (unit, gating, corners) for e in vars(part).values() if isinstance(e, unit.Exercise)}
WRONG = {
    ("transferred.outside", 0): [2.0, -1.0, 3.0, 1.5, 1.0],
    ("transferred.outside", 1): [-2.0, -1.0, 3.0, 1.0, 1.0],
    ("transferred.outside", 2): [2.0, -1.0, 3.0, 0.0, 1.0],
    ("transferred.outside", 3): [2.0, -1.0, 3.0, 1.0, 0.0],
    ("transferred.outside", 4): [2.0, -1.0, 3.0, 0.1, 0.1],
}


def test_property_the_notebook_has_six():
    assert set(OURS) <= {exercise.id for exercise in exercises("transferred")}
    assert len(OURS) == 6


def wide(w):
    return w.view(1, -1, 1, 1)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("corners", [2, 2, 0, 5]),
        ("gate_cost", [80, 112, 336]),
        ("awake", [0, 0, 1, 1, 1]),
        ("outside", [0.0, -1.0, 3.0, 1.0, 1.0]),
        ("outside", [1.0, 1.0, -3.0, 1.0, 1.0]),
        ("gate_gradient", lambda p, c, z, delta: torch.einsum("nc,nc,nc->c", delta, c - p, z - z**2)),
        ("diagonal_gate", lambda p, t, v, w, b: 1 / (1 + torch.exp(-wide(v) * p - wide(w) * t - wide(b)))),
    ],
)
def test_oracle_answers_by_hand(name, answer):
    wanted = "wrong" if answer == [0.0, -1.0, 3.0, 1.0, 1.0] else "right"  # a silent source lets nothing in
    assert check(f"transferred.{name}", answer).verdict == wanted


def test_limit_a_copy_has_no_gate_gradient():
    assert gating.GATE_GRADIENT.inputs()[-1][0].equal(gating.GATE_GRADIENT.inputs()[-1][1])
    assert not gating.GATE_GRADIENT.reference(*gating.GATE_GRADIENT.inputs()[-1]).any()


def test_limit_an_answer_that_raises_is_a_wrong_answer():
    assert check("transferred.diagonal_gate", lambda p: p).verdict == "wrong"
    assert check("transferred.outside", [1.0, 2.0]).verdict == "wrong"
    assert check("transferred.corners", 5).verdict == "wrong"
