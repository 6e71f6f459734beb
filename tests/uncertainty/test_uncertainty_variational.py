import copy
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import Normal
from torch.distributions import kl_divergence as torch_divergence
from torch.nn import functional

from weightlore import training
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import cnn, mlp
from weightlore.training import adam
from weightlore.uncertainty.bayesian import (
    BayesConv2d,
    BayesLinear,
    GaussianPrior,
    ScaleMixture,
    batch_shares,
    drawing,
    elbo_loss,
    elbo_step,
    gaussian_kl,
    kl_divergence,
    predict_members,
    variational,
    warmed,
)
from weightlore.uncertainty.bayesian.mean_field import random_signs
from weightlore.uncertainty.sources import BayesianLinearRegression

ESTIMATORS = ("plain", "local", "flipout")


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def filled(module: nn.Module) -> nn.Module:
    """The module with parameters that are all different."""
    module = module.double()
    for place, parameter in enumerate(module.parameters()):
        parameter.data = numbers(*parameter.shape, seed=place)
    return module


def linear(estimator="local", **options) -> BayesLinear:
    """A layer (out 2, in 3) with spreads that are all different."""
    return filled(BayesLinear(nn.Linear(3, 2), estimator=estimator, **options))


def convolution(estimator="local", **options) -> BayesConv2d:
    return filled(BayesConv2d(nn.Conv2d(2, 4, 3, padding=1, stride=2, groups=2), estimator=estimator, **options))


def drawn(layer, x, draws: int, seed: int = 1) -> torch.Tensor:
    """Outputs of many passes, (draws, N, ...)."""
    with drawing(layer, seeded(seed)), torch.no_grad():
        return torch.stack([layer(x) for _ in range(draws)])


def moments(layer, x) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of each output, from the definition."""
    mean = layer.affine(x, layer.weight.mean, layer.bias.mean)
    return mean, layer.affine(x**2, layer.weight.std**2, layer.bias.std**2)


@pytest.mark.parametrize("make", [linear, convolution])
@pytest.mark.parametrize("prior", [GaussianPrior(1.0), GaussianPrior(0.3, mean=1.5)])
def test_oracle_divergence_is_the_sum_that_torch_gives(make, prior):
    layer = make(prior=prior)
    pairs = [(Normal(part.mean, part.std), Normal(prior.mean, prior.std)) for part in (layer.weight, layer.bias)]
    expected = sum(torch_divergence(q, p).sum() for q, p in pairs)
    torch.testing.assert_close(layer.kl_divergence(), expected)


def test_oracle_divergence_of_a_network_is_the_sum_over_its_layers():
    network = variational(mlp((3, 4, 2), generator=seeded()))
    parts = [layer.kl_divergence() for layer in network.modules() if isinstance(layer, BayesLinear)]
    assert len(parts) == 2
    torch.testing.assert_close(kl_divergence(network), parts[0] + parts[1])
    assert torch.equal(kl_divergence(parts_of := linear()), parts_of.kl_divergence())


@settings(max_examples=30, deadline=None)
@given(st.floats(-3, 3), st.floats(0.01, 5), st.floats(-3, 3), st.floats(0.01, 5))
def test_property_a_divergence_is_not_negative_and_zero_at_the_prior(mean, std, prior_mean, prior_std):
    m, s = torch.full((3,), mean, dtype=torch.float64), torch.full((3,), std, dtype=torch.float64)
    assert gaussian_kl(m, s, prior_mean=prior_mean, prior_std=prior_std) >= -1e-12
    assert abs(gaussian_kl(m, s, prior_mean=mean, prior_std=std)) < 1e-12


def test_oracle_scale_mixture_against_its_density():
    prior, w = ScaleMixture(0.25, 1.5, 0.1), torch.linspace(-2, 2, 9, dtype=torch.float64)
    density = 0.25 * Normal(0, 1.5).log_prob(w).exp() + 0.75 * Normal(0, 0.1).log_prob(w).exp()
    torch.testing.assert_close(prior.log_prob(w), density.log())
    assert torch.isfinite(ScaleMixture().log_prob(torch.tensor([1e3], dtype=torch.float64))).all()


def test_property_priors_without_numbers():
    assert GaussianPrior() == GaussianPrior(1.0, mean=0.0)
    assert ScaleMixture() == ScaleMixture(0.5, 1.0, math.exp(-6))
    assert linear().prior == GaussianPrior()
    zero = torch.zeros(1, dtype=torch.float64)
    assert float(gaussian_kl(zero, zero + 1, prior_std=1.0)) == 0
    assert float(GaussianPrior(2.0, mean=1.0).log_prob(zero)) == pytest.approx(float(Normal(1.0, 2.0).log_prob(zero)))


def test_oracle_divergence_from_a_scale_mixture_in_the_mean_of_draws():
    layer = linear(prior=ScaleMixture(0.5, 1.0, 0.2))
    with drawing(layer, seeded()), torch.no_grad():
        found = torch.stack([layer.kl_divergence() for _ in range(4000)])
    grid = torch.linspace(-12, 12, 48001, dtype=torch.float64)
    expected = 0.0
    for part in (layer.weight, layer.bias):
        for mean, std in zip(part.mean.flatten().tolist(), part.std.flatten().tolist(), strict=True):
            log_q = Normal(mean, std).log_prob(grid)
            expected += float(torch.trapezoid(log_q.exp() * (log_q - layer.prior.log_prob(grid)), grid))
    assert abs(found.mean() - expected) < 5 * found.std() / 4000**0.5
    assert found.std() > 0.1


def test_error_a_divergence_that_needs_a_draw():
    with pytest.raises(ParameterError, match="use a GaussianPrior"):
        linear(prior=ScaleMixture()).eval().kl_divergence()


@pytest.mark.parametrize("make", [linear, convolution])
def test_oracle_plain_is_the_layer_with_drawn_weights(make):
    layer, x = make("plain"), numbers(5, 3) if make is linear else numbers(5, 2, 6, 6)
    with drawing(layer, seeded(7)):
        found = layer(x)
    chance = seeded(7)
    weight, bias = (
        part.mean + part.std * torch.randn(part.mean.shape, generator=chance, dtype=torch.float64)
        for part in (layer.weight, layer.bias)
    )
    conv = {"stride": 2, "padding": 1, "groups": 2}
    expected = functional.linear(x, weight, bias) if make is linear else functional.conv2d(x, weight, bias, **conv)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("make", [linear, convolution])
def test_property_every_estimator_has_the_same_mean_and_variance_of_each_row(estimator, make):
    layer, x = make(estimator), numbers(3, 3) if make is linear else numbers(2, 2, 4, 4)
    count = 4000
    outputs, (mean, variance) = drawn(layer, x, count), moments(layer, x)
    assert bool(((outputs.mean(0) - mean).abs() < 5 * (variance / count).sqrt()).all())
    kurtosis = ((outputs - mean) ** 4).mean(0) / variance**2  # of flipout not a Gaussian's
    assert bool(((outputs.var(0) / variance - 1).abs() < 5 * ((kurtosis - 1) / count).sqrt()).all())


@pytest.mark.parametrize("make", [linear, convolution])
def test_property_rows_are_correlated_in_plain_draws_alone(make):
    shape = (1, 3) if make is linear else (1, 2, 4, 4)
    x, count = numbers(*shape).repeat(2, *(1 for _ in shape[1:])), 4000

    def correlations(estimator):
        layer = make(estimator)
        off = drawn(layer, x, count) - moments(layer, x)[0]
        return (off[:, 0] * off[:, 1]).mean(0) / moments(layer, x)[1][0], off

    assert bool((correlations("plain")[0] > 0.8).all())
    for estimator in ("local", "flipout"):
        found, off = correlations(estimator)
        error = (off[:, 0] * off[:, 1]).std(0) / count**0.5 / moments(make(estimator), x)[1][0]
        assert bool((found.abs() < 5 * error).all())


def test_property_gradients_are_noisiest_with_plain_draws():
    x, y = numbers(64, 3), numbers(64, 2, seed=1)

    def spread(estimator):
        layer, found = linear(estimator), []
        with drawing(layer, seeded()):
            for _ in range(300):
                loss = (layer(x) - y).square().mean()
                found.append(torch.autograd.grad(loss, [layer.weight.mean])[0])
        return torch.stack(found).var(0).sum()

    plain, local, flipout = map(spread, ESTIMATORS)
    assert local < plain / 3
    assert flipout < plain / 3


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_property_a_held_draw_is_one_affine_map(estimator):
    layer, x = linear(estimator), numbers(6, 3)
    with drawing(layer, seeded(), held=True), torch.no_grad():
        zero = layer(torch.zeros(1, 3, dtype=torch.float64))
        torch.testing.assert_close(layer(x[:1] + x[1:2]) - zero, layer(x[:1]) + layer(x[1:2]) - 2 * zero)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("make", [linear, convolution])
def test_property_evaluation_uses_the_mean_and_every_parameter_learns(estimator, make):
    layer, x = make(estimator), numbers(2, 3) if make is linear else numbers(2, 2, 6, 6)
    assert torch.equal(layer.eval()(x), moments(layer, x)[0])
    with drawing(layer, seeded()):
        (layer(x).square().mean() + layer.kl_divergence()).backward()
    assert all(bool((p.grad != 0).all()) for p in layer.parameters())


def test_limit_inputs_of_zero_have_finite_slopes():
    layer = filled(BayesLinear(nn.Linear(3, 2, bias=False)))
    with drawing(layer, seeded()):
        layer(torch.zeros(4, 3, dtype=torch.float64)).sum().backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in layer.parameters())


def test_property_a_network_starts_near_the_one_it_was_made_from():
    network = cnn((3, 4), image=(1, 8, 8), hidden=5, classes=3, generator=seeded()).train()
    before, x = copy.deepcopy(network.state_dict()), numbers(4, 1, 8, 8)
    copied = variational(network, estimator="flipout")
    torch.testing.assert_close(copied.eval()(x), network.eval()(x))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    layers = [layer for layer in copied.modules() if isinstance(layer, BayesLinear | BayesConv2d)]
    assert len(layers) == 4
    for layer in layers:
        expected = torch.full_like(layer.weight.mean, 0.05 * layer.weight.mean[0].numel() ** -0.5)
        torch.testing.assert_close(layer.weight.std.detach(), expected.detach())
        assert layer.estimator == "flipout"


def test_property_training_learns_and_leaves_global_chance_alone():
    x = numbers(60, 2)
    data, state = Split(x, (x[:, 0] > 0).long()), torch.get_rng_state()
    model = variational(mlp((2, 8, 2), generator=seeded()), prior=ScaleMixture(0.5, 1.0, 0.1))
    step = elbo_step(num_data=60, kl_weight=warmed(20))
    history = training.fit(model, data, step=step, optimizer=adam(0.02), generator=seeded(), epochs=20, batch_size=20)
    found = predict_members(model, x, samples=8, generator=seeded())
    assert history.train_loss[-1] < history.train_loss[7]  # from where the weight is 1
    assert (found.labels == data.y).double().mean() > 0.9
    assert bool((found.mutual_information() > 0).any())
    assert torch.equal(torch.get_rng_state(), state)


NOISE, PRECISION = 0.25, 2.0


def posterior(x: torch.Tensor, y: torch.Tensor) -> BayesLinear:
    """A linear model without bias, trained with many draws for each row."""
    layer = BayesLinear(nn.Linear(x.shape[1], 1, bias=False).double(), prior=GaussianPrior(PRECISION**-0.5), spread=1.0)
    rows = Split(x.repeat(50, 1), y.repeat(50, 1))

    def nll(model, batch, generator):
        return (model(batch.x) - batch.y).square().mean() / (2 * NOISE)

    training.fit(
        layer,
        rows,
        step=elbo_step(nll, num_data=len(x)),
        optimizer=adam(0.05),
        schedule=training.cosine,
        generator=seeded(),
        epochs=500,
        batch_size=len(rows),
    )
    return layer


@pytest.mark.parametrize("correlation", [0.0, 0.8])
def test_oracle_a_linear_model_finds_the_exact_mean_and_the_variances_of_a_mean_field(correlation):
    basis = torch.linalg.qr(numbers(20, 2))[0] * 20**0.5
    mix = torch.tensor([[1.0, correlation], [0.0, (1 - correlation**2) ** 0.5]], dtype=torch.float64)
    x = basis @ mix  # columns of length sqrt(N) with this correlation
    y = x @ torch.tensor([[1.0], [-0.5]], dtype=torch.float64) + NOISE**0.5 * numbers(20, 1, seed=1)
    exact = BayesianLinearRegression(PRECISION, NOISE).fit(x, y)
    layer = posterior(x, y)
    torch.testing.assert_close(layer.weight.mean.detach()[0], exact.mean[:, 0], rtol=0, atol=0.01)
    found = layer.weight.std.detach()[0]
    torch.testing.assert_close(found, exact.precision.diagonal().rsqrt(), rtol=0.02, atol=0)
    true = exact.covariance.diagonal().sqrt()
    if correlation == 0:
        torch.testing.assert_close(found, true, rtol=0.02, atol=0)
    else:
        assert bool((found < 0.7 * true).all())


def test_oracle_loss_and_shares():
    loss = elbo_loss(torch.tensor(2.0), torch.tensor(30.0), num_data=100, kl_weight=0.5)
    assert abs(float(loss) - 2.15) < 1e-6
    shares = batch_shares(5, kind="halving")
    exact = torch.tensor([2.0 ** (5 - i) / (2**5 - 1) for i in range(1, 6)], dtype=torch.float64)
    torch.testing.assert_close(shares, exact)
    assert batch_shares(4).tolist() == [0.25] * 4


@pytest.mark.parametrize("kind", ["uniform", "halving"])
@pytest.mark.parametrize("batches", [1, 3, 5000])
def test_limit_shares_sum_to_one(kind, batches):
    shares = batch_shares(batches, kind=kind)
    assert abs(float(shares.sum()) - 1) < 1e-12
    assert bool((shares >= 0).all())


def test_property_an_epoch_counts_the_divergence_once_whatever_the_shares():
    model, batch = linear("plain"), Split(numbers(4, 3), numbers(4, 2))

    def nothing(model, batch, generator):
        return torch.zeros((), dtype=torch.float64)

    for kind in ("uniform", "halving"):
        shares = batch_shares(3, kind=kind)
        step = elbo_step(nothing, num_data=12, kl_weight=lambda t, shares=shares: 3 * float(shares[t % 3]))
        total = sum(4 * step(model, batch, seeded()) for _ in range(3))
        torch.testing.assert_close(total, model.kl_divergence())


@pytest.mark.parametrize(
    ("call", "repair"),
    [
        (lambda: GaussianPrior(0.0), "standard deviation and must be finite and > 0"),
        (lambda: GaussianPrior(1.0, mean=float("nan")), "must be finite"),
        (lambda: ScaleMixture(1.0), "use GaussianPrior"),
        (lambda: ScaleMixture(0.0), "use GaussianPrior"),
        (lambda: ScaleMixture(0.5, 0.1, 0.1), "narrow below wide"),
        (lambda: ScaleMixture(0.5, 0.1, 0.0), "narrow is a standard deviation"),
        (lambda: ScaleMixture(0.5, 0.1, 0.2), "narrow below wide"),
        (lambda: gaussian_kl(torch.zeros(2), torch.ones(3), prior_std=1.0), "every weight has a mean and a std"),
        (lambda: gaussian_kl(torch.zeros(2), torch.ones(2), prior_std=-1.0), "prior_std is a standard deviation"),
        (lambda: BayesLinear(nn.Linear(2, 2), spread=0.0), "must be finite and > 0"),
        (lambda: BayesLinear(nn.Linear(2, 2), estimator="best"), "'plain', 'local', 'flipout'"),
        (lambda: BayesConv2d(nn.Conv2d(1, 1, 3, padding=1, padding_mode="reflect")), "nn.ReflectionPad2d"),
        (lambda: variational(nn.ReLU()), "no layer of the kind"),
        (lambda: kl_divergence(nn.Linear(2, 2)), r"variational\(model\)"),
        (lambda: elbo_loss(torch.zeros(3), torch.zeros(()), num_data=3), r"use losses.mean\(\)"),
        (lambda: elbo_loss(torch.zeros(()), torch.zeros(()), num_data=0), "num_data must be a whole number"),
        (lambda: elbo_loss(torch.zeros(()), torch.zeros(()), num_data=3, kl_weight=-1.0), "kl_weight must be >= 0"),
        (lambda: elbo_step(num_data=0), "num_data must be a whole number"),
        (lambda: batch_shares(0), "batches must be a whole number"),
        (lambda: batch_shares(2, kind="last"), "'uniform', 'halving'"),
        (lambda: warmed(0), "steps must be a whole number"),
    ],
)
def test_error_arguments_out_of_range(call, repair):
    with pytest.raises(ParameterError, match=repair):
        call()


@pytest.mark.parametrize(("make", "shape"), [(linear, (3,)), (convolution, (2, 6, 6))])
def test_error_flipout_needs_a_batch(make, shape):
    layer = make("flipout")
    with pytest.raises(ParameterError, match=r"use x\[None\]"), drawing(layer, seeded()):
        layer(numbers(*shape))


def test_property_signs_are_even_and_independent():
    signs = random_signs((2001, 5), like=torch.zeros(1), generator=seeded())
    assert signs.shape == (2001, 5)
    assert bool((signs.abs() == 1).all())
    flat = signs.flatten()
    assert abs(flat.mean()) < 5 / len(flat) ** 0.5
    for lag in (1, 2, 5, 8):
        assert abs((flat[lag:] * flat[:-lag]).mean()) < 5 / len(flat) ** 0.5
    for place in range(8):  # of a byte in its word
        assert abs(flat[place::8].mean()) < 5 * (8 / len(flat)) ** 0.5
