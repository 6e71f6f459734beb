"""The exercises on binary weights: answers by hand, and what is particular to them."""

import math

import pytest
import torch

from weightlore.teaching import check
from weightlore.teaching.exercises import exercises, judge
from weightlore.teaching.exercises.binarized import binary, slopes, storage

OURS = {e.id: e for part in (binary, slopes, storage) for e in vars(part).values() if isinstance(e, part.Exercise)}
STORED = storage._Stored()


def test_property_the_chapter_offers_them():
    assert set(OURS) <= {exercise.id for exercise in exercises("binarized")}
    assert len(OURS) == 6


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


def test_oracle_other_shares_are_those_of_quadrature():
    middles = (torch.arange(1_000_000, dtype=torch.float64) + 0.5) / 1_000_000
    magnitudes = {
        "are spread evenly from -1 to 1": middles,
        "are normal": torch.special.ndtri(middles),
        "have the density exp(-|w|)/2": -torch.log(1 - middles),
        "have the density 1 - |w| up to 1": 1 - (1 - middles).sqrt(),
        "have the density |w| up to 1": middles.sqrt(),
        "are zero in half of the cases and else 1 or -1": (middles < 1 / 2).double(),
        "are zero in three of four cases and else 1 or -1": (middles < 1 / 4).double(),
        "have magnitudes spread evenly from 1 to 2": 1 + middles,
    }
    for one in storage.OTHERS:
        drawn = magnitudes[one.says].abs()
        assert float(drawn.mean() ** 2 / drawn.square().mean()) == pytest.approx(one.kept, rel=1e-3)


@pytest.mark.parametrize("draw", [storage._Stored(16, 2, 8), storage._Stored(64, 4, 16)])
def test_oracle_other_storage_written_out(draw):
    def smaller(s, n):
        return draw.before / ((1 - s) * draw.before + s * (draw.after + draw.scale / n))

    assert judge(storage._storage(draw), smaller).verdict == "right"


def test_oracle_part_of_the_mean_taken_away_by_autograd():
    def by_autograd(gradient):
        w = torch.zeros_like(gradient, requires_grad=True)
        (found,) = torch.autograd.grad((gradient * (w - 0.75 * w.mean(1, keepdim=True))).sum(), w)
        return found

    assert judge(slopes._centering(0.75), by_autograd).verdict == "right"


def test_oracle_a_priced_scale_is_the_smallest_of_many():
    for weight, signs in binary._pairs():
        tried = torch.linspace(-1, 1, 20_001, dtype=torch.float64)
        costs = (weight - tried[:, None] * signs).square().sum(1) + 3 * tried.square()
        assert float(binary._best_scale(weight, signs, 3.0)) == pytest.approx(float(tried[costs.argmin()]), abs=1e-4)
