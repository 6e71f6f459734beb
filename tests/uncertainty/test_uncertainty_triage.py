"""Triage: three kinds of test data in one object."""

import pytest
import torch

from weightlore.data import digits, shift
from weightlore.errors import ParameterError
from weightlore.uncertainty.sources import triage_splits

NOISE = ("permuted_pixels", "uniform_noise")


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_property_known_parts_are_the_digits_and_shifted_ones_the_test_set_under_a_shift():
    found = triage_splits("rotation", unknown=NOISE, generator=seeded())
    for name, split in (("train", found.train), ("validation", found.validation), ("test", found.in_domain)):
        assert torch.equal(split.x, digits(name).x)
        assert torch.equal(split.y, digits(name).y)
    assert list(found.shifted) == [1, 2, 3, 4, 5]
    for level, split in found.shifted.items():
        assert torch.equal(split.x, shift(digits("test").x, "rotation", level))
        assert torch.equal(split.y, found.in_domain.y)
    assert list(found.unknown) == list(NOISE)
    assert all(x.shape == found.in_domain.x.shape for x in found.unknown.values())
    assert found.classes == 10


def test_property_held_out_digits_are_nowhere_but_among_the_unknown():
    found = triage_splits("blur", unknown=(), held_out=[0, 7], images=True, dtype=torch.float32, generator=seeded())
    test = digits("test", images=True, dtype=torch.float32)
    stranger = (test.y == 0) | (test.y == 7)
    assert torch.equal(found.unknown["held_out_classes"], test.x[stranger])
    assert torch.equal(found.in_domain.x, test.x[~stranger])
    assert found.classes == 8
    for split in (found.train, found.validation, found.in_domain, found.shifted[3]):
        assert split.y.unique().tolist() == list(range(8))
        assert split.x.dtype == torch.float32
    assert len(found.train) == int(((digits("train").y != 0) & (digits("train").y != 7)).sum())


def test_property_all_kinds_by_default():
    pytest.importorskip("PIL")
    assert list(triage_splits(generator=seeded()).unknown) == ["natural_patches", *NOISE]


def test_limit_one_kind_and_nothing_that_a_caller_could_overwrite():
    found = triage_splits("gaussian_noise", unknown=NOISE[:1], generator=seeded())
    with pytest.raises(TypeError):
        found.shifted[1] = found.train
    found.shifted[1].y.zero_()
    assert found.in_domain.y.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unknown": ()}, "or digits to hold out"),
        ({"unknown": ("cats",)}, "kind is one of"),
        ({"kind": "winter"}, "kind is one of"),
        ({"unknown": (), "held_out": [11]}, "held_out names some"),
    ],
)
def test_error_arguments(options, message):
    with pytest.raises(ParameterError, match=message):
        triage_splits(**options, generator=seeded())
