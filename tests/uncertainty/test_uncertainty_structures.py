"""Diagonal, Kronecker-factored and last-layer precisions: against dense matrices, and where they must agree."""

import pytest
import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.parameters import layout
from weightlore.uncertainty.laplace.blocks import matrices_of
from weightlore.uncertainty.laplace.diag import fit_diag, root_directions
from weightlore.uncertainty.laplace.directions import unit_directions
from weightlore.uncertainty.laplace.ekfac import fit_ekfac
from weightlore.uncertainty.laplace.full import IndefiniteError, fit_full
from weightlore.uncertainty.laplace.jacobians import jacobians
from weightlore.uncertainty.laplace.kron import fit_kron, kronecker_factors
from weightlore.uncertainty.laplace.last_layer import fit_last_layer
from weightlore.uncertainty.laplace.posterior import Curvature, Functional, Posterior
from weightlore.uncertainty.laplace.predicting import functional, shown
from weightlore.uncertainty.laplace.rotated import squared_entries
from weightlore.uncertainty.sources import BayesianLinearRegression, with_bias

STRUCTURES = {"diag": fit_diag, "kron": fit_kron, "ekfac": fit_ekfac}
TAU = torch.tensor(0.7, dtype=torch.float64)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def drawn(model, seed=0):
    model = model.double()
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def chain(bias=True):
    return drawn(nn.Sequential(nn.Linear(6, 5, bias=bias), nn.ReLU(), nn.Linear(5, 3, bias=bias)))


def conv():
    layers = (nn.Conv2d(2, 4, 3, padding=1, groups=2), nn.ReLU(), nn.Conv2d(4, 2, 2, bias=False), nn.Flatten())
    return drawn(nn.Sequential(nn.Unflatten(1, (2, 3, 3)), *layers, nn.Linear(8, 3)))


NETWORKS = {
    "chain": (chain, 6),
    "without bias": (lambda: chain(bias=False), 6),
    "convolutions": (conv, 18),
}


def sample(width, size=20, classes=3):
    return Split(normal(size, width, seed=5), torch.arange(size) % classes)


def dense(curvature):
    """H of a structure as a matrix, by way of its covariance."""
    eye = torch.eye(curvature.size, dtype=torch.float64)[None]
    return torch.linalg.inv(curvature.with_prior(TAU).covariance(eye)[0]) - TAU * eye[0]


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("likelihood", ["classification", "regression"])
def test_oracle_the_diagonal_is_that_of_the_full_matrix(name, likelihood):
    make, width = NETWORKS[name]
    model, data = make(), sample(width)
    if likelihood == "regression":
        data = Split(data.x, normal(20, 3))
    full = fit_full(model, data, likelihood, noise_variance=1 if likelihood == "classification" else 0.3)
    found = fit_diag(model, data, likelihood, noise_variance=1 if likelihood == "classification" else 0.3)
    torch.testing.assert_close(dense(found), torch.diag(full.hessian.diagonal()), rtol=1e-9, atol=1e-10)
    assert found.names == full.names == layout(model).names


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("structure", [fit_kron, fit_ekfac])
def test_oracle_one_example_gives_the_blocks_of_the_full_matrix(structure, bias):
    model, data = chain(bias), sample(6)[:1]
    full = fit_full(model, data, "classification").hessian
    found = dense(structure(model, data, "classification"))
    expected = torch.zeros_like(full)
    for block in matrices_of(model).blocks:
        at = block.places.flatten()
        expected[at[:, None], at] = full[at[:, None], at]
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("structure", [fit_kron, fit_ekfac])
def test_oracle_linear_regression_is_exact(structure):
    x, y = normal(30, 4, seed=1), normal(30, 2, seed=2)
    exact = BayesianLinearRegression(float(TAU), 0.3).fit(with_bias(x), y)
    model = drawn(nn.Linear(4, 2))
    posterior = structure(model, Split(x, y), "regression", noise_variance=0.3).with_prior(TAU)
    _, covariance = functional(posterior, model, x[:6])
    expected = exact.function_covariance(with_bias(x[:6])).diagonal()[:, None, None] * torch.eye(2)
    torch.testing.assert_close(covariance, expected.double(), rtol=1e-10, atol=1e-12)
    assert posterior.log_det == pytest.approx(2 * float(torch.logdet(exact.precision)), rel=1e-12)


def test_oracle_factors_are_those_of_the_definition():
    model, data = chain(), sample(6)
    f, J = next(jacobians(model, data.x))
    hidden = torch.relu(model[0](data.x)).detach()
    found = kronecker_factors(model, data, "classification", batch_size=7)
    a = torch.cat([hidden, torch.ones(20, 1, dtype=torch.float64)], 1)
    torch.testing.assert_close(found.inputs[1], a.mT @ a / 20)
    p = f.softmax(1)
    Lambda = torch.diag_embed(p) - p[:, :, None] * p[:, None]
    torch.testing.assert_close(found.outputs[1], Lambda.sum(0))
    g = J[:, :, 30:35]  # the bias of the first layer: what comes back to its outputs
    torch.testing.assert_close(found.outputs[0], (g.mT @ Lambda @ g).sum(0))


def test_oracle_a_kernel_of_one_pixel_is_a_linear_layer():
    linear = chain()
    model = nn.Sequential(
        *(nn.Unflatten(1, (6, 1, 1)), nn.Conv2d(6, 5, 1), nn.ReLU(), nn.Conv2d(5, 3, 1), nn.Flatten())
    ).double()
    with torch.no_grad():
        for mine, other in zip(model.parameters(), linear.parameters(), strict=True):
            mine.copy_(other.reshape(mine.shape))
    data = sample(6)
    for fit in STRUCTURES.values():
        found, expected = (fit(net, data, "classification").with_prior(TAU) for net in (model, linear))
        torch.testing.assert_close(functional(found, model, data.x)[1], functional(expected, linear, data.x)[1])
        torch.testing.assert_close(found.variance(), expected.variance())
        assert found.log_det == pytest.approx(expected.log_det, rel=1e-12)


def test_oracle_factors_of_a_convolution_are_means_and_sums_over_pixels():
    model = drawn(nn.Sequential(nn.Unflatten(1, (1, 3, 3)), nn.Conv2d(1, 2, 2), nn.Flatten()))
    data = Split(normal(4, 9), normal(4, 8))
    found = kronecker_factors(model, data, "regression", noise_variance=0.5)
    patches = torch.stack(
        [data.x.reshape(4, 3, 3)[:, i : i + 2, j : j + 2].flatten(1) for i in (0, 1) for j in (0, 1)], 1
    )
    rows = torch.cat([patches, torch.ones(4, 4, 1, dtype=torch.float64)], 2).flatten(0, 1)
    torch.testing.assert_close(found.inputs[0], rows.mT @ rows / 16)
    torch.testing.assert_close(found.outputs[0], 4 * 4 * torch.eye(2, dtype=torch.float64) / 0.5)


@pytest.mark.parametrize("name", NETWORKS)
def test_oracle_corrected_eigenvalues_are_second_moments_in_the_bases(name):
    make, width = NETWORKS[name]
    model, data = make(), sample(width)
    full, found = fit_full(model, data, "classification").hessian, fit_ekfac(model, data, "classification")
    kron = fit_kron(model, data, "classification")
    for block, S, products, bases in zip(found.matrices.blocks, found.values, kron.values, found.bases, strict=True):
        at = block.places.flatten()
        own, turn = full[at[:, None], at], torch.kron(bases.outputs, bases.inputs)
        turned = turn.mT @ own @ turn
        torch.testing.assert_close(S.flatten(), turned.diagonal(), rtol=1e-9, atol=1e-10)
        assert torch.linalg.norm(turned - S.flatten().diag()) <= torch.linalg.norm(turned - products.flatten().diag())


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_property_the_short_way_is_that_by_jacobians(name, structure):
    make, width = NETWORKS[name]
    model, data = make(), sample(width)
    curvature = STRUCTURES[structure](model, data, "classification")
    posterior = curvature.with_prior(TAU)
    assert isinstance(curvature, Curvature)
    assert isinstance(posterior, Posterior)
    assert isinstance(posterior, Functional)
    f, J = next(jacobians(model, data.x))
    outputs, covariance = functional(posterior, model, data.x)
    torch.testing.assert_close(outputs, f)
    torch.testing.assert_close(covariance, posterior.covariance(J), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(covariance, covariance.mT)
    assert float(torch.linalg.eigvalsh(covariance).min()) > -1e-12
    A = dense(curvature) + TAU * torch.eye(curvature.size, dtype=torch.float64)
    torch.testing.assert_close(covariance, J @ torch.linalg.solve(A, J.mT), rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(posterior.variance(), torch.linalg.inv(A).diagonal(), rtol=1e-8, atol=1e-10)
    assert posterior.log_det == pytest.approx(float(torch.logdet(A)), rel=1e-9)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_property_samples_have_the_covariance(structure):
    model = drawn(nn.Linear(3, 2))
    posterior = STRUCTURES[structure](model, sample(3, classes=2), "classification").with_prior(TAU)
    drawn_now = posterior.sample(20_000, generator=seeded(1))
    expected = posterior.covariance(torch.eye(8, dtype=torch.float64)[None])[0]
    scale = expected.diagonal().sqrt()
    assert float(((drawn_now.mT @ drawn_now / 20_000 - expected) / torch.outer(scale, scale)).abs().max()) < 0.04
    assert torch.equal(posterior.sample(3, generator=seeded(1)), posterior.sample(3, generator=seeded(1)))


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("structure", STRUCTURES)
def test_property_the_size_of_batches_does_not_matter(name, structure):
    make, width = NETWORKS[name]
    model, data, fit = make(), sample(width), STRUCTURES[structure]
    together = fit(model, data, "classification").with_prior(TAU)
    piecewise = fit(model, data, "classification", batch_size=3).with_prior(TAU)
    torch.testing.assert_close(together.variance(), piecewise.variance(), rtol=1e-9, atol=1e-11)
    doubled = Split(data.x.repeat(2, *(1,) * (data.x.ndim - 1)), data.y.repeat(2))
    twice = fit(model, doubled, "classification").with_prior(2 * TAU)
    torch.testing.assert_close(2 * twice.variance(), together.variance(), rtol=1e-8, atol=1e-11)


def test_property_single_precision_stays_close():
    model, data = chain(), sample(6)
    exact = fit_kron(model, data, "classification").with_prior(TAU)
    rounded = fit_kron(model.float(), Split(data.x.float(), data.y), "classification").with_prior(TAU)
    outputs, covariance = functional(rounded, model, data.x.float())
    assert outputs.dtype == covariance.dtype == torch.float64
    torch.testing.assert_close(covariance, functional(exact, model.double(), data.x)[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("likelihood", ["classification", "regression"])
def test_oracle_the_last_layer_is_its_block_of_the_full_matrix(bias, likelihood):
    model, data = chain(bias), sample(6)
    data = data if likelihood == "classification" else Split(data.x, normal(20, 3))
    full = fit_full(model, data, likelihood)
    own = fit_full(model, data, likelihood, group="2")
    found = fit_last_layer(model, data, likelihood, group="2", batch_size=6)
    torch.testing.assert_close(found.hessian, full.hessian[-found.size :, -found.size :], rtol=1e-10, atol=1e-11)
    assert found.names == own.names
    posterior = found.with_prior(TAU)
    assert isinstance(posterior, Functional)
    _, J = next(jacobians(model, data.x, group="2"))
    outputs, covariance = functional(posterior, model, data.x, group="2")
    torch.testing.assert_close(covariance, own.with_prior(TAU).covariance(J), rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(outputs, model(data.x).detach())


@pytest.mark.parametrize(("features", "bias"), [(5, True), (5, False), (1, False), (1, True), (2, True)])
def test_oracle_variances_of_the_last_layer_come_from_the_inverse_of_its_precision(features, bias):
    widths = nn.Sequential(nn.Linear(6, features), nn.ReLU(), nn.Linear(features, 4, bias=bias))
    model, data = drawn(widths), Split(normal(20, 6), torch.arange(20) % 4)
    found = fit_last_layer(model, data, "classification", group="2", batch_size=7)
    assert torch.equal(found.hessian, found.hessian.mT)
    tau = torch.linspace(0.3, 2.0, found.size, dtype=torch.float64)
    _, J = next(jacobians(model, data.x, group="2"))
    inverse = torch.linalg.inv(found.hessian + torch.diag(tau))
    posterior = found.with_prior(tau)
    for _ in range(2):  # the second time from what was kept
        outputs, features = zip(*shown(posterior, model, data.x, group="2"), strict=True)
        variances = torch.cat([posterior.alone(seen) for seen in features])
        torch.testing.assert_close(variances, (J @ inverse @ J.mT).diagonal(dim1=1, dim2=2), rtol=1e-9, atol=0)
    torch.testing.assert_close(torch.cat(outputs), model(data.x).detach())


@pytest.mark.parametrize("structure", STRUCTURES)
def test_property_the_last_layer_is_a_group_of_every_structure(structure):
    model, data = chain(), sample(6)
    found = STRUCTURES[structure](model, data, "classification", group="2")
    whole = STRUCTURES[structure](model, data, "classification")
    assert found.names == ("2.weight", "2.bias")
    torch.testing.assert_close(found.values[0], whole.values[1], rtol=1e-9, atol=1e-11)
    features = nn.Sequential(model[2])
    alone = STRUCTURES[structure](features, Split(torch.relu(model[0](data.x)).detach(), data.y), "classification")
    torch.testing.assert_close(found.with_prior(TAU).variance(), alone.with_prior(TAU).variance())


def test_limit_a_linear_model_is_its_last_layer():
    model, data = drawn(nn.Linear(6, 3)), sample(6)
    found = fit_last_layer(model, data, "classification", group=None)
    torch.testing.assert_close(found.hessian, fit_full(model, data, "classification").hessian)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_limit_one_class_and_dead_units_leave_the_prior(structure):
    one = drawn(nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 1)))
    found = STRUCTURES[structure](one, Split(normal(8, 6), torch.zeros(8, dtype=torch.int64)), "classification")
    torch.testing.assert_close(found.with_prior(TAU).variance(), torch.full((found.size,), 1 / 0.7).double())
    dead, data = chain(), sample(6)
    with torch.no_grad():
        dead[0].bias[2] = -1e6
    found = STRUCTURES[structure](dead, data, "classification")
    variance = found.with_prior(TAU).variance()
    torch.testing.assert_close(variance[12:18], torch.full((6,), 1 / 0.7, dtype=torch.float64))
    with pytest.raises(ParameterError, match="prior precision > 0"):
        fit_diag(dead, data, "classification").with_prior(0.0)


def test_property_a_prior_for_each_layer():
    model, data = chain(), sample(6)
    tau = torch.cat([torch.full((35,), 2.0), torch.full((18,), 5.0)]).double()
    found = fit_kron(model, data, "classification").with_prior(tau).variance()
    for number, part in ((2.0, slice(35)), (5.0, slice(35, None))):
        alone = fit_kron(model, data, "classification").with_prior(number).variance()
        torch.testing.assert_close(found[part], alone[part])
    tau[0] = 3.0
    with pytest.raises(ParameterError, match="differs within the layer 0"):
        fit_kron(model, data, "classification").with_prior(tau)
    diagonal = fit_diag(model, data, "classification")
    expected = 1 / (1 / diagonal.with_prior(1.0).variance() - 1 + tau)
    torch.testing.assert_close(diagonal.with_prior(tau).variance(), expected)


def test_property_products_are_made_in_pieces_of_bounded_size(monkeypatch):
    a, g = normal(9, 4, 3), normal(9, 2, 4, 5, seed=1)
    whole = squared_entries(a, g)
    torch.testing.assert_close(
        whole,
        torch.einsum("nto,nti->noi", g[:, 0], a).square().sum(0)
        + torch.einsum("nto,nti->noi", g[:, 1], a).square().sum(0),
    )
    monkeypatch.setattr("weightlore.uncertainty.laplace.rotated.ENTRIES", 60)
    torch.testing.assert_close(squared_entries(a, g), whole)
    model, data = conv(), sample(18)
    posterior = fit_diag(model, data, "classification").with_prior(TAU)
    found = functional(posterior, model, data.x)[1]
    monkeypatch.undo()
    torch.testing.assert_close(found, functional(posterior, model, data.x)[1])


def test_error_the_last_layer_must_be_the_last():
    model, data = chain(), sample(6)
    for group in ("0", None):
        with pytest.raises(ParameterError, match="straight from"):
            fit_last_layer(model, data, "classification", group=group)
    with pytest.raises(IndefiniteError, match="eigenvalue"):
        fit_last_layer(model, data, "classification", group="2").with_prior(torch.tensor(0.0))
    with pytest.raises(ParameterError, match="bytes"):
        fit_last_layer(mlp((6, 2000, 6), generator=seeded()), data, "classification", group="readout")


def test_error_batches_and_data_must_fit():
    model, data = chain(), sample(6)
    with pytest.raises(ParameterError, match="batch_size"):
        fit_diag(model, data, "classification", batch_size=0)
    with pytest.raises(ParameterError, match="dtype"):
        next(root_directions(model, Split(data.x.float(), data.y), "classification"))
    with pytest.raises(ParameterError, match="batch_size"):
        next(unit_directions(model, data.x, batch_size=0))
