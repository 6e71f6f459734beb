"""Mixtures that a network says: torch's density, moments, units, and two answers to one question."""

import math

import pytest
import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.uncertainty.deterministic import GaussianHead, MixtureDensity, MixtureDensityHead, mixture_density_nll
from weightlore.uncertainty.deterministic.gaussian_head import gaussian_nll, standardization
from weightlore.uncertainty.regression import nll_mixture


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


def some(n=6, m=3, d=2):
    weights, means, raw, y = normal(n, m), normal(n, m, d, seed=1), normal(n, m, d, seed=2), normal(n, d, seed=3)
    return MixtureDensity(weights.log_softmax(1), means, raw.exp()), y


def of_torch(density):
    inner = torch.distributions.Independent(torch.distributions.Normal(density.means, density.variances.sqrt()), 1)
    return torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=density.log_weights), inner)


def test_oracle_density_and_moments_of_torch():
    density, y = some()
    law = of_torch(density)
    torch.testing.assert_close(density.log_prob(y), law.log_prob(y))
    torch.testing.assert_close(mixture_density_nll(density, y), -law.log_prob(y).mean())
    torch.testing.assert_close(density.mean, law.mean)
    torch.testing.assert_close(density.variance, law.variance)
    torch.testing.assert_close(density.prediction.variance, law.variance)


def test_oracle_the_loss_of_mixtures_of_members():
    density, y = some(d=1)
    members = density.means[..., 0].T, density.variances[..., 0].sqrt().T
    theirs = nll_mixture(members, y[:, 0], weights=density.log_weights.exp().T)
    torch.testing.assert_close(-density.log_prob(y), theirs)


def test_property_one_component_is_the_gaussian():
    density, y = some(m=1)
    torch.testing.assert_close(
        mixture_density_nll(density, y), gaussian_nll((density.means[:, 0], density.variances[:, 0]), y)
    )


def test_property_variance_keeps_its_digits_far_from_zero():
    one = torch.ones(1, 2, 1)
    density = MixtureDensity((0.5 * one[..., 0]).log(), 1e4 + one * torch.tensor([[[-1.0], [1.0]]]), one)
    torch.testing.assert_close(density.variance, torch.tensor([[2.0]]))


def test_oracle_gradients_by_finite_differences():
    w, means, raw = (normal(*s, seed=i).requires_grad_() for i, s in enumerate([(3, 2), (3, 2, 2), (3, 2, 2)]))
    y = normal(3, 2, seed=7)
    assert torch.autograd.gradcheck(
        lambda a, b, c: mixture_density_nll(MixtureDensity(a.log_softmax(1), b, c.exp()), y), (w, means, raw)
    )


def test_property_units_of_the_targets():
    y, h = normal(30, 2), normal(30, 4, seed=1)
    one, other = (MixtureDensityHead(4, t, components=3, generator=seeded())(h) for t in (y, 7 + 100 * y))
    torch.testing.assert_close(other.means, 7 + 100 * one.means)
    torch.testing.assert_close(other.variances, 1e4 * one.variances)
    assert torch.equal(other.log_weights, one.log_weights)


def test_property_first_centers_lie_evenly():
    y = normal(50, 2) * 3 + 1
    head = MixtureDensityHead(4, y, components=3, generator=seeded())
    nn.init.zeros_(head.readout.weight)
    density = head(normal(2, 4))
    location, scale = standardization(y)
    expected = torch.stack([location - scale, location, location + scale])
    torch.testing.assert_close(density.means, expected.expand(2, 3, 2))
    torch.testing.assert_close(density.log_weights.exp(), torch.full((2, 3), 1 / 3).double())
    torch.testing.assert_close(density.variances, (math.log(2) + 1e-6) * scale.square().expand(2, 3, 2))


def test_property_two_answers_to_one_question_are_two_peaks():
    """Where y is -1 or 1 by chance, one Gaussian says 0; two say both."""
    x = torch.ones(200, 1).double()
    y = (torch.arange(200) % 2 * 2.0 - 1).double()[:, None] + 0.05 * normal(200, 1)
    head, single = MixtureDensityHead(1, y, components=2, generator=seeded()), GaussianHead(1, y, generator=seeded())
    for model, loss in ((head, mixture_density_nll), (single, gaussian_nll)):
        steps = torch.optim.LBFGS(model.parameters(), max_iter=100, line_search_fn="strong_wolfe")

        def closure(model=model, loss=loss, steps=steps):
            steps.zero_grad()
            value = loss(model(x), y)
            value.backward()
            return value

        steps.step(closure)
    with torch.no_grad():
        density = head(x[:1])
        losses = float(mixture_density_nll(head(x), y)), float(gaussian_nll(single(x), y))
    torch.testing.assert_close(
        density.means.flatten().sort().values, torch.tensor([-1.0, 1.0]).double(), atol=0.02, rtol=0
    )
    assert density.variances.max() < 0.004
    assert abs(float(density.mean)) < 0.02
    assert losses[0] < losses[1] - 2


def test_limit_targets_without_a_second_axis():
    density, y = some(d=1)
    assert torch.equal(density.log_prob(y[:, 0]), density.log_prob(y))


def test_error_of_what_does_not_fit():
    one, even = torch.ones(2, 3, 1), torch.zeros(2, 3).log_softmax(1)
    with pytest.raises(ParameterError, match=r"weights must sum to 1, got a sum off by a factor e\^1\.09"):
        MixtureDensity(torch.zeros(2, 3), one, one)
    with pytest.raises(ParameterError, match=r"one shape \(N, M, D\)"):
        MixtureDensity(torch.zeros(2, 2), one, one)
    with pytest.raises(ParameterError, match="a variance must be above 0, got 0"):
        MixtureDensity(even, one, 0 * one)
    with pytest.raises(ParameterError, match="targets need the shape"):
        MixtureDensity(even, one, one).log_prob(torch.ones(3))
    with pytest.raises(ParameterError, match="components must be"):
        MixtureDensityHead(3, torch.arange(4.0), components=0, generator=seeded())
    with pytest.raises(ParameterError, match="same target"):
        MixtureDensityHead(3, torch.ones(4), components=2, generator=seeded())
