"""Other estimates of the calibration error: without bias, without bins, and by a kernel with its penalty."""

import math

import numpy as np
import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration import (
    debiased_ce,
    expected_calibration_error,
    ks_calibration_error,
    mmce,
    mmce_loss,
    synthetic_calibrated,
)


def forecasts(size: int = 300, classes: int = 4, seed: int = 0):
    g = torch.Generator().manual_seed(seed)
    z = 2 * torch.randn(size, classes, generator=g, dtype=torch.float64)
    return z, torch.randint(classes, (size,), generator=g)


def pairs(z, y, width=0.4, weighted=False):
    """The double sum, pair by pair."""
    r, c = z.softmax(1).max(1).values, (z.argmax(1) == y).double()
    right, wrong = c.sum(), (1 - c).sum()
    total = z.new_zeros(())
    for i in range(len(r)):
        for j in range(len(r)):
            share = [(right if c[k] else wrong) if weighted else len(r) for k in (i, j)]
            term = (c[i] - r[i]) * (c[j] - r[j]) * torch.exp(-(r[i] - r[j]).abs() / width)
            total = total + term / (share[0] * share[1])
    return total.clamp(min=0).sqrt()


@pytest.mark.parametrize("width", [0.002, 0.05, 0.4, 30.0])
def test_oracle_running_sum_is_the_double_sum(width):
    z, y = forecasts(60)
    z[:9] = z[0].clone()  # equal confidences
    assert mmce(z.softmax(1), y, width=width).item() == pytest.approx(float(pairs(z, y, width)), rel=1e-10)


@pytest.mark.parametrize("weighted", [False, True])
def test_oracle_penalty_and_its_gradient(weighted):
    z, y = forecasts(25)
    mine, theirs = (z.clone().requires_grad_() for _ in range(2))
    found, expected = mmce_loss(mine, y, weighted=weighted), pairs(theirs, y, weighted=weighted)
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)
    gradient = torch.autograd.grad(found, mine)[0]
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, theirs)[0], rtol=1e-9, atol=1e-12)
    assert torch.autograd.gradcheck(lambda a: mmce_loss(a, y, weighted=weighted), (z.requires_grad_(),))


def test_property_penalty_and_measure_are_one_number():
    z, y = forecasts(500)
    assert mmce_loss(z, y).item() == pytest.approx(mmce(z.softmax(1), y).item(), rel=1e-12)
    assert mmce(z.softmax(1)[:, 1], (y == 1).long(), target="binary") > 0


def test_property_mmce_is_zero_where_confidence_is_what_came():
    y = torch.arange(30) % 2
    assert mmce(y.double(), y, target="binary") == 0
    assert ks_calibration_error(y.double(), y, target="binary") == 0
    for seed in range(20):
        z, y = forecasts(10, seed=seed)
        assert mmce(z.softmax(1), y) >= 0


def test_limit_a_batch_that_is_perfect_has_no_gradient_and_no_nan():
    z = torch.tensor([[800.0, 0.0], [0.0, 800.0]], requires_grad=True)
    for weighted in (False, True):
        loss = mmce_loss(z, torch.tensor([0, 1]), weighted=weighted)
        assert loss == 0
        assert not torch.autograd.grad(loss, z)[0].any()


def test_property_weighted_sees_the_few_that_are_wrong():
    z = torch.tensor([[4.0, 0.0]]).repeat(100, 1)
    y = torch.zeros(100, dtype=torch.int64)
    y[0] = 1
    assert mmce_loss(z, y, weighted=True) > 20 * mmce_loss(z, y)


def test_property_errors_without_bins_fall_with_the_sample():
    for measure in (mmce, ks_calibration_error):
        found = []
        for size in (200, 5000, 100_000):
            made = synthetic_calibrated("canonical", size, generator=torch.Generator().manual_seed(1))
            found.append(measure(made.probs, made.y).item())
        assert found == sorted(found, reverse=True)
        assert found[-1] < 0.01


def test_property_debiased_error_of_a_perfect_forecaster_is_zero_on_average():
    made = synthetic_calibrated("canonical", 600, generator=torch.Generator().manual_seed(3), classes=3)
    g, plain, debiased = torch.Generator().manual_seed(4), [], []
    for _ in range(200):
        y = torch.multinomial(made.probs, 1, generator=g)[:, 0]
        debiased.append(float(debiased_ce(made.probs, y)))
        plain.append(float(expected_calibration_error(made.probs, y, norm=2.0)) ** 2)
    standard_error = np.std(debiased) / math.sqrt(len(debiased))
    assert abs(np.mean(debiased)) < 5 * standard_error
    assert np.mean(plain) > 20 * standard_error
    assert min(debiased) < 0


def test_oracle_debiased_error_by_the_definition():
    z, y = forecasts(600, seed=9)
    p = z.softmax(1)
    r, c = p.max(1).values, (p.argmax(1) == y).double()
    total = 0.0
    for j in range(15):
        inside = (r >= j / 15) & (r < (j + 1) / 15)
        n = int(inside.sum())
        if n >= 2:
            a = float(c[inside].mean())
            total += n / 600 * ((a - float(r[inside].mean())) ** 2 - a * (1 - a) / (n - 1))
    assert debiased_ce(p, y).item() == pytest.approx(total, abs=1e-14)


def test_oracle_drift_by_the_definition():
    z, y = forecasts(200)
    p = (z.softmax(1) * 10).round()
    p = p / p.sum(1, keepdim=True)
    r, c = p.max(1).values, (p.argmax(1) == y).double()
    expected = max(abs(float((c - r)[r <= s].sum())) / 200 for s in r.tolist())
    assert ks_calibration_error(p, y).item() == pytest.approx(expected, abs=1e-12)
    assert ks_calibration_error(p, y) >= (c - r).mean().abs() - 1e-12
    order = torch.randperm(200, generator=torch.Generator().manual_seed(2))
    assert ks_calibration_error(p[order], y[order]).item() == pytest.approx(expected, abs=1e-12)


def test_limit_one_example():
    p, y = torch.tensor([[0.25, 0.75]]), torch.tensor([1])
    assert mmce(p, y).item() == pytest.approx(0.25)
    assert ks_calibration_error(p, y).item() == pytest.approx(0.25)
    assert mmce(p, y).dtype == torch.float32
    assert mmce_loss(p.log(), y).item() == pytest.approx(0.25)


@pytest.mark.parametrize("width", [0.0, 0.001, -1.0, math.inf, math.nan, True, "0.4"])
def test_error_width(width):
    z, y = forecasts(5)
    for call in (lambda: mmce(z.softmax(1), y, width=width), lambda: mmce_loss(z, y, width=width)):
        with pytest.raises(ParameterError, match=r"at least 0.002, got .*; the usual one is 0.4"):
            call()


def test_error_a_batch_whose_pairs_do_not_fit():
    with pytest.raises(ParameterError, match="at most 8192 examples at once, got 8193; give it smaller batches"):
        mmce_loss(torch.zeros(8193, 2), torch.zeros(8193, dtype=torch.int64))
