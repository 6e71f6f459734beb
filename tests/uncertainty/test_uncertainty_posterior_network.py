"""Radial flows are densities; evidence is counted; the loss is the expected one; far from data nothing is claimed."""

import copy
import math

import pytest
import torch

from weightlore.data import two_moons
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.training import adam, fit
from weightlore.uncertainty.deterministic import (
    PosteriorNetwork,
    RadialFlow,
    posterior_network,
    posterior_network_loss,
    posterior_network_step,
)
from weightlore.uncertainty.deterministic.radial_flow import _radial


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def test_oracle_volume_is_the_determinant_of_the_jacobian():
    center, alpha, gain = normal(1, 3, seed=1), torch.tensor([0.7]).double(), torch.tensor([2.5]).double()
    for z in normal(5, 3):
        jacobian = torch.func.jacrev(lambda v: _radial(v[None, None], center, alpha, gain)[0][0, 0])(z)
        found = _radial(z[None, None], center, alpha, gain)[1]
        assert float(found) == pytest.approx(float(torch.linalg.slogdet(jacobian).logabsdet), rel=1e-10)


def test_oracle_a_flow_written_as_in_the_paper():
    center, alpha, gain = normal(1, 3, seed=1), torch.tensor([0.7]).double(), torch.tensor([2.5]).double()
    z, beta = normal(4, 1, 3), 2.5 - 0.7
    r = (z - center).norm(dim=-1)
    h = 1 / (0.7 + r)
    moved, volume = _radial(z, center, alpha, gain)
    torch.testing.assert_close(moved, z + beta * h[..., None] * (z - center))
    torch.testing.assert_close(volume, 2 * (1 + beta * h).log() + (1 + beta * h - beta * h**2 * r).log())


def test_oracle_densities_integrate_to_one():
    flow = RadialFlow(2, classes=3, layers=4, generator=seeded())
    ticks = torch.linspace(-15, 15, 601, dtype=torch.float64)
    grid = torch.cartesian_prod(ticks, ticks)
    mass = flow(grid).exp().sum(0) * (ticks[1] - ticks[0]) ** 2
    torch.testing.assert_close(mass.detach(), torch.ones(3).double(), rtol=2e-3, atol=0.0)


def test_limit_a_flow_without_pull_is_the_gaussian_also_at_its_center():
    flow = RadialFlow(3, classes=2, layers=2, generator=seeded())
    with torch.no_grad():
        flow.raw_beta.copy_(flow.raw_alpha)
    z = torch.cat([normal(4, 3), flow.center[0, :1].detach()]).requires_grad_()
    exact = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(1)
    torch.testing.assert_close(flow(z)[:, 0], exact)
    flow(z).sum().backward()
    assert bool(z.grad.isfinite().all())


def test_oracle_loss_is_the_mean_over_draws_and_its_gradient():
    alpha, y = normal(3, 4).abs() + 1, torch.tensor([0, 3, 1])
    exact = torch.distributions.Dirichlet(alpha)
    p = (torch._standard_gamma(alpha.expand(200_000, 3, 4), generator=seeded())).log()
    p = p - p.logsumexp(-1, keepdim=True)
    losses = -p[:, torch.arange(3), y].mean(1)
    error = float(losses.std()) / len(losses) ** 0.5
    assert abs(float(posterior_network_loss(alpha, y, weight=0.0)) - float(losses.mean())) < 5 * error
    torch.testing.assert_close(
        posterior_network_loss(alpha, y, weight=0.3),
        posterior_network_loss(alpha, y, weight=0.0) - 0.3 * exact.entropy().mean(),
    )
    assert torch.autograd.gradcheck(lambda a: posterior_network_loss(a, y, weight=0.3), alpha.requires_grad_())


def test_property_float32_keeps_its_digits_where_one_class_has_nearly_all():
    alpha, y = torch.tensor([[3e6, 1.0, 1.0]]), torch.tensor([0])
    found = posterior_network_loss(alpha, y, weight=0.0)
    assert found.dtype == torch.float32
    assert float(found) == pytest.approx(math.log1p(2 / 3e6), rel=1e-5)


def test_property_evidence_is_the_count_times_the_density():
    flow = RadialFlow(2, classes=2, layers=2, generator=seeded())
    model = PosteriorNetwork(torch.nn.Identity(), flow, counts=torch.tensor([10, 1000]))
    z = normal(5, 2)
    torch.testing.assert_close(model(z) - 1, torch.tensor([10.0, 1000.0]).double() * flow(z).exp())
    torch.testing.assert_close(model.predict(1e4 * z).alpha, torch.ones(5, 2).double())


def test_property_predictions_are_those_of_evaluation_mode():
    flow, z = RadialFlow(2, classes=2, layers=2, generator=seeded()), normal(5, 2)
    model = PosteriorNetwork(torch.nn.Dropout(0.5), flow, counts=torch.tensor([10, 1000])).train()
    torch.testing.assert_close(model.predict(z).alpha - 1, torch.tensor([10.0, 1000.0]).double() * flow(z).exp())
    assert model.training


def test_property_training_learns_and_claims_nothing_far_away():
    data = two_moons(200, noise=0.1, generator=seeded())
    network = mlp((2, 16, 16, 2), generator=seeded())
    before = copy.deepcopy(network.state_dict())
    model = posterior_network(network, data.y, classes=2, size=2, generator=seeded())
    fit(model, data, generator=seeded(), step=posterior_network_step(), epochs=30, batch_size=32, optimizer=adam(1e-2))
    said = model.predict(data.x)
    far = model.predict(30 * torch.nn.functional.normalize(normal(50, 2), dim=1))
    assert float((said.labels == data.y).double().mean()) > 0.95
    assert float(said.precision.median()) > 10 * float(far.precision.median())
    assert all(torch.equal(one, before[name]) for name, one in network.state_dict().items())


def test_limit_a_collapsed_density_stays_finite():
    flow = RadialFlow(1, classes=2, layers=1, generator=seeded())
    model = PosteriorNetwork(torch.nn.Identity(), flow, counts=torch.tensor([1, 1]))
    with torch.no_grad():
        flow.raw_alpha.fill_(-60.0)
        flow.raw_beta.fill_(40.0)
    alpha = model(flow.center[0, 0][None].detach())
    assert float(alpha[0, 0].detach()) == pytest.approx(1 + math.exp(30))
    assert math.isfinite(float(posterior_network_loss(alpha, torch.tensor([0]), weight=1e-3).detach()))


def test_error_counts_weights_and_shapes():
    flow = RadialFlow(2, classes=2, layers=1, generator=seeded())
    for counts in (torch.tensor([1, 0]), torch.tensor([1, 1, 1]), torch.tensor([1.0, 2.0])):
        with pytest.raises(ParameterError, match="counts must be"):
            PosteriorNetwork(torch.nn.Identity(), flow, counts=counts)
    with pytest.raises(ParameterError, match="rows of 2 numbers"):
        flow(normal(3, 3))
    with pytest.raises(ParameterError, match="weight of the entropy"):
        posterior_network_loss(torch.ones(1, 2), torch.tensor([0]), weight=-1.0)
    with pytest.raises(ParameterError, match="alpha must have shape"):
        posterior_network_loss(torch.ones(1, 2), torch.tensor([0, 1]), weight=0.0)
    with pytest.raises(ParameterError, match="must be finite"):
        PosteriorNetwork(torch.nn.Identity(), flow, counts=torch.tensor([1, 1])).predict(normal(2, 2) / 0)
