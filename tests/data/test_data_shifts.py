"""Shifts: five severities, each further from the image than the one before."""

import math
from itertools import pairwise

import pytest
import torch
from torch.nn import functional

from weightlore.data import digits, shift, shift_kinds, shift_levels
from weightlore.errors import ParameterError

KINDS = shift_kinds()
RANDOM = {"gaussian_noise", "shot_noise", "impulse_noise", "translation", "occlusion", "permutation"}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def photographs(n: int = 12, side: int = 32) -> torch.Tensor:
    """Smooth color images, as photographs are: noise of 1/8 of the side, enlarged."""
    coarse = torch.rand(n, 3, side // 8, side // 8, generator=seeded(3), dtype=torch.float64)
    return functional.interpolate(coarse, size=(side, side), mode="bilinear")


def distances(x: torch.Tensor, kind: str) -> list[float]:
    moved = [shift(x, kind, severity, generator=seeded(severity)) - x for severity in range(6)]
    return [float(difference.flatten(1).norm(dim=1).mean()) for difference in moved]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("x", [digits().x, photographs()], ids=["digits", "photographs"])
def test_property_each_severity_is_further_away_on_average(x, kind):
    steps = distances(x, kind)
    assert steps[0] == 0
    assert all(near < far for near, far in pairwise(steps)), steps


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("severity", range(6))
def test_property_input_is_left_and_output_is_an_image(kind, severity):
    x = digits().x[:40]
    kept = x.clone()
    moved = shift(x, kind, severity, generator=seeded())
    assert torch.equal(x, kept)
    assert moved.shape == x.shape
    assert moved.dtype == x.dtype
    assert moved.min() >= 0
    assert moved.max() <= 1
    moved.zero_()
    assert torch.equal(x, kept)  # no shared memory, also at severity 0


@pytest.mark.parametrize("kind", KINDS)
def test_property_flat_and_image_form_agree(kind):
    flat, images = digits().x[:30], digits(images=True).x[:30]
    a, b = shift(flat, kind, 3, generator=seeded()), shift(images, kind, 3, generator=seeded())
    assert torch.equal(a, b.reshape(30, 64))


@pytest.mark.parametrize("kind", KINDS)
def test_property_the_generator_decides_all_and_nothing_global_moves(kind):
    x, before = digits().x[:30], torch.get_rng_state()
    first, second, other = (shift(x, kind, 3, generator=seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert torch.equal(first, other) == (kind not in RANDOM)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", KINDS)
def test_property_the_dtype_does_not_change_what_is_drawn(kind):
    x = digits().x[:30]
    single, double = shift(x.float(), kind, 4, generator=seeded()), shift(x, kind, 4, generator=seeded())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, atol=2e-6, rtol=0)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - RANDOM))
def test_property_what_does_not_draw_needs_no_generator(kind):
    assert shift(digits().x[:3], kind, 2).shape == (3, 64)


@pytest.mark.parametrize("kind", sorted(RANDOM))
def test_error_what_draws_needs_a_generator(kind):
    with pytest.raises(ParameterError, match=f"{kind}.* draws at random; give it generator="):
        shift(digits().x[:3], kind, 2)


def test_oracle_a_turn_by_a_right_angle_is_exact():
    from weightlore.data import shifts

    x = photographs(2, 16)
    turned = shifts._rotation(x, 90.0, None)
    torch.testing.assert_close(turned, x.rot90(1, (2, 3)), atol=1e-9, rtol=0)  # rot90 is counterclockwise
    wide = x[:, :, 4:12]
    torch.testing.assert_close(shifts._rotation(wide, 180.0, None), wide.flip(2, 3), atol=1e-9, rtol=0)


def test_oracle_wide_images_turn_without_being_stretched():
    from weightlore.data import shifts

    x = torch.zeros(1, 1, 8, 16, dtype=torch.float64)
    x[..., 3:5, 5:11] = 1.0  # a lying bar of 2 x 6 pixels
    turned = shifts._rotation(x, 90.0, None)
    expected = torch.zeros_like(x)
    expected[..., 1:7, 7:9] = 1.0
    torch.testing.assert_close(turned, expected, atol=1e-9, rtol=0)


def test_oracle_translation_moves_the_center_of_mass_by_its_level():
    x = torch.zeros(200, 1, 32, 32, dtype=torch.float64)
    x[:, :, 14:18, 14:18] = 1.0
    moved = shift(x, "translation", 5, generator=seeded())
    place = torch.arange(32, dtype=torch.float64)
    rows = (moved.sum((1, 3)) * place).sum(1) / moved.sum((1, 2, 3)) - 15.5
    columns = (moved.sum((1, 2)) * place).sum(1) / moved.sum((1, 2, 3)) - 15.5
    torch.testing.assert_close((rows**2 + columns**2).sqrt(), torch.full((200,), 8.0, dtype=torch.float64))
    assert columns.mean().abs() < 1.5  # in every direction


def test_oracle_noise_has_the_size_of_its_level():
    gray = torch.full((50, 1, 32, 32), 0.5, dtype=torch.float64)
    for severity, level in enumerate(shift_levels("gaussian_noise")[:3], start=1):
        assert shift(gray, "gaussian_noise", severity, generator=seeded()).std() == pytest.approx(level, rel=0.03)
    counts = shift(gray, "shot_noise", 2, generator=seeded()) - 0.5
    assert counts.std() == pytest.approx(math.sqrt(0.5 * shift_levels("shot_noise")[1]), rel=0.03)
    struck = shift(gray, "impulse_noise", 4, generator=seeded())
    for extreme in (0.0, 1.0):
        assert (struck == extreme).double().mean() == pytest.approx(shift_levels("impulse_noise")[3] / 2, rel=0.05)


def test_oracle_contrast_brightness_and_inversion_by_hand():
    x = torch.tensor([[[[0.2, 0.6]]]], dtype=torch.float64)
    assert shift(x, "contrast", 2).flatten().tolist() == pytest.approx([0.3, 0.5])
    assert shift(x, "brightness", 5).flatten().tolist() == pytest.approx([0.7, 1.0])
    assert shift(x, "inversion", 5).flatten().tolist() == pytest.approx([0.8, 0.4])


def test_oracle_blur_and_blocks_are_weighted_means():
    uniform = torch.full((1, 1, 8, 8), 0.3, dtype=torch.float64)
    x = digits(images=True).x[:50]
    for kind in ("blur", "pixelate"):
        torch.testing.assert_close(shift(uniform, kind, 5), uniform)
        assert shift(x, kind, 5).var() < x.var()
    blocks = shift(x, "pixelate", 4)  # half of the rows and columns are left
    torch.testing.assert_close(
        blocks, functional.interpolate(functional.avg_pool2d(x, 2), scale_factor=2.0, mode="nearest")
    )


def test_oracle_occlusion_blackens_one_square_and_nothing_else():
    white = torch.ones(300, 2, 8, 8, dtype=torch.float64)
    covered = shift(white, "occlusion", 3, generator=seeded()) == 0
    assert (covered.sum((1, 2, 3)) == 2 * 3 * 3).all()
    assert torch.equal(covered[:, 0], covered[:, 1])
    rows, columns = covered[:, 0].any(2).sum(1), covered[:, 0].any(1).sum(1)
    assert (rows == 3).all()
    assert (columns == 3).all()
    assert covered[:, 0].any(0).all()  # anywhere


def test_oracle_a_permutation_keeps_the_pixels_and_is_one_for_all():
    x = torch.rand(20, 3, 6, 6, generator=seeded(1), dtype=torch.float64)
    moved = shift(x, "permutation", 5, generator=seeded())
    assert torch.equal(moved.flatten(2).sort(2).values, x.flatten(2).sort(2).values)
    source = [int((x[0, 0].flatten() == value).nonzero()) for value in moved[0, 0].flatten()]
    assert torch.equal(moved.flatten(2), x.flatten(2)[:, :, source])
    assert all(place != origin for place, origin in enumerate(source))  # at severity 5 every pixel moves


def test_limit_no_images_and_one_pixel():
    for kind in KINDS:
        assert shift(torch.zeros(0, 64), kind, 3, generator=seeded()).shape == (0, 64)
    for kind in sorted(set(KINDS) - {"permutation"}):
        assert shift(torch.zeros(2, 1), kind, 5, generator=seeded()).shape == (2, 1)
    assert shift(torch.zeros(2, 1), "permutation", 5, generator=seeded()).shape == (2, 1)


def test_property_levels_grow():
    for kind in KINDS:
        assert list(shift_levels(kind)) == sorted(set(shift_levels(kind)))


def test_error_unknown_kind_and_severity():
    with pytest.raises(ParameterError, match=r"kind is one of 'gaussian_noise', .*, got 'fog'"):
        shift(digits().x, "fog", 1)
    with pytest.raises(ParameterError, match="got 'fog'"):
        shift_levels("fog")
    for severity in (-1, 6, 2.5):
        with pytest.raises(ParameterError, match="whole number from 0"):
            shift(digits().x, "blur", severity)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.zeros(3, 63), r"flat square ones \(N, D\), got shape \(3, 63\)"),
        (torch.zeros(64), r"got shape \(64,\)"),
        (torch.zeros(2, 64, dtype=torch.uint8), "got torch.uint8; divide by the largest level"),
        (torch.full((2, 64), 16.0), "between 0 and 1, got 16 to 16"),
        (torch.full((2, 64), math.nan), "x must be finite"),
    ],
)
def test_error_what_is_no_image(x, message):
    with pytest.raises(ParameterError, match=message):
        shift(x, "blur", 1)
