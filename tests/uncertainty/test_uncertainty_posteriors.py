import math

import pytest
import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal
from torch.distributions import kl_divergence as torch_divergence

from weightlore.errors import ParameterError
from weightlore.uncertainty.bayesian import (
    GaussianPrior,
    MatrixGaussianLinear,
    RadialLinear,
    Rank1Linear,
    drawing,
    gaussian_kl,
    kl_divergence,
    matrix_gaussian_kl,
    predict_members,
    radial_kl,
)
from weightlore.uncertainty.bayesian.matrix_gaussian import TriangularFactor
from weightlore.uncertainty.bayesian.radial import radial_like

KINDS = (MatrixGaussianLinear, RadialLinear, Rank1Linear)
COUNT = 4000


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbers(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def filled(layer: nn.Module) -> nn.Module:
    """The layer with parameters that are all different."""
    layer = layer.double()
    for place, parameter in enumerate(layer.parameters()):
        parameter.data = numbers(*parameter.shape, seed=place) * 0.7
    return layer


def made(kind, bias=True, **options):
    return filled(kind(nn.Linear(3, 2, bias=bias), **options))


def covariance(layer: MatrixGaussianLinear) -> torch.Tensor:
    """Of the entries of W, row by row."""
    return torch.kron(*(factor() @ factor().T for factor in (layer.outward, layer.inward)))


@pytest.mark.parametrize("bias", [True, False])
def test_oracle_divergence_of_a_gaussian_matrix(bias):
    layer = made(MatrixGaussianLinear, bias, prior=GaussianPrior(0.6, mean=0.3))
    size = layer.mean.numel()
    q = MultivariateNormal(layer.mean.flatten(), covariance(layer))
    p = MultivariateNormal(torch.full((size,), 0.3).double(), 0.36 * torch.eye(size, dtype=torch.float64))
    torch.testing.assert_close(layer.kl_divergence(), torch_divergence(q, p))


def test_oracle_divergence_of_a_matrix_from_its_factors():
    mean, A, B = numbers(2, 3), torch.tensor([[0.5, 0.0], [0.2, 0.9]]).double(), 0.7 * torch.eye(3).double()
    q = MultivariateNormal(mean.flatten(), torch.kron(A @ A.mT, B @ B.mT))
    p = MultivariateNormal(torch.full((6,), 0.3).double(), 0.36 * torch.eye(6, dtype=torch.float64))
    found = matrix_gaussian_kl(mean, A, B, prior=GaussianPrior(0.6, mean=0.3))
    torch.testing.assert_close(found, torch_divergence(q, p))


def test_oracle_drawn_matrices_have_the_covariance_of_rows_and_columns():
    layer, generator = made(MatrixGaussianLinear), seeded()
    with torch.no_grad():
        found = torch.stack([layer.draw(generator).flatten() for _ in range(COUNT)])
        off, expected = found - layer.mean.flatten(), covariance(layer)
    products = off[:, :, None] * off[:, None, :]
    assert bool(((products.mean(0) - expected).abs() < 5 * products.std(0) / COUNT**0.5).all())


def test_property_local_draws_of_a_gaussian_matrix_have_the_law_of_its_product():
    layer, x = made(MatrixGaussianLinear), numbers(2, 3)
    with drawing(layer, seeded()), torch.no_grad():
        found = torch.stack([layer(x) for _ in range(COUNT)])
    for row in range(2):
        wide = torch.kron(torch.eye(2, dtype=torch.float64), torch.cat([x[row], x.new_ones(1)])[None])  # W -> W x
        expected = wide @ covariance(layer) @ wide.T
        off = found[:, row] - layer.eval()(x)[row]
        products = (off[:, :, None] * off[:, None, :]).detach()
        assert bool(((products.mean(0) - expected).abs() < 5 * products.std(0) / COUNT**0.5).all())
    across = (found[:, 0] - found[:, 0].mean(0)) * (found[:, 1] - found[:, 1].mean(0))
    assert bool((across.mean(0).abs() < 5 * across.std(0) / COUNT**0.5).all())


def test_property_a_factor_is_lower_triangular_and_starts_at_a_multiple_of_the_identity():
    factor = TriangularFactor(3, start=0.2, like=torch.zeros(1, dtype=torch.float64))
    torch.testing.assert_close(factor().detach(), 0.2 * torch.eye(3, dtype=torch.float64))
    matrix = filled(factor)().detach()
    assert torch.equal(matrix, matrix.tril())
    assert int((matrix != 0).sum()) == 6


def test_limit_a_radial_posterior_of_one_weight_is_a_gaussian():
    mean, std = torch.tensor([0.3], dtype=torch.float64), torch.tensor([0.7], dtype=torch.float64)
    expected = gaussian_kl(mean, std, prior_std=1.3, prior_mean=-0.2)
    torch.testing.assert_close(radial_kl(mean, std, prior=GaussianPrior(1.3, mean=-0.2)), expected)


@pytest.mark.parametrize("size", [2, 3, 20])
def test_oracle_divergence_of_a_radial_posterior_in_the_mean_of_draws(size):
    mean, std, generator = numbers(size), 0.2 + numbers(size, seed=1).abs(), seeded()
    x = torch.stack([radial_like(mean, generator) for _ in range(COUNT)])
    radius = x.norm(dim=1)
    sphere = math.log(2) + size / 2 * math.log(math.pi) - math.lgamma(size / 2)
    half_normal = Normal(0, 1).log_prob(radius) + math.log(2)
    log_q = half_normal - sphere - (size - 1) * radius.log() - std.log().sum()
    found = log_q - Normal(0.1, 0.8).log_prob(mean + std * x).sum(1)
    expected = radial_kl(mean, std, prior=GaussianPrior(0.8, mean=0.1))
    assert abs(found.mean() - expected) < 5 * found.std() / COUNT**0.5


def test_property_radial_draws_are_as_long_as_one_gaussian_number_whatever_their_count():
    generator = seeded()
    squares = torch.stack([radial_like(torch.zeros(500), generator).square().sum() for _ in range(COUNT)])
    assert abs(squares.mean() - 1) < 5 * (2 / COUNT) ** 0.5  # variance of a chi-squared number
    assert (squares.sqrt() < 0.5).double().mean() > 0.3  # near the mean, where 500 Gaussians have no draw


@pytest.mark.parametrize("kind", [MatrixGaussianLinear, RadialLinear])
def test_property_the_spread_of_a_weight_starts_as_in_a_layer_of_independent_gaussians(kind):
    layer, generator = kind(nn.Linear(4, 3).double()), seeded()
    drawn = [layer.draw(generator) for _ in range(COUNT)]
    if kind is RadialLinear:
        drawn = [torch.cat([weight, bias[:, None]], 1) for weight, bias in drawn]
    found = torch.stack(drawn).detach().std(0)
    torch.testing.assert_close(found, torch.full_like(found, 0.05 / 4**0.5), rtol=0.1, atol=0)


def test_oracle_divergence_of_rank_one_counts_the_factors_alone():
    layer = made(Rank1Linear, prior=GaussianPrior(0.3, mean=1.0))
    pairs = [(Normal(part.mean, part.std), Normal(1.0, 0.3)) for part in (layer.a, layer.b)]
    torch.testing.assert_close(layer.kl_divergence(), sum(torch_divergence(q, p).sum() for q, p in pairs))


@pytest.mark.parametrize("held", [True, False])
def test_oracle_rank_one_scales_rows_and_columns_of_one_matrix(held):
    layer, x = made(Rank1Linear), numbers(5, 3)
    with drawing(layer, seeded(7), held=held):
        found = layer(x)
    generator, rows = seeded(7), 1 if held else 5
    a, b = (
        part.mean + part.std * torch.randn(rows, size, generator=generator, dtype=torch.float64)
        for part, size in ((layer.a, 2), (layer.b, 3))
    )
    matrices = layer.weight * a[:, :, None] * b[:, None, :]
    torch.testing.assert_close(found, (matrices @ x[:, :, None])[..., 0] + layer.bias)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_property_evaluation_uses_the_mean_and_the_layer_stays_as_it_is(kind, bias):
    source, x = nn.Linear(3, 2, bias=bias).double(), numbers(4, 3)
    weights = source.weight.detach().clone()
    layer = kind(source)
    torch.testing.assert_close(layer.eval()(x), source(x))
    filled(layer)
    assert torch.equal(source.weight, weights)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_property_every_parameter_learns(kind, bias):
    layer = made(kind, bias)
    with drawing(layer, seeded()):
        (layer(numbers(4, 3)).square().mean() + layer.kl_divergence()).backward()
    assert all(bool((p.grad != 0).all()) for p in layer.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_property_members_are_affine_maps_and_training_needs_a_generator(kind):
    layer, x = made(kind), numbers(6, 3)
    rows = torch.cat([x, x.flip(0) + x, torch.zeros(1, 3, dtype=torch.float64)])
    found = predict_members(layer, rows, samples=3, generator=seeded(), noise_variance=0.0).member_means
    left = found[:, 6:12] - found[:, 12:]
    torch.testing.assert_close(left, found[:, :6] + found[:, :6].flip(1) - 2 * found[:, 12:])
    assert not torch.equal(found[0], found[1])
    with pytest.raises(ParameterError, match="with drawing"):
        layer.train()(x)


@pytest.mark.parametrize("kind", KINDS)
def test_limit_inputs_of_zero_and_leading_axes(kind):
    layer = made(kind, bias=False)
    with drawing(layer, seeded()):
        found = layer(torch.zeros(4, 5, 3, dtype=torch.float64))
        found.sum().backward()
    assert found.shape == (4, 5, 2)
    assert bool((found.abs() < 1e-4).all())
    assert all(bool(torch.isfinite(p.grad).all()) for p in layer.parameters() if p.grad is not None)


def test_property_layers_of_several_kinds_add_up():
    layers = [made(kind) for kind in KINDS]
    torch.testing.assert_close(kl_divergence(nn.Sequential(*layers)), sum(layer.kl_divergence() for layer in layers))


@pytest.mark.parametrize(
    ("call", "repair"),
    [
        (lambda: MatrixGaussianLinear(nn.Linear(2, 2), spread=0.0), "must be finite and > 0"),
        (lambda: RadialLinear(nn.Linear(2, 2), spread=-1.0), "must be finite and > 0"),
        (lambda: Rank1Linear(nn.Linear(2, 2), std=0.0), "must be finite and > 0"),
        (lambda: TriangularFactor(0, start=1.0, like=torch.zeros(1)), "size must be a whole number"),
        (
            lambda: matrix_gaussian_kl(torch.zeros(2, 3), torch.eye(3), torch.eye(2), prior=GaussianPrior(1.0)),
            r"factors \(out, out\) and \(in, in\)",
        ),
        (lambda: radial_kl(torch.zeros(2), torch.ones(3), prior=GaussianPrior(1.0)), "every weight has a mean"),
    ],
)
def test_error_arguments_out_of_range(call, repair):
    with pytest.raises(ParameterError, match=repair):
        call()
