"""Metropolis and Hamiltonian chains draw from the density they are given."""

import math
from dataclasses import FrozenInstanceError

import pytest
import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.parameters import call, flatten
from weightlore.uncertainty.mcmc import (
    Phase,
    categorical_likelihood,
    effective_sample_size,
    energy,
    gaussian_likelihood,
    hmc,
    leapfrog,
    log_joint,
    random_walk_metropolis,
    split_rhat,
)
from weightlore.uncertainty.mcmc.adapting import DrawnVariance, DualAveraging
from weightlore.uncertainty.sources import BayesianLinearRegression, with_bias


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(size: int = 5, seed: int = 1):
    """A correlated Gaussian: its log density, mean and covariance."""
    root = torch.randn(size, size, generator=seeded(seed), dtype=torch.float64) / 2
    covariance = root @ root.T + 0.3 * torch.eye(size, dtype=torch.float64)
    mean, precision = torch.linspace(-1, 2, size, dtype=torch.float64), torch.linalg.inv(covariance)
    return lambda q: -torch.einsum("cp,pr,cr->c", q - mean, precision, q - mean) / 2, mean, covariance


def normal(q):
    return -q.square().sum(1) / 2


def test_property_leapfrog_leads_back():
    target = lambda q: -(q**4).sum(1) / 4 - q.square().sum(1)  # noqa: E731
    q, r = (torch.randn(6, 4, generator=seeded(), dtype=torch.float64) for _ in range(2))
    mass = torch.tensor([0.5, 1.0, 2.0, 3.0], dtype=torch.float64)
    there = leapfrog(target, Phase.at(target, q, r), step_size=0.05, steps=40, inverse_mass=mass)
    back = leapfrog(
        target, Phase.at(target, there.position, -there.momentum), step_size=0.05, steps=40, inverse_mass=mass
    )
    assert float((there.position - q).abs().max()) > 0.1
    torch.testing.assert_close(back.position, q, atol=1e-8, rtol=0)
    torch.testing.assert_close(back.momentum, -r, atol=1e-8, rtol=0)


def test_property_a_phase_stays_as_it_is():
    begin = Phase.at(normal, torch.zeros(1, 2), torch.ones(1, 2))
    with pytest.raises(FrozenInstanceError):
        begin.momentum = begin.position


def test_property_half_the_step_has_a_quarter_of_the_energy_error():
    target, mean, _ = gaussian()
    begin = Phase.at(target, mean[None] + 1.0, torch.ones(1, 5, dtype=torch.float64) / 2)

    def error(step_size, steps):
        end = leapfrog(target, begin, step_size=step_size, steps=steps)
        return float(energy(end) - energy(begin))

    for step in (0.04, 0.02):
        assert 3.5 < error(step, round(1 / step)) / error(step / 2, round(2 / step)) < 4.5


def test_property_leapfrog_keeps_volume():
    target = lambda q: -(q**4).sum(1) / 4  # noqa: E731

    def moved(state):
        end = leapfrog(target, Phase.at(target, state[None, :2], state[None, 2:]), step_size=0.1, steps=1)
        return torch.cat([end.position, end.momentum], 1)[0]

    state, small = torch.tensor([0.3, -1.0, 0.5, 0.2], dtype=torch.float64), 1e-5
    columns = [(moved(state + small * e) - moved(state - small * e)) / (2 * small) for e in torch.eye(4).double()]
    assert float(torch.linalg.det(torch.stack(columns, 1))) == pytest.approx(1.0, abs=1e-8)


def test_oracle_hmc_finds_the_moments_of_a_correlated_gaussian():
    target, mean, covariance = gaussian()
    start = 3 * torch.randn(20, 5, generator=seeded(3), dtype=torch.float64)
    found = hmc(target, start, samples=250, warmup=200, steps=10, generator=seeded(4))
    spread = covariance.diagonal().sqrt()
    error = found.pooled.mean(0) - mean
    size = effective_sample_size(found.draws)
    assert float((error.abs() / spread * size.sqrt()).max()) < 4
    scale = spread[:, None] * spread
    assert float(((found.pooled.T.cov() - covariance) / scale).abs().max()) < 5 * (2 / float(size.min())) ** 0.5
    assert float(split_rhat(found.draws).max()) < 1.02
    assert abs(float(found.acceptance.mean()) - 0.8) < 0.12, "what the warm-up aimed at"


def test_oracle_the_decision_mends_what_long_steps_get_wrong():
    start = torch.randn(4000, 1, generator=seeded(), dtype=torch.float64)
    found = hmc(normal, start, samples=20, warmup=0, step_size=1.5, steps=1, jitter=0.0, generator=seeded(1))
    assert float(found.draws[10:].var()) == pytest.approx(1.0, rel=0.03)  # of all proposals it would be 2.29
    begin = Phase.at(normal, start, torch.randn(4000, 1, generator=seeded(2), dtype=torch.float64))
    rise = energy(leapfrog(normal, begin, step_size=1.5, steps=1)) - energy(begin)
    share = float((-rise).exp().clamp(max=1).mean())
    assert float(found.acceptance.mean()) == pytest.approx(share, abs=0.02)


def test_property_masses_make_narrow_and_wide_directions_alike():
    spread = torch.tensor([0.01, 1.0, 100.0]).double()
    start = spread * torch.randn(10, 3, generator=seeded(), dtype=torch.float64)
    found = hmc(lambda q: normal(q / spread), start, samples=100, warmup=150, steps=8, generator=seeded(1))
    assert float(effective_sample_size(found.draws).min()) > 300, "without masses the widest has about 5"
    torch.testing.assert_close(found.pooled.std(0), spread, rtol=0.15, atol=0)


def test_property_a_step_costs_one_gradient_and_masses_come_of_the_middle_quarters(monkeypatch):
    calls, seen = [], []

    class Watched(DrawnVariance):
        def estimate(self):
            seen.append(len(self._draws))
            return super().estimate()

    monkeypatch.setattr("weightlore.uncertainty.mcmc.hamiltonian.DrawnVariance", Watched)
    hmc(lambda q: calls.append(1) or normal(q), torch.zeros(3, 2), samples=4, warmup=20, steps=3, generator=seeded())
    assert len(calls) == 2 + (20 + 4) * 3, "two at the start: is there a density, and how steep is it"
    assert seen == [5, 5]


def flat(q):
    return 0 * q.sum(1)


def test_oracle_the_step_size_varies_evenly_within_its_share():
    found = hmc(flat, torch.zeros(1, 1).double(), samples=200, warmup=0, step_size=0.5, steps=2, generator=seeded())
    chance, moved, sizes = seeded(), found.draws[:, 0, 0].diff(prepend=torch.zeros(1).double()), []
    for shift in moved.tolist():
        r = float(torch.randn(1, 1, generator=chance, dtype=torch.float64))
        sizes.append(shift / (2 * r))
        torch.rand(2, generator=chance, dtype=torch.float64)
    assert 0.45 <= min(sizes) < 0.455
    assert 0.545 < max(sizes) <= 0.55
    assert sum(sizes) / 200 == pytest.approx(0.5, abs=0.006)


@pytest.mark.parametrize(("rise", "lost"), [(999.5, 0), (1000.5, 3)])
def test_limit_a_rise_of_over_a_thousand_is_a_divergence(rise, lost):
    cliff = lambda q: flat(q) - rise * (q[:, 0] != 0)  # noqa: E731
    found = hmc(cliff, torch.zeros(2, 1).double(), samples=3, warmup=0, generator=seeded())
    assert found.divergences.tolist() == [lost, lost]
    assert float(found.acceptance.max()) == 0
    assert not found.draws.any()


def test_oracle_hmc_of_a_linear_network_is_the_exact_posterior():
    g = seeded(5)
    x = torch.randn(12, 2, generator=g, dtype=torch.float64)
    y = x @ torch.tensor([[1.0], [-2.0]], dtype=torch.float64) + 0.5
    y = y + 0.5 * torch.randn(12, 1, generator=g, dtype=torch.float64)
    exact = BayesianLinearRegression(2.0, 0.25).fit(torch.cat([x, torch.ones_like(y)], 1), y)
    network = nn.Linear(2, 1).double()
    target = log_joint(network, Split(x, y), prior_precision=2.0, likelihood=gaussian_likelihood(0.25))
    found = hmc(target, torch.zeros(20, 3).double(), samples=200, warmup=200, steps=8, generator=g)
    spread = exact.covariance.diagonal().sqrt()
    assert float(((found.pooled.mean(0) - exact.mean[:, 0]) / spread).abs().max()) < 0.1
    torch.testing.assert_close(found.pooled.std(0), spread, rtol=0.1, atol=0)


def test_oracle_the_log_joint_integrates_to_the_evidence():
    x, y = torch.tensor([[1.0], [2.0], [-1.0]]).double(), torch.tensor([[0.5], [1.5], [0.3]]).double()
    exact = BayesianLinearRegression(0.7, 0.4).fit(x, y)
    target = log_joint(
        nn.Linear(1, 1, bias=False).double(), Split(x, y), prior_precision=0.7, likelihood=gaussian_likelihood(0.4)
    )
    line = torch.linspace(-8, 8, 4001).double()
    evidence = torch.trapezoid(target(line[:, None]).exp(), line).log()
    assert float(evidence) == pytest.approx(float(exact.log_evidence()), abs=1e-8)


def test_oracle_the_log_joint_is_that_of_each_network_alone():
    network = mlp((4, 5, 3), generator=seeded()).train()
    data = Split(torch.randn(7, 4, generator=seeded(1)).double(), torch.tensor([0, 1, 2, 0, 1, 2, 0]))
    tau = torch.linspace(0.5, 2, flatten(network).numel()).double()
    thetas = flatten(network) + torch.randn(3, len(tau), generator=seeded(2)).double()
    found = log_joint(network, data, prior_precision=tau)(thetas)
    prior = torch.distributions.Normal(0.0, tau.rsqrt()).log_prob(thetas).sum(1)
    losses = [nn.functional.cross_entropy(call(network, theta, data.x), data.y, reduction="sum") for theta in thetas]
    torch.testing.assert_close(found, prior - torch.stack(losses), atol=1e-10, rtol=0)
    assert network.training
    assert torch.equal(
        categorical_likelihood(torch.zeros(1, 2, 4), torch.tensor([0, 3])), -2 * torch.tensor([4.0]).log()
    )


@pytest.mark.parametrize("scale", [0.5, 2.0])
def test_oracle_metropolis_accepts_as_often_as_theory_says(scale):
    start = torch.randn(500, 1, generator=seeded(), dtype=torch.float64)  # already from the density
    found = random_walk_metropolis(normal, start, samples=100, scale=scale, generator=seeded(1))
    assert float(found.acceptance.mean()) == pytest.approx(2 / math.pi * math.atan(2 / scale), abs=0.01)


def test_oracle_metropolis_finds_the_moments_of_a_correlated_gaussian():
    target, mean, covariance = gaussian(2)
    start = mean.expand(200, 2)
    found = random_walk_metropolis(target, start, samples=60, scale=0.8, every=5, warmup=60, generator=seeded(2))
    torch.testing.assert_close(found.pooled.mean(0), mean, atol=0.05, rtol=0)
    torch.testing.assert_close(found.pooled.T.cov(), covariance, atol=0.05, rtol=0)
    assert found.step_size == 0.8


def test_limit_where_there_is_no_density_no_chain_goes():
    half = lambda q: torch.where(q[:, 0] > 0, -q[:, 0], -torch.inf)  # noqa: E731
    start = torch.ones(400, 1, dtype=torch.float64)
    walked = random_walk_metropolis(half, start, samples=200, scale=1.0, generator=seeded())
    rolled = hmc(half, start, samples=100, warmup=0, steps=5, step_size=0.3, generator=seeded())
    for found in (walked, rolled):
        assert float(found.draws.min()) > 0
        assert int(found.divergences.sum()) > 0
        assert float(found.pooled.mean()) == pytest.approx(1, abs=0.1)
        assert float(found.pooled.std()) == pytest.approx(1, abs=0.1)


def test_limit_without_warm_up_the_step_stays_and_chains_do_not_see_one_another():
    start = torch.randn(3, 2, generator=seeded(), dtype=torch.float64)
    found = hmc(normal, start, samples=7, warmup=0, step_size=0.2, steps=3, generator=seeded(1))
    assert found.step_size == 0.2
    assert found.draws.shape == (7, 3, 2)
    assert found.pooled.shape == (21, 2)
    moved = hmc(
        normal, torch.cat([start[:2], start[2:] + 1]), samples=7, warmup=0, step_size=0.2, steps=3, generator=seeded(1)
    )
    assert torch.equal(found.draws[:, :2], moved.draws[:, :2])
    assert hmc(normal, start.float(), samples=2, warmup=0, generator=seeded()).draws.dtype == torch.float32


def test_property_dual_averaging_finds_the_step_with_the_wanted_acceptance():
    tuner = DualAveraging(5.0, 0.8)
    for _ in range(400):
        tuner.update(math.exp(-tuner.step_size))
    assert math.exp(-tuner.averaged) == pytest.approx(0.8, abs=0.02)
    assert DualAveraging(0.3, 0.8).averaged == 0.3


def test_property_variances_start_at_the_old_ones_and_end_at_those_of_the_draws():
    draws = torch.tensor([1.0, 3.0]).repeat(500)[:, None]
    found = DrawnVariance(torch.tensor([9.0]))
    assert float(found.estimate()) == 9.0
    found.add(draws)
    assert float(found.estimate()) == pytest.approx((1000 * 1.0 + 5 * 9.0) / 1005)


ZERO = torch.zeros(2, 3)


@pytest.mark.parametrize(
    ("call_it", "part"),
    [
        (lambda: hmc(normal, torch.zeros(3), samples=1, generator=seeded()), "one row for each chain"),
        (lambda: hmc(normal, ZERO + math.nan, samples=1, generator=seeded()), "start must be finite"),
        (lambda: hmc(lambda q: q.sum(), ZERO, samples=1, generator=seeded()), "sum over the parameters"),
        (lambda: hmc(lambda q: (q.sum(1) * 0).log() + 0, ZERO, samples=1, generator=seeded()), "begin elsewhere"),
        (lambda: hmc(lambda q: -q.abs().sqrt().sum(1), ZERO, samples=1, generator=seeded()), "gradient .* at start"),
        (lambda: hmc(normal, ZERO, samples=0, generator=seeded()), "samples"),
        (lambda: hmc(normal, ZERO, samples=1, warmup=5, generator=seeded()), "at least 20"),
        (lambda: hmc(normal, ZERO, samples=1, acceptance=1.0, generator=seeded()), "acceptance"),
        (lambda: hmc(normal, ZERO, samples=1, acceptance=0.0, generator=seeded()), "acceptance"),
        (lambda: hmc(normal, ZERO, samples=1, jitter=1.0, generator=seeded()), "jitter"),
        (lambda: hmc(normal, ZERO, samples=1, step_size=-1.0, generator=seeded()), "step_size"),
        (lambda: random_walk_metropolis(normal, ZERO, samples=1, scale=0.0, generator=seeded()), "scale"),
        (lambda: random_walk_metropolis(normal, ZERO, samples=1, scale=1.0, warmup=-1, generator=seeded()), "warmup"),
        (lambda: gaussian_likelihood(0.0), "noise_variance"),
        (lambda: gaussian_likelihood(1.0)(torch.zeros(2, 3, 1), torch.zeros(3)), "shape of an output"),
        (lambda: log_joint(nn.Linear(1, 2), Split(torch.ones(1, 1), torch.tensor([0])), prior_precision=0.0), "P=4"),
    ],
)
def test_error_the_message_says_what_to_do(call_it, part):
    with pytest.raises(ParameterError, match=part):
        call_it()


def test_limit_a_bias_column_is_a_bias():
    x = torch.tensor([[2.0]]).double()
    assert with_bias(x).shape == (1, 2)
