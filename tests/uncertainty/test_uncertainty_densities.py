"""Scores of densities and samples: against quadrature, torch's distributions and exact expectations."""

import math

import pytest
import torch
from scipy import integrate, stats
from torch.distributions import Categorical, MixtureSameFamily, Normal

from weightlore.errors import ParameterError
from weightlore.uncertainty.predictions import GaussianPrediction
from weightlore.uncertainty.regression import (
    crps_gaussian,
    crps_samples,
    nll_gaussian,
    nll_mixture,
    pinball_loss,
    pit_mixture,
    pit_samples,
    pit_values,
    sharpness,
)
from weightlore.uncertainty.warned import UncertaintyWarning


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


MEAN, STD, Y = normal(8), 0.2 + normal(8, seed=1).abs(), normal(8, seed=2) * 2


def test_oracle_crps_is_the_integral_over_thresholds():
    for m, s, y in zip(MEAN.tolist(), STD.tolist(), Y.tolist(), strict=True):
        below = integrate.quad(lambda z, m=m, s=s: stats.norm.cdf(z, m, s) ** 2, -30, y)[0]
        above = integrate.quad(lambda z, m=m, s=s: stats.norm.sf(z, m, s) ** 2, y, 30)[0]
        found = crps_gaussian((torch.tensor([m]).double(), torch.tensor([s]).double()), torch.tensor([y]).double())
        assert float(found) == pytest.approx(below + above, abs=1e-6)


def test_oracle_crps_is_twice_the_integral_of_the_pinball():
    nodes = torch.linspace(0, 1, 20001, dtype=torch.float64)
    levels, weights = (nodes[1:] + nodes[:-1]) / 2, nodes.diff()
    for m, s, y in zip(MEAN, STD, Y, strict=True):
        places = m + s * torch.special.ndtri(levels)
        losses = torch.maximum(levels * (y - places), (levels - 1) * (y - places))
        assert float(losses.mean()) == pytest.approx(float(pinball_loss(places[None], y[None], levels)), abs=1e-12)
        assert float(crps_gaussian((m[None], s[None]), y[None])) == pytest.approx(float(2 * losses @ weights), abs=2e-4)


def test_oracle_crps_of_samples_is_the_sum_over_all_pairs():
    samples, y = normal(7, 5, 2), normal(5, 2, seed=3)
    to_target = (samples - y).abs().mean(0)
    pairs = (samples[:, None] - samples[None]).abs().sum((0, 1)) / 2
    assert torch.allclose(crps_samples(samples, y), to_target - pairs / 42, atol=1e-12)
    assert torch.allclose(crps_samples(samples, y, fair=False), to_target - pairs / 49, atol=1e-12)
    assert torch.autograd.gradcheck(lambda x: crps_samples(x, y), (samples.clone().requires_grad_(),))


def test_property_fair_crps_of_two_samples_has_the_mean_of_infinitely_many():
    n, y = 200_000, 0.7
    samples = normal(2, n)
    found = crps_samples(samples, torch.full((n,), y, dtype=torch.float64))
    right = crps_gaussian((torch.zeros(1).double(), torch.ones(1).double()), torch.tensor([y]).double())
    error = float(found.std() / math.sqrt(n))
    assert abs(float(found.mean() - right)) < 5 * error
    unfair = crps_samples(samples, torch.full((n,), y, dtype=torch.float64), fair=False)
    assert abs(float(unfair.mean() - right)) > 20 * error, "dividing by S^2 is biased for S = 2"


def test_property_crps_is_proper():
    y = normal(50_000)
    true = crps_gaussian((0 * y, 1 + 0 * y), y).mean()
    for m, s in ((0.1, 1.0), (0.0, 0.8), (0.0, 1.2), (-0.2, 0.9)):
        assert float(crps_gaussian((m + 0 * y, s + 0 * y), y).mean()) > float(true)


def test_limit_crps_of_a_point_is_the_absolute_error():
    exact = (Y - MEAN).abs()
    assert torch.allclose(crps_gaussian((MEAN, 0 * STD), Y), exact, atol=1e-15)
    assert torch.allclose(crps_gaussian((MEAN, 1e-300 + 0 * STD), Y), exact, atol=1e-15)
    assert float(crps_gaussian((MEAN, 0 * STD), MEAN).abs().max()) == 0
    std = (0 * STD).requires_grad_()
    crps_gaussian((MEAN, std), Y).sum().backward()
    assert bool(torch.isfinite(std.grad).all())
    with pytest.warns(UncertaintyWarning, match="one sample"):
        assert torch.equal(crps_samples(MEAN[None], Y), exact)
    assert torch.equal(crps_samples(MEAN[None], Y, fair=False), exact)
    assert torch.allclose(crps_samples(MEAN.expand(4, 8), Y), exact, atol=1e-15)


def test_oracle_log_scores_are_those_of_torch():
    right = -Normal(MEAN, STD).log_prob(Y)
    assert torch.allclose(nll_gaussian((MEAN, STD), Y), right, atol=1e-12)
    assert torch.allclose(
        nll_gaussian((MEAN, STD), Y).mean(),
        torch.nn.functional.gaussian_nll_loss(MEAN, Y, STD**2, full=True),
        atol=1e-12,
    )
    means, stds, y = normal(4, 6, 2), 0.3 + normal(4, 6, 2, seed=1).abs(), normal(6, 2, seed=2)
    for weights in (None, torch.tensor([0.1, 0.2, 0.3, 0.4]).double(), normal(4, 6, 2, seed=3).softmax(0)):
        given = torch.full((4, 6, 2), 0.25).double() if weights is None else weights
        given = given[:, None, None].expand(4, 6, 2) if given.ndim == 1 else given
        mixture = MixtureSameFamily(
            Categorical(given.movedim(0, -1)), Normal(means.movedim(0, -1), stds.movedim(0, -1))
        )
        assert torch.allclose(nll_mixture((means, stds), y, weights=weights), -mixture.log_prob(y), atol=1e-12)


def test_property_mixture_is_at_least_as_good_as_its_members_and_wider():
    means, variances, y = normal(5, 30, 2), 0.1 + normal(5, 30, 2, seed=1) ** 2, normal(30, 2, seed=2)
    p = GaussianPrediction.from_members(means, variances)
    each = torch.stack([nll_gaussian((m, v.sqrt()), y) for m, v in zip(means, variances, strict=True)])
    assert bool((nll_mixture(p, y) <= each.mean(0) + 1e-12).all())
    assert bool((p.variance >= variances.mean(0)).all())
    assert torch.allclose(nll_mixture(p, y), nll_mixture((means, variances.sqrt()), y), atol=1e-12)
    assert torch.allclose(nll_gaussian(p, y), nll_gaussian((p.mean, p.std), y), atol=1e-12)


def test_limit_a_mixture_of_one_or_of_equals_is_its_gaussian():
    one = nll_gaussian((MEAN, STD), Y)
    assert torch.allclose(nll_mixture((MEAN[None], STD[None]), Y), one, atol=1e-13)
    assert torch.allclose(nll_mixture((MEAN.expand(9, 8), STD.expand(9, 8)), Y), one, atol=1e-13)
    certain = torch.tensor([1.0, 0.0], dtype=torch.float64)
    two = (torch.stack([MEAN, MEAN + 1]), torch.stack([STD, STD]))
    assert torch.allclose(nll_mixture(two, Y, weights=certain), one, atol=1e-13), "a weight of 0 is no NaN"
    far = nll_mixture((MEAN[None] + 1e6, STD[None]), Y)
    assert bool(torch.isfinite(far).all()), "densities underflow, their logarithms do not"


@pytest.mark.parametrize("kind", ["gaussian", "mixture", "samples"])
def test_property_pit_of_a_right_model_is_uniform(kind):
    n = 4000
    if kind == "gaussian":
        mean, std = normal(n), 0.2 + normal(n, seed=1).abs()
        pit = pit_values((mean, std), mean + std * normal(n, seed=2))
    elif kind == "mixture":
        means, stds = normal(3, n) * 2, 0.3 + normal(3, n, seed=1).abs()
        which = torch.randint(0, 3, (n,), generator=seeded(3))
        drawn = (means + stds * normal(3, n, seed=2))[which, torch.arange(n)]
        pit = pit_mixture((means, stds), drawn)
    else:
        drawn = normal(4, n).round(decimals=1)  # with ties
        pit = pit_samples(drawn[1:], drawn[0], generator=seeded(4))
    assert bool(((pit >= 0) & (pit <= 1)).all())
    assert stats.kstest(pit.numpy(), "uniform").pvalue > 0.01


def test_property_pit_of_a_narrow_model_is_a_u():
    mean = torch.zeros(4000, dtype=torch.float64)
    pit = pit_values((mean, 0.5 + mean), normal(4000))
    assert stats.kstest(pit.numpy(), "uniform").pvalue < 1e-6
    assert float(((pit < 0.1) | (pit > 0.9)).double().mean()) > 0.4


def test_limit_pit_of_points_and_of_equal_samples():
    assert pit_values((MEAN, 0 * STD), MEAN).tolist() == [1.0] * 8
    assert pit_values((MEAN, 0 * STD), MEAN - 1e-9).tolist() == [0.0] * 8
    assert torch.allclose(pit_mixture((MEAN[None], STD[None]), Y), pit_values((MEAN, STD), Y), atol=1e-15)
    same = pit_samples(MEAN.expand(5, 8), MEAN, generator=seeded())
    assert torch.allclose(same, torch.rand(8, generator=seeded(), dtype=torch.float64), atol=1e-15)
    above = pit_samples(MEAN.expand(3, 8), MEAN + 1, generator=seeded())
    assert bool((above >= 0.75).all())


def test_oracle_sharpness_is_the_root_of_the_mean_variance():
    p = GaussianPrediction(MEAN[:, None], STD[:, None] ** 2, torch.ones(8, 1).double())
    assert float(sharpness(p)) == pytest.approx(math.sqrt(float((STD**2 + 1).mean())))
    assert float(sharpness((MEAN, STD))) == pytest.approx(float((STD**2).mean().sqrt()))


def test_error_what_is_no_distribution():
    for score in (crps_gaussian, nll_gaussian, pit_values):
        with pytest.raises(ParameterError, match="logarithm"):
            score((MEAN, -STD), Y)
        with pytest.raises(ParameterError, match="finite"):
            score((MEAN / 0, STD), Y)
        with pytest.raises(ParameterError, match=r"y\[:, None\]"):
            score((MEAN[:, None], STD[:, None]), Y)
        with pytest.raises(ParameterError, match="one shape"):
            score((MEAN, STD[:2]), Y)
    with pytest.raises(ParameterError, match="density"):
        nll_gaussian((MEAN, 0 * STD), Y)
    p = GaussianPrediction(MEAN[:, None], STD[:, None] ** 2, STD[:, None])
    for score in (nll_mixture, pit_mixture):
        with pytest.raises(ParameterError, match="from_members"):
            score(p, Y[:, None])
        with pytest.raises(ParameterError, match="members come first"):
            score((MEAN, STD), Y)
    for weights in (torch.tensor([1.0, 1.0]), torch.tensor([1.5, -0.5])):
        with pytest.raises(ParameterError, match="softmax"):
            nll_mixture((normal(2, 8), 1 + 0 * normal(2, 8)), Y, weights=weights.double())
    with pytest.raises(ParameterError, match="one for each of 2 members"):
        nll_mixture((normal(2, 8), 1 + 0 * normal(2, 8)), Y, weights=torch.ones(3) / 3)


def test_error_what_are_no_samples():
    for score in (crps_samples, lambda x, y: pit_samples(x, y, generator=seeded())):
        with pytest.raises(ParameterError, match="samples first"):
            score(MEAN, Y)
        with pytest.raises(ParameterError, match="floating"):
            score(torch.zeros(3, 8, dtype=torch.int64), Y)
        with pytest.raises(ParameterError, match="shape of the predictions"):
            score(normal(3, 7), Y)
        with pytest.raises(ParameterError, match="finite"):
            score(normal(3, 8) / 0, Y)
