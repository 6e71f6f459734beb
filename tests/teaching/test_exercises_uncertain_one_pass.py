"""The exercises on one network and one pass: answers by hand, and what is particular to them."""

import pytest
import torch

from weightlore.teaching import check
from weightlore.teaching.exercises import Exercise, exercises
from weightlore.teaching.exercises.uncertain import distances, one_pass

OURS = {e.id: e for part in (one_pass, distances) for e in vars(part).values() if isinstance(e, Exercise)}


def test_property_the_notebook_has_five_with_a_checker():
    assert set(OURS) <= {exercise.id for exercise in exercises("uncertain")}
    assert len(OURS) == 5


def ball_score(mapped, centers, s):
    return 1 - (-((mapped - centers) ** 2).mean(1) / (2 * s**2)).exp().max()


def pull(p, h):
    weight = torch.zeros(len(p), len(h), dtype=torch.float64, requires_grad=True)
    logits = p.log() + weight @ h  # the weights are zero, so that the probabilities are p
    (gradient,) = torch.autograd.grad(-logits.log_softmax(0)[p.argmax()], weight)
    return gradient.norm()


def own_spread(h, means, sigma, r):
    sigma = (1 - r) * sigma + r * sigma.diagonal().mean() * torch.eye(len(h)).double()
    off = h - means
    return (off @ torch.linalg.inv(sigma) * off).sum(1).min()


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("plus_five", [-5, 0]),
        ("ball_score", ball_score),
        ("pull", pull),
        ("same_curve", lambda nu, b, wanted: b * (1 + nu) / nu * wanted / (1 + wanted)),
        ("own_spread", own_spread),
    ],
)
def test_oracle_answers_by_hand(name, answer):
    assert check(f"uncertain.{name}", answer).verdict == "right"


def test_oracle_the_curve_leaves_the_density_as_it_is():
    y = torch.linspace(-3, 3, 7).double()
    for nu, b, wanted in one_pass.SAME_CURVE.inputs():
        moved = one_pass.SAME_CURVE.reference(nu, b, wanted)
        scales = [(beta * (1 + n) / (n * 2.5)) ** 0.5 for n, beta in ((nu, b), (wanted, moved))]
        one, two = (torch.distributions.StudentT(5.0, 0.3, scale).log_prob(y) for scale in scales)
        assert torch.allclose(one, two, rtol=1e-12)


def test_limit_an_answer_that_raises_is_a_wrong_answer():
    assert check("uncertain.pull", lambda p: p).verdict == "wrong"
    assert check("uncertain.own_spread", lambda *w: None).verdict == "wrong"
