"""Small measured limits of families of methods: a few seconds each, seeded, and kept for the book.

python -m tests.uncertainty.limits.measure
"""

import json
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from weightlore.data import diabetes, digits, natural_patches
from weightlore.networks import healthy
from weightlore.uncertainty.bayesian import mc_dropout
from weightlore.uncertainty.laplace import Laplace
from weightlore.uncertainty.mcmc import hmc, split_rhat
from weightlore.uncertainty.ood import Mahalanobis
from weightlore.uncertainty.ranking import auroc
from weightlore.uncertainty.sources import BayesianLinearRegression

STORED = Path(__file__).parents[3] / "book" / "limits" / "measured.json"
FLOAT = torch.float64


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(20260214)


def deterministic() -> dict[str, float]:
    """How sure one network is of patches of photographs, which are no digits."""
    patches = natural_patches(1000, generator=seeded()).flatten(1).to(FLOAT)
    sure = healthy()(patches).softmax(1).amax(1) > 0.9
    return {"sure": float(sure.double().mean())}


def outside() -> dict[str, float]:
    """How well distances in the last hidden layer find two kinds of strange inputs."""
    detector, inside = Mahalanobis().fit(healthy(), digits("train")), digits("test").x
    patches = natural_patches(len(inside), generator=seeded()).flatten(1).to(FLOAT)
    mirrored = inside.view(-1, 8, 8).flip(2).flatten(1)
    return {"patches": found(detector, inside, patches), "mirrored": found(detector, inside, mirrored)}


def found(detector: Mahalanobis, inside: Tensor, strange: Tensor) -> float:
    scores = torch.cat([detector.score(inside), detector.score(strange)])
    return float(auroc(scores, torch.arange(len(scores)) >= len(inside)))


def variational() -> dict[str, float]:
    """Standard deviations of the best independent Gaussians, as shares of those of the exact posterior."""
    x = diabetes("train").x.double()
    exact = BayesianLinearRegression(1.0, 1.0).fit(x, x[:, :1]).covariance
    share = (1 / torch.linalg.inv(exact).diagonal()).sqrt() / exact.diagonal().sqrt()
    return {"narrowest": float(share.min()), "mean": float(share.mean())}


def dropout() -> dict[str, float]:
    """Spreads after a hundred times as many examples, as shares of those before."""
    few, many = line(20), line(2000)
    return {"dropout": many[0] / few[0], "posterior": many[1] / few[1]}


def line(n: int) -> tuple[float, float]:
    """The spread at one input that dropout and the exact posterior give a line through n noisy points."""
    generator = seeded()
    x = torch.randn(n, 1, dtype=FLOAT, generator=generator)
    y = 2 * x + 0.5 * torch.randn(n, 1, dtype=FLOAT, generator=generator)
    exact, at = BayesianLinearRegression(1.0, 0.25).fit(x, y), torch.ones(1, 1, dtype=FLOAT)
    model = nn.Sequential(nn.Dropout(0.1), nn.Linear(1, 1, bias=False)).double()
    nn.init.constant_(model[1].weight, float(exact.mean))
    thinned = mc_dropout(model, at, samples=4000, generator=generator, noise_variance=0.0)
    return float(thinned.epistemic_var.sqrt()), float(exact.predict(at).epistemic_var.sqrt())


def sampling() -> dict[str, float]:
    """Four chains between two equal hills, ten standard deviations apart, that begin on the left one."""
    hills = torch.tensor([-5.0, 5.0], dtype=FLOAT)
    start = torch.full((4, 1), -5.0, dtype=FLOAT)
    draws = hmc(
        lambda q: (-(q - hills).square() / 2).logsumexp(1), start, samples=500, warmup=100, generator=seeded()
    ).draws
    return {"right": float((draws > 0).double().mean()), "rhat": float(split_rhat(draws))}


def laplace() -> dict[str, float]:
    """Accuracies of the linearized network and of networks drawn from the same Gaussian."""
    posterior = Laplace(healthy(), "classification", structure="kron").fit(digits("train"))
    test = digits("test")
    drawn = posterior.predict(test.x, kind="mc_weights", samples=20, generator=seeded())
    sides = {"linearized": posterior.predict(test.x, link="probit"), "drawn": drawn}
    return {name: float((side.mean.argmax(1) == test.y).double().mean()) for name, side in sides.items()}


LIMITS: dict[str, Callable[[], dict[str, float]]] = {
    function.__name__: function for function in (deterministic, outside, variational, dropout, sampling, laplace)
}


def main() -> None:
    """Measure all limits and write the file anew."""
    torch.set_num_threads(1)
    found = {name: {key: round(value, 6) for key, value in limit().items()} for name, limit in LIMITS.items()}
    STORED.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
