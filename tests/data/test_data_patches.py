"""Patches: they are where they are in the photographs."""

import sys

import pytest
import torch

from weightlore.data import natural_patches
from weightlore.data.patches import _photographs
from weightlore.errors import MissingExtra, ParameterError

pytest.importorskip("PIL")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_oracle_patches_are_pieces_of_the_shrunk_photographs():
    from sklearn.datasets import load_sample_images

    gray = [
        torch.tensor(c).double() @ torch.tensor([0.299, 0.587, 0.114], dtype=torch.float64) / 255
        for c in load_sample_images().images
    ]
    small = [g[: 426 // 3 * 3, : 640 // 3 * 3].reshape(142, 3, 213, 3).mean((1, 3)) for g in gray]
    pieces = torch.stack([s.unfold(0, 5, 1).unfold(1, 5, 1).reshape(-1, 25) for s in small])
    for patch in natural_patches(20, size=5, shrink=3, generator=seeded()):
        assert (pieces - patch).abs().amax(-1).min() < 1e-12


def test_property_every_place_of_both_photographs_is_as_likely_as_any_other():
    whole = _photographs()
    assert whole.shape == (2, 1, 427, 640)
    assert 0 <= whole.min() < whole.max() <= 1
    pixels = natural_patches(40_000, size=1, shrink=1, generator=seeded())[:, 0]
    spread = float(whole.std()) / 200
    assert abs(float(pixels.mean() - whole.mean())) < 5 * spread
    assert abs(float((pixels > 0.9).double().mean() - (whole > 0.9).double().mean())) < 5 * 0.5 / 200


def test_property_shapes_and_no_shared_memory():
    flat, square = natural_patches(7, generator=seeded()), natural_patches(7, images=True, generator=seeded())
    assert flat.shape == (7, 64)
    assert square.shape == (7, 1, 8, 8)
    assert torch.equal(square.flatten(1), flat)
    before = _photographs().clone()
    square.zero_()
    assert torch.equal(_photographs(), before)


def test_property_a_longer_draw_begins_with_the_shorter_one():
    assert torch.equal(natural_patches(9, generator=seeded())[:4], natural_patches(4, generator=seeded()))


def test_limit_the_largest_patch():
    assert natural_patches(3, size=427, shrink=1, generator=seeded()).shape == (3, 427**2)
    only = natural_patches(5, size=1, shrink=427, generator=seeded())
    assert len(only.unique()) <= 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n": 0}, "whole numbers >= 1, got 0, 8 and 8"),
        ({"n": 2, "size": 0}, "whole numbers >= 1"),
        ({"n": 2, "shrink": 0}, "whole numbers >= 1"),
        ({"n": 2, "size": 54}, "54x54 does not fit into a photograph of 53x80 pixels; make size or shrink smaller"),
        ({"n": 2, "shrink": 1000}, "does not fit into a photograph of 0x0"),
    ],
)
def test_error_arguments(options, message):
    with pytest.raises(ParameterError, match=message):
        natural_patches(**options, generator=seeded())


def test_error_without_pillow(monkeypatch):
    _photographs.cache_clear()
    for name in ("PIL", "PIL.Image"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r'pillow is not installed. It comes with the extra "images"'):
        natural_patches(2, generator=seeded())
