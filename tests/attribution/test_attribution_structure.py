"""Structural similarity and histograms of oriented gradients: against the formulas, and what they are blind to."""

import sys

import numpy as np
import pytest
import torch
from scipy.ndimage import convolve1d
from scipy.stats import spearmanr

from weightlore.attribution import absolute_gray, hog_similarity, signed_diverging, ssim_similarity
from weightlore.errors import MissingExtra, ParameterError

feature = pytest.importorskip("skimage.feature")


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(a, b, data_range, window, gaussian):
    """The formula, window by window, over the pixels whose window lies inside."""
    half = window // 2
    sigma = 1.5 * half / 5
    weights = np.exp(-(np.arange(-half, half + 1) ** 2) / (2 * sigma**2)) if gaussian else np.ones(window)
    weights /= weights.sum()

    def mean(values):
        for axis in (0, 1):
            values = convolve1d(values, weights, axis=axis, mode="reflect")
        return values

    count = window**2 / (window**2 - 1)
    m, n = mean(a), mean(b)
    v, w, c = (count * (mean(p * q) - r * s) for p, q, r, s in ((a, a, m, m), (b, b, n, n), (a, b, m, n)))
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    full = (2 * m * n + c1) * (2 * c + c2) / ((m**2 + n**2 + c1) * (v + w + c2))
    return full[half:-half, half:-half].mean()


@pytest.mark.parametrize("window", [3, 5, 7, 11])
@pytest.mark.parametrize("weights", ["gaussian", "uniform"])
def test_oracle_structural_similarity_is_the_formula(window, weights):
    a, b = (signed_diverging(normal(3, 1, 14, 13, seed=s)).values for s in (0, 1))
    found = ssim_similarity(a, b, data_range=2.0, window=window, weights=weights)
    expected = [by_hand(*pair, 2.0, window, weights == "gaussian") for pair in zip(a.numpy(), b.numpy(), strict=True)]
    assert found.tolist() == pytest.approx(expected, abs=1e-9)


def test_property_a_picture_is_like_itself_and_variances_may_divide_by_all_pixels():
    a, b = normal(4, 12, 12), normal(4, 12, 12, seed=1)
    assert ssim_similarity(a, a, data_range=2.0).tolist() == pytest.approx([1.0] * 4)
    choices = [ssim_similarity(a, b, data_range=2.0, window=3, sample_covariance=flag) for flag in (True, False)]
    assert not torch.equal(*choices)
    assert hog_similarity(a, a, cell=2).tolist() == pytest.approx([1.0] * 4)


def test_oracle_histograms_are_compared_by_rank():
    a, b = normal(3, 28, 28), normal(3, 28, 28, seed=1)
    found = hog_similarity(a, b, cell=7)
    for value, one, other in zip(found.tolist(), a.numpy(), b.numpy(), strict=True):
        vectors = [feature.hog(p, orientations=9, pixels_per_cell=(7, 7), cells_per_block=(3, 3)) for p in (one, other)]
        assert value == pytest.approx(spearmanr(*vectors)[0], abs=1e-12)


def test_property_edge_directions_are_blind_to_the_sign():
    maps, other = normal(5, 1, 8, 8), normal(5, 1, 8, 8, seed=1)
    picture, negative = signed_diverging(maps).values, signed_diverging(-maps).values
    assert hog_similarity(picture, negative, cell=2).tolist() == pytest.approx([1.0] * 5)
    once, again = (hog_similarity(p, signed_diverging(other).values, cell=2) for p in (picture, negative))
    torch.testing.assert_close(once, again)
    similar = ssim_similarity(picture, negative, data_range=2.0, window=3)
    assert (similar < 0.6).all(), "structural similarity sees the sign"
    assert (similar > 0).all(), "though means and covariances of opposite sign multiply to something positive"


def test_property_a_common_background_makes_pictures_look_alike():
    x = torch.zeros(6, 1, 24, 24, dtype=torch.float64)
    x[..., 8:16, 8:16] = 1.0
    a, b = x * normal(6, 1, 24, 24), x * normal(6, 1, 24, 24, seed=1)
    gray = ssim_similarity(absolute_gray(a).values, absolute_gray(b).values, data_range=1.0, window=7)
    inside = [absolute_gray(maps[..., 8:16, 8:16]).values for maps in (a, b)]
    assert (gray > 0.5).all()
    assert (ssim_similarity(*inside, data_range=1.0, window=7) < 0.5).all()


def test_limit_pictures_without_contrast_are_nan():
    a, b = normal(3, 8, 8), normal(3, 8, 8, seed=1)
    a[0], b[1] = 0.0, 0.7
    for found in (ssim_similarity(a, b, data_range=2.0, window=3), hog_similarity(a, b, cell=2)):
        assert found.isnan().tolist() == [True, True, False]


PICTURES = torch.rand(2, 8, 8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ssim_similarity(PICTURES, PICTURES[:1], data_range=1.0), "one shape"),
        (lambda: ssim_similarity(PICTURES[:, None], PICTURES[:, None], data_range=1.0), r"\(N, H, W\)"),
        (lambda: ssim_similarity(PICTURES / 0, PICTURES, data_range=1.0, window=3), "a picture must be finite"),
        (lambda: ssim_similarity(PICTURES, PICTURES, data_range=1.0), "from 3 to the 8 of the pictures, got 11"),
        (lambda: ssim_similarity(PICTURES, PICTURES, data_range=1.0, window=4), "odd number"),
        (lambda: ssim_similarity(PICTURES, PICTURES, data_range=0.0, window=3), "above 0"),
        (lambda: ssim_similarity(PICTURES, PICTURES, data_range=1.0, window=3, weights="box"), "'gaussian' or"),
        (lambda: hog_similarity(PICTURES, PICTURES, cell=3), "fewer than 3 cells of 3 pixels"),
        (lambda: hog_similarity(PICTURES, PICTURES, cell=0), "cell must be a whole number"),
    ],
)
def test_error_what_cannot_be_compared(call, message):
    with pytest.raises(ParameterError, match=message):
        call()


def test_error_without_the_library_the_extra_is_named(monkeypatch):
    for name in [name for name in sys.modules if name.startswith("skimage")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(MissingExtra, match='extra "images"'):
        ssim_similarity(PICTURES, PICTURES, data_range=1.0, window=3)
