"""Samplers by mini-batches: what they draw from when their step is not small, and what is left without noise."""

import copy
import math
from functools import partial

import numpy as np
import pytest
import torch
from scipy.linalg import solve_discrete_lyapunov
from scipy.optimize import brentq
from torch import nn
from torch.nn.functional import mse_loss

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.parameters import flatten
from weightlore.uncertainty.mcmc import (
    SGHMC,
    SGLD,
    SGNHT,
    ConstantSchedule,
    CyclicalSchedule,
    DecayingSchedule,
    Plan,
    sample_network,
)
from weightlore.uncertainty.sources import BayesianLinearRegression

COVARIANCE = torch.tensor([[1.0, 0.6], [0.6, 0.8]]).double()
PLAIN = {"num_data": 1, "prior_precision": 0.0}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def descend(sampler, q, energy, steps, *, slope_noise=0.0, generator=None):
    """Let all rows of q walk on their own; the loss is their summed energy."""
    for _ in range(steps):
        sampler.zero_grad()
        energy(q).sum().backward()
        if slope_noise:
            q.grad += slope_noise * torch.randn(q.shape, generator=generator, dtype=q.dtype)
        sampler.step()
    return q.detach()


def normal(q):
    return q.square() / 2


def correlated(q):
    return torch.einsum("cp,pr,cr->c", q, torch.linalg.inv(COVARIANCE), q) / 2


def begin(*shape):
    return nn.Parameter(torch.zeros(*shape, dtype=torch.float64))


@pytest.mark.parametrize(("e", "temperature"), [(1.0, 1.0), (2.0, 1.0), (1.0, 0.25)])
def test_oracle_langevin_draws_from_the_wider_density_of_its_step(e, temperature):
    q, s2 = begin(30_000, 1), 0.8
    sampler = SGLD([q], e, generator=seeded(), temperature=temperature, **PLAIN)
    found = descend(sampler, q, lambda q: q.square() / (2 * s2), 60)
    assert float(found.var()) == pytest.approx(temperature * s2 / (1 - e / (4 * s2)), rel=0.035)


def test_property_the_temperature_is_one_and_the_whole_data_count():
    q = begin(30_000, 1)
    sampler = SGLD([q], 1e-3, num_data=500, prior_precision=100.0, generator=seeded())
    descend(sampler, q, lambda q: q.square() / 2, 30)
    assert sampler.param_groups[0]["temperature"] == 1.0
    assert float(q.detach().var()) == pytest.approx(1 / 600 / (1 - 1e-3 * 600 / 4), rel=0.035)


@pytest.mark.parametrize("kind", [SGLD, SGHMC, SGNHT])
def test_oracle_without_noise_a_sampler_is_gradient_descent(kind):
    network = mlp((3, 4, 2), generator=seeded())
    x, y = torch.randn(6, 3, generator=seeded(1)).double(), torch.randn(6, 2, generator=seeded(2)).double()
    other, e = copy.deepcopy(network), 1e-3
    sampler = kind(network.parameters(), e, num_data=6, prior_precision=0.5, generator=seeded(3), temperature=0.0)
    scale, momentum = {SGLD: (e / 2, 0.0), SGHMC: (e, 0.9), SGNHT: (e, 0.95)}[kind]
    descent = torch.optim.SGD(other.parameters(), lr=scale * 6, momentum=momentum, weight_decay=0.5 / 6)
    for _ in range(20):
        for model, tuner in ((network, sampler), (other, descent)):
            tuner.zero_grad()
            mse_loss(model(x), y).backward()
            tuner.step()
    torch.testing.assert_close(flatten(network), flatten(other), rtol=1e-12, atol=1e-14)


def test_oracle_the_preconditioner_by_hand():
    q, e, memory, damping = nn.Parameter(torch.tensor([1.0, -2.0]).double()), 0.02, 0.9, 1e-3
    sampler = SGLD(
        [q],
        e,
        num_data=7,
        prior_precision=0.3,
        generator=seeded(),
        temperature=0.0,
        precondition=True,
        memory=memory,
        damping=damping,
    )
    found, by_hand, square = descend(sampler, q, lambda q: q**4 / 4, 5), [1.0, -2.0], [0.0, 0.0]
    for _ in range(5):
        for i, place in enumerate(by_hand):
            slope = place**3
            square[i] = memory * square[i] + (1 - memory) * slope**2
            scale = 1 / (damping + math.sqrt(square[i]))
            by_hand[i] = place + e / 2 * scale * (-7 * slope - 0.3 * place)
    torch.testing.assert_close(found, torch.tensor(by_hand, dtype=torch.float64), rtol=1e-12, atol=0)


def test_oracle_preconditioned_noise_has_the_variance_of_its_scale():
    q = nn.Parameter(torch.tensor([0.5, 3.0]).double().repeat(20_000, 1))
    sampler = SGLD([q], 0.04, generator=seeded(), precondition=True, memory=0.0, damping=0.1, **PLAIN)
    before = q.detach().clone()
    moved = descend(sampler, q, normal, 1) - before
    scale = 1 / (0.1 + torch.tensor([0.5, 3.0]).double())
    torch.testing.assert_close(moved.var(0), 0.04 * scale, rtol=0.04, atol=0)
    torch.testing.assert_close(moved.mean(0), -0.02 * scale * before[0], rtol=0, atol=0.004)


@pytest.mark.parametrize(("memory", "weight"), [(0.0, 1.0), (0.999, 0.0)])
def test_oracle_without_the_slope_of_the_preconditioner_steep_places_are_drawn_too_often(memory, weight):
    q = nn.Parameter(torch.randn(20_000, 1, generator=seeded(1), dtype=torch.float64))
    sampler = SGLD([q], 0.05, generator=seeded(), precondition=True, memory=memory, damping=1.0, **PLAIN)
    sampler.state[q]["square"] = torch.ones_like(q)  # what it averages to
    found = float(descend(sampler, q, normal, 300).var())
    mean = math.sqrt(2 / math.pi)  # of |q|; that of its cube is twice as large
    biased = (1 + 2 * weight * mean) / (1 + weight * mean)  # variance of N(0, 1) times 1 + |q|: 1.44
    assert found == pytest.approx(biased, abs=0.05)


def stationary(e, friction, variance):
    """Exact covariance of place and velocity on a standard normal: both take the same noise."""
    move = np.array([[1 - e, 1 - friction], [-e, 1 - friction]])
    return solve_discrete_lyapunov(move, variance * np.ones((2, 2)))


@pytest.mark.parametrize(("e", "a"), [(0.3, 0.5), (1.0, 1.0), (0.1, 0.2)])
def test_oracle_hamiltonian_steps_with_friction_have_the_variance_of_their_recursion(e, a):
    q = begin(30_000, 1)
    descend(SGHMC([q], e, generator=seeded(), friction=a, **PLAIN), q, normal, 120)
    assert float(q.detach().var()) == pytest.approx(stationary(e, a, 2 * a * e)[0, 0], rel=0.04)


@pytest.mark.parametrize(("make", "e", "friction"), [(SGHMC, 0.05, 0.3), (SGNHT, 0.02, 0.06)])
def test_oracle_samplers_with_a_velocity_find_a_correlated_gaussian(make, e, friction):
    q = begin(5_000, 2)
    found = descend(make([q], e, generator=seeded(), friction=friction, **PLAIN), q, correlated, 300)
    torch.testing.assert_close(found.T.cov(), COVARIANCE, rtol=0.1, atol=0)


def test_property_noise_of_the_batches_widens_what_is_drawn_unless_it_is_answered():
    e, a, spread = 0.1, 0.3, 1.5
    own = e / 2 * spread**2

    def variance(make, **options):
        q, g = begin(10_000, 1), seeded(1)
        sampler = make([q], e, generator=seeded(), friction=a, **options, **PLAIN)
        descend(sampler, q, normal, 250, slope_noise=spread, generator=g)
        return float(q.detach().var()), sampler.param_groups[0]

    exact = 1 / (1 - e / (2 * (2 - a)))
    assert variance(SGHMC)[0] == pytest.approx(exact * (1 + own / a), rel=0.05)
    assert variance(SGHMC, batch_noise=own)[0] == pytest.approx(exact, rel=0.05)
    found, group = variance(SGNHT)
    noise = 2 * (a + own) * e  # of the sampler and of the batches together
    thermostat = brentq(lambda x: stationary(e, x, noise)[1, 1] - e, 0.01, 1.0)  # the velocity has its size e
    assert group["thermostat"] == pytest.approx(thermostat, rel=0.05), "it found the noise of the batches"
    assert found == pytest.approx(stationary(e, thermostat, noise)[0, 0], rel=0.05)


def cycles(schedule, sampler, q, energy, steps):
    """Walk by a schedule and return what is kept."""
    kept = []
    for k in range(1, steps + 1):
        plan = schedule(k, steps)
        for group in sampler.param_groups:
            group["lr"], group["noisy"] = plan.step_size, plan.noisy
        descend(sampler, q, energy, 1)
        if plan.keep:
            kept.append(q.detach().clone())
    return torch.cat(kept)


def cycled(make, e, length):
    q = begin(5_000, 2)
    schedule = CyclicalSchedule(e, 2, explore=0.25, every=3 * length // 5)
    found = cycles(schedule, make([q], e, generator=seeded(), **PLAIN), q, correlated, 2 * length)
    assert len(found) == 10_000
    return found.T.cov()


@pytest.mark.parametrize(("make", "e", "length"), [(SGLD, 0.5, 100), (partial(SGHMC, friction=0.5), 0.1, 200)])
def test_oracle_cycles_draw_from_a_correlated_gaussian(make, e, length):
    torch.testing.assert_close(cycled(make, e, length), COVARIANCE, rtol=0.1, atol=0)


def test_property_a_velocity_that_cannot_follow_a_short_cycle_draws_too_wide():
    assert bool((cycled(partial(SGHMC, friction=0.1), 0.1, 100) > 1.2 * COVARIANCE).all())


@pytest.mark.parametrize("kind", [SGLD, SGHMC, SGNHT])
def test_property_a_plan_without_noise_is_a_temperature_of_zero_and_the_thermostat_rests(kind):
    places, chance = [], seeded(1)
    for options in ({"temperature": 0.0}, {}):
        q = nn.Parameter(torch.tensor([[1.0, -2.0]]).double())
        sampler = kind([q], 0.1, generator=chance, **options, **PLAIN)
        sampler.param_groups[0]["noisy"] = options != {}
        before = dict(sampler.param_groups[0])
        places.append(descend(sampler, q, correlated, 5))
        assert dict(sampler.param_groups[0]) == before
    assert torch.equal(*places)
    assert torch.equal(chance.get_state(), seeded(1).get_state()), "nothing was drawn"


def two_modes(q):
    return -torch.logsumexp(torch.stack([-2 * (q - 4).square(), -2 * (q + 4).square()]), 0)


def test_property_cycles_reach_both_modes_where_a_plain_chain_stays_in_one():
    shares = []
    for schedule in (CyclicalSchedule(1.3, 40, explore=0.6), ConstantSchedule(0.05)):
        q = nn.Parameter(torch.full((1, 1), 4.0, dtype=torch.float64))
        found = cycles(schedule, SGLD([q], 0.1, generator=seeded(), **PLAIN), q, two_modes, 1600)
        shares.append(float((found > 0).double().mean()))
    assert 0.1 < shares[0] < 0.9
    assert shares[1] == 1.0


def test_property_schedules_say_what_they_say():
    cyclic = [CyclicalSchedule(2.0, 2, explore=0.5, every=2)(k, 12) for k in range(1, 13)]
    assert [plan.step_size for plan in cyclic[:6]] == pytest.approx([math.cos(math.pi * i / 6) + 1 for i in range(6)])
    assert cyclic[6:] == cyclic[:6]
    assert [plan.noisy for plan in cyclic[:6]] == [False] * 3 + [True] * 3
    assert [plan.keep for plan in cyclic[:6]] == [False] * 4 + [True, False]
    falling = [DecayingSchedule(0.1, 3.0, 0.6, burn_in=0.5, every=2)(k, 10) for k in range(1, 11)]
    assert [plan.step_size for plan in falling] == pytest.approx([0.1 * (3 + k) ** -0.6 for k in range(1, 11)])
    assert [k for k, plan in enumerate(falling, 1) if plan.keep] == [7, 9]
    assert ConstantSchedule(0.3, burn_in=0.0)(1, 10) == Plan(0.3, noisy=True, keep=True)


def line():
    x = torch.randn(12, 2, generator=seeded(5)).double()
    noise = 0.5 * torch.randn(12, 1, generator=seeded(6)).double()
    return Split(x, x @ torch.tensor([[1.0], [-2.0]]).double() + noise)


def nll(model, batch, generator):
    return (model(batch.x) - batch.y).square().sum(1).mean() / (2 * 0.25)


def test_oracle_drawn_networks_have_the_exact_posterior_of_a_linear_one():
    data, g = line(), seeded(7)
    exact = BayesianLinearRegression(2.0, 0.25).fit(data.x, data.y)
    found = sample_network(
        nn.Linear(2, 1, bias=False).double(),
        data,
        lambda p: SGHMC(p, 0.002, num_data=12, prior_precision=2.0, generator=g, friction=0.3),
        schedule=ConstantSchedule(0.002, burn_in=0.1, every=2),
        epochs=2000,
        generator=g,
        step=nll,
    )
    thetas = torch.stack([flatten(member) for member in found.members])
    spread = exact.covariance.diagonal().sqrt()
    assert len(found) == 900
    assert float(((thetas.mean(0) - exact.mean[:, 0]) / spread).abs().max()) < 0.3
    torch.testing.assert_close(thetas.std(0), spread, rtol=0.2, atol=0)


def test_property_a_drawn_network_answers_like_an_ensemble_and_the_model_is_left():
    data = Split(torch.randn(10, 3, generator=seeded()).double(), torch.arange(10) % 2)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2)).double().train()
    before = copy.deepcopy(network.state_dict())

    def drawn():
        g = seeded(2)
        make = lambda p: SGLD(p, 1e-3, num_data=10, prior_precision=1.0, generator=g)  # noqa: E731
        schedule = CyclicalSchedule(1e-2, 2, explore=0.5, every=2)
        return sample_network(network, data, make, schedule=schedule, epochs=6, generator=g, batch_size=5)

    found = drawn()
    assert found.predict(data.x).probs.shape == (len(found), 10, 2)
    assert len(found) == 2
    assert not torch.equal(flatten(found.members[0]), flatten(found.members[1]))
    assert torch.equal(found.predict(data.x).probs, drawn().predict(data.x).probs)
    assert network.training
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert all(p.grad is None for p in network.parameters())


def test_property_settings_without_numbers():
    settings = [make(P, 0.1, generator=seeded(), **PLAIN).param_groups[0] for make in (SGLD, SGHMC, SGNHT)]
    assert [group["temperature"] for group in settings] == [1.0] * 3
    assert (settings[0]["memory"], settings[0]["damping"], settings[0]["precondition"]) == (0.99, 1e-5, False)
    assert (settings[1]["friction"], settings[1]["batch_noise"]) == (0.1, 0.0)
    assert settings[2]["friction"] == settings[2]["thermostat"] == 0.05
    assert CyclicalSchedule(0.1, 2) == CyclicalSchedule(0.1, 2, explore=0.8, every=1)
    assert DecayingSchedule(0.1) == DecayingSchedule(0.1, 0.0, 0.55, burn_in=0.2, every=1)
    assert ConstantSchedule(0.1) == ConstantSchedule(0.1, burn_in=0.2, every=1)
    assert SGHMC(P, 0.1, generator=seeded(), friction=1.0, batch_noise=1.0, **PLAIN).param_groups[0]["lr"] == 0.1


def test_limit_what_the_loss_does_not_use_follows_its_prior_and_what_is_frozen_stays():
    q, frozen = begin(20_000), nn.Parameter(torch.ones(3), requires_grad=False)
    sampler = SGLD([q, frozen], 0.5, num_data=3, prior_precision=2.0, generator=seeded())
    for _ in range(30):
        assert sampler.step(lambda: 7.0) == 7.0
    assert float(q.detach().var()) == pytest.approx(0.5 / (1 - 0.5 / (4 * 0.5)), rel=0.05)
    assert frozen.tolist() == [1.0, 1.0, 1.0]


P = [nn.Parameter(torch.zeros(1))]
DATA = Split(torch.ones(4, 1), torch.zeros(4, dtype=torch.int64))


def run(num_data=4, **options):
    make = lambda p: SGLD(p, 0.1, num_data=num_data, prior_precision=1.0, generator=seeded())  # noqa: E731
    return sample_network(nn.Linear(1, 2), DATA, make, epochs=2, generator=seeded(), **options)


@pytest.mark.parametrize(
    ("call_it", "part"),
    [
        (lambda: SGLD(P, 0.0, generator=seeded(), **PLAIN), "lr"),
        (lambda: SGLD(P, 0.1, num_data=0, prior_precision=1.0, generator=seeded()), "num_data"),
        (lambda: SGLD(P, 0.1, num_data=1, prior_precision=-1.0, generator=seeded()), "prior_precision"),
        (lambda: SGLD(P, 0.1, generator=seeded(), temperature=math.inf, **PLAIN), "temperature"),
        (lambda: SGLD(P, 0.1, generator=seeded(), memory=1.0, **PLAIN), "memory"),
        (lambda: SGLD(P, 0.1, generator=seeded(), memory=-0.1, **PLAIN), "memory"),
        (lambda: SGLD(P, 0.1, generator=seeded(), damping=0.0, **PLAIN), "damping"),
        (lambda: SGLD(P, 0.1, generator=seeded(), temperature=-0.1, **PLAIN), "temperature"),
        (lambda: SGHMC(P, 0.1, generator=seeded(), friction=0.0, **PLAIN), "friction"),
        (lambda: SGHMC(P, 0.1, generator=seeded(), batch_noise=0.2, **PLAIN), "larger batches"),
        (lambda: SGHMC(P, 0.1, generator=seeded(), batch_noise=-0.01, **PLAIN), "negative variance"),
        (lambda: SGNHT(P, 0.1, generator=seeded(), friction=2.0, **PLAIN), "friction"),
        (lambda: CyclicalSchedule(0.1, 2, explore=1.0), "explore"),
        (lambda: CyclicalSchedule(0.1, 2, explore=-0.1), "explore"),
        (lambda: CyclicalSchedule(0.1, 2)(5, 4), "planned shorter"),
        (lambda: DecayingSchedule(0.1, power=1.1), "power"),
        (lambda: DecayingSchedule(0.1, offset=-1.0), "offset"),
        (lambda: DecayingSchedule(0.1, power=0.5), "power"),
        (lambda: ConstantSchedule(-0.1), "lr"),
        (lambda: run(schedule=ConstantSchedule(0.1, every=9)), "keeps no draw"),
        (lambda: run(num_data=5, schedule=ConstantSchedule(0.1)), "number of examples, 4"),
    ],
)
def test_error_the_message_says_what_to_do(call_it, part):
    with pytest.raises(ParameterError, match=part):
        call_it()
