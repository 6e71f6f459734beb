"""Gaussian dropout with learned strength: its divergence by quadrature, two ways to draw, and weights that vanish."""

import math

import pytest
import torch
from scipy import integrate, stats
from torch import nn

from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import cnn
from weightlore.training import adam, fit
from weightlore.uncertainty.bayesian import (
    VariationalDropout,
    drawing,
    elbo_step,
    kl_divergence,
    log_uniform_kl,
    predict_members,
    variational_dropout,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def linear(inputs=4, outputs=3):
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs).double().eval()
    layer.weight.data, layer.bias.data = normal(outputs, inputs), normal(outputs, seed=1)
    return layer


def convolution():
    layer = nn.utils.skip_init(nn.Conv2d, 2, 3, 3, padding=1).double().eval()
    layer.weight.data, layer.bias.data = normal(3, 2, 3, 3), normal(3, seed=1)
    return layer


def exact(alpha):
    """E ln|1 + sqrt(alpha) e| - 1/2 ln alpha, from its limit for infinite alpha, where it is E ln|e|."""
    s = math.sqrt(alpha)
    low, high = 1 - 12 * s, 1 + 12 * s
    points = [p for p in (0.0, 1.0) if low < p < high]
    found = integrate.quad(
        lambda w: math.log(abs(w) or 1e-300) * stats.norm.pdf(w, 1, s), low, high, points=points, limit=500
    )[0]
    return found - math.log(alpha) / 2 + (0.5772156649015329 + math.log(2)) / 2


@pytest.mark.parametrize("log_alpha", [-6.0, -3.0, -1.0, 0.0, 1.0, 3.0, 6.0])
def test_oracle_divergence_by_quadrature(log_alpha):
    ours = log_uniform_kl(torch.tensor(log_alpha).double()).item()
    assert ours == pytest.approx(exact(math.exp(log_alpha)), abs=0.012)  # a fit, as the paper gives it


def test_property_the_divergence_falls_to_zero_and_grows_like_the_logarithm():
    grid = torch.linspace(-30, 30, 601).double()
    kl = log_uniform_kl(grid)
    assert bool((kl[1:] < kl[:-1]).all())
    assert kl[-1].item() == pytest.approx(0.0, abs=1e-12)
    assert float(kl[0] - kl[10]) == pytest.approx(0.5, abs=1e-6)
    assert torch.autograd.gradcheck(log_uniform_kl, grid[::40].clone().requires_grad_())


def test_property_the_divergence_of_a_network_is_the_sum_over_weights():
    net = variational_dropout(nn.Sequential(linear(), nn.ReLU(), linear(3, 2)), log_variance=-2.0)
    by_hand = sum(
        log_uniform_kl(torch.tensor(-2.0 - 2 * math.log(abs(w))).double())
        for layer in (linear(), linear(3, 2))
        for w in layer.weight.flatten().tolist()
    )
    torch.testing.assert_close(kl_divergence(net), by_hand)


@pytest.mark.parametrize(("made", "shape"), [(linear, (5, 4)), (convolution, (2, 2, 5, 5))])
def test_oracle_outputs_of_training_and_of_members_have_the_moments_of_drawn_weights(made, shape):
    layer, x = VariationalDropout(made(), log_variance=-1.5), normal(*shape, seed=2)
    variance = math.exp(-1.5) * (x.square() @ torch.ones(3, 4).double().T if made is linear else ones(x))
    for held in (False, True):
        chance, draws = seeded(3), []
        for _ in range(3000):
            with torch.no_grad(), drawing(layer, chance, held=held):
                draws.append(layer(x))
        y = torch.stack(draws)
        assert ((y.mean(0) - layer.layer(x)) / (variance / 3000).sqrt()).abs().max() < 4.5
        assert ((y.var(0) - variance) / variance).abs().max() < 0.15


def ones(x):
    return torch.nn.functional.conv2d(x.square(), torch.ones(3, 2, 3, 3).double(), padding=1)


def test_property_rows_of_training_are_independent_and_those_of_a_member_are_not():
    layer, x = VariationalDropout(linear(), log_variance=0.0), torch.ones(6, 4).double()
    with drawing(layer, seeded()):
        rows = layer(x)
    assert len(rows.unique(dim=0)) == 6
    with drawing(layer, seeded(), held=True):
        member = layer(x)
        assert torch.equal(member, layer(x))
    assert len(member.unique(dim=0)) == 1


def test_property_a_network_learns_and_weights_without_use_become_noise():
    x = normal(400, 6)
    data = Split(x, (2 * x[:, :1] - x[:, 1:2]) + 0.1 * normal(400, 1, seed=5))
    net = variational_dropout(linear(6, 1))

    def squared(model, batch, generator):
        return 50 * (model(batch.x) - batch.y).square().mean()

    fit(
        net, data, step=elbo_step(squared, num_data=400), optimizer=adam(0.05), epochs=150, batch_size=100,
        generator=seeded(),
    )  # fmt: skip
    assert bool((net.log_alpha[0, :2] < -9).all()), "s^2 of about 1 / (50 * 2 * 400), weights of 1 and 2"
    assert bool((net.log_alpha[0, 2:] > -3).all())
    plain = net.plain(threshold=-3.0)
    torch.testing.assert_close(
        plain.weight.detach(), torch.tensor([[2.0, -1.0, 0, 0, 0, 0]]).double(), atol=0.05, rtol=0
    )
    assert type(plain) is nn.Linear
    assert bool((net.layer.weight[0, 2:] != 0).all()), "the layer itself keeps them"


def test_property_networks_answer():
    model, x = cnn((4, 4), hidden=8, generator=seeded()), digits("validation").x[:6]
    net = variational_dropout(model, log_variance=-3.0)
    whole = predict_members(net, x, samples=3, generator=seeded())
    parts = predict_members(net, x, samples=3, generator=seeded(), batch_size=4)
    torch.testing.assert_close(whole.probs, parts.probs, rtol=1e-10, atol=1e-12)
    assert float(whole.mutual_information().min()) > 0
    assert torch.equal(net.eval()(x), model.eval()(x))


def test_limit_a_weight_of_zero_and_no_noise():
    layer = linear()
    layer.weight.data[0, 0] = 0.0
    dropped = VariationalDropout(layer)
    dropped.kl_divergence().backward()
    assert all(bool(p.grad.isfinite().all()) for p in (dropped.layer.weight, dropped.log_variance))
    assert bool(dropped.log_alpha.isfinite().all())
    still = VariationalDropout(layer, log_variance=-200.0)
    x = normal(3, 4)
    with drawing(still, seeded(), held=True):
        torch.testing.assert_close(still(x), layer(x))
    with drawing(still, seeded()):
        torch.testing.assert_close(still(x), layer(x), atol=1e-5, rtol=0)


def test_error_starts_and_arguments_that_are_none():
    with pytest.raises(ParameterError, match="log_variance must be finite"):
        VariationalDropout(linear(), log_variance=-math.inf)
    with pytest.raises(ParameterError, match="must be finite"):
        log_uniform_kl(torch.tensor(math.nan))
    with pytest.raises(ParameterError, match="drawing"):
        VariationalDropout(linear()).train()(normal(2, 4))
