"""Exact Gaussian processes: conditioning, and the linear case that is known twice."""

import math

import pytest
import torch
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel

from weightlore.data import heteroscedastic_sine
from weightlore.errors import ParameterError
from weightlore.uncertainty.sources import (
    BayesianLinearRegression,
    ExactGP,
    linear_kernel,
    maximize_evidence,
    rbf_kernel,
)


def wave(n: int = 20):
    return heteroscedastic_sine(n, gap=(0.55, 0.75), generator=torch.Generator().manual_seed(0))


NEW = torch.linspace(-0.5, 1.5, 31, dtype=torch.float64)[:, None]


def test_oracle_scikit_learns_process():
    data = wave()
    gp = ExactGP(rbf_kernel(0.2, 1.3), 0.04).fit(data.x, data.y)
    peer = GaussianProcessRegressor(ConstantKernel(1.3**2) * RBF(0.2), alpha=0.04, optimizer=None)
    peer.fit(data.x.numpy(), data.y[:, 0].numpy())
    mean, covariance = peer.predict(NEW.numpy(), return_cov=True)
    said = gp.predict(NEW)
    torch.testing.assert_close(said.mean[:, 0], torch.tensor(mean), atol=1e-9, rtol=0)
    torch.testing.assert_close(gp.function_covariance(NEW), torch.tensor(covariance), atol=1e-9, rtol=0)
    torch.testing.assert_close(said.epistemic_var[:, 0], torch.tensor(covariance).diagonal(), atol=1e-9, rtol=0)
    assert float(gp.log_evidence()) == pytest.approx(peer.log_marginal_likelihood_value_, abs=1e-8)


def test_oracle_the_linear_kernel_is_linear_regression():
    g = torch.Generator().manual_seed(1)
    x, new = (torch.randn(n, 3, generator=g, dtype=torch.float64) for n in (12, 5))
    y = torch.randn(12, 2, generator=g, dtype=torch.float64)
    gp, line = ExactGP(linear_kernel(2.0), 0.3).fit(x, y), BayesianLinearRegression(2.0, 0.3).fit(x, y)
    torch.testing.assert_close(gp.predict(new).mean, line.predict(new).mean, atol=1e-10, rtol=0)
    torch.testing.assert_close(gp.function_covariance(new), line.function_covariance(new), atol=1e-10, rtol=0)
    assert float(gp.log_evidence()) == pytest.approx(float(line.log_evidence()), abs=1e-9)


def test_property_the_evidence_of_the_linear_process_is_largest_where_it_was_maximized():
    g = torch.Generator().manual_seed(2)
    x = torch.randn(30, 3, generator=g, dtype=torch.float64)
    y = x.sum(1, keepdim=True) + 0.3 * torch.randn(30, 1, generator=g, dtype=torch.float64)
    best = maximize_evidence(x, y)
    tau, s2 = float(best.prior_precision), best.noise_variance

    def evidence(a: float, b: float) -> float:
        return float(ExactGP(linear_kernel(a * tau), b * s2).fit(x, y).log_evidence())

    assert evidence(1, 1) == pytest.approx(float(best.log_evidence()), abs=1e-8)
    assert max(evidence(a, b) for a, b in [(0.9, 1), (1.1, 1), (1, 0.9), (1, 1.1)]) < evidence(1, 1)


def test_property_the_model_part_is_small_at_the_data_and_that_of_the_prior_far_away():
    data = wave(40)
    gp = ExactGP(rbf_kernel(0.1, 0.7), 0.01).fit(data.x, data.y)
    at = lambda place: float(gp.predict(torch.tensor([[place]], dtype=torch.float64)).epistemic_var)  # noqa: E731
    assert at(0.3) < at(0.65) < at(5.0)
    assert at(5.0) == pytest.approx(0.49)
    assert gp.predict(NEW).aleatoric_var.unique().tolist() == [0.01]


def test_property_without_noise_the_process_goes_through_the_points():
    data = wave(8)
    said = ExactGP(rbf_kernel(0.1), 1e-10).fit(data.x, data.y).predict(data.x)
    torch.testing.assert_close(said.mean, data.y, atol=1e-6, rtol=0)
    assert said.epistemic_var.max() < 1e-8
    assert said.epistemic_var.min() >= 0


def test_property_dtype_of_the_caller():
    data = wave().to(dtype=torch.float32)
    gp = ExactGP(rbf_kernel(0.2), 0.04).fit(data.x, data.y)
    assert gp.predict(NEW.float()).mean.dtype == torch.float32
    assert gp.function_covariance(NEW).dtype == torch.float64


def test_limit_one_point_and_the_same_point_twice():
    one = ExactGP(rbf_kernel(1.0), 1.0).fit(torch.zeros(1, 1), torch.ones(1, 1))
    assert float(one.predict(torch.zeros(1, 1)).mean) == pytest.approx(0.5)
    twice = ExactGP(rbf_kernel(1.0), 1.0).fit(torch.zeros(2, 1), torch.ones(2, 1))
    assert float(twice.predict(torch.zeros(1, 1)).mean) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: ExactGP(rbf_kernel(1.0), 0.0), "noise_variance must be finite and > 0, got 0.0"),
        (lambda: rbf_kernel(0.0), "must be finite and > 0"),
        (lambda: rbf_kernel(1.0, math.inf), "must be finite and > 0"),
        (lambda: linear_kernel(-1.0), "must be finite and > 0"),
        (lambda: ExactGP(rbf_kernel(1.0), 1.0).predict(NEW), r"call fit\(x, y\) first"),
        (lambda: ExactGP(rbf_kernel(1.0), 1.0).fit(NEW, NEW[:3]), "the same number of rows"),
        (lambda: ExactGP(rbf_kernel(1.0), 1.0).fit(NEW, NEW[:, 0]), r"one column is y\[:, None\]"),
        (lambda: ExactGP(rbf_kernel(1.0), 1.0).fit(*[torch.zeros(5001, 1)] * 2), "at most 5000"),
        (lambda: ExactGP(lambda a, b: -(a @ b.T), 0.1).fit(NEW, NEW), "not positive definite"),
        (lambda: ExactGP(lambda a, b: a @ b.T / 0, 0.1).fit(NEW, NEW), "the kernel must be finite"),
        (lambda: ExactGP(rbf_kernel(1.0), 1.0).fit(NEW, NEW).predict(torch.zeros(2, 2)), "must have 1 columns"),
    ],
)
def test_error_arguments(call, message):
    with pytest.raises(ParameterError, match=message):
        call()
