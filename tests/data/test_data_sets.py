"""All sets that the chapter on uncertainty stands on: there without a network, or with a word about what is missing."""

from functools import partial

import pytest
import torch

from weightlore.data import (
    breast_cancer,
    datasets,
    diabetes,
    digits,
    fetch,
    heteroscedastic_sine,
    natural_patches,
    two_moons,
    wine,
)
from weightlore.errors import DataError


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(0)


BUNDLED = {
    "digits": partial(digits, "train"),
    "diabetes": partial(diabetes, "train"),
    "breast_cancer": partial(breast_cancer, "train"),
    "wine": partial(wine, "train"),
    "two_moons": lambda: two_moons(100, generator=seeded()),
    "heteroscedastic_sine": lambda: heteroscedastic_sine(100, generator=seeded()),
}


@pytest.mark.parametrize("name", BUNDLED)
def test_property_a_bundled_set_needs_no_network_and_stays_the_same(name, monkeypatch, tmp_path):
    monkeypatch.setenv("WEIGHTLORE_DATA", str(tmp_path))
    one, other = BUNDLED[name](), BUNDLED[name]()
    assert torch.equal(one.x, other.x)
    assert torch.equal(one.y, other.y)
    assert one.x.data_ptr() != other.x.data_ptr()
    assert bool(one.x.isfinite().all())
    assert one.y.dtype in (torch.int64, torch.float64)
    assert len(one.y.unique()) > 1
    assert list(tmp_path.iterdir()) == []


def test_property_patches_have_the_form_of_digits():
    pytest.importorskip("PIL")
    found, image = natural_patches(10, generator=seeded()), digits("test")[:10].x
    assert found.shape == image.shape
    assert found.dtype == image.dtype


def test_error_the_optional_set_says_what_to_do(monkeypatch, tmp_path):
    assert "fashion-mnist" in {record.name for record in datasets()}
    monkeypatch.setenv("WEIGHTLORE_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("WEIGHTLORE_DATA_MIRROR", str(tmp_path))
    import pooch

    def unreachable(*given, **named):
        raise OSError("no connection")

    monkeypatch.setattr(pooch, "retrieve", unreachable)
    with pytest.raises(DataError, match="weightlore data fetch fashion-mnist"):
        fetch("fashion-mnist")
