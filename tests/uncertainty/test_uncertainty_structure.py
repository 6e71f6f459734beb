"""Structure: bias, variance and noise add up, and are those of known models."""

import math

import numpy as np
import pytest
import torch

from weightlore.data import Split, heteroscedastic_sine, sine_mean, sine_noise
from weightlore.errors import ParameterError
from weightlore.uncertainty.sources import bias_variance, fit_network, fit_polynomial, structure_sweep

X = torch.linspace(0.05, 0.95, 15, dtype=torch.float64)[:, None]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def draw(generator: torch.Generator) -> Split:
    return heteroscedastic_sine(25, generator=generator)


def sweep(fit_model=fit_polynomial, capacities=(0, 1, 3, 5, 12), repeats=40, seed=0):
    options = {"draw": draw, "truth": sine_mean, "noise": sine_noise, "repeats": repeats}
    return structure_sweep(fit_model, capacities, X, **options, generator=seeded(seed))


@pytest.mark.parametrize("seed", range(3))
def test_property_the_parts_add_up_to_the_error(seed):
    predictions, truth, noise = 50 + normal(7, 9, 2, seed=seed), normal(9, 2, seed=seed + 9), normal(9, 2).square()
    parts = bias_variance(predictions, truth, noise)
    total = parts.bias2 + parts.variance + parts.noise
    torch.testing.assert_close(total, parts.error, rtol=1e-12, atol=1e-10)
    assert (parts.variance >= 0).all()


def test_property_the_parts_of_a_sweep_add_up():
    found = sweep()
    assert found.error.shape == (5, 15, 1)
    torch.testing.assert_close(found.bias2 + found.variance + found.noise, found.error, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(found.noise, sine_noise(X).square().expand(5, 15, 1))


def test_oracle_the_error_is_that_on_new_targets():
    found, losses, g = sweep(capacities=(3,), repeats=200), [], seeded(1)
    for _ in range(200):
        fitted = fit_polynomial(3, draw(g), g)
        new = sine_mean(X) + sine_noise(X) * torch.randn(X.shape, generator=g, dtype=torch.float64)
        losses.append(float((fitted(X) - new).square().mean()))
    spread = torch.tensor(losses).std() / math.sqrt(200)
    assert abs(float(found.error.mean()) - float(torch.tensor(losses).mean())) < 5 * 1.5 * spread


def test_oracle_the_constant_has_the_variance_of_a_mean():
    truth = torch.zeros_like
    found = structure_sweep(
        fit_polynomial,
        [0],
        X,
        draw=lambda g: Split(
            torch.rand(20, 1, generator=g, dtype=torch.float64), torch.randn(20, 1, generator=g, dtype=torch.float64)
        ),
        truth=truth,
        noise=torch.ones_like,
        repeats=400,
        generator=seeded(),
    )
    assert float(found.variance.mean()) == pytest.approx(1 / 20, rel=5 * math.sqrt(2 / 400))
    assert found.bias2.max() < 25 / 20 / 400


def test_property_more_capacity_less_bias_more_variance():
    found = sweep()
    bias2, variance = found.bias2.mean((1, 2)), found.variance.mean((1, 2))
    assert bias2[0] > bias2[1] > bias2[2] > bias2[3]
    assert variance[2] < variance[3] < variance[4]
    assert found.error.mean((1, 2)).argmin() in (2, 3), "the best lies in between"


def test_property_capacities_share_training_sets_and_generator_states():
    alone, beside = sweep(capacities=(3,)), sweep(capacities=(1, 3))
    assert torch.equal(alone.error[0], beside.error[1])


def test_oracle_a_polynomial_is_numpys():
    data = draw(seeded(2))
    expected = np.polynomial.Polynomial.fit(data.x[:, 0].numpy(), data.y[:, 0].numpy(), 4)(X[:, 0].numpy())
    fitted = fit_polynomial(4, data, seeded())
    torch.testing.assert_close(fitted(X)[:, 0], torch.tensor(expected), atol=1e-9, rtol=0)
    assert fitted(X.float()).dtype == torch.float32


def test_oracle_a_polynomial_goes_through_as_many_points():
    x = torch.linspace(0, 1, 6, dtype=torch.float64)[:, None]
    y = torch.cat([x**5 - 2 * x, x.cos()], dim=1)
    torch.testing.assert_close(fit_polynomial(5, Split(x, y), seeded())(x), y, atol=1e-10, rtol=0)
    torch.testing.assert_close(fit_polynomial(9, Split(x, y), seeded())(x), y, atol=1e-10, rtol=0)


def test_property_a_network_learns_the_sine_and_repeats_itself():
    data = heteroscedastic_sine(40, noise=0.2, generator=seeded())
    one, other = (fit_network(12, data, seeded(3)) for _ in range(2))
    assert torch.equal(one(X), other(X))
    assert not one(X).requires_grad
    line = fit_polynomial(1, data, seeded())
    error, of_line = ((fitted(X) - sine_mean(X)).square().mean() for fitted in (one, line))
    assert error < 0.25 * of_line
    assert not torch.equal(one(X), fit_network(12, data, seeded(4))(X))


def test_limit_the_smallest_sweep():
    found = sweep(capacities=(0,), repeats=2)
    assert bool(found.error.isfinite().all())
    parts = bias_variance(torch.zeros(1, 1, 1), torch.zeros(1, 1), torch.zeros(1, 1))
    assert float(parts.error) == float(parts.variance) == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sweep(capacities=()), "2 repeats or more, got 0 and 40"),
        (lambda: sweep(repeats=1), "2 repeats or more, got 5 and 1"),
        (lambda: sweep(lambda c, d, g: lambda x: x[:, 0]), r"predictions \(R, N, O\)"),
        (lambda: sweep(lambda c, d, g: lambda x: x / 0), "predictions must be finite"),
        (
            lambda: bias_variance(torch.zeros(2, 1, 1), torch.zeros(1, 1), -torch.ones(1, 1)),
            "a variance is >= 0, got -1",
        ),
        (lambda: bias_variance(torch.zeros(2, 1), torch.zeros(1), torch.ones(1)), r"predictions \(R, N, O\)"),
        (lambda: fit_polynomial(-1, draw(seeded()), seeded()), "is >= 0, got -1"),
        (lambda: fit_polynomial(1, Split(torch.ones(2, 2), torch.ones(2, 1)), seeded()), "must have 1 columns"),
        (lambda: fit_network(0, draw(seeded()), seeded()), "at least 1"),
        (lambda: fit_network(3, Split(torch.ones(2, 2), torch.ones(2)), seeded()), r"one column is y\[:, None\]"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
