"""Samplers with known calibration: each meets its definition and not the next."""

import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import (
    expected_calibration_error,
    static_calibration_error,
    synthetic_calibrated,
)
from weightlore.uncertainty.calibration.simplex import draw_simplex

KINDS = ("top_label", "classwise", "canonical")


def made(kind, size=40_000, seed=0, **options):
    return synthetic_calibrated(kind, size, generator=torch.Generator().manual_seed(seed), **options)


def means_in_bins(key, value, bins=20):
    number = (key * bins).long().clamp(max=bins - 1)
    counts = torch.bincount(number, minlength=bins)
    kept = counts > 200
    return (torch.bincount(number, value, bins) / counts)[kept], counts[kept]


@pytest.mark.parametrize("classes", [3, 4, 6])
@pytest.mark.parametrize("kind", KINDS)
def test_property_truth_is_a_distribution_and_labels_follow_it(kind, classes):
    found = made(kind, classes=classes)
    assert (found.truth >= 0).all()
    torch.testing.assert_close(found.truth.sum(1), torch.ones(40_000, dtype=torch.float64), rtol=0, atol=1e-12)
    share = torch.bincount(found.y, minlength=classes) / 40_000
    assert (share - found.truth.mean(0)).abs().max() < 5 * 0.5 / 200
    hit = found.truth.gather(1, found.y[:, None]).mean()
    assert abs(float(hit - (found.truth**2).sum(1).mean())) < 0.02


def test_property_canonical_truth_is_what_is_said():
    found = made("canonical")
    assert torch.equal(found.probs, found.truth)
    assert made("canonical", classes=2).probs.shape == (40_000, 2)


@pytest.mark.parametrize("classes", [3, 4])
def test_property_class_wise_holds_for_each_class_and_not_for_the_vector(classes):
    found = made("classwise", 200_000, classes=classes)
    off = found.truth - found.probs
    assert off.abs().max() > 0.1, "not canonical"
    for k in range(classes):
        mean, counts = means_in_bins(found.probs[:, k], off[:, k])
        assert (mean.abs() <= 5 * off[:, k].std() / counts.sqrt()).all()
    top, winner = found.probs.max(1)
    mean, counts = means_in_bins(top, off.gather(1, winner[:, None])[:, 0])
    assert (mean.abs() < 5 * off.std() / counts.sqrt()).all(), "and for the top label"
    assert static_calibration_error(found.probs, found.y) < 0.01


def test_property_class_wise_fails_where_two_classes_are_looked_at_together():
    found = made("classwise")
    even = (found.probs[:, 0] < found.probs[:, 1]) & (found.probs[:, 1] < found.probs[:, 2])
    came, said = (found.y[even] == 0).double().mean(), found.probs[even, 0].mean()
    assert came > 1.5 * said


def test_property_top_label_holds_for_the_winner_and_not_for_each_class():
    found = made("top_label", classes=4)
    top, winner = found.probs.max(1)
    torch.testing.assert_close(found.truth.gather(1, winner[:, None])[:, 0], top)
    assert torch.equal(found.truth.argmax(1), winner)
    assert expected_calibration_error(found.probs, found.y) < 0.01
    assert static_calibration_error(found.probs, found.y) > 0.05


def test_property_concentration_makes_confident_or_vague_forecasts():
    sharp, vague = (made("canonical", 2000, concentration=a).probs.amax(1).mean() for a in (0.05, 50.0))
    assert sharp > 0.9
    assert vague < 0.45


@pytest.mark.parametrize("concentration", [1e-4, 0.3, 1.0, 7.0, 1e4])
def test_oracle_moments_of_the_simplex(concentration):
    w = draw_simplex(concentration, (40_000, 3), generator=torch.Generator().manual_seed(0))
    assert torch.isfinite(w).all()
    torch.testing.assert_close(w.sum(1), torch.ones(40_000, dtype=torch.float64))
    variance = (1 / 3) * (2 / 3) / (3 * concentration + 1)
    assert (w.mean(0) - 1 / 3).abs().max() < 5 * (variance / 40_000) ** 0.5
    assert (w.var(0) / variance - 1).abs().max() < 0.05


def test_limit_one_forecast():
    found = made("classwise", 1)
    assert found.probs.shape == (1, 3)
    assert found.y.shape == (1,)
    assert found.y.dtype == torch.int64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: made("strong"), "'top_label', 'classwise', 'canonical'"),
        (lambda: made("classwise", classes=2), "at least 3 classes, got 2; with two"),
        (lambda: made("canonical", classes=1), "at least 2 classes"),
        (lambda: made("canonical", 0), "size must be a whole number"),
        (lambda: made("canonical", concentration=0.0), "finite number above 0"),
        (lambda: made("canonical", concentration=float("inf")), "finite number above 0"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
