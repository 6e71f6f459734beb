"""Detectors, variational layers and chains beside five libraries, on inputs that formulas make."""

from functools import cache

import torch
from tests.uncertainty.peers.case import Case
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.uncertainty import mcmc, ood
from weightlore.uncertainty.bayesian import GaussianPrior, ScaleMixture, gaussian_kl
from weightlore.uncertainty.regression import crps_samples

FLOAT, EXACT, SINGLE = torch.float64, 1e-9, 1e-4
RIDGE = 1e-4  # they add 1e-6 to the diagonal of a covariance
STEP, TEMPERATURE, NEIGHBORS, FILLED = 0.01, 10.0, 5, 4
HALF_SUM = "its covariance is the sum of scatters, not their mean, and half the distance counts; the order is the same"
AVERAGED = "it averages over the weights of a layer, and adds the average over biases; ours is the sum over all"
HALVES = "it takes half a nat off for each weight (of the log of q, too), and adds 1e-6 to the density"
MONOTONE = (
    "it divides the covariance at lag t by S - t instead of S, and makes the sequence of pairs fall; ours ends where a "
    "pair turns negative"
)
MEANS = torch.sin(torch.arange(20, dtype=FLOAT)).view(4, 5)
SPREADS = 0.1 + 0.05 * torch.cos(torch.arange(20, dtype=FLOAT)).view(4, 5)


def waves(rows: int, columns: int, pace: float) -> Tensor:
    """Numbers in [-1, 1] without chance, shape (rows, columns)."""
    return torch.sin(pace * torch.arange(rows * columns, dtype=FLOAT) ** 1.1).view(rows, columns)


@cache
def network() -> nn.Module:
    """A network with six inputs, eight features and four classes."""
    first, last = nn.Linear(6, 8), nn.Linear(8, 4)
    model = nn.Sequential(first, nn.Tanh(), last).double().eval().requires_grad_(False)
    for layer, pace in ((first, 0.7), (last, 1.3)):
        layer.weight.copy_(waves(*layer.weight.shape, pace))
        layer.bias.copy_(waves(1, len(layer.bias), pace)[0])
    return model


X, NEW = waves(120, 6, 0.37), 1.5 * waves(9, 6, 0.53)
PACES = torch.tensor([0.31, 0.17, 0.83], dtype=FLOAT)
DRAWS = torch.cumsum(torch.sin(PACES * torch.arange(200, dtype=FLOAT)[:, None] ** 1.3), 0) / 20  # three chains (200, 3)


def known() -> Split:
    """Training inputs with the classes that the network names."""
    return Split(X, network()(X).argmax(1))


def features(x: Tensor) -> Tensor:
    return network()[:2](x)


def detector(name: str, *args: object, **options: object) -> object:
    import pytorch_ood.detector

    return getattr(pytorch_ood.detector, name)(*args, **options)


def by_features(name: str, **options: object) -> Tensor:
    """Scores of a detector of theirs that was fitted to features."""
    found, before = detector(name, None, **options), torch.get_default_dtype()
    torch.set_default_dtype(FLOAT)  # the dtype of their sums
    try:
        found.fit_features(features(X), known().y)
        return found.predict_features(features(NEW))
    finally:
        torch.set_default_dtype(before)


def by_neighbors() -> Tensor:
    found = detector("KNN", None, k=NEIGHBORS)
    found.fit_features(features(X), known().y)
    return found.predict_features(features(NEW))


def by_last_layer() -> Tensor:
    last = network()[2]
    return by_features("ViM", d=FILLED, w=last.weight, b=last.bias)


def by_gradient() -> Tensor:
    found = detector("GradNorm", network(), param_filter=lambda name: name == "2.weight")
    found.to("cpu")
    return found.predict(NEW)


def averaged() -> Tensor:
    """The divergence of a layer of bayesian-torch, without biases."""
    from bayesian_torch.layers import LinearReparameterization

    layer = LinearReparameterization(5, 4, prior_mean=0, prior_variance=1, bias=False).double()
    layer.prior_weight_mu, layer.prior_weight_sigma = torch.zeros(4, 5).double(), torch.ones(4, 5).double()
    with torch.no_grad():
        layer.mu_weight.copy_(MEANS)
        layer.rho_weight.copy_(SPREADS.expm1().log())
    return layer.kl_loss()


def mixture() -> Tensor:
    """The log density of weights by the mixture of BLiTZ."""
    from blitz.modules.weight_sampler import PriorWeightDistribution

    return PriorWeightDistribution(0.5, 1.0, 0.1).log_prior(MEANS)


def slope(q: Tensor) -> Tensor:
    """A log joint."""
    return -(q**2 / 2).sum() - (q.cos()).sum()


def noiseless() -> Tensor:
    """Ten steps of the Langevin sampler of posteriors without noise."""
    from posteriors.sgmcmc import sgld

    state = sgld.init(MEANS[0].clone())
    for _ in range(10):
        state, _ = sgld.update(state, None, lambda q, batch: (slope(q), torch.zeros(0)), lr=0.05, temperature=0.0)
    return state.params


def own_noiseless() -> Tensor:
    """Ten steps of ours; e/2 is their rate, and the prior stands for a part of the log joint."""
    q = nn.Parameter(MEANS[0].clone())
    chance = torch.Generator().manual_seed(0)
    sampler = mcmc.SGLD([q], 0.1, num_data=1, prior_precision=1.0, generator=chance, temperature=0.0)
    for _ in range(10):
        sampler.zero_grad()
        q.cos().sum().backward()
        sampler.step()
    return q.detach()


def pyro(name: str, *args: object, **options: object) -> Tensor:
    from pyro.ops import stats

    return getattr(stats, name)(*args, **options)


def ood_case(function: str, row: str, what: str, ours: object, theirs: object, close: float, reason: str = "") -> Case:
    """A comparison with pytorch-ood."""
    return Case("pytorch-ood", function, row, what, ours, theirs, close, reason)


OOD = [
    ood_case(
        "MaxSoftmax",
        "D1",
        "largest probability, 1 more than theirs",
        lambda: ood.MaxSoftmax(network()).score(NEW),
        lambda: 1 + detector("MaxSoftmax", None).predict_logits(network()(NEW)),
        EXACT,
    ),
    ood_case(
        "EnergyBased",
        "X11",
        "energy at a temperature of 10",
        lambda: ood.Energy(network(), temperature=TEMPERATURE).score(NEW),
        lambda: detector("EnergyBased", None, t=TEMPERATURE).predict_logits(network()(NEW)),
        EXACT,
    ),
    ood_case(
        "MaxLogit",
        "X12",
        "largest logit",
        lambda: ood.MaxLogit(network()).score(NEW),
        lambda: detector("MaxLogit", None).predict_logits(network()(NEW)),
        EXACT,
    ),
    ood_case(
        "ODIN",
        "X8",
        "a push of 0.01 at a temperature of 10, 1 more than theirs",
        lambda: ood.ODIN(network(), temperature=TEMPERATURE, epsilon=STEP, bounds=None).score(NEW),
        lambda: 1 + detector("ODIN", network(), eps=STEP, temperature=TEMPERATURE).predict(NEW),
        EXACT,
    ),
    ood_case(
        "GradNorm",
        "X2",
        "gradient in the weights of the last layer",
        lambda: ood.GradNorm(network()).score(NEW),
        by_gradient,
        EXACT,
    ),
    ood_case(
        "KNN",
        "X6",
        "distance to the fifth neighbor",
        lambda: ood.KNN(k=NEIGHBORS).fit(network(), known()).score(NEW),
        by_neighbors,
        EXACT,
    ),
    ood_case(
        "Mahalanobis",
        "X9",
        "distance to the nearest class",
        lambda: ood.Mahalanobis(shrinkage=0.0).fit(network(), known()).score(NEW),
        lambda: by_features("Mahalanobis"),
        SINGLE,
        HALF_SUM,
    ),
    ood_case(
        "Mahalanobis",
        "X9",
        "distance to the nearest class, theirs by 2 N",
        lambda: ood.Mahalanobis(shrinkage=0.0).fit(network(), known()).score(NEW),
        lambda: 2 * len(X) * by_features("Mahalanobis"),
        RIDGE,
    ),
    ood_case(
        "RMD",
        "X10",
        "relative distance, theirs by N",
        lambda: ood.RelativeMahalanobis(shrinkage=0.0).fit(network(), known()).score(NEW),
        lambda: len(X) * by_features("RMD"),
        RIDGE,
    ),
    ood_case(
        "ViM",
        "X12",
        "virtual logit, float32",
        lambda: ood.ViM(FILLED).fit(network(), known()).score(NEW),
        by_last_layer,
        SINGLE,
    ),
]
LAYERS = [
    Case(
        "bayesian-torch",
        "LinearReparameterization.kl_loss",
        "B1",
        "divergence of 20 weights",
        lambda: gaussian_kl(MEANS, SPREADS, prior_mean=0.0, prior_std=1.0),
        averaged,
        EXACT,
        AVERAGED,
    ),
    Case(
        "bayesian-torch",
        "LinearReparameterization.kl_loss",
        "B1",
        "divergence of 20 weights, theirs by 20",
        lambda: GaussianPrior().divergence(MEANS, SPREADS, lambda: MEANS),
        lambda: 20 * averaged(),
        EXACT,
    ),
    Case(
        "blitz-bayesian-pytorch",
        "PriorWeightDistribution",
        "B1",
        "log density of 20 weights by a mixture",
        lambda: ScaleMixture(0.5, 1.0, 0.1).log_prob(MEANS).sum(),
        mixture,
        EXACT,
        HALVES,
    ),
]
CHAINS = [
    Case("posteriors", "sgld", "B14", "ten steps without noise, its rate e/2", own_noiseless, noiseless, EXACT),
    Case(
        "pyro-ppl",
        "split_gelman_rubin",
        "B19",
        "three chains",
        lambda: mcmc.split_rhat(DRAWS),
        lambda: pyro("split_gelman_rubin", DRAWS, chain_dim=1, sample_dim=0),
        EXACT,
    ),
    Case(
        "pyro-ppl",
        "effective_sample_size",
        "B19",
        "three chains",
        lambda: mcmc.effective_sample_size(DRAWS),
        lambda: pyro("effective_sample_size", DRAWS, chain_dim=1, sample_dim=0),
        EXACT,
        MONOTONE,
    ),
    Case(
        "pyro-ppl",
        "crps_empirical",
        "M25",
        "200 samples of three numbers, pairs by S^2",
        lambda: crps_samples(DRAWS, MEANS[0, :3], fair=False),
        lambda: pyro("crps_empirical", DRAWS, MEANS[0, :3]),
        EXACT,
    ),
]
CASES = OOD + LAYERS + CHAINS
