"""Pairs of tasks: what is in them, and that nothing is in two places."""

import pytest
import torch

from weightlore.data import digits, few_labels, shift
from weightlore.errors import ParameterError
from weightlore.transfer import (
    as_sequences,
    changed_digits,
    clothes_to,
    new_classes,
    shuffled_labels,
    turned_patches,
    usps_pair,
)
from weightlore.transfer.domains import CHANGES

BACK = {
    "inverted": lambda x: 1 - x,
    "transposed": lambda x: x.transpose(2, 3),
    "flipped": lambda x: x.flip(2),
}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def parts(pair):
    return pair.source, pair.train, pair.validation, pair.test


def rows(x):
    return {tuple(row) for row in x.flatten(1).tolist()}


@pytest.mark.parametrize("change", CHANGES)
def test_property_changed_digits_are_the_digits_in_the_house_s_splits(change):
    pair = changed_digits(change, generator=seeded())
    assert [len(part) for part in parts(pair)] == [840, 237, 180, 540]
    assert all(part.x.shape[1:] == (1, 8, 8) and part.x.dtype == torch.float64 for part in parts(pair))
    assert torch.equal(pair.source.x, digits("train", images=True).x[:840])
    assert torch.equal(pair.train.y, digits("train").y[840:])
    assert torch.equal(pair.test.y, digits("test").y)
    assert not torch.equal(pair.test.x, digits("test", images=True).x)
    assert few_labels(pair.train, 20, generator=seeded()).y.bincount().tolist() == [20] * 10
    assert all(float(part.x.min()) >= 0 and float(part.x.max()) <= 1 for part in parts(pair))


@pytest.mark.parametrize("change", BACK)
def test_oracle_changed_back_they_are_the_images_and_none_is_in_two_places(change):
    pair = changed_digits(change)
    back = [pair.source.x, *(BACK[change](part.x) for part in parts(pair)[1:])]
    torch.testing.assert_close(back[3], digits("test", images=True).x, rtol=0, atol=1e-15)
    every = sum(len(rows(x)) for x in back)
    assert len(set().union(*(rows(x) for x in back))) == every == 1797


def test_oracle_rotation_and_noise_are_the_shifts_of_the_house():
    rotated, noisy = (changed_digits(change, generator=seeded(3)) for change in ("rotated", "noisy"))
    clean = digits("train", images=True).x[840:]
    assert torch.equal(rotated.train.x, shift(clean, "rotation", 3))
    assert torch.equal(noisy.train.x, shift(clean, "gaussian_noise", 4, generator=seeded(3)))
    assert not torch.equal(noisy.validation.x[:5], noisy.test.x[:5])


def test_property_shuffled_labels_keep_images_and_counts():
    pair = changed_digits("rotated")
    kept = pair.source.y.clone()
    told = shuffled_labels(pair, generator=seeded())
    assert torch.equal(pair.source.y, kept)
    assert torch.equal(told.source.x, pair.source.x)
    assert torch.equal(told.source.y.bincount(), kept.bincount())
    assert 0.05 < float((told.source.y == kept).double().mean()) < 0.16  # one in ten by chance
    assert torch.equal(told.test.x, pair.test.x)


def test_property_rows_are_steps_and_flipped_images_run_backwards():
    clean, flipped = changed_digits("inverted"), changed_digits("flipped")
    told = as_sequences(flipped)
    assert [part.x.shape[1:] for part in parts(told)] == [(8, 8)] * 4
    assert torch.equal(told.source.x[:, 2], flipped.source.x[:, 0, 2])
    assert torch.equal(told.test.x.flip(1), 1 - as_sequences(clean).test.x)
    assert torch.equal(told.test.y, flipped.test.y)
    with pytest.raises(ParameterError, match="mean over the channels"):
        as_sequences(told)


def test_property_new_classes_are_five_and_five():
    pair = new_classes()
    assert (pair.source_classes, pair.classes) == (5, 5)
    assert all(part.y.unique().tolist() == [0, 1, 2, 3, 4] for part in parts(pair))
    known = digits("test", images=True)
    assert torch.equal(pair.test.x, known.x[known.y >= 5])
    assert torch.equal(pair.test.y + 5, known.y[known.y >= 5])
    assert torch.equal(pair.source.x, digits("train", images=True).x[:840][digits("train").y[:840] < 5])


def test_property_turned_patches_turned_back_stand_upright():
    pytest.importorskip("PIL")
    pair = turned_patches(600, generator=seeded())
    assert pair.source.x.shape == (600, 1, 8, 8)
    assert pair.source_classes == 4
    assert (pair.source.y.bincount(minlength=4) > 100).all()
    assert 0 <= float(pair.source.x.min()) < float(pair.source.x.max()) <= 1
    assert torch.equal(pair.test.x, digits("test", images=True).x)
    upright = torch.stack([x.rot90(-int(k), (1, 2)) for x, k in zip(pair.source.x, pair.source.y, strict=True)])
    from weightlore.transfer.domains import _photographs

    windows = _photographs().unfold(1, 8, 1).unfold(2, 8, 1).reshape(-1, 64)
    gaps = torch.cdist(upright.flatten(1), windows)
    assert float(gaps.min(1).values.max()) < 1e-6  # every patch stands in a photograph as it is turned back


def test_property_patches_are_drawn_one_after_the_other():
    pytest.importorskip("PIL")
    many, few = (turned_patches(count, generator=seeded(2)).source for count in (40, 15))
    assert torch.equal(many.x[:15], few.x)
    assert torch.equal(many.y[:15], few.y)


def test_property_usps_and_digits_in_both_directions(mirror):
    there, back = usps_pair("digits to usps"), usps_pair("usps to digits")
    assert [len(part) for part in parts(there)] == [1077, 6291, 1000, 2007]
    assert [len(part) for part in parts(back)] == [7291, 1077, 180, 540]
    assert all(part.x.shape[1:] == (1, 8, 8) and part.y.max() == 9 for part in (*parts(there), *parts(back)))
    assert torch.equal(torch.cat([there.train.x, there.validation.x]), back.source.x)
    assert abs(float(there.test.x.mean() - back.test.x.mean())) < 0.15  # both are white on black


def test_property_clothes_become_as_small_as_the_target(mirror):
    pair = clothes_to("usps", side=16, dtype=torch.float32)
    assert [tuple(part.x.shape) for part in parts(pair)] == [(n, 1, 16, 16) for n in (60000, 6291, 1000, 2007)]
    assert {part.x.dtype for part in parts(pair)} == {torch.float32}


def test_oracle_smaller_clothes_have_the_same_mean(mirror):
    from weightlore.data import fetch

    pair = clothes_to("digits", dtype=torch.float32)
    assert [len(part) for part in parts(pair)] == [60000, 1077, 180, 540]
    small = pair.source.x[:200].double()
    large = fetch("fashion-mnist")["train"].x[:200].double()
    row = torch.tensor([[int(i * 28 / 8) <= j < -(-(i + 1) * 28 // 8) for j in range(28)] for i in range(8)]).double()
    row = row / row.sum(1, keepdim=True)
    torch.testing.assert_close(small, row @ large @ row.T, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: changed_digits("blurred"), "'inverted', 'transposed'"),
        (lambda: changed_digits("noisy"), "generator=torch.Generator"),
        (lambda: turned_patches(0, generator=seeded()), "at least 1"),
        (lambda: usps_pair("usps"), "'usps to digits' or 'digits to usps'"),
        (lambda: clothes_to("digits", side=16), "with side=8"),
        (lambda: clothes_to("mnist"), "'digits' with side=8 and 'usps'"),
    ],
)
def test_error_says_what_there_is(make, message):
    with pytest.raises(ParameterError, match=message):
        make()
