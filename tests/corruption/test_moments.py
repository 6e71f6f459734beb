"""Mean and variance of random corruption: simulation for every law, exact on a quadratic."""

import math

import pytest
import torch

from weightlore.corruption import (
    Budget,
    closed_form,
    expected_change,
    mean_square,
    random,
    random_efficiency,
    trace_estimate,
)
from weightlore.errors import ParameterError

LAWS = (
    (1.0, "sphere"),
    (1.5, "sphere"),
    (2.0, "sphere"),
    (5.0, "sphere"),
    (math.inf, "surface"),
    (math.inf, "vertex"),
    (2.0, "gaussian"),
)


def quadratic(size, generator):
    """A loss b.a + a'Aa/2 with A positive semi-definite."""
    root = torch.randn(size, size, generator=generator, dtype=torch.float64)
    matrix, slope = root @ root.T / size, torch.randn(size, generator=generator, dtype=torch.float64)
    return matrix, lambda a: a @ slope + ((a @ matrix) * a).sum(dim=-1) / 2


def deviation(sample, expected):
    """How many standard errors the mean of a sample is off."""
    return abs(float(sample.mean()) - expected) / (float(sample.std()) / math.sqrt(len(sample)) + 1e-12)


@pytest.mark.parametrize(("p", "kind"), LAWS)
@pytest.mark.parametrize("n", [1, 3, 8])
def test_oracle_mean_square_by_simulation(p, kind, n, generator):
    a = random(n, Budget(1.0, p=p), generator=generator, trials=5_000, kind=kind)
    assert deviation(a[:, 0] ** 2, mean_square(n, p, kind)) < 4


@pytest.mark.parametrize(("p", "kind"), LAWS)
@pytest.mark.parametrize("n", [None, 4])
def test_oracle_mean_change_on_a_quadratic(p, kind, n, generator):
    matrix, loss = quadratic(12, generator)
    budget = Budget(0.6, p=p, n=n)
    changes = loss(random(12, budget, generator=generator, trials=10_000, kind=kind))
    trace = float(matrix.trace())
    assert deviation(changes, expected_change(trace, 12, budget, kind)) < 3
    estimate = trace_estimate(changes, 12, budget, kind)
    assert abs(estimate.value - trace) < 3 * estimate.error


@pytest.mark.parametrize("n", [None, 1, 5])
def test_oracle_two_norm_change_is_the_theorem(n):
    assert expected_change(3.0, 40, Budget(0.5, n=n)) == pytest.approx(0.5**2 * 3.0 / (2 * 40))


@pytest.mark.parametrize(("p", "kind"), LAWS)
@pytest.mark.parametrize("n", [None, 4])
def test_oracle_efficiency_by_simulation(p, kind, n, generator):
    gradient = torch.randn(12, generator=generator, dtype=torch.float64)
    budget = Budget(0.6, p=p, n=n)
    gains = random(12, budget, generator=generator, trials=10_000, kind=kind) @ gradient
    best = float(closed_form(gradient, budget).first_order_gain)
    assert deviation((gains / best) ** 2, random_efficiency(gradient, budget, kind) ** 2) < 4
    assert deviation(gains, 0) < 4


def test_oracle_efficiency_formulas():
    gradient = torch.linspace(-1, 2, 30, dtype=torch.float64)
    top = gradient.abs().sort(descending=True).values[:7]
    expected = gradient.norm() / (math.sqrt(30) * top.norm())
    assert random_efficiency(gradient, Budget(0.4, n=7)) == pytest.approx(float(expected))
    expected = math.sqrt(7 / 30) * gradient.norm() / top.sum()
    assert random_efficiency(gradient, Budget(0.4, p=math.inf, n=7), "vertex") == pytest.approx(float(expected))


def test_property_mean_square_is_continuous_in_p():
    for n in (1, 2, 50):
        assert mean_square(n, 2 + 1e-9) == pytest.approx(mean_square(n, 2), rel=1e-6)
        assert mean_square(n, 1e7) == pytest.approx(mean_square(n, math.inf), rel=1e-5)
    assert mean_square(1, 1.3) == pytest.approx(1)


def test_limit_no_gradient_or_no_size():
    assert random_efficiency(torch.zeros(4), Budget(1.0)) == 0
    assert random_efficiency(torch.ones(4), Budget(0.0)) == 0
    assert expected_change(5.0, 4, Budget(0.0)) == 0
    assert expected_change(6.0, 3, Budget(1.0, n=100)) == pytest.approx(1.0)


def test_error_moments():
    with pytest.raises(ParameterError, match="is for p=inf"):
        mean_square(3, 2.0, "vertex")
    with pytest.raises(ParameterError, match="n counts parameters"):
        mean_square(0, 2.0)
    with pytest.raises(ParameterError, match="size counts parameters"):
        expected_change(1.0, 0, Budget(1.0))
    with pytest.raises(ParameterError, match="at least two trials"):
        trace_estimate(torch.zeros(1), 3, Budget(1.0))
    with pytest.raises(ParameterError, match="epsilon must be > 0"):
        trace_estimate(torch.zeros(3), 3, Budget(0.0))
    with pytest.raises(ParameterError, match="changes must be finite"):
        trace_estimate(torch.tensor([0.0, math.nan]), 3, Budget(1.0))
