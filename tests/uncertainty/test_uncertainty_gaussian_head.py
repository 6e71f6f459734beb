"""The head that says its own noise: torch's loss, units, and what cannot be learned."""

import math

import pytest
import torch
from torch import nn

from weightlore.data import heteroscedastic_sine
from weightlore.data.toys import sine_noise
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.training import adam, fit
from weightlore.uncertainty.deterministic import GaussianHead, beta_nll, gaussian_nll


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_oracle_loss_of_torch(outputs, dtype):
    mean, raw, y = (normal(50, outputs, seed=s, dtype=dtype) for s in range(3))
    theirs = nn.GaussianNLLLoss(full=True)(mean, y, raw.exp())
    torch.testing.assert_close(gaussian_nll((mean, raw.exp()), y), outputs * theirs)


def test_oracle_loss_is_the_density_of_all_outputs():
    mean, raw, y = (normal(20, 2, seed=s) for s in range(3))
    density = torch.distributions.Normal(mean, raw.exp().sqrt()).log_prob(y).sum(1).mean()
    torch.testing.assert_close(gaussian_nll((mean, raw.exp()), y), -density)


def test_property_gradients_are_those_of_finite_differences():
    mean, raw = (normal(6, 2, seed=s).requires_grad_() for s in range(2))
    y = normal(6, 2, seed=3)
    assert torch.autograd.gradcheck(lambda m, r: gaussian_nll((m, r.exp()), y), (mean, raw))


def test_property_the_best_variance_is_the_squared_error():
    y, mean = normal(100, 1), torch.zeros(100, 1).double()
    best = (y**2).mean()
    losses = [float(gaussian_nll((mean, factor * best.expand(100, 1)), y)) for factor in (0.9, 1.0, 1.1)]
    assert losses[1] == min(losses)
    assert math.isclose(losses[1], 0.5 * (math.log(2 * math.pi * float(best)) + 1), rel_tol=1e-12)


def test_property_units_of_the_targets():
    """In other units the head says the same: the loss shifts by the logarithm of the scale."""
    y, h = normal(30, 2) * torch.tensor([1.0, 5.0]).double(), normal(30, 4, seed=1)
    one, other = (GaussianHead(4, targets, generator=seeded()) for targets in (y, 7 + 100 * y))
    torch.testing.assert_close(other(h)[0], 7 + 100 * one(h)[0])
    torch.testing.assert_close(other(h)[1], 100**2 * one(h)[1])
    shift = gaussian_nll(other(h), 7 + 100 * y) - gaussian_nll(one(h), y)
    torch.testing.assert_close(shift, torch.tensor(2 * math.log(100)).double())


def test_property_a_zero_head_says_mean_and_seven_tenths_of_the_variance():
    y = normal(50, 2) * 3 + 1
    head = GaussianHead(4, y, generator=seeded())
    nn.init.zeros_(head.readout.weight)
    mean, variance = head(normal(2, 4))
    torch.testing.assert_close(mean, y.mean(0).expand(2, 2))
    torch.testing.assert_close(variance, (math.log(2) + 1e-6) * y.var(0, correction=0).expand(2, 2))


def test_property_variance_stays_above_a_millionth():
    head = GaussianHead(1, torch.tensor([-1.0, 1.0]), generator=seeded())
    nn.init.constant_(head.readout.weight, -1e4)
    assert head(torch.ones(1, 1))[1].item() == pytest.approx(1e-6)


def test_property_weights_come_from_the_generator_alone():
    y, before = normal(9, 1), torch.get_rng_state()
    one, other, third = (GaussianHead(5, y, generator=seeded(s)).readout for s in (0, 0, 1))
    assert torch.equal(one.weight, other.weight)
    assert not torch.equal(one.weight, third.weight)
    assert one.bias.abs().max().item() == 0
    assert torch.equal(torch.get_rng_state(), before)


def test_limit_targets_without_a_second_axis():
    y = normal(8)
    head = GaussianHead(3, y, generator=seeded())
    prediction = head(normal(8, 3))
    assert prediction[0].shape == (8, 1)
    torch.testing.assert_close(gaussian_nll(prediction, y), gaussian_nll(prediction, y[:, None]))


def test_error_targets_that_are_all_alike():
    y = torch.stack([torch.arange(4.0), torch.full((4,), 2.5)], 1)
    with pytest.raises(ParameterError, match=r"output 1 has the same target 2\.5 everywhere"):
        GaussianHead(3, y, generator=seeded())


@pytest.mark.parametrize("y", [torch.arange(4), torch.zeros(1), torch.zeros(2, 2, 2), [1.0, 2.0]])
def test_error_targets_that_are_no_numbers_to_learn(y):
    with pytest.raises(ParameterError, match="must be floating numbers"):
        GaussianHead(3, y, generator=seeded())


def test_error_targets_that_are_not_finite():
    with pytest.raises(ParameterError, match="must be finite"):
        GaussianHead(3, torch.tensor([0.0, float("nan")]), generator=seeded())


def test_error_losses_of_what_does_not_fit():
    one = torch.ones(4, 1)
    with pytest.raises(ParameterError, match="one shape"):
        gaussian_nll((one, torch.ones(4)), one)
    with pytest.raises(ParameterError, match="one shape"):
        gaussian_nll((one, one), torch.ones(5))
    with pytest.raises(ParameterError, match=r"above 0, got 0\.0"):
        gaussian_nll((one, 0 * one), one)


@pytest.mark.parametrize("outputs", [1, 3])
def test_oracle_beta_weighs_each_output_by_its_variance(outputs):
    mean, raw, y = (normal(20, outputs, seed=s) for s in range(3))
    density = -torch.distributions.Normal(mean, (raw / 2).exp()).log_prob(y)
    for beta in (0.25, 1.0):
        expected = ((beta * raw).exp() * density).sum(1).mean()
        torch.testing.assert_close(beta_nll((mean, raw.exp()), y, beta=beta), expected)


def test_property_beta_zero_is_the_plain_loss():
    mean, raw, y = (normal(20, 2, seed=s) for s in range(3))
    assert torch.equal(beta_nll((mean, raw.exp()), y, beta=0.0), gaussian_nll((mean, raw.exp()), y))


def test_oracle_beta_one_moves_means_as_the_squared_error_does():
    mean, raw, y = normal(20, 2).requires_grad_(), normal(20, 2, seed=1).requires_grad_(), normal(20, 2, seed=2)
    ours = torch.autograd.grad(beta_nll((mean, raw.exp()), y, beta=1.0), (mean, raw))
    (squared,) = torch.autograd.grad((0.5 * (y - mean) ** 2).sum(1).mean(), mean)
    torch.testing.assert_close(ours[0], squared)
    # the weight has no gradient: d/dr of 1/2 (r + e^2 exp(-r)) times exp(r)
    torch.testing.assert_close(ours[1], 0.5 * (raw.exp() - (y - mean) ** 2).detach() / 20)


def test_error_of_beta():
    one = torch.ones(3, 1)
    for beta in (-0.1, 1.1, math.nan, True):
        with pytest.raises(ParameterError, match="beta must be a number between 0 and 1"):
            beta_nll((one, one), one, beta=beta)
    with pytest.raises(ParameterError, match="above 0"):
        beta_nll((one, 0 * one), one, beta=0.5)


@pytest.mark.parametrize("beta", [0.0, 0.5])
def test_property_a_network_finds_the_noise_of_the_sine(beta):
    """Within a fifth of the true standard deviation on average."""
    data = heteroscedastic_sine(2000, generator=seeded())
    head = GaussianHead(32, data.y, generator=seeded(1))
    body = mlp((1, 32, 32), generator=seeded(2))
    model = nn.Sequential(body, nn.ReLU(), head)
    step = lambda m, batch, _: beta_nll(m(batch.x), batch.y, beta=beta)  # noqa: E731
    fit(model, data, step=step, optimizer=adam(0.01), epochs=40, batch_size=100, generator=seeded(3))
    x = torch.linspace(0.02, 0.98, 49).double()[:, None]
    with torch.no_grad():
        std = model(x)[1].sqrt()
    assert float((std / sine_noise(x) - 1).abs().mean()) < 0.2
