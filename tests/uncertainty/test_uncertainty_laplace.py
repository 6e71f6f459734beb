"""The Laplace approximation: exact where theory says so, positive definite where it must be."""

import itertools
import math
import warnings
from functools import partial

import pytest
import torch
from torch import nn

from weightlore.data import Split, digits
from weightlore.errors import ParameterError
from weightlore.networks import healthy, mlp
from weightlore.uncertainty.laplace import (
    FullCurvature,
    IndefiniteError,
    Laplace,
    LowRankCurvature,
    fit_diag,
    fit_ekfac,
    fit_full,
    fit_kron,
    fit_last_layer,
    fit_lowrank,
    fit_subnetwork,
    jacobians,
    kronecker_factors,
    log_marginal_likelihood,
    output_hessian,
    output_root,
    probit_probs,
    tune_prior_precision,
    widest,
)
from weightlore.uncertainty.laplace.evidence import GRID
from weightlore.uncertainty.laplace.predicting import shown
from weightlore.uncertainty.laplace.roots import log_likelihoods, output_gradient, output_parts
from weightlore.uncertainty.measures import nll_categorical
from weightlore.uncertainty.predictions import CategoricalPrediction, DirichletPrediction
from weightlore.uncertainty.regression import nll_gaussian
from weightlore.uncertainty.sources import BayesianLinearRegression, with_bias
from weightlore.uncertainty.warned import UncertaintyWarning

FLOAT = torch.float64
TAU, NOISE = 1.7, 0.09


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def table(n: int = 30, d: int = 4, outputs: int = 1) -> Split:
    g = seeded()
    x = torch.randn(n, d, generator=g, dtype=FLOAT) @ torch.randn(d, d, generator=g, dtype=FLOAT)
    y = x @ torch.randn(d, outputs, generator=g, dtype=FLOAT) + 0.3 * torch.randn(n, outputs, generator=g, dtype=FLOAT)
    return Split(x, y)


def classes(n: int = 40, d: int = 5, c: int = 3) -> Split:
    g = seeded(1)
    return Split(torch.randn(n, d, generator=g, dtype=FLOAT), torch.randint(0, c, (n,), generator=g))


def at_the_mode(data: Split, tau: float = TAU) -> tuple[nn.Module, BayesianLinearRegression]:
    exact = BayesianLinearRegression(tau, NOISE).fit(with_bias(data.x), data.y)
    net = nn.Linear(data.x.shape[1], data.y.shape[1], dtype=FLOAT)
    theta = exact.mean.reshape(data.x.shape[1] + 1, -1)
    with torch.no_grad():
        net.bias.copy_(theta[0])
        net.weight.copy_(theta[1:].T)
    return net, exact


LINEAR = [
    {"structure": "full"},
    {"structure": "full", "curvature": "exact"},
    {"structure": "lowrank", "rank": 5},
    {"structure": "full", "subset": "last_layer"},
    {"structure": "full", "subset": "subnetwork", "size": 5},
]


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("options", LINEAR)
def test_oracle_linear_regression_is_exact(options, outputs):
    data = table(outputs=outputs)
    net, exact = at_the_mode(data)
    sizes = {name: number * outputs for name, number in options.items() if name in ("rank", "size")}
    found = Laplace(net, "regression", prior_precision=TAU, noise_variance=NOISE, **options | sizes).fit(data)
    x = torch.randn(7, 4, generator=seeded(3), dtype=FLOAT)
    mine, theirs = found.predict(x), exact.predict(with_bias(x))
    assert torch.allclose(mine.mean, theirs.mean.reshape(7, outputs), rtol=1e-9)
    variance = theirs.variance.reshape(7, -1).expand(7, outputs)  # of all outputs the same
    assert torch.allclose(mine.variance, variance, rtol=1e-9)
    assert log_marginal_likelihood(found) == pytest.approx(float(exact.log_evidence()), rel=1e-9)
    whole = found.posterior.covariance(torch.eye(5 * outputs, dtype=FLOAT)[None])[0]
    places = [[4 * outputs + o, *range(4 * o, 4 * o + 4)] for o in range(outputs)]  # as there, the bias first
    for o, p in itertools.product(range(outputs), repeat=2):
        block = whole[places[o]][:, places[p]]
        assert torch.allclose(block, exact.covariance * float(o == p), rtol=1e-8, atol=1e-12)
    assert torch.allclose(whole.diagonal(), found.posterior.variance(), rtol=1e-9)


@pytest.mark.parametrize("options", LINEAR)
def test_property_draws_have_the_posterior_covariance(options):
    data = table()
    net, _ = at_the_mode(data)
    found = Laplace(net, "regression", prior_precision=TAU, noise_variance=NOISE, **options).fit(data)
    drawn = found.sample(40_000, generator=seeded())
    wanted = Laplace(net, "regression", structure="full", prior_precision=TAU, noise_variance=NOISE).fit(data)
    covariance = torch.cholesky_inverse(wanted.posterior.factor)
    scale = covariance.diagonal().sqrt()
    assert torch.allclose(drawn.mean(0), found.mode, atol=5 * float(scale.max()) / 200)
    assert ((drawn.T.cov() - covariance).abs() < 0.03 * scale[:, None] * scale).all()


def test_oracle_gauss_newton_is_the_second_derivative_for_logistic_regression():
    data, net = classes(), nn.Linear(5, 3, dtype=FLOAT)
    ggn, exact = (fit_full(net, data, "classification", curvature=kind).hessian for kind in ("ggn", "exact"))
    assert torch.allclose(ggn, exact, rtol=1e-10, atol=1e-12)


def test_oracle_the_matrices_of_a_network():
    data, net = classes(12), mlp((5, 4, 3), generator=seeded())
    theta = torch.cat([p.detach().flatten() for p in net.parameters()])

    def loss(at):
        parts, start = {}, 0
        for name, p in net.named_parameters():
            parts[name] = at[start : start + p.numel()].view(p.shape)
            start += p.numel()
        logits = torch.func.functional_call(net, parts, (data.x,))
        return nn.functional.cross_entropy(logits, data.y, reduction="sum")

    exact = torch.autograd.functional.hessian(loss, theta)
    assert torch.allclose(fit_full(net, data, "classification", curvature="exact").hessian, exact, atol=1e-10)
    single = torch.zeros_like(exact)
    for i in range(len(data)):
        net.zero_grad()
        nn.functional.cross_entropy(net(data.x[i : i + 1]), data.y[i : i + 1]).backward()
        g = torch.cat([p.grad.flatten() for p in net.parameters()])
        single += torch.outer(g, g)
    assert torch.allclose(fit_full(net, data, "classification", curvature="fisher").hessian, single, atol=1e-12)
    net.zero_grad(set_to_none=True)
    J = torch.cat([J for _, J in jacobians(net, data.x)])
    ggn = torch.einsum("ncp,ncd,ndq->pq", J, output_hessian(net(data.x).detach(), "classification"), J)
    assert torch.allclose(fit_full(net, data, "classification").hessian, ggn, atol=1e-10)


@pytest.mark.parametrize("entries", [1, 100, 10**6])
def test_property_jacobians_do_not_depend_on_the_piece(entries):
    data, net = classes(), mlp((5, 4, 3), generator=seeded()).eval()
    f, J = (torch.cat(parts) for parts in zip(*jacobians(net, data.x, entries=entries), strict=True))
    assert torch.allclose(f, net(data.x))
    for i, c in ((0, 0), (17, 2)):
        net.zero_grad()
        net(data.x[i : i + 1])[0, c].backward()
        assert torch.allclose(J[i, c], torch.cat([p.grad.flatten() for p in net.parameters()]), atol=1e-12)


def test_oracle_roots_and_derivatives_of_the_loss():
    f = torch.randn(6, 4, generator=seeded(), dtype=FLOAT)
    y = torch.tensor([0, 1, 2, 3, 0, 1])

    def loss(z):
        return -log_likelihoods(z, y, "classification").sum()

    second = torch.autograd.functional.hessian(loss, f)
    for i in range(6):
        assert torch.allclose(output_hessian(f, "classification")[i], second[i, :, i], atol=1e-12)
    assert torch.allclose(torch.autograd.functional.jacobian(loss, f), output_gradient(f, y, "classification"))
    weights, patterns = output_parts(f, "classification")
    assert weights.shape == (6, 6)
    assert torch.allclose(torch.einsum("nk,kcd->ncd", weights, patterns), output_hessian(f, "classification"))
    weights, patterns = output_parts(f, "regression", noise_variance=4.0)
    assert torch.equal(torch.einsum("nk,kcd->ncd", weights, patterns), torch.eye(4, dtype=FLOAT).expand(6, 4, 4) / 4)
    root = output_root(f, "regression", noise_variance=4.0)
    assert torch.allclose(root @ root.mT, torch.eye(4, dtype=FLOAT).expand(6, 4, 4) / 4)
    normal = torch.distributions.Normal(f, 2.0).log_prob(f + 1).sum(1)
    assert torch.allclose(log_likelihoods(f, f + 1, "regression", noise_variance=4.0), normal)


def test_property_more_directions_come_nearer_to_the_full_precision():
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    full = fit_full(net, data, "classification").hessian
    values = torch.linalg.eigvalsh(full).flip(0)
    errors = []
    for rank in (1, 3, 10, 39):
        found = fit_lowrank(net, data, "classification", rank=rank)
        assert torch.allclose(found.values, values[: len(found.values)], rtol=1e-6)
        product = (found.vectors * found.values) @ found.vectors.mT
        errors.append(float((product - full).norm()))
        assert errors[-1] == pytest.approx(float(values[rank:].norm()), rel=1e-4, abs=1e-8)
    assert errors == sorted(errors, reverse=True)


def test_limit_a_rank_beyond_the_matrix_finds_what_there_is():
    data, net = classes(3), mlp((5, 4, 3), generator=seeded())
    found = fit_lowrank(net, data, "classification", rank=30)
    assert len(found.values) == 6  # three examples, two directions of three logits each
    assert isinstance(found, LowRankCurvature)


def test_property_a_large_network_keeps_positive_covariances():
    net = mlp((100, 300, 200, 10), generator=seeded())
    x = torch.randn(6, 100, generator=seeded(), dtype=FLOAT)
    data = Split(x, torch.arange(6))
    found = Laplace(net, "classification", structure="lowrank", rank=5).fit(data)
    assert found.curvature.size == 92_510
    covariance = found.functional(x)[1]
    assert covariance.shape == (6, 10, 10)
    assert (torch.linalg.eigvalsh(covariance) > -1e-9).all()


def test_oracle_a_subnetwork_is_a_block_of_the_full_precision():
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    full = fit_full(net, data, "classification").hessian
    found = fit_subnetwork(net, data, "classification", size=7, tau=2.0)
    assert torch.equal(found.indices, full.diagonal().sort(stable=True).indices[:7].sort().values)
    assert torch.allclose(found.inner.hessian, full[found.indices][:, found.indices], atol=1e-10)
    posterior = found.with_prior(torch.tensor(2.0))
    rest = torch.ones(39, dtype=torch.bool).index_fill(0, found.indices, False)
    assert (posterior.variance()[rest] == 0).all()
    assert (posterior.sample(3, generator=seeded())[:, rest] == 0).all()


def test_property_widest_minds_the_prior():
    diagonal = torch.tensor([1.0, 5.0, 2.0, 2.0], dtype=FLOAT)
    assert widest(diagonal, 1.0, 2).tolist() == [0, 2]
    assert widest(diagonal, torch.tensor([9.0, 0.1, 1.0, 1.0], dtype=FLOAT), 2).tolist() == [2, 3]
    with pytest.raises(ParameterError, match="more than the 4"):
        widest(diagonal, 1.0, 5)


def test_error_an_indefinite_second_derivative_names_its_eigenvalue():
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    exact = fit_full(net, data, "classification", curvature="exact")
    smallest = float(torch.linalg.eigvalsh(exact.hessian)[0])
    assert smallest < -0.5, "an untrained network is no minimum"
    options = {"structure": "full", "curvature": "exact", "prior_precision": 0.1}
    with pytest.raises(IndefiniteError, match=f"{smallest + 0.1:.6g}"):
        Laplace(net, "classification", **options).fit(data)
    clipped = Laplace(net, "classification", on_indefinite="clip", **options).fit(data)
    values = torch.linalg.eigvalsh(clipped.curvature.hessian)
    assert values[0] > -1e-9
    assert torch.allclose(values[-5:], torch.linalg.eigvalsh(exact.hessian)[-5:])
    instead = Laplace(net, "classification", on_indefinite="ggn", **options).fit(data)
    assert torch.allclose(instead.curvature.hessian, fit_full(net, data, "classification").hessian)


@pytest.mark.parametrize("rule", ["clip", "ggn"])
def test_property_the_rule_for_an_indefinite_curvature_holds_under_every_prior(rule):
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    options = {"structure": "full", "curvature": "exact", "on_indefinite": rule}
    wide = Laplace(net, "classification", prior_precision=1e3, **options).fit(data)
    exact = fit_full(net, data, "classification", curvature="exact").hessian
    assert torch.equal(wide.curvature.hessian, exact)
    assert "no precision here" not in wide.summary()
    narrow = wide.with_prior(0.1)
    at_once = Laplace(net, "classification", prior_precision=0.1, **options).fit(data)
    assert torch.equal(narrow.posterior.variance(), at_once.posterior.variance())
    words = {"clip": "negative eigenvalues were set to zero", "ggn": "Gauss-Newton matrix was taken instead"}
    for found in (narrow, at_once):
        assert words[rule] in found.summary()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertaintyWarning)
        assert tune_prior_precision(wide).prior_precision in GRID
    with pytest.raises(IndefiniteError, match="must be > 0"):
        at_once.with_prior(0.0)


def test_error_what_is_not_finite_is_named_by_every_structure():
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    with torch.no_grad():
        net.readout.bias[1] = math.nan
    kinds = [{"structure": "full"}, {"structure": "full", "curvature": "exact"}, {"structure": "lowrank", "rank": 2}]
    for terms in [*kinds, {"structure": "kron"}, {"structure": "full", "subset": "subnetwork", "size": 2}]:
        with pytest.raises(ParameterError, match="outputs of the network must be finite"):
            Laplace(net, "classification", **terms).fit(data)
    for curvature, words in (("ggn", "outputs of the network"), ("exact", "second derivative")):
        with pytest.raises(ParameterError, match=f"{words}.* must be finite"):
            fit_full(net, data, "classification", curvature=curvature)
    lines = table()
    with pytest.raises(ParameterError, match="the targets must be finite"):
        Laplace(nn.Linear(4, 1, dtype=FLOAT), "regression").fit(Split(lines.x, lines.y * math.nan))


def test_error_no_prior_and_a_direction_without_data():
    data, net = classes(), nn.Linear(5, 3, dtype=FLOAT)
    with pytest.raises(IndefiniteError, match="must be > 0"):
        Laplace(net, "classification", structure="full", prior_precision=0.0).fit(data)
    with pytest.raises(ParameterError, match="one prior precision > 0"):
        Laplace(net, "classification", structure="lowrank", rank=3, prior_precision=0.0).fit(data)
    full = table()
    free = Laplace(at_the_mode(full)[0], "regression", structure="full", prior_precision=0.0).fit(full)
    with pytest.raises(ParameterError, match="no density"):
        log_marginal_likelihood(free)


def test_limit_a_strong_prior_leaves_the_trained_network():
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    found = Laplace(net, "classification", structure="full", prior_precision=1e12).fit(data)
    assert torch.allclose(found.predict(data.x).mean, net(data.x).softmax(1).detach(), atol=1e-8)
    assert found.functional(data.x)[1].abs().max() < 1e-8


def test_property_the_joint_covariance_holds_the_single_ones():
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    found = Laplace(net, "classification", structure="full").fit(data)
    mean, joint = found.joint(data.x[:4])
    f, single = found.functional(data.x[:4])
    assert torch.allclose(mean, f.flatten())
    assert torch.allclose(joint, joint.mT)
    assert torch.linalg.eigvalsh(joint)[0] > -1e-9
    for i in range(4):
        assert torch.allclose(joint[3 * i : 3 * i + 3, 3 * i : 3 * i + 3], single[i], atol=1e-10)


def test_property_links_and_kinds_of_a_classification():
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    found = Laplace(net, "classification", structure="full", prior_precision=30.0).fit(data)
    probit = found.predict(data.x)
    many = found.predict(data.x, link="mc", samples=4000, generator=seeded())
    assert isinstance(probit, CategoricalPrediction)
    assert probit.members == 1
    assert many.members == 4000
    assert (probit.mean - many.mean).abs().max() < 0.05
    bridge = found.predict(data.x, link="bridge")
    assert isinstance(bridge, DirichletPrediction)
    assert bridge.alpha.shape == (40, 3)
    sampled = found.predict(data.x, kind="mc_weights", samples=500, generator=seeded())
    assert sampled.members == 500
    assert sampled.entropy().mean() > CategoricalPrediction.from_logits(net(data.x).detach()).entropy().mean() - 0.01
    for asked in ({"link": "mc"}, {"kind": "mc_weights"}):
        with pytest.raises(ParameterError, match="give generator="):
            found.predict(data.x, **asked)
    with pytest.raises(ParameterError, match="linearized classification"):
        found.predict(data.x, kind="mc_weights", link="bridge", generator=seeded())
    lines = table()
    line = Laplace(at_the_mode(lines)[0], "regression", structure="full", noise_variance=NOISE).fit(lines)
    with pytest.raises(ParameterError, match="linearized classification"):
        line.predict(lines.x, link="mc", generator=seeded())
    drawn = line.predict(lines.x, kind="mc_weights", samples=20_000, generator=seeded())
    assert torch.allclose(drawn.variance, line.predict(lines.x).variance, rtol=0.02)


def test_property_linearized_prediction_is_better_than_networks_drawn_from_the_same_gaussian():
    train, test = digits("train"), digits("test")
    found = Laplace(healthy("mlp"), "classification", structure="lowrank", rank=100).fit(train[:200])
    linear = nll_categorical(found.predict(test.x), test.y)
    drawn = found.predict(test.x, kind="mc_weights", samples=20, generator=seeded())
    assert nll_categorical(drawn, test.y) > 2 * linear


def test_property_the_evidence_is_largest_near_the_generating_prior():
    g, d, tau = seeded(5), 40, 4.0
    x = torch.randn(200, d, generator=g, dtype=FLOAT)
    y = x @ torch.randn(d, 1, generator=g, dtype=FLOAT) / math.sqrt(tau) + 0.3 * torch.randn(
        200, 1, generator=g, dtype=FLOAT
    )
    grid = [0.25, 1.0, 4.0, 16.0, 64.0]
    found = [BayesianLinearRegression(t, NOISE).fit(x, y) for t in grid]
    net = nn.Linear(d, 1, bias=False, dtype=FLOAT)
    evidences = []
    for t, exact in zip(grid, found, strict=True):
        net.weight.data = exact.mean.reshape(1, d).clone()
        fitted = Laplace(net, "regression", structure="full", prior_precision=t, noise_variance=NOISE).fit(Split(x, y))
        evidences.append(log_marginal_likelihood(fitted))
        assert evidences[-1] == pytest.approx(float(exact.log_evidence()), rel=1e-9)
    assert evidences.index(max(evidences)) == 2


def test_property_tuning_takes_the_best_of_the_grid():
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    found = Laplace(net, "classification", structure="full").fit(data)
    grid = (0.01, 1.0, 100.0, 10_000.0)
    scores = [log_marginal_likelihood(found, tau) for tau in grid]
    if scores.index(max(scores)) in (0, 3):
        with pytest.warns(UncertaintyWarning, match="end of the grid"):
            tuned = tune_prior_precision(found, grid=grid)
    else:
        tuned = tune_prior_precision(found, grid=grid)
    assert tuned.prior_precision == grid[scores.index(max(scores))]
    assert "empirical width" in tuned.summary()
    assert "empirical width" not in found.summary()
    with pytest.warns(UncertaintyWarning, match="end of the grid"):
        other = tune_prior_precision(found, by="validation", data=data, grid=(1e-4, 1e-3))
    losses = [nll_categorical(found.with_prior(tau).predict(data.x), data.y) for tau in (1e-4, 1e-3)]
    assert other.prior_precision == (1e-4, 1e-3)[int(losses[1] < losses[0])]
    regression = table()
    line = Laplace(at_the_mode(regression)[0], "regression", structure="full", noise_variance=NOISE).fit(regression)
    grid = (1e-3, 1.0, 10.0, 1e6)
    far = Split(3 * regression.x, 3 * regression.y)
    told = [nll_gaussian(line.with_prior(tau).predict(far.x), far.y).mean() for tau in grid]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertaintyWarning)
        assert (
            tune_prior_precision(line, by="validation", data=far, grid=grid).prior_precision
            == grid[told.index(min(told))]
        )
    for grid in ((1.0,), (2.0, 1.0), (0.0, 1.0), (-1.0, 1.0)):
        with pytest.raises(ParameterError, match="ascending order"):
            tune_prior_precision(found, grid=grid)
    for wrong in ({"by": "validation"}, {"data": data}, {"by": "luck"}):
        with pytest.raises(ParameterError):
            tune_prior_precision(found, **wrong)


def test_property_tuning_warns_at_both_ends_of_the_grid_and_nowhere_else():
    data = table()
    found = Laplace(at_the_mode(data)[0], "regression", structure="full", noise_variance=NOISE).fit(data)
    best = GRID.index(tune_prior_precision(found).prior_precision)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert tune_prior_precision(found, grid=GRID[best - 1 : best + 2]).prior_precision == GRID[best]
    for grid in (GRID[best - 2 : best + 1], GRID[best : best + 3]):
        with pytest.warns(UncertaintyWarning, match="end of the grid"):
            assert tune_prior_precision(found, grid=grid).prior_precision == GRID[best]
    assert (len(GRID), GRID[0], GRID[-1]) == (33, pytest.approx(1e-4), pytest.approx(1e4))


@pytest.mark.parametrize(
    "terms",
    [
        {"structure": "full"},
        {"structure": "full", "subset": "last_layer"},
        {"structure": "full", "subset": "subnetwork", "size": 7},
        {"structure": "diag"},
        {"structure": "kron"},
        {"structure": "lowrank", "rank": 4},
    ],
)
def test_property_tuning_on_validation_data_looks_at_them_once(terms):
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    found = Laplace(net, "classification", **terms).fit(data)
    grid = (0.01, 0.3, 3.0, 40.0, 1e4)
    losses = [nll_categorical(found.with_prior(tau).predict(data.x), data.y) for tau in grid]
    passes = []
    hook = net.register_forward_hook(lambda *_: passes.append(1))
    found.predict(data.x)
    once = len(passes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UncertaintyWarning)
        tuned = tune_prior_precision(found, by="validation", data=data, grid=grid)
    hook.remove()
    assert len(passes) == 2 * once > 0
    assert tuned.prior_precision == grid[losses.index(min(losses))]
    again = nll_categorical(tuned.predict(data.x), data.y)
    assert float(again) == float(min(losses))


def test_property_priors_by_name_and_by_entry_are_the_same():
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    named = Laplace(
        net,
        "classification",
        structure="full",
        prior_precision={"layers.0": 2.0, "readout.weight": 3.0, "readout.bias": 4.0},
    ).fit(data)
    each = torch.cat([torch.full((24,), 2.0), torch.full((12,), 3.0), torch.full((3,), 4.0)]).double()
    other = Laplace(net, "classification", structure="full", prior_precision=each).fit(data)
    assert torch.equal(named.tau, other.tau)
    assert log_marginal_likelihood(named) == log_marginal_likelihood(other)
    with pytest.raises(ParameterError, match="nothing for"):
        named.with_prior({"readout": 1.0})
    with pytest.raises(ParameterError, match="one for each of 39"):
        named.with_prior(torch.ones(5))
    with pytest.raises(ParameterError, match="at least 0"):
        named.with_prior(-1.0)


def test_property_the_last_layer_is_a_block_of_all():
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    last = Laplace(net, "classification", structure="full", subset="last_layer").fit(data)
    full = fit_full(net, data, "classification").hessian
    assert torch.allclose(
        last.posterior.variance(), torch.linalg.inv(full[24:, 24:] + torch.eye(15, dtype=FLOAT)).diagonal()
    )


@pytest.mark.parametrize("structure", ["full", "diag", "kron", "ekfac"])
@pytest.mark.parametrize("subset", ["all", "last_layer"])
def test_property_every_structure_has_the_covariances_of_its_jacobians(structure, subset):
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    found = Laplace(net, "classification", structure=structure, subset=subset, prior_precision=3.0).fit(data)
    mean, covariance = found.functional(data.x)
    joint_mean, joint = found.joint(data.x[:2])
    assert torch.allclose(mean, net(data.x).detach())
    assert torch.allclose(mean[:2].flatten(), joint_mean)
    assert torch.allclose(joint[3:6, 3:6], covariance[1], rtol=1e-8, atol=1e-12)
    drawn = found.posterior.sample(20_000, generator=seeded())
    assert torch.allclose(drawn.var(0), found.posterior.variance(), rtol=0.08)
    shifted = found.with_prior(9.0)
    assert (shifted.posterior.variance() < found.posterior.variance()).all()
    assert shifted.posterior.log_det > found.posterior.log_det


@pytest.mark.parametrize(
    ("structure", "subset", "fitted"),
    [
        ("diag", "all", fit_diag),
        ("kron", "all", fit_kron),
        ("ekfac", "all", fit_ekfac),
        ("full", "last_layer", partial(fit_last_layer, group="readout")),
    ],
)
def test_oracle_the_class_takes_the_curvature_of_the_function(structure, subset, fitted):
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    one = Laplace(net, "classification", structure=structure, subset=subset, prior_precision=2.0).fit(data).posterior
    other = fitted(net, data, "classification").with_prior(torch.tensor(2.0, dtype=FLOAT))
    assert torch.equal(one.variance(), other.variance())
    assert one.log_det == other.log_det


def test_property_factors_of_one_example_have_the_trace_of_its_matrix():
    data, net = classes(1), nn.Linear(5, 3, dtype=FLOAT)
    found = kronecker_factors(net, data, "classification")
    inward, outward = found.inputs[0], found.outputs[0]
    assert torch.allclose(inward, inward.mT)
    full = fit_full(net, data, "classification").hessian
    assert float(inward.trace() * outward.trace()) == pytest.approx(float(full.trace()), rel=1e-10)


@pytest.mark.parametrize(
    ("outputs", "likelihood"), [(2, "classification"), (3, "classification"), (1, "regression"), (2, "regression")]
)
def test_property_variances_alone_give_the_same_prediction(outputs, likelihood):
    net, data = mlp((5, 4, outputs), generator=seeded()), classes(c=outputs)
    if likelihood == "regression":
        data = Split(data.x, torch.randn(40, outputs, generator=seeded(), dtype=FLOAT))
    found = Laplace(net, likelihood, structure="full", subset="last_layer").fit(data)
    pieces = list(shown(found.posterior, net, data.x, group="readout"))
    mean = torch.cat([outputs for outputs, _ in pieces])
    variances = torch.cat([found.posterior.alone(features) for _, features in pieces])
    f, covariance = found.functional(data.x)
    assert torch.allclose(mean, f)
    assert torch.allclose(variances, covariance.diagonal(dim1=-2, dim2=-1), rtol=1e-9)
    said = found.predict(data.x)
    if likelihood == "classification":
        assert torch.allclose(said.mean, probit_probs(f, covariance), rtol=1e-9)
    else:
        assert torch.allclose(said.epistemic_var, covariance.diagonal(dim1=-2, dim2=-1), rtol=1e-9)


@pytest.mark.parametrize("structure", ["diag", "kron", "ekfac"])
def test_oracle_one_layer_of_one_output(structure):
    data = table()
    net, exact = at_the_mode(data)
    found = Laplace(net, "regression", structure=structure, prior_precision=TAU, noise_variance=NOISE).fit(data)
    if structure == "diag":
        precision = Laplace(net, "regression", structure="full", prior_precision=TAU, noise_variance=NOISE).fit(data)
        A = precision.posterior.factor @ precision.posterior.factor.mT
        assert torch.allclose(found.posterior.variance(), 1 / A.diagonal())
    else:
        assert log_marginal_likelihood(found) == pytest.approx(float(exact.log_evidence()), rel=1e-9)
        x = torch.randn(7, 4, generator=seeded(3), dtype=FLOAT)
        theirs = exact.predict(with_bias(x)).variance.flatten()
        assert torch.allclose(found.predict(x).variance.flatten(), theirs, rtol=1e-9)


def test_property_normalizations_stay_where_they_are():
    net = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4, 3)).double()
    net(classes().x)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.warns(UncertaintyWarning, match=r"1\.weight, 1\.bias"):
        found = Laplace(net, "classification", structure="full").fit(classes())
    assert found.curvature.size == 24 + 15
    one, other = (found.predict(classes().x).probs for _ in range(2))
    assert torch.equal(one, other)
    found.predict(classes().x, kind="mc_weights", samples=2, generator=seeded())
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    assert net.training
    assert all(p.grad is None for p in net.parameters())


def test_error_what_cannot_be_approximated():
    data = classes()
    net = mlp((5, 4, 3), generator=seeded())
    with pytest.raises(ParameterError, match="fit\\(data\\)"):
        Laplace(net, "classification").predict(data.x)
    with pytest.raises(ParameterError, match="no last layer"):
        Laplace(nn.Sequential(net, nn.ReLU()), "classification", structure="full", subset="last_layer").fit(data)
    with pytest.raises(ParameterError, match=r"takes .* bytes"):
        Laplace(mlp((64, 64, 10), generator=seeded()), "classification", structure="full").fit(digits("test")[:5])
    with pytest.raises(ParameterError, match="floating targets"):
        Laplace(net, "regression", structure="full").fit(data)
    with pytest.raises(ParameterError, match="normalizations"), pytest.warns(UncertaintyWarning):
        Laplace(nn.BatchNorm1d(5).double(), "classification", structure="full").fit(data)
    with pytest.raises(ParameterError, match="at least one example"):
        Laplace(net, "classification", structure="full").fit(data).predict(data.x[:0])


@pytest.mark.parametrize(
    "options",
    [
        {"structure": "lowrank"},
        {"structure": "full", "rank": 3},
        {"structure": "full", "size": 3},
        {"structure": "full", "subset": "subnetwork"},
        {"structure": "diag", "subset": "subnetwork", "size": 3},
        {"structure": "kron", "curvature": "exact"},
        {"structure": "some"},
        {"noise_variance": 2.0},
    ],
)
def test_error_options_that_do_not_go_together(options):
    with pytest.raises(ParameterError):
        Laplace(nn.Linear(2, 2), "classification", **options)


def test_error_a_noise_that_is_none():
    with pytest.raises(ParameterError, match="noise_variance"):
        Laplace(nn.Linear(2, 1), "regression", structure="full", noise_variance=0.0)


def test_property_single_precision_keeps_the_last_layer_a_precision():
    # The constant that all logits share is a direction without data: what single precision would leave of it is far
    # more than the smallest prior of the grid.
    double = mlp((64, 32, 10), generator=seeded())
    data = Split(16 * digits("train").x, digits("train").y)
    single = mlp((64, 32, 10), generator=seeded()).float()
    terms = {"structure": "full", "subset": "last_layer", "prior_precision": 1e-4}
    exact = Laplace(double, "classification", **terms).fit(data)
    found = Laplace(single, "classification", **terms).fit(data.to(dtype=torch.float32))
    assert log_marginal_likelihood(found) == pytest.approx(log_marginal_likelihood(exact), abs=0.01)
    assert tune_prior_precision(found).prior_precision == tune_prior_precision(exact).prior_precision


def test_property_the_summary_counts_what_is_uncertain():
    data, net = classes(), mlp((5, 4, 3), generator=seeded())
    few = Laplace(net, "classification", structure="full", subset="subnetwork", size=7).fit(data)
    assert "of 7 of 39 parameters" in few.summary()
    assert "of 39 parameters" in Laplace(net, "classification", structure="full").fit(data).summary()


def test_limit_one_example_and_float32():
    net = nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3))
    data = Split(torch.randn(1, 5, generator=seeded()), torch.tensor([2]))
    found = Laplace(net, "classification", structure="full").fit(data)
    assert found.posterior.variance().dtype == FLOAT
    assert found.predict(data.x).probs.isfinite().all()
    assert isinstance(found.curvature, FullCurvature)
