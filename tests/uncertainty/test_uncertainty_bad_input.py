"""Inputs that break a formula: each is carried as theory says, or refused with what to do."""

import math

import pytest
import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks import mlp
from weightlore.uncertainty import UncertaintyWarning
from weightlore.uncertainty.bayesian import GaussianPrior, MCDropout, mc_dropout
from weightlore.uncertainty.deterministic import DeepDeterministicUncertainty, RandomFeatureGP, dirichlet_prior_loss
from weightlore.uncertainty.evaluate import ood_benchmark
from weightlore.uncertainty.judges import DirectUncertaintyPredictor, GradientMetrics, MetaClassifier
from weightlore.uncertainty.laplace import IndefiniteError, Laplace
from weightlore.uncertainty.mcmc import hmc, log_joint, random_walk_metropolis
from weightlore.uncertainty.ood import (
    KNN,
    Energy,
    GradNorm,
    LayerMahalanobis,
    Mahalanobis,
    RelativeMahalanobis,
    TrustScore,
    ViM,
    best_odin,
    fit_gaussians,
)
from weightlore.uncertainty.sources import BayesianLinearRegression

STRUCTURES = ("full", "diag", "kron", "ekfac")
FITTED = [lambda: KNN(1), lambda: TrustScore(1), Mahalanobis, RelativeMahalanobis, lambda: ViM(1)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed), dtype=torch.float64)


def three(count=30):
    """Three classes of numbers, each around a corner."""
    y = torch.arange(count) % 3
    return Split(normal(count, 4) + 3 * torch.eye(3, 4).double()[y], y)


def network():
    return mlp((4, 6, 3), generator=seeded())


def test_error_an_indefinite_hessian_is_refused_and_the_gauss_newton_matrix_is_not():
    data, options = three(), {"structure": "full", "prior_precision": 0.1}
    with pytest.raises(IndefiniteError, match="raise the prior precision") as caught:
        Laplace(network(), "classification", curvature="exact", **options).fit(data)
    assert caught.value.smallest < 0
    found = Laplace(network(), "classification", curvature="ggn", **options).fit(data)
    assert float(found.posterior.variance().min()) > 0


@pytest.mark.parametrize("subset", ["all", "last_layer"])
@pytest.mark.parametrize("structure", STRUCTURES)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_error_a_prior_precision_of_zero_leaves_directions_without_data(structure, subset, seed, dtype):
    """A constant added to all logits changes no probability, nor does what a dead unit would say."""
    net, data = mlp((4, 6, 3), generator=seeded(seed), dtype=dtype), three().to(dtype=dtype)
    if structure == "diag":
        with torch.no_grad():
            net.layers[0].bias[0] = -100.0
    with pytest.raises(ParameterError, match=r"which must be > 0; |give a prior precision > 0"):
        Laplace(net, "classification", structure=structure, subset=subset, prior_precision=0.0).fit(data)


def test_error_a_prior_precision_of_zero_is_refused_where_a_prior_is_needed():
    data = three()
    for ask, part in (
        (lambda: RandomFeatureGP(4, 3, count=8, length_scale=1.0, prior_precision=0.0, generator=seeded()), "positive"),
        (lambda: BayesianLinearRegression(prior_precision=0.0, noise_variance=0.1).fit(data.x, data.x[:, :1]), "> 0"),
        (lambda: log_joint(network(), data, prior_precision=0.0), "> 0"),
        (lambda: GaussianPrior(std=math.inf), "finite and > 0"),
    ):
        with pytest.raises(ParameterError, match=part):
            ask()


@pytest.mark.parametrize("make", FITTED)
def test_limit_one_example_of_one_class(make):
    data = three()
    y = data.y.clone()
    y[y == 2] = 1
    y[0] = 2
    scores = make().fit(network(), Split(data.x, y)).score(data.x)
    assert bool(scores.isfinite().all())


@pytest.mark.parametrize("make", [Mahalanobis, RelativeMahalanobis, DeepDeterministicUncertainty])
def test_error_one_example_of_every_class_has_no_spread(make):
    with pytest.raises(ParameterError, match=r"more than one distinct example|two examples at least"):
        make().fit(network(), three(3))


def test_limit_one_example_of_every_class_has_neighbors():
    data = three(3)
    net, answers = network(), network()(data.x).argmax(1)
    assert float(KNN(1).fit(net, data).score(data.x).abs().max()) == 0
    right = TrustScore(1).fit(net, data).score(data.x)
    assert right.tolist() == (answers != data.y).double().tolist()  # another class is at distance zero


@pytest.mark.parametrize("make", [*FITTED, DeepDeterministicUncertainty])
def test_limit_features_that_never_change(make):
    net = network()
    with torch.no_grad():
        net.layers[0].weight[:3] = 0.0
        net.layers[0].bias[:3] = torch.tensor([-1.0, 0.0, 5.0])  # dead, and forever 5
    scores = make().fit(net, three()).score(normal(5, 4))
    assert bool(scores.isfinite().all())


def test_error_features_that_never_change_at_all():
    with pytest.raises(ParameterError, match="cannot be inverted"):
        fit_gaussians(torch.ones(9, 2), torch.arange(9) % 3)
    net = network()
    with torch.no_grad():
        net.layers[0].weight.zero_()
    judge = MetaClassifier(GradientMetrics(net)).fit(three().x, torch.arange(30) % 2)  # nothing to learn from
    assert float((judge.score(three().x) - 0.5).abs().max()) < 1e-6


@pytest.mark.parametrize("make", [Energy, GradNorm])
def test_error_an_energy_that_is_not_finite_is_refused(make):
    net = network()
    with torch.no_grad():
        net.readout.bias[0] = math.inf
    with pytest.raises(ParameterError, match="a logit must be finite"):
        make(net).score(three().x)


@pytest.mark.parametrize("beyond", [math.nan, math.inf, -math.inf])
def test_limit_a_chain_never_goes_where_its_energy_is_not_finite(beyond):
    """A logarithm of a density that is NaN, or plus infinity as at a pole, is no reason to go there."""

    def target(q):
        return torch.where(q[:, 0].abs() < 1, -q[:, 0].square() / 2, q[:, 0] * 0 + beyond)

    start = torch.zeros(20, 1, dtype=torch.float64)
    walked = random_walk_metropolis(target, start, samples=50, scale=1.0, generator=seeded())
    for warmup in (0, 40):
        rolled = hmc(target, start, samples=50, warmup=warmup, steps=4, step_size=0.5, generator=seeded())
        assert bool((rolled.draws.abs() < 1).all())
    assert bool((walked.draws.abs() < 1).all())
    assert int(walked.divergences.sum()) > 0


def test_error_splits_that_overlap():
    judge = DirectUncertaintyPredictor(mlp((4, 4, 1), generator=seeded()))
    rows = {"rows": torch.arange(20), "trained_on": torch.arange(15, 30)}
    with pytest.raises(ParameterError, match="5 of 20 rows were also used to train the network"):
        judge.fit(network(), three(), generator=seeded(), **rows)


def test_limit_without_an_outside_set_its_term_is_gone():
    z, y = normal(6, 3), torch.arange(6) % 3
    for direction in ("forward", "reverse"):
        alone = dirichlet_prior_loss(z, y, direction=direction, weight=5.0)
        flat = torch.zeros(4, 3).double()  # the divergence of its own target is zero
        assert float(alone) == pytest.approx(float(dirichlet_prior_loss(z, y, direction=direction, outside=flat)))


def test_error_what_cannot_be_tuned_or_told_without_an_outside_set():
    data, net = three(), network()
    with pytest.raises(ParameterError, match="without outside inputs nothing can be said"):
        ood_benchmark({"energy": Energy(net).score}, data.x, {})
    with pytest.raises(ParameterError, match="'far' holds no inputs"):
        ood_benchmark({"energy": Energy(net).score}, data.x, {"far": data.x[:0]})
    with pytest.raises(ParameterError, match="must hold an input"):
        best_odin(net, data.x, data.x[:0], bounds=None)
    with pytest.raises(ParameterError, match="kind that is missing"):
        LayerMahalanobis([None]).fit(net, data, inside=data.x, outside=data.x[:0])


def test_error_a_network_without_dropout_has_no_masks_to_draw():
    for ask in (MCDropout, lambda net: mc_dropout(net, three().x, samples=3, generator=seeded())):
        with pytest.raises(ParameterError, match=r"has none of them; train it with such a layer"):
            ask(network())


@pytest.mark.parametrize("structure", STRUCTURES)
def test_limit_batch_normalization_is_left_out_of_laplace_with_a_message(structure):
    net = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3)).double()
    net(three().x)  # statistics of a batch
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    with pytest.warns(UncertaintyWarning, match=r"1\.weight, 1\.bias"):
        found = Laplace(net, "classification", structure=structure).fit(three())
    assert len(found.posterior.variance()) == 30 + 21
    rows = [found.predict(three().x[:count]).probs[0, 0] for count in (1, 30)]  # statistics are those of training
    torch.testing.assert_close(rows[0], rows[1])
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
