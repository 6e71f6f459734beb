"""Digits: the splits that every number in the book rests on never change."""

import hashlib

import pytest
import torch
from sklearn.datasets import load_digits

from weightlore.data import digits, digits_indices
from weightlore.errors import ParameterError

PINNED = {
    "train": (1077, "acb751b3a687d29f4587e419710441bf6bbdb016c2349c4abd0adc7c809fdf5a"),
    "validation": (180, "8c585bc438732acd2be90719f19f6720ef83104e61e16f4f0cef3566ba7dd7ec"),
    "test": (540, "731855f40fbb955c1cbe77b65361cfd2126f41a6988ceae37436b9065017fd74"),
    "all": (1797, "512aa762b47baafb1d2c2cd9bdda757cb15ef824574530bcaa33147100f79952"),
}


@pytest.mark.parametrize("split", PINNED)
def test_oracle_the_splits_are_the_pinned_ones(split):
    count, expected = PINNED[split]
    rows = digits_indices(split).tolist()
    assert len(rows) == count
    assert hashlib.sha256(str(rows).encode()).hexdigest() == expected


def test_oracle_the_pixels_are_the_pinned_ones():
    counts = (digits("all").x * 16).to(torch.uint8).numpy()
    assert (
        hashlib.sha256(counts.tobytes()).hexdigest()
        == "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"
    )


def test_oracle_rows_are_scikit_learns():
    pixels, labels = load_digits(return_X_y=True)
    for split in PINNED:
        rows, data = digits_indices(split).numpy(), digits(split)
        assert (data.x.numpy() * 16 == pixels[rows]).all()
        assert (data.y.numpy() == labels[rows]).all()


def test_property_the_three_splits_are_a_partition():
    rows = torch.cat([digits_indices(split) for split in ("train", "validation", "test")])
    assert rows.sort().values.tolist() == list(range(1797))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_property_classes_are_in_proportion_to_within_one_image(split):
    whole = torch.bincount(digits("all").y, minlength=10).double()
    part = torch.bincount(digits(split).y, minlength=10).double()
    assert ((part - whole * len(digits(split)) / 1797).abs() <= 1).all()


def test_property_the_first_ten_of_the_test_set_are_ten_digits():
    assert sorted(digits("test").y[:10].tolist()) == list(range(10))


def test_property_images_are_the_same_pixels():
    flat, images = digits("test"), digits("test", images=True)
    assert images.x.shape == (540, 1, 8, 8)
    assert torch.equal(images.x.reshape(540, 64), flat.x)


def test_property_the_dtype_is_exact_and_the_range_is_unit():
    single = digits("all", dtype=torch.float32)
    assert single.x.dtype == torch.float32
    assert torch.equal(single.x.double(), digits("all").x)  # sixteenths are exact in both
    assert single.x.min() == 0
    assert single.x.max() == 1
    assert single.y.dtype == torch.int64


@pytest.mark.parametrize("split", ["train", "all"])
def test_property_every_call_gives_fresh_tensors(split):
    first = digits(split)
    first.x.fill_(7.0)
    first.y.fill_(7)
    second = digits(split)
    assert second.x.max() == 1
    assert second.y.unique().numel() == 10


def test_property_global_random_state_and_default_dtype_are_left():
    before = torch.get_rng_state()
    digits("train")
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_default_dtype() == torch.float32


def test_error_unknown_split():
    with pytest.raises(ParameterError, match="'train', 'validation', 'test' and 'all', got 'dev'"):
        digits("dev")
