"""Calibration class by class: SCE, ACE, TACE, and the binary errors that they are made of."""

import numpy as np
import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import (
    adaptive_calibration_error,
    class_errors,
    classwise_ece,
    expected_calibration_error,
    static_calibration_error,
    synthetic_calibrated,
    thresholded_ace,
)
from weightlore.uncertainty.warned import UncertaintyWarning


def forecasts(size: int = 500, classes: int = 4, seed: int = 0):
    g = torch.Generator().manual_seed(seed)
    p = (2 * torch.randn(size, classes, generator=g, dtype=torch.float64)).softmax(1)
    return p, torch.randint(classes, (size,), generator=g)


@pytest.mark.parametrize("norm", [1.0, 2.0])
def test_oracle_each_class_is_a_binary_problem(norm):
    p, y = forecasts()
    found = class_errors(p, y, norm=norm)
    each = [expected_calibration_error(p[:, k], (y == k).long(), norm=norm, target="binary") for k in range(4)]
    torch.testing.assert_close(found, torch.stack(each), rtol=0, atol=1e-14)
    assert classwise_ece(p, y, norm=norm) == found.mean()


def test_property_two_papers_one_number():
    p, y = forecasts()
    assert static_calibration_error(p, y, bins=7) == classwise_ece(p, y, bins=7)


def test_oracle_sce_by_the_definition():
    p, y = forecasts()
    total = 0.0
    for k in range(4):
        for j in range(10):
            inside = (p[:, k] >= j / 10) & (p[:, k] < (j + 1) / 10)
            if inside.any():
                gap = (y[inside] == k).double().mean() - p[inside, k].mean()
                total += float(inside.double().mean() * gap.abs()) / 4
    assert static_calibration_error(p, y, bins=10).item() == pytest.approx(total, abs=1e-14)


@pytest.mark.parametrize("size", [500, 487])
@pytest.mark.parametrize("threshold", [0.0, 0.05])
def test_oracle_ace_and_tace_are_means_over_numpys_split(size, threshold):
    p, y = forecasts(size)
    gaps = []
    for k in range(4):
        keep = p[:, k] > threshold
        q, hit = p[keep, k], (y[keep] == k).double()
        order = q.argsort()
        parts = np.array_split(torch.stack([q[order], hit[order]], 1).numpy(), 15)
        gaps.append(np.mean([abs(part[:, 0].mean() - part[:, 1].mean()) for part in parts]))
    if threshold == 0:
        assert adaptive_calibration_error(p, y).item() == pytest.approx(np.mean(gaps), abs=1e-12)
    assert thresholded_ace(p, y, threshold=threshold).item() == pytest.approx(np.mean(gaps), abs=1e-12)


def test_property_a_constant_forecast_has_one_bin_and_its_gap():
    p = torch.tensor([[0.7, 0.2, 0.1]], dtype=torch.float64).repeat(300, 1)
    y = torch.arange(300) % 3
    gap = (abs(1 / 3 - 0.7) + abs(1 / 3 - 0.2) + abs(1 / 3 - 0.1)) / 3
    for measure in (adaptive_calibration_error, thresholded_ace, static_calibration_error):
        assert measure(p, y).item() == pytest.approx(gap, abs=1e-12)


def test_property_order_of_the_examples_does_not_matter_where_many_are_equal():
    p, y = forecasts()
    p = (p * 8).round() + 1
    p = p / p.sum(1, keepdim=True)
    order = torch.randperm(500, generator=torch.Generator().manual_seed(1))
    for measure in (adaptive_calibration_error, thresholded_ace, static_calibration_error):
        assert measure(p[order], y[order]).item() == pytest.approx(measure(p, y).item(), abs=1e-13)


def test_property_class_wise_sees_what_the_top_label_does_not():
    made = synthetic_calibrated("top_label", 20_000, generator=torch.Generator().manual_seed(0), classes=4)
    assert expected_calibration_error(made.probs, made.y) < 0.015
    assert static_calibration_error(made.probs, made.y) > 0.05


def test_limit_a_class_that_is_never_likely_counts_as_zero():
    p = torch.tensor([[0.9995, 0.0005]], dtype=torch.float64).repeat(300, 1)
    y = torch.zeros(300, dtype=torch.int64)
    assert class_errors(p, y, binning="mass", threshold=1e-3).tolist() == pytest.approx([0.0005, 0])
    assert thresholded_ace(p, y).item() == pytest.approx(0.00025)


def test_limit_one_example_and_few_examples():
    p, y = torch.tensor([[0.75, 0.25]]), torch.tensor([0])
    for measure in (adaptive_calibration_error, thresholded_ace, static_calibration_error, classwise_ece):
        with pytest.warns(UncertaintyWarning) as caught:
            assert measure(p, y).item() == pytest.approx(0.25)
        assert caught[0].filename == __file__
        assert measure(*forecasts(), bins=3).dtype == torch.float64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda p, y: thresholded_ace(p, y, threshold=1.0), r"in \[0, 1\)"),
        (lambda p, y: thresholded_ace(p, y, threshold=-0.1), r"in \[0, 1\)"),
        (lambda p, y: class_errors(p, y[:1]), "must be class numbers"),
        (lambda p, y: class_errors(p, y, bins=0), "whole number"),
        (lambda p, y: class_errors(p, y, norm=0), ">= 1"),
        (lambda p, y: classwise_ece(p + 1, y), "sum to 1"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call(*forecasts())
