"""The exercises on binary weights take the right answer, and name every mistake that they know."""

import math

import pytest
import torch
from exercise_cases import to_a_mistake, to_the_right_answer

from weightlore.teaching import check
from weightlore.teaching.exercises import exercises
from weightlore.teaching.exercises.binarized import binary, slopes, storage

OURS = {e.id: e for part in (binary, slopes, storage) for e in vars(part).values() if isinstance(e, part.Exercise)}
STORED = storage._Stored()


def test_property_the_chapter_offers_them():
    assert set(OURS) <= {exercise.id for exercise in exercises("binarized")}
    assert len(OURS) == 6


@pytest.mark.parametrize("name", OURS)
def test_property_the_right_answer_is_taken(name):
    found, wanted = to_the_right_answer(OURS[name])
    assert found == wanted


@pytest.mark.parametrize(("name", "index"), [(e.id, i) for e in OURS.values() for i, _ in enumerate(e.diagnoses)])
def test_property_every_diagnosis_is_given(name, index):
    found, wanted = to_a_mistake(OURS[name], index, {})
    assert found == wanted


def test_oracle_answers_by_hand():
    assert check("binarized.closest", [0.4, 0.5]).verdict == "right"
    assert check("binarized.best_scale", lambda w, b: w @ b / len(w)).verdict == "right"
    assert (
        check("binarized.centering", lambda g: g @ (torch.eye(g.shape[1]).double() - 1 / g.shape[1])).verdict == "right"
    )
    assert check("binarized.kept", [0.75, 0.6366, 0.5]).verdict == "right"
    assert check("binarized.storage", lambda s, n: 32 / (32 - 31 * s + 32 * s / n)).verdict == "right"


def test_oracle_scales_are_those_of_least_squares():
    for weight, signs in binary._pairs():
        found = torch.linalg.lstsq(signs[:, None], weight[:, None]).solution
        assert float(binary._best_scale(weight, signs)) == pytest.approx(float(found))


def test_oracle_gradients_are_those_of_autograd():
    def by_autograd(weight, gradient):
        w = weight.clone().requires_grad_()
        signs = torch.where(w >= 0, 1.0, -1.0).double()
        passed = signs + w.clamp(-1, 1) - w.clamp(-1, 1).detach()
        magnitude = (signs * w).mean()
        (found,) = torch.autograd.grad((gradient * magnitude * passed).sum(), w)
        return found

    assert check("binarized.gradient", by_autograd).verdict == "right"


def test_oracle_kept_shares_are_those_of_quadrature():
    middles = (torch.arange(2_000_000, dtype=torch.float64) + 0.5) / 2_000_000
    normal = torch.special.ndtri(middles)
    laplace = -torch.log(1 - middles)  # magnitudes
    drawn = [2 * middles - 1, normal, laplace]
    shares = [float(w.abs().mean() ** 2 / w.square().mean()) for w in drawn]
    assert check("binarized.kept", shares).verdict == "right"
    assert math.prod(shares) == pytest.approx(0.75 * 2 / math.pi * 0.5, rel=1e-3)


def test_limit_a_network_without_binary_weights_stays_as_large():
    assert STORED.smaller(0.0, 128) == 1.0
    assert STORED.smaller(1.0, 2**20) == pytest.approx(32, rel=1e-3)
