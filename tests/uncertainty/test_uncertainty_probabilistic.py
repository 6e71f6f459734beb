"""Probabilistic backpropagation: the exact linear posterior, what one observation does, and what it knows far away."""

import math

import pytest
import torch

from weightlore.errors import ParameterError
from weightlore.uncertainty.bayesian import (
    GammaFactor,
    ProbabilisticBackprop,
    WeightBeliefs,
    assimilated,
    initial_beliefs,
    propagated,
    reweighed,
)
from weightlore.uncertainty.sources import BayesianLinearRegression, with_bias

SURE = 1e9  # a shape so large that a precision is as good as known


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def known(variance):
    return GammaFactor(SURE, (SURE - 1) * variance)


def exact(x, y, noise, prior):
    """The posterior of the linear model in the columns of the network: inputs, then the bias, over the root of both."""
    rows = torch.cat([x, torch.ones(len(x), 1).double()], 1) / math.sqrt(x.shape[1] + 1)
    return BayesianLinearRegression(1 / prior, noise).fit(rows, y[:, None])


def test_oracle_one_observation_of_a_linear_model_gives_the_exact_marginals():
    x, y = normal(1, 4), normal(1, seed=1)
    beliefs = initial_beliefs((4, 1), noise=known(0.3), prior=known(1.5), generator=seeded())
    after = assimilated(beliefs, x[0], y[0])
    posterior = exact(x, y, 0.3, 1.5)
    torch.testing.assert_close(after.means[0][0], posterior.mean[:, 0], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(after.variances[0][0], posterior.covariance.diagonal(), rtol=1e-6, atol=1e-9)


def test_oracle_many_observations_of_a_bias_are_exact():
    """One weight that matters has no correlations to leave out."""
    x, y = torch.zeros(30, 1).double(), 1 + normal(30)
    beliefs = initial_beliefs((1, 1), noise=known(0.5), prior=known(2.0), generator=seeded())
    log_evidence = torch.zeros(()).double()
    for i in range(30):
        mean, variance = propagated(beliefs, x[i : i + 1])
        log_evidence += torch.distributions.Normal(mean[0], (variance[0] + 0.5).sqrt()).log_prob(y[i])
        beliefs = assimilated(beliefs, x[i], y[i])
    posterior = exact(x, y, 0.5, 2.0)
    torch.testing.assert_close(beliefs.means[0][0], posterior.mean[:, 0], rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(beliefs.variances[0][0], posterior.covariance.diagonal(), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(log_evidence, posterior.log_evidence(), rtol=1e-6, atol=0)


def test_oracle_output_moments_are_those_of_sampled_networks():
    beliefs = initial_beliefs((2, 40, 1), noise=known(1.0), prior=known(0.8), generator=seeded())
    x = normal(3, 2, seed=1)
    mean, variance = propagated(beliefs, x)
    first, last = (
        m + v.sqrt() * normal(20000, *m.shape, seed=s)
        for s, (m, v) in enumerate(zip(beliefs.means, beliefs.variances, strict=True), start=2)
    )
    rows = torch.cat([x, torch.ones(3, 1).double()], 1) / math.sqrt(3)
    hidden = torch.einsum("soi,ni->sno", first, rows).relu()
    hidden = torch.cat([hidden, torch.ones(20000, 3, 1).double()], 2) / math.sqrt(41)
    out = torch.einsum("soi,sni->sno", last, hidden)[..., 0]
    assert ((out.mean(0) - mean) / (out.std(0) / math.sqrt(20000))).abs().max() < 4
    assert ((out.var(0) - variance) / variance).abs().max() < 0.05


def test_oracle_a_factor_of_the_prior_put_in_again():
    """With a known precision of weights the sweep is a fixed point; with another it is the product of two Gaussians."""
    start = initial_beliefs((3, 1), noise=known(0.3), prior=known(1.0), generator=seeded())
    seen = assimilated(start, normal(3), normal(1, seed=1)[0])
    same = reweighed(seen)
    torch.testing.assert_close(same.means[0], seen.means[0], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(same.variances[0], seen.variances[0], rtol=1e-6, atol=1e-9)
    wide = reweighed(WeightBeliefs(seen.means, seen.variances, seen.noise, known(4.0), seen.sites))
    exact_precision = 1 / seen.variances[0] - 1 + 1 / 4
    torch.testing.assert_close(1 / wide.variances[0], exact_precision, rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(wide.means[0], seen.means[0] / seen.variances[0] / exact_precision, rtol=1e-6, atol=1e-9)


def test_limit_factors_that_leave_no_density_stay():
    start = initial_beliefs((3, 1), noise=known(0.3), prior=GammaFactor(6.0, 6.0), generator=seeded())
    same = reweighed(start)
    assert all(
        torch.equal(a, b) for a, b in zip(same.means + same.variances, start.means + start.variances, strict=True)
    )
    assert torch.equal(same.sites, start.sites), "before any observation a weight is its factor, and nothing is left"
    assert same.prior == start.prior
    narrow = WeightBeliefs(
        start.means, tuple(v / 2 for v in start.variances), start.noise, GammaFactor(1.5, 1.0), start.sites
    )
    narrow.sites[1] = 1.0
    assert reweighed(narrow).prior == narrow.prior, "a shape of 1.5 cannot give 1 away"


def test_property_large_weights_widen_the_prior():
    start = initial_beliefs((1, 1), noise=known(0.01), prior=GammaFactor(6.0, 6.0), generator=seeded())
    small, large = (
        reweighed(assimilated(start, torch.tensor([1.0]).double(), torch.tensor(y).double())) for y in (0.1, 9.0)
    )
    assert small.prior.variance < start.prior.variance < large.prior.variance


def test_property_sweeping_twice_does_not_count_the_prior_twice():
    beliefs = initial_beliefs((2, 5, 1), noise=known(0.1), prior=GammaFactor(6.0, 6.0), generator=seeded())
    for i in range(20):
        beliefs = assimilated(beliefs, normal(2, seed=i), normal(1, seed=i + 50)[0])
    shapes = []
    for _ in range(30):
        beliefs = reweighed(beliefs)
        shapes.append(beliefs.prior.shape)
    assert abs(shapes[-1] - shapes[-2]) < 1e-3 * shapes[-1]
    assert shapes[-1] < 6 + beliefs.sites.shape[1]
    assert beliefs.sites[1].sum().item() == pytest.approx(beliefs.prior.shape - 6, rel=1e-9)


def cubic(count=60):
    x = 8 * torch.rand(count, 1, generator=seeded(), dtype=torch.float64) - 4
    return x, x[:, 0] ** 3 + 3 * normal(count, seed=1)


def test_property_a_cubic_and_what_lies_beyond():
    x, y = cubic()
    net = ProbabilisticBackprop((20,)).fit(x, y, passes=15, generator=seeded())
    inside, far = (
        net.predict(torch.tensor([[-2.0], [0.0], [2.0]]).double()),
        net.predict(torch.tensor([[9.0]]).double()),
    )
    assert (inside.mean[:, 0] - torch.tensor([-8.0, 0.0, 8.0])).abs().max() < 6
    assert far.epistemic_var.min() > 4 * inside.epistemic_var.max()
    assert torch.equal(far.aleatoric_var[0], inside.aleatoric_var[0]), "the noise is one for all inputs"
    assert net.beliefs.noise.variance < 0.2, "of standardized targets"


def test_property_units_of_the_data_do_not_matter():
    x, y = cubic(20)
    one = ProbabilisticBackprop((4,)).fit(x, y, passes=2, generator=seeded()).predict(x)
    other = ProbabilisticBackprop((4,)).fit(5 + 10 * x, 7 + 100 * y, passes=2, generator=seeded()).predict(5 + 10 * x)
    torch.testing.assert_close(other.mean, 7 + 100 * one.mean)
    torch.testing.assert_close(other.std, 100 * one.std)


def test_property_linear_regression_learns_noise_and_line():
    x = normal(300, 1)
    y = 2 + 3 * x[:, 0] + 0.5 * normal(300, seed=1)
    narrow = GammaFactor(3.0, 0.2)
    found = ProbabilisticBackprop((), noise=narrow).fit(x, y, passes=1, generator=seeded()).predict(x[:50])
    exactly = BayesianLinearRegression(1e-6, 0.25).fit(with_bias(x), y[:, None]).predict(with_bias(x[:50]))
    assert (found.mean - exactly.mean).abs().max() < 0.1
    assert found.aleatoric_var[0].item() == pytest.approx(0.25, rel=0.35)


def test_property_the_same_generator_gives_the_same_beliefs():
    x, y = cubic(12)
    told = []
    one, other = (
        ProbabilisticBackprop((3,)).fit(
            x, y, passes=2, generator=seeded(4), callback=lambda number, beliefs: told.append(number)
        )
        for _ in range(2)
    )
    assert told == [1, 2, 1, 2]
    assert all(torch.equal(a, b) for a, b in zip(one.beliefs.means, other.beliefs.means, strict=True))
    third = ProbabilisticBackprop((3,)).fit(x, y, passes=2, generator=seeded(5))
    assert not torch.equal(one.beliefs.means[0], third.beliefs.means[0])


def test_limit_float32_a_constant_input_and_one_example():
    x = torch.cat([normal(9, 1), torch.ones(9, 1)], 1).float()
    found = ProbabilisticBackprop((3,)).fit(x, x[:, :1], passes=1, generator=seeded()).predict(x)
    assert found.mean.dtype == torch.float32
    assert bool(found.std.isfinite().all())
    alone = ProbabilisticBackprop((3,)).fit(x[:1], x[:1, 0], passes=1, generator=seeded()).predict(x[:1])
    assert bool(alone.std.isfinite().all())


def test_error_before_the_data_and_without_fit():
    with pytest.raises(ParameterError, match="call fit"):
        ProbabilisticBackprop().predict(normal(2, 1))
    with pytest.raises(ParameterError, match="every input has a target"):
        ProbabilisticBackprop((2,)).fit(normal(3, 1), normal(4), generator=seeded())
    with pytest.raises(ParameterError, match="must have 1 columns"):
        ProbabilisticBackprop((2,)).fit(normal(3, 1), normal(3, 2), generator=seeded())
    with pytest.raises(ParameterError, match="must be finite"):
        ProbabilisticBackprop((2,)).fit(normal(3, 1) * math.inf, normal(3), generator=seeded())
    with pytest.raises(ParameterError, match="y must be floating rows"):
        ProbabilisticBackprop((2,)).fit(normal(3, 1), [1.0, 2.0, 3.0], generator=seeded())
    with pytest.raises(ParameterError, match="width must be a whole number"):
        ProbabilisticBackprop((0,))
