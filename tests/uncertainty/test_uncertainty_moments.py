"""Moments through layers and through observations: samples, quadrature, and posteriors that are known."""

import math

import pytest
import torch
from scipy import integrate, stats

from weightlore.errors import ParameterError
from weightlore.uncertainty.bayesian import (
    GammaFactor,
    gaussian_log_density,
    linear_moments,
    matched_gaussian,
    relu_moments,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def test_oracle_linear_moments_are_those_of_samples():
    mean, variance = normal(2, 3), normal(2, 3, seed=1).exp()
    weight, spread = normal(4, 3, seed=2), normal(4, 3, seed=3).exp()
    w = weight + spread.sqrt() * normal(40000, 4, 3, seed=4)
    z = mean + variance.sqrt() * normal(40000, 2, 3, seed=5)
    a = torch.einsum("soi,sni->sno", w, z)
    found = linear_moments(mean, variance, weight=weight, spread=spread)
    error = (a.mean(0) - found[0]) / (a.std(0) / 200)
    assert error.abs().max() < 4
    assert ((a.var(0) - found[1]) / found[1]).abs().max() < 0.06


def test_oracle_linear_moments_by_hand():
    one = torch.ones(1, 1).double()
    mean, variance = linear_moments(2 * one, 3 * one, weight=5 * one, spread=7 * one)
    assert (mean.item(), variance.item()) == (10, 25 * 3 + 7 * 4 + 7 * 3)


@pytest.mark.parametrize(("m", "v"), [(0.0, 1.0), (2.0, 0.5), (-1.5, 2.0), (-6.0, 1.0), (40.0, 3.0)])
def test_oracle_relu_moments_by_quadrature(m, v):
    s = math.sqrt(v)
    low, high = max(0.0, m - 12 * s), max(0.0, m + 12 * s) + 1e-9
    first, second = (
        integrate.quad(lambda a, k=k: a**k * stats.norm.pdf(a, m, s), low, high, points=None, epsabs=0)[0]
        for k in (1, 2)
    )
    mean, variance = relu_moments(torch.tensor(m).double(), torch.tensor(v).double())
    assert mean.item() == pytest.approx(first, rel=1e-7)
    assert variance.item() == pytest.approx(second - first**2, rel=1e-6)


def test_property_relu_moments_have_finite_slopes_and_no_negative_variance():
    mean = torch.linspace(-60, 60, 121).double().requires_grad_()
    variance = torch.ones(121).double().requires_grad_()
    found = relu_moments(mean, variance)
    assert all(bool((part >= 0).all()) for part in found)
    slopes = torch.autograd.grad(sum(part.sum() for part in found), (mean, variance))
    assert all(bool(s.isfinite().all()) for s in slopes)
    inner = [t[50:70] for t in (mean, variance)]
    assert torch.autograd.gradcheck(relu_moments, [t.detach().requires_grad_() for t in inner])


def test_oracle_log_density_of_torch():
    y, m, v = normal(5), normal(5, seed=1), normal(5, seed=2).exp()
    torch.testing.assert_close(gaussian_log_density(y, m, v), torch.distributions.Normal(m, v.sqrt()).log_prob(y))


def test_oracle_a_gaussian_times_a_gaussian():
    m, v = normal(6).requires_grad_(), normal(6, seed=1).exp().requires_grad_()
    y, noise = normal(6, seed=2), 0.3
    slopes = torch.autograd.grad(gaussian_log_density(y, m, v + noise).sum(), (m, v))
    mean, variance = matched_gaussian(m.detach(), v.detach(), by_mean=slopes[0], by_variance=slopes[1])
    exact = 1 / (1 / v + 1 / noise)
    torch.testing.assert_close(variance, exact.detach())
    torch.testing.assert_close(mean, (exact * (m / v + y / noise)).detach())


def test_oracle_a_gaussian_times_a_step():
    """The moments of a truncated Gaussian, a likelihood that is no Gaussian."""
    m, v = torch.tensor([0.7]).double().requires_grad_(), torch.tensor([2.0]).double().requires_grad_()
    slopes = torch.autograd.grad(torch.special.log_ndtr(m / v.sqrt()).sum(), (m, v))  # Z of the step at 0
    mean, variance = matched_gaussian(m.detach(), v.detach(), by_mean=slopes[0], by_variance=slopes[1])
    s = math.sqrt(2)
    exact = stats.truncnorm(-0.7 / s, math.inf, loc=0.7, scale=s)
    assert mean.item() == pytest.approx(exact.mean(), rel=1e-8)
    assert variance.item() == pytest.approx(exact.var(), rel=1e-8)


def test_limit_an_update_without_positive_variance_changes_nothing():
    m, v = torch.tensor([1.0, 1.0]), torch.tensor([2.0, 2.0])
    mean, variance = matched_gaussian(
        m, v, by_mean=torch.tensor([1.0, 0.1]), by_variance=torch.tensor([-9.0, torch.nan])
    )
    assert torch.equal(mean, m)
    assert torch.equal(variance, v)


def test_oracle_a_precision_seen_through_a_known_mean():
    """With Student's integral, which is exact, the belief becomes Gamma(shape + 1/2, rate + off^2 / 2)."""
    before, off = GammaFactor(6.0, 4.0), 1.7

    def log_z(belief):
        return stats.t.logpdf(off, 2 * belief.shape, scale=math.sqrt(belief.rate / belief.shape))

    after = before.matched(log_z)
    assert after.shape == pytest.approx(6.5, rel=1e-9)
    assert after.rate == pytest.approx(4.0 + off**2 / 2, rel=1e-9)
    assert after.variance == pytest.approx(after.rate / 5.5)


@pytest.mark.parametrize("log_z", [lambda b: math.nan, lambda b: b.shape**2, lambda b: 1000.0 * b.shape])
def test_limit_a_belief_without_density_changes_nothing(log_z):
    before = GammaFactor(6.0, 4.0)
    assert before.matched(log_z) == before


@pytest.mark.parametrize(("shape", "rate"), [(1.0, 1.0), (2.0, 0.0), (math.nan, 1.0), (2.0, math.inf)])
def test_error_beliefs_out_of_range(shape, rate):
    with pytest.raises(ParameterError, match="shape > 1 and rate > 0"):
        GammaFactor(shape, rate)


def test_error_moments_that_do_not_fit():
    with pytest.raises(ParameterError, match="go in pairs"):
        linear_moments(normal(2, 3), normal(2, 3), weight=normal(4, 2), spread=normal(4, 2))
    with pytest.raises(ParameterError, match="variance above 0"):
        relu_moments(normal(3), torch.zeros(3).double())
