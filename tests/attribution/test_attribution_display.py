"""From maps to pictures: limits, centers, and maps without contrast."""

import numpy as np
import pytest
import torch

from weightlore.attribution import (
    absolute_gray,
    limit_by_mass,
    limit_by_percentile,
    min_max,
    multiplied,
    off_center,
    overlay,
    positive_unit,
    signed_diverging,
)
from weightlore.errors import ParameterError

PICTURES = [absolute_gray, signed_diverging, off_center, min_max, positive_unit]


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("percentile", [0.0, 50.0, 97.3, 99.0, 100.0])
def test_oracle_percentiles_are_those_of_numpy(percentile):
    maps = normal(5, 3, 6, 7)
    found = limit_by_percentile(maps, percentile)
    assert found.numpy() == pytest.approx(np.percentile(maps.sum(1).abs().flatten(1).numpy(), percentile, axis=1))
    absolute = limit_by_percentile(maps, percentile, channels="abs_sum")
    assert absolute.numpy() == pytest.approx(np.percentile(maps.abs().sum(1).flatten(1).numpy(), percentile, axis=1))


@pytest.mark.parametrize("cut", [0.0, 0.001, 0.02, 0.5, 0.9])
def test_oracle_mass_is_cut_as_counted_by_hand(cut):
    maps = normal(6, 30)
    for row, limit in zip(maps.abs(), limit_by_mass(maps, cut), strict=True):
        enough = [v for v in row if row[row <= v].sum() >= (1 - cut) * row.sum() * (1 - 1e-12)]
        assert limit == min(enough)


def test_property_the_limit_by_mass_without_a_cut_is_the_largest():
    maps = normal(6, 1, 5, 5)
    assert torch.equal(limit_by_mass(maps, 0.0), maps.abs().flatten(1).amax(1))
    assert torch.equal(limit_by_percentile(maps, 100.0), maps.abs().flatten(1).amax(1))


def test_property_zero_is_in_the_middle_of_one_picture_and_not_of_the_other():
    maps = normal(3, 1, 6, 6)
    maps[:, :, 0] = 0.0
    good, faulty = signed_diverging(maps), off_center(maps)
    assert good.values[:, 0].eq(0).all()
    assert faulty.values[:, 0].eq(0.5).all()
    assert (good.low + good.high) / 2 == 0
    assert (faulty.low, faulty.high) == (-1.0, 1.0)
    mirrored = signed_diverging(-maps)
    assert torch.equal(mirrored.values, -good.values)
    assert torch.equal(absolute_gray(-maps).values, absolute_gray(maps).values)


def test_oracle_the_faulty_picture_by_its_formula():
    maps = normal(3, 20)
    span = np.abs(np.percentile(maps.numpy(), 99, axis=1, keepdims=True))
    assert off_center(maps).values.numpy() == pytest.approx(np.clip((maps.numpy() + span) / (2 * span), -1, 1))


def test_property_values_are_scaled_by_what_the_picture_says():
    maps = normal(4, 1, 6, 6)
    exact = limit_by_percentile(maps, 100.0)
    picture = signed_diverging(maps, exact)
    torch.testing.assert_close(picture.values * picture.scale[:, None, None], maps[:, 0])
    common = signed_diverging(torch.cat([maps, 0.01 * maps]), exact.max())
    assert common.values[4:].abs().max() <= 0.01 + 1e-12, "a weak map looks weak"
    own = signed_diverging(torch.cat([maps, 0.01 * maps]))
    torch.testing.assert_close(own.values[4:], own.values[:4])
    assert (own.scale[4:] < 0.02 * own.scale[:4]).all(), "and only the scale tells otherwise"


@pytest.mark.parametrize("picture", PICTURES)
def test_property_pictures_stay_within_their_limits(picture):
    made = picture(5 * normal(8, 2, 6, 6))
    assert made.values.shape == (8, 6, 6)
    assert made.values.min() >= made.low
    assert made.values.max() <= made.high
    assert not made.degenerate.any()
    assert picture(normal(3, 12)).values.shape == (3, 12)


@pytest.mark.parametrize("picture", PICTURES)
def test_limit_a_zero_map_gives_zeros_and_a_flag(picture):
    maps = normal(3, 1, 4, 4)
    maps[1] = 0.0
    made = picture(maps)
    assert made.values[1].eq(0).all()
    assert made.values.isfinite().all()
    assert made.degenerate.tolist() == [False, True, False]
    assert made.scale.isfinite().all()


def test_limit_one_point_in_a_hundred_saturates_and_is_flagged():
    maps = torch.zeros(1, 1, 20, 20)
    maps[0, 0, 3, 4] = -5.0
    made = signed_diverging(maps)
    assert made.degenerate.item()
    assert made.values[0, 3, 4] == -1
    assert made.values.abs().sum() == 1
    assert not signed_diverging(maps, limit_by_percentile(maps, 100.0)).degenerate


def test_limit_a_constant_map_has_no_contrast_to_be_stretched():
    made = min_max(torch.full((1, 1, 3, 3), 4.0))
    assert made.degenerate.item()
    assert made.values.eq(0).all()


def test_property_stretching_moves_zero_from_map_to_map():
    maps = torch.tensor([[0.0, 1.0, -1.0], [0.0, 1.0, -3.0]])
    assert min_max(maps).values[:, 0].tolist() == [0.5, 0.75]


def test_property_a_cut_at_one_loses_the_order_of_logits():
    maps = torch.tensor([[0.2, 3.0, 9.0, -4.0]])
    assert positive_unit(maps).values.tolist() == [[pytest.approx(0.2), 1.0, 1.0, 0.0]]


def test_property_noise_takes_the_shape_of_the_image():
    image = torch.zeros(1, 1, 4, 4, dtype=torch.float64)
    image[:, :, 1:3, 1:3] = 1.0
    noise = signed_diverging(normal(1, 1, 4, 4))
    product = multiplied(image, noise)
    assert product[0, 0].eq(0).all(), "black stays black"
    assert torch.equal(product[0, 1:3, 1:3], noise.values[0, 1:3, 1:3])
    mixed = overlay(image, noise, weight=0.25)
    torch.testing.assert_close(mixed, 0.75 * image[:, 0] + 0.25 * (noise.values + 1) / 2)
    assert torch.equal(overlay(image, noise, weight=0.0), image[:, 0])


MAPS = torch.rand(2, 1, 3, 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: limit_by_percentile(MAPS, 101.0), "between 0 and 100"),
        (lambda: off_center(MAPS, -1.0), "between 0 and 100"),
        (lambda: limit_by_mass(MAPS, 1.0), r"in \[0, 1\)"),
        (lambda: signed_diverging(MAPS, torch.ones(3)), "one for each"),
        (lambda: absolute_gray(MAPS, -torch.ones(2)), "smallest -1"),
        (lambda: absolute_gray(MAPS, torch.tensor(torch.nan)), "smallest nan"),
        (lambda: min_max(MAPS * torch.inf), "a map must be finite"),
        (lambda: overlay(MAPS, min_max(MAPS), weight=1.5), "weight is the share"),
        (lambda: overlay(MAPS[:1], min_max(MAPS)), "gray and have the picture's shape"),
        (lambda: multiplied(MAPS + 1, min_max(MAPS)), r"within \[0, 1\]"),
    ],
)
def test_error_what_cannot_be_shown(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
