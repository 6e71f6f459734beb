"""Views of images: against counting pixels, and what leaves an image as it is."""

import math

import pytest
import torch

from weightlore.data import digits, shift
from weightlore.errors import ParameterError
from weightlore.uncertainty import augmentation as aug


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def images(*shape):
    return torch.rand(*(shape or (3, 2, 6, 6)), generator=seeded(), dtype=torch.float64)


def test_oracle_a_shift_moves_pixels_and_brings_zeros():
    x = images()
    seen = aug.shifted(1, -2)(x)
    expected = torch.zeros_like(x)
    expected[:, :, 1:, :-2] = x[:, :, :-1, 2:]
    assert torch.equal(seen, expected)
    assert torch.equal(aug.shifted(0, 0)(x), x)
    assert not aug.shifted(6, 0)(x).any()


def test_oracle_half_a_pixel_is_the_mean_of_neighbors():
    x = images()
    torch.testing.assert_close(
        aug.shifted(0.5, 0)(x)[:, :, 1:], (x[:, :, 1:] + x[:, :, :-1]) / 2, rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(
        aug.shifted(0, -0.25)(x)[..., :-1], 0.75 * x[..., :-1] + 0.25 * x[..., 1:], rtol=1e-12, atol=1e-12
    )
    torch.testing.assert_close(aug.shifted(1.0, 1e-12)(x), aug.shifted(1, 0)(x), rtol=0, atol=1e-9)


def test_oracle_turns_by_right_angles_move_pixels():
    x = images()
    for turns in range(5):
        torch.testing.assert_close(aug.rotated(90.0 * turns)(x), x.rot90(turns, (2, 3)), rtol=1e-9, atol=1e-9)
    wide = images(2, 1, 4, 7)
    torch.testing.assert_close(aug.rotated(180.0)(wide), wide.rot90(2, (2, 3)), rtol=1e-9, atol=1e-9)


def test_oracle_small_turns_and_blurs_are_those_of_the_shifts():
    x = digits("validation").x[:6]
    torch.testing.assert_close(aug.rotated(10.0)(x), shift(x, "rotation", 1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(aug.blurred(0.05 * 8)(x), shift(x, "blur", 1), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(aug.contrasted(0.75)(x), shift(x, "contrast", 1), rtol=1e-12, atol=1e-12)


def test_property_flat_digits_are_seen_as_images():
    flat, square = digits("validation").x[:4], digits("validation", images=True).x[:4]
    for view in (*aug.digit_views(), aug.flipped("left_right"), aug.flipped("up_down")):
        torch.testing.assert_close(view(flat), view(square).flatten(1), rtol=0, atol=0)
        assert view(flat).dtype == torch.float64


def test_property_mirrors_and_means():
    x = images()
    assert torch.equal(aug.flipped("left_right")(x)[..., 0], x[..., -1])
    assert torch.equal(aug.flipped("up_down")(x)[:, :, 0], x[:, :, -1])
    torch.testing.assert_close(aug.contrasted(1.7)(x).mean((1, 2, 3)), x.mean((1, 2, 3)), rtol=1e-12, atol=0)
    torch.testing.assert_close(aug.blurred(1.0)(torch.ones(1, 1, 5, 4)), torch.ones(1, 1, 5, 4), rtol=1e-6, atol=0)
    assert aug.identity()(x) is x


def test_property_the_set_for_digits():
    names = [view.name for view in aug.digit_views()]
    assert names[0] == "identity"
    assert len(set(names)) == 16
    x = digits("test").x[:2]
    assert all(not torch.equal(view(x), x) for view in aug.digit_views()[1:])
    still = aug.digit_views(pixels=0.0, degrees=0.0, contrast=0.0, sigma=1e-3)
    for view in still:
        torch.testing.assert_close(view(x), x, rtol=1e-12, atol=1e-12)


def test_property_drawn_views_stay_and_do_not_depend_on_how_many_there_are():
    x = images()
    few, many = aug.drawn_views(2, generator=seeded()), aug.drawn_views(7, generator=seeded())
    for one, other in zip(few, many, strict=False):
        assert torch.equal(one(x), other(x))
    assert torch.equal(many[3](x), many[3](x))
    assert not torch.equal(many[3](x), many[4](x))
    still = aug.drawn_views(3, degrees=0.0, pixels=0, contrast=0.0, generator=seeded())
    torch.testing.assert_close(still[2](x), x, rtol=1e-12, atol=1e-12)


def test_property_drawn_moves_take_every_value():
    dot = torch.zeros(1, 1, 7, 7, dtype=torch.float64)
    dot[0, 0, 3, 3] = 1.0
    views = aug.drawn_views(200, degrees=0.0, pixels=1, contrast=0.0, generator=seeded())
    places = {tuple(view(dot)[0, 0].round().nonzero()[0].tolist()) for view in views}
    assert places == {(r, c) for r in (2, 3, 4) for c in (2, 3, 4)}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: aug.rotated(math.nan), "a finite angle, got nan"),
        (lambda: aug.shifted(math.inf, 0), "finite numbers of pixels, got inf"),
        (lambda: aug.contrasted(0.0), "finite number > 0, got 0"),
        (lambda: aug.blurred(-1.0), "a width in pixels"),
        (lambda: aug.flipped("both"), "axis is one of 'left_right', 'up_down'"),
        (lambda: aug.drawn_views(0, generator=seeded()), "count must be a whole number"),
        (lambda: aug.drawn_views(1, contrast=1.0, generator=seeded()), "contrast in"),
        (lambda: aug.rotated(5.0)(torch.zeros(2, 5)), "flat square ones"),
        (lambda: aug.rotated(5.0)(torch.zeros(2, 4, dtype=torch.int64)), "sees floating images"),
        (lambda: aug.Augmentation("cut", lambda x: x[:1])(torch.zeros(2, 4)), "'cut' made .1, 4. of .2, 4."),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
