"""Baselines are pictures, and reach the network as pictures do."""

import pytest
import torch
from scipy.ndimage import gaussian_filter
from tests.attribution.attribution_networks import seeded, uniform

from weightlore.attribution.baselines import (
    Standardized,
    baseline_for,
    black,
    blurred,
    farthest,
    gaussian_noise,
    gray,
    uniform_noise,
    white,
)
from weightlore.errors import ParameterError

NORMALIZE = Standardized(mean=(0.5, 0.4), deviation=(0.25, 0.1))
NOISES = {"uniform": uniform_noise, "gaussian": gaussian_noise}


def images():
    return uniform(3, 2, 6, 8)


def test_oracle_black_white_and_gray_through_a_standardization():
    for make, level in ((black, 0.0), (white, 1.0), (gray, 0.5)):
        found = make(images(), normalize=NORMALIZE)
        wanted = torch.tensor([(level - 0.5) / 0.25, (level - 0.4) / 0.1], dtype=torch.float64)
        assert torch.allclose(found, wanted.view(1, 2, 1, 1).expand(3, 2, 6, 8), rtol=1e-14)
        assert torch.equal(make(images()), torch.full((3, 2, 6, 8), level, dtype=torch.float64))


def test_property_zero_is_not_black_after_standardization():
    assert bool((black(images(), normalize=NORMALIZE) != 0).all())
    mean = torch.tensor([0.5, 0.4], dtype=torch.float64).view(1, 2, 1, 1)
    assert not bool(NORMALIZE(mean).any())


def test_property_levels_are_those_of_the_pixels():
    pixels = 255 * images()
    assert white(pixels, levels=(0, 255)).unique().tolist() == [255]
    assert gray(pixels, levels=(0, 255)).unique().tolist() == [127.5]
    noise = uniform_noise(pixels, generator=seeded(), levels=(0, 255))
    assert 200 < float(noise.max()) <= 255


def test_property_the_farthest_level_is_farther_than_half_the_range():
    pixels = images()
    found = farthest(pixels)
    assert bool(((found - pixels).abs() >= 0.5).all())
    assert found.unique().tolist() == [0, 1]


@pytest.mark.parametrize("noise", NOISES)
def test_property_noise_stays_in_the_range_and_comes_from_the_generator(noise):
    make, pixels = NOISES[noise], images()
    found = make(pixels, generator=seeded(1))
    assert torch.equal(found, make(pixels, generator=seeded(1)))
    assert not torch.equal(found, make(pixels, generator=seeded(2)))
    assert 0 <= float(found.min()) < float(found.max()) <= 1
    assert torch.equal(make(pixels.float(), generator=seeded(1)), found.float()) or noise == "gaussian"


def test_property_noise_has_its_mean_and_spread():
    flat = uniform_noise(torch.zeros(1, 40000, dtype=torch.float64), generator=seeded())
    assert float(flat.mean()) == pytest.approx(0.5, abs=0.01)
    assert float(flat.var()) == pytest.approx(1 / 12, abs=0.003)
    normal = gaussian_noise(torch.full((1, 40000), 0.5, dtype=torch.float64), spread=0.1, generator=seeded())
    assert float(normal.std()) == pytest.approx(0.1, abs=0.002)


def test_oracle_blur_of_a_point_far_from_the_border():
    pixels = torch.zeros(1, 1, 41, 41, dtype=torch.float64)
    pixels[..., 20, 20] = 1
    expected = gaussian_filter(pixels[0, 0].numpy(), 2.0, truncate=8)
    assert float((blurred(pixels, sigma=2.0)[0, 0] - torch.from_numpy(expected)).abs().max()) < 1e-12


def test_property_blur_keeps_what_is_even_and_ends_in_the_mean():
    even = torch.full((1, 2, 5, 7), 0.3, dtype=torch.float64)
    assert torch.allclose(blurred(even, sigma=3.0), even, rtol=1e-14)
    assert torch.equal(blurred(images(), sigma=0), images())
    wide = blurred(images(), sigma=1e4)
    assert torch.allclose(wide, images().mean((2, 3), keepdim=True).expand_as(wide), atol=1e-6)


def test_property_the_pixels_are_left_as_they_were():
    pixels = images()
    for found in (
        black(pixels),
        farthest(pixels),
        blurred(pixels, sigma=0),
        gaussian_noise(pixels, generator=seeded()),
    ):
        found.add_(1)
    assert torch.equal(pixels, images())


def test_property_a_baseline_may_be_a_number_one_picture_or_one_for_each_example():
    x = images()
    for given in (0.25, torch.full((2, 6, 8), 0.25).double(), torch.full((1, 2, 6, 8), 0.25).double()):
        assert torch.equal(baseline_for(x, given), torch.full_like(x, 0.25))
    assert torch.equal(baseline_for(x, x.flip(0)), x.flip(0))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: black(NORMALIZE(images())), "got -[0-9.]+ to .*; give the images as they are before"),
        (lambda: black(torch.zeros(0, 4)), "between the levels 0 and 1, got none"),
        (lambda: white(images(), levels=(1.0, 0.0)), "black below white"),
        (lambda: gray(images() / 0), "NaN or infinite"),
        (lambda: black(images(), normalize=lambda pixels: pixels / pixels), "the baseline must be finite"),
        (lambda: blurred(torch.zeros(2, 64)), r"must be images \(N, C, H, W\)"),
        (lambda: blurred(images(), sigma=-1.0), "sigma is a size"),
        (lambda: gaussian_noise(images(), spread=float("nan"), generator=seeded()), "spread is a size"),
        (lambda: Standardized((0.5,), (0.0,)), "deviations > 0"),
        (lambda: Standardized((0.5,), (0.1, 0.1)), "one number a channel"),
        (lambda: Standardized((0.5,), (0.1,))(images()), "1 channels"),
        (lambda: baseline_for(images(), torch.zeros(6, 8).double()), r"shaped like x \(3, 2, 6, 8\)"),
        (lambda: baseline_for(images(), torch.zeros(2, 6, 8)), "torch.float64, got .* torch.float32"),
        (lambda: baseline_for(images(), float("inf")), "the baseline must be finite"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
