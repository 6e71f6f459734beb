"""Calibration of predicted numbers: quantile curves, their area, and variances."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Laplace, Normal

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import ence, miscalibration_area, quantile_calibration_curve, uce
from weightlore.uncertainty.calibration.quantile_curve import cdf_values
from weightlore.uncertainty.predictions import GaussianPrediction
from weightlore.uncertainty.warned import UncertaintyWarning


def numbers(size: int = 400, said: float = 1.0, seed: int = 0):
    """Mean, true spread times what is said, observations."""
    g = torch.Generator().manual_seed(seed)
    mean = torch.randn(size, generator=g, dtype=torch.float64)
    std = 0.2 + torch.rand(size, generator=g, dtype=torch.float64)
    y = mean + std * torch.randn(size, generator=g, dtype=torch.float64)
    return (mean, said * std), y


def test_oracle_curve_by_predicted_quantiles():
    (mean, std), y = numbers()
    levels = torch.tensor([0.1, 0.5, 0.93], dtype=torch.float64)
    curve = quantile_calibration_curve((mean, std), y, levels=levels)
    below = [(y <= Normal(mean, std).icdf(q)).double().mean().item() for q in levels]
    assert curve.observed.tolist() == pytest.approx(below, abs=1e-12)
    gaps = torch.tensor(below, dtype=torch.float64) - levels
    assert curve.mean_absolute == pytest.approx(gaps.abs().mean().item())
    assert curve.root_mean_square == pytest.approx(gaps.square().mean().sqrt().item())
    assert len(quantile_calibration_curve((mean, std), y).levels) == 99


def test_property_containers_pairs_and_functions_are_the_same_forecast():
    (mean, std), y = numbers()
    column = GaussianPrediction(mean[:, None], 0.25 * std[:, None] ** 2, 0.75 * std[:, None] ** 2)
    expected = quantile_calibration_curve((mean, std), y).observed
    assert torch.equal(quantile_calibration_curve(column, y[:, None]).observed, expected)
    assert torch.equal(quantile_calibration_curve(Normal(mean, std).cdf, y).observed, expected)
    assert ence(column, y[:, None]).item() == pytest.approx(ence((mean, std), y).item())


def test_property_a_calibrated_forecaster_is_near_the_diagonal_and_others_are_not():
    for scale in (1.0, 0.5, 2.0):
        forecast, y = numbers(5000, scale)
        area = miscalibration_area(forecast, y).item()
        assert area < 0.02 if scale == 1 else area > 0.08
        steep = quantile_calibration_curve(forecast, y).observed
        if scale < 1:
            assert steep[4] > 0.1
            assert steep[94] < 0.9


def test_property_area_of_a_perfect_forecaster_is_about_a_third_over_root_n():
    found = [miscalibration_area(*numbers(300, seed=s)).item() * math.sqrt(300) for s in range(60)]
    assert np.mean(found) == pytest.approx(math.sqrt(math.pi / 32), rel=0.2)


def test_oracle_area_is_the_integral():
    forecast, y = numbers(50, 0.6)
    fine = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 200_000
    curve = quantile_calibration_curve(forecast, y, levels=fine)
    assert miscalibration_area(forecast, y).item() == pytest.approx(curve.mean_absolute, abs=1e-7)


def test_limit_areas_of_extreme_forecasts():
    y = torch.zeros(10)
    assert miscalibration_area(torch.zeros_like, y) == 0.5
    assert miscalibration_area(torch.ones_like, y) == 0.5
    assert miscalibration_area(lambda y: torch.full_like(y, 0.5), y) == 0.25
    assert miscalibration_area(torch.zeros_like, y[:1]).dtype == torch.float32
    step = quantile_calibration_curve((torch.tensor([0.0, 1.0]), torch.zeros(2)), torch.zeros(2))
    assert step.observed.tolist() == [0.5] * 99  # the first has F(y) = 1, the second 0


def test_property_any_distribution_can_be_judged():
    (mean, std), _ = numbers(3000)
    g = torch.Generator().manual_seed(1)
    y = Laplace(mean, std).icdf(torch.rand(3000, generator=g, dtype=torch.float64))
    assert miscalibration_area(Laplace(mean, std).cdf, y) < 0.02
    assert miscalibration_area((mean, std), y) > 2 * miscalibration_area(Laplace(mean, std).cdf, y)


def test_oracle_ence_is_numpys_split():
    (mean, std), y = numbers(403, 0.8)
    order = std.argsort()
    parts = np.array_split(torch.stack([std[order] ** 2, (y - mean)[order] ** 2], 1).numpy(), 12)
    roots = [np.sqrt(part.mean(0)) for part in parts]
    expected = np.mean([abs(came - said) / said for said, came in roots])
    assert ence((mean, std), y, bins=12).item() == pytest.approx(expected, abs=1e-12)


def test_oracle_uce_by_the_definition():
    (mean, std), y = numbers(300, 1.3)
    variance, squared = std**2, (y - mean) ** 2
    edges = torch.linspace(variance.min().item(), variance.max().item(), 11, dtype=torch.float64)
    total = 0.0
    for j in range(10):
        inside = (variance >= edges[j]) & ((variance < edges[j + 1]) | (j == 9))
        if inside.any():
            total += float(inside.double().mean() * (squared[inside].mean() - variance[inside].mean()).abs())
    assert uce((mean, std), y, bins=10).item() == pytest.approx(total, abs=1e-12)


def test_property_variances_that_are_right_or_wrong_by_a_factor():
    right, wrong = (ence(*numbers(20_000, s)).item() for s in (1.0, 2.0))
    assert right < 0.03
    assert wrong == pytest.approx(0.5, abs=0.02)
    assert uce(*numbers(20_000)) < 0.05 < uce(*numbers(20_000, 2.0))


def test_limit_one_variance_for_all_is_one_bin():
    y = torch.tensor([1.0, -1.0, 3.0, -3.0] * 100)
    forecast = (torch.zeros(400), torch.full((400,), 2.0))
    assert ence(forecast, y).item() == pytest.approx(abs(math.sqrt(5) - 2) / 2)
    assert uce(forecast, y).item() == pytest.approx(1.0)
    with pytest.warns(UncertaintyWarning) as caught:
        assert ence((torch.zeros(1), torch.ones(1)), torch.ones(1)) == 0
    assert caught[0].filename == __file__


NO = torch.zeros(300)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: quantile_calibration_curve((NO, NO + 1), NO, levels=torch.tensor([1.5])), r"numbers in \[0, 1\]"),
        (lambda: quantile_calibration_curve((NO, NO + 1), NO, levels=torch.tensor([])), r"numbers in \[0, 1\]"),
        (lambda: quantile_calibration_curve((NO, NO + 1), NO[:, None]), "shape of the predictions"),
        (lambda: quantile_calibration_curve(lambda y: y + 2, NO), "give F, not its logarithm"),
        (lambda: quantile_calibration_curve(lambda y: y[:3], NO), "give F, not its logarithm"),
        (lambda: miscalibration_area(torch.ones_like, NO[:0]), "at least one"),
        (lambda: cdf_values(torch.ones_like, NO / 0), "NaN or infinite"),
        (lambda: ence((NO, NO), NO), "300 of 300 standard deviations are 0"),
        (lambda: ence((NO, NO + 1), NO, bins=0), "whole number"),
        (lambda: uce((NO, NO + 1), NO, bins=0), "whole number"),
        (lambda: uce((NO, NO - 1), NO), "must be >= 0"),
        (lambda: uce((NO, NO + 1), NO[:5]), "shape of the predictions"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
