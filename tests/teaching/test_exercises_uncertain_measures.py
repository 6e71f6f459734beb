"""The exercises on measures of uncertainty: answers by hand, and what is particular to them."""

import math

import torch

from weightlore.teaching.exercises import Exercise, check, exercises
from weightlore.teaching.exercises.uncertain import judging, measures

OURS = {e.id: e for part in (measures, judging) for e in vars(part).values() if isinstance(e, Exercise)}

WRONG = {
    ("uncertain.same_total", 0): [[0.7, 0.7], [0.3, 0.3]],
    ("uncertain.same_total", 1): [[0.9, 0.1], [0.5, 0.5]],
    ("uncertain.same_total", 2): [[0.5, 0.5], [0.5, 0.5]],
    ("uncertain.same_total", 3): [[0.684, 0.316], [0.316, 0.684]],
    ("uncertain.same_total", 4): [[0.98, 0.02], [0.02, 0.98]],
    ("uncertain.same_total", 5): [[1.0, 0.0], [0.0, 1.0]],
    ("uncertain.same_total", 6): [[0.6, 0.4], [0.4, 0.6]],
}


def test_property_the_notebook_has_five():
    assert set(OURS) <= {exercise.id for exercise in exercises("uncertain")}
    assert len(OURS) == 5


def test_oracle_answers_by_hand():
    assert check("uncertain.same_total", [[0.28, 0.72], [0.72, 0.28]]).verdict == "right"
    assert check("uncertain.two_one_one", [1.5 * math.log(2), 5 / 6, 1.5 * math.log(2) - 5 / 6]).verdict == "right"

    def votes(p):
        named = p.argmax(2)
        return torch.stack([1 - (named[:, i].bincount().max() / len(p)) for i in range(p.shape[1])]).double()

    def fine(lower, upper, y, level):
        a = 1 - level
        missed = [
            max(u - u, lo - v, v - u) for lo, u, v in zip(lower.tolist(), upper.tolist(), y.tolist(), strict=True)
        ]
        return upper - lower + 2 / a * torch.tensor(missed, dtype=torch.float64)

    def most(scores, wrong, risk):
        order = sorted(range(len(scores)), key=lambda i: float(scores[i]))
        kept = [k for k in range(1, len(order) + 1) if sum(bool(wrong[i]) for i in order[:k]) <= risk * k + 1e-12]
        return max(kept, default=0) / len(order)

    assert check("uncertain.votes", votes).verdict == "right"
    assert check("uncertain.interval_fine", fine).verdict == "right"
    assert check("uncertain.most_answers", most).verdict == "right"


def test_property_other_members_with_the_same_share_are_right():
    reply = check("uncertain.same_total", torch.tensor([[0.72, 0.28], [0.28, 0.72]]))
    assert reply.verdict == "right"


def test_limit_an_answer_that_raises_is_a_wrong_answer():
    assert check("uncertain.votes", lambda p: p.nothing).verdict == "wrong"
    assert check("uncertain.most_answers", 0.5).verdict == "wrong"
    assert check("uncertain.same_total", [0.5, 0.5]).verdict == "wrong"
