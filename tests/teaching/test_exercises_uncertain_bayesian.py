"""The exercises on posteriors: answers by hand, and what is particular to them."""

import math

import pytest
import torch

from weightlore.teaching import check
from weightlore.teaching.exercises import Exercise, exercises
from weightlore.teaching.exercises.uncertain import bayesian, chains

OURS = {e.id: e for part in (bayesian, chains) for e in vars(part).values() if isinstance(e, Exercise)}


def test_property_the_notebook_has_five():
    assert set(OURS) <= {exercise.id for exercise in exercises("uncertain")}
    assert len(OURS) == 5


def eye(size):
    return torch.eye(size, dtype=torch.float64)


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("kron_memory", 6438),
        ("too_sure", lambda A: (A.diagonal() * torch.linalg.inv(A).diagonal()) ** -0.5),
        ("langevin", lambda q, slope, z, e, tau, n: q - e / 2 * (n * slope + tau * q) + e**0.5 * z),
        ("forgotten", lambda X, s2, tau: torch.linalg.inv(tau * eye(X.shape[1]) + X.T @ X / (len(X) * s2))),
        (
            "evidence",
            lambda fit, q, H, tau: (
                fit - 0.5 * (tau * q.square().sum() + (H + tau * eye(len(q))).logdet() - len(q) * math.log(tau))
            ),
        ),
    ],
)
def test_oracle_answers_by_hand(name, answer):
    assert check(f"uncertain.{name}", answer).verdict == "right"


def test_property_a_forgotten_count_is_less_sure():
    for X, s2, tau in chains.FORGOTTEN.inputs():
        wanted = chains.FORGOTTEN.diagnoses[0].wrong(X, s2, tau)
        assert (torch.linalg.eigvalsh(chains.FORGOTTEN.reference(X, s2, tau) - wanted) > 0).all()


def test_limit_an_answer_that_raises_is_a_wrong_answer():
    assert check("uncertain.too_sure", lambda: None).verdict == "wrong"
    assert check("uncertain.evidence", lambda *w: None).verdict == "wrong"
