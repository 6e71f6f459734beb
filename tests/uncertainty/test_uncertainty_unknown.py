"""Unknown inputs: of the form of the known ones, and with nothing to be known in them."""

import pytest
import torch

from weightlore.data import Split, digits, natural_patches
from weightlore.errors import ParameterError
from weightlore.uncertainty.sources import hold_out_classes, triage_splits, unknown_inputs

KINDS = ("natural_patches", "permuted_pixels", "uniform_noise")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def flat() -> torch.Tensor:
    return digits("test").x[:50]


@pytest.mark.parametrize("kind", KINDS)
def test_property_the_form_is_that_of_the_images(kind, flat):
    if kind == "natural_patches":
        pytest.importorskip("PIL")
    before = flat.clone()
    found = unknown_inputs(flat, kind, generator=seeded())
    image = unknown_inputs(flat.reshape(-1, 1, 8, 8).float(), kind, generator=seeded())
    assert found.shape == flat.shape
    assert found.dtype == torch.float64
    assert image.shape == (50, 1, 8, 8)
    torch.testing.assert_close(image.flatten(1), found.float(), atol=1e-6, rtol=0)
    assert found.min() >= 0
    assert found.max() <= 1
    assert torch.equal(flat, before)
    assert not torch.equal(found, flat)


def test_oracle_photographs_are_those_of_the_data_and_of_triage(flat):
    pytest.importorskip("PIL")
    found = unknown_inputs(flat, "natural_patches", generator=seeded())
    assert torch.equal(found, natural_patches(50, size=8, generator=seeded()).reshape(50, 64).to(found))
    carried = triage_splits("blur", unknown=("natural_patches",), generator=seeded()).unknown["natural_patches"]
    assert torch.equal(carried, unknown_inputs(digits("test").x, "natural_patches", generator=seeded()))


def test_property_moved_pixels_keep_the_gray_levels_of_each_image(flat):
    found = unknown_inputs(flat, "permuted_pixels", generator=seeded())
    assert torch.equal(found.sort(1).values, flat.sort(1).values)
    assert torch.equal(found.mean(0).sort().values, flat.mean(0).sort().values), "one permutation for all"
    assert (found == flat).double().mean() < 0.6


def test_property_noise_is_uniform(flat):
    found = unknown_inputs(flat, "uniform_noise", generator=seeded())
    assert abs(float(found.mean()) - 0.5) < 5 * (1 / 12 / found.numel()) ** 0.5
    assert abs(float((found < 0.1).double().mean()) - 0.1) < 5 * (0.09 / found.numel()) ** 0.5


def test_property_held_out_classes_are_parted_and_the_others_counted_anew():
    data = digits("test")
    known, unknown = hold_out_classes(data, [9, 3])
    assert len(known) + len(unknown) == len(data)
    assert sorted(unknown.y.unique().tolist()) == [3, 9]
    assert known.y.unique().tolist() == list(range(8))
    kept = torch.tensor([0, 1, 2, 4, 5, 6, 7, 8])
    rows = torch.isin(data.y, kept)
    assert torch.equal(kept[known.y], data.y[rows])
    assert torch.equal(known.x, data.x[rows])
    assert torch.equal(unknown.x, data.x[~rows])


def test_limit_one_image_and_one_class_left():
    assert unknown_inputs(torch.zeros(1, 1), "uniform_noise", generator=seeded()).shape == (1, 1)
    known, unknown = hold_out_classes(Split(torch.zeros(3, 1), torch.tensor([5, 2, 5])), [2])
    assert known.y.tolist() == [0, 0]
    assert unknown.y.tolist() == [2]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: unknown_inputs(torch.zeros(2, 4), "cats", generator=seeded()), "kind is one of 'natural_patches'"),
        (lambda: unknown_inputs(torch.zeros(2, 3), "uniform_noise", generator=seeded()), "flat square ones"),
        (lambda: unknown_inputs(torch.zeros(2, 3, 4, 4), "uniform_noise", generator=seeded()), "square gray images"),
        (lambda: unknown_inputs(torch.zeros(2, 1, 4, 5), "uniform_noise", generator=seeded()), "square gray images"),
        (lambda: unknown_inputs(torch.full((2, 4), 9.0), "uniform_noise", generator=seeded()), "between 0 and 1"),
        (lambda: hold_out_classes(digits(), []), r"some, not all, of the classes .* got \[\]"),
        (lambda: hold_out_classes(digits(), [3, 3]), "each once"),
        (lambda: hold_out_classes(digits(), [10]), r"got \[10\]"),
        (lambda: hold_out_classes(digits(), range(10)), "some, not all"),
        (lambda: hold_out_classes(Split(torch.zeros(2, 1), torch.zeros(2)), [0]), "class numbers of shape"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
