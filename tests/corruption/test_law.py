"""The law of the cosine: quadrature, special cases, simulation, and the asymptotic forms."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from weightlore.corruption import Budget, cosine_density, cosine_tail, expected_best, expected_efficiency, random
from weightlore.errors import ParameterError

GRID = torch.linspace(-0.99, 0.99, 67, dtype=torch.float64)
SIZES = (2, 3, 4, 10, 100, 6570)


@pytest.mark.parametrize("size", SIZES)
def test_oracle_density_is_that_of_the_beta_law(size):
    expected = stats.beta(0.5, (size - 1) / 2).pdf(GRID.numpy() ** 2) * np.abs(GRID.numpy())
    inside = GRID.abs() > 1e-9
    np.testing.assert_allclose(cosine_density(GRID, size)[inside], expected[inside], rtol=1e-9, atol=1e-300)


@pytest.mark.parametrize("size", SIZES)
def test_oracle_density_integrates_to_one_and_to_the_tail(size):
    def density(angle):  # x = sin(angle), for the arcsine law's sake
        return float(cosine_density(math.sin(angle), size)) * math.cos(angle)

    edge = math.pi / 2
    spread = [0.0, 5 / math.sqrt(size), -5 / math.sqrt(size)]
    total, _ = integrate.quad(density, -edge, edge, points=spread, limit=200)
    assert total == pytest.approx(1, rel=1e-7)
    for x in (-0.3, 0.0, 0.02, 0.5):
        beyond, _ = integrate.quad(density, math.asin(x), edge, points=spread, limit=200)
        assert beyond == pytest.approx(float(cosine_tail(x, size)), rel=1e-6, abs=1e-12)


def test_oracle_two_and_three_parameters():
    torch.testing.assert_close(cosine_density(GRID, 2), 1 / (math.pi * (1 - GRID**2).sqrt()))
    torch.testing.assert_close(cosine_density(GRID, 3), torch.full_like(GRID, 0.5))
    torch.testing.assert_close(cosine_tail(GRID, 2), torch.acos(GRID) / math.pi)
    torch.testing.assert_close(cosine_tail(GRID, 3), (1 - GRID) / 2)


@pytest.mark.parametrize("size", [2, 3, 50])
def test_oracle_efficiency_and_best_by_simulation(size, generator):
    cosine = random(size, Budget(1.0), generator=generator, trials=20_000)[:, 0]
    share = cosine.abs()
    assert abs(float(share.mean()) - expected_efficiency(size)) < 4 * float(share.std()) / math.sqrt(len(share))
    best = cosine.reshape(2000, 10).amax(dim=1)
    assert abs(float(best.mean()) - expected_best(10, size)) < 4 * float(best.std()) / math.sqrt(len(best))


@pytest.mark.parametrize("trials", [1, 2, 7, 1000])
def test_oracle_best_in_closed_form(trials):
    assert expected_best(trials, 3) == pytest.approx((trials - 1) / (trials + 1), abs=1e-12)  # of uniform draws
    assert expected_best(2, 10**9) * math.sqrt(10**9) == pytest.approx(1 / math.sqrt(math.pi), rel=1e-6)  # normal
    normal, _ = integrate.quad(lambda x: trials * x * stats.norm.pdf(x) * stats.norm.cdf(x) ** (trials - 1), -9, 9)
    assert expected_best(trials, 10**9) * math.sqrt(10**9) == pytest.approx(normal, rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("size", "expected"), [(100, 0.080), (1_000, 0.0252), (10_000, 0.0080), (10**6, 0.00080)])
def test_oracle_evaluated_efficiency(size, expected):
    assert expected_efficiency(size) == pytest.approx(expected, rel=5e-3)


@pytest.mark.parametrize(("size", "expected"), [(100, -0.8), (1_000, -3.1), (10_000, -23), (100_000, -220)])
def test_oracle_evaluated_tail(size, expected):
    assert math.log10(float(cosine_tail(0.1, size))) == pytest.approx(expected, rel=0.011)


@pytest.mark.parametrize("size", [10**6, 10**9])
def test_limit_many_parameters_are_normal(size):
    x = torch.tensor([-2.0, -0.5, 0.0, 1.0, 3.0], dtype=torch.float64)
    normal = stats.norm.sf(x.numpy())
    np.testing.assert_allclose(cosine_tail(x / math.sqrt(size), size), normal, rtol=1e-4)
    np.testing.assert_allclose(
        cosine_density(x / math.sqrt(size), size) / math.sqrt(size), stats.norm.pdf(x), rtol=1e-4
    )
    assert expected_efficiency(size) == pytest.approx(math.sqrt(2 / (math.pi * size)), rel=1e-6)


def test_property_tail_is_monotone_and_symmetric():
    for size in SIZES:
        tail = cosine_tail(GRID, size)
        assert bool((tail.diff() <= 0).all())
        torch.testing.assert_close(tail + cosine_tail(-GRID, size), torch.ones_like(GRID))


def test_property_best_grows_with_trials_towards_one():
    for size in (2, 10, 6570):
        best = [expected_best(m, size) for m in (1, 2, 10, 1e3, 1e6, 1e15, 1e200)]
        assert best[0] == pytest.approx(0, abs=1e-12)
        assert all(a <= b <= 1 + 1e-12 for a, b in itertools.pairwise(best))
    assert expected_best(1e12, 10**7) == pytest.approx(math.sqrt(2 * math.log(1e12) / 10**7), rel=0.06)


def test_limit_ends_of_the_interval():
    assert cosine_tail(torch.tensor([-2.0, -1.0, 1.0, 2.0]), 10).tolist() == [1, 1, 0, 0]
    assert cosine_density(torch.tensor([-2.0, -1.0, 1.0, 2.0]), 10).tolist() == [0, 0, 0, 0]
    assert cosine_density(torch.tensor([1.0, 2.0]), 2).tolist() == [math.inf, 0]
    assert cosine_density(torch.tensor([-1.5, 1.0]), 3).tolist() == [0, 0.5]
    assert expected_efficiency(1) == 1
    assert cosine_density(torch.zeros(2, 3), 5).shape == cosine_tail(torch.zeros(2, 3), 5).shape == (2, 3)


@pytest.mark.parametrize("function", [cosine_density, cosine_tail])
def test_error_cosine(function):
    with pytest.raises(ParameterError, match="must be >= 2 here, got 1"):
        function(0.5, 1)
    with pytest.raises(ParameterError, match="x must be finite"):
        function(math.nan, 5)


def test_error_expectations():
    with pytest.raises(ParameterError, match="must be >= 1 here"):
        expected_efficiency(0)
    with pytest.raises(ParameterError, match="must be >= 2 here"):
        expected_best(10, 1)
    for trials in (0, math.nan, math.inf):
        with pytest.raises(ParameterError, match="trials counts draws"):
            expected_best(trials, 10)
