"""Chains that draw from a posterior: one step, and what they draw from when a count is forgotten."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants
from weightlore.uncertainty.sources import BayesianLinearRegression

__all__ = ["FORGOTTEN", "LANGEVIN", "VARIANTS"]

Step = tuple[Tensor, Tensor, Tensor, float, float, int]


def _steps() -> list[Step]:
    drawn, found = torch.Generator().manual_seed(1), list[Step]()
    for size, e, tau, num_data in ((3, 0.01, 1.0, 50), (2, 0.04, 3.0, 200), (4, 0.002, 0.5, 12)):
        theta, slope, z = torch.randn(3, size, generator=drawn, dtype=torch.float64)
        found.append((theta, slope, z, e, tau, num_data))
    return found


@dataclass(frozen=True)
class _Chain:
    """The temperature of a chain: its noise has the variance T e."""

    T: float = 1.0

    def drift(self, theta: Tensor, slope: Tensor, z: Tensor, e: float, tau: float, num_data: int) -> Tensor:
        return theta + e / 2 * (-num_data * slope - tau * theta)

    def step(self, theta: Tensor, slope: Tensor, z: Tensor, e: float, tau: float, num_data: int) -> Tensor:
        return self.drift(theta, slope, z, e, tau, num_data) + math.sqrt(self.T * e) * z


def _langevin(d: _Chain) -> Exercise:
    plain = d.T == 1
    at = "" if plain else f", but at the temperature {d.T:g}, so that the noise has {d.T:g} times the variance"
    e = "e" if plain else f"{d.T:g} e"
    return Exercise(
        id="uncertain.langevin",
        prompt=f"Write a step of Langevin dynamics by mini-batches{at}. Answer: a function of (theta, slope, z, e, "
        "tau, num_data), slope the gradient of the batch's mean negative log likelihood, z standard normal, that "
        "returns the next theta.",
        given="Langevin dynamics: theta <- theta + (e / 2) g + sqrt(e) z, with g the gradient of the log joint of all "
        "data. The prior is Gaussian around 0 with the precision tau.",
        nudge="What is the gradient of the log joint of all data, estimated by one batch?",
        hint=f"g = -num_data slope - tau theta; half a step of it, and noise of variance {e}.",
        right="With noise of variance 0 it is gradient descent on the regularized loss.",
        reference=d.step,
        inputs=_steps,
        diagnoses=(*_other_drifts(d), *_other_noise(d, e)),
    )


def _other_drifts(d: _Chain) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("one example", "The posterior has num_data examples, and slope is the mean of one.",
                  lambda theta, slope, z, e, tau, num_data: d.step(theta, slope, z, e, tau, 1)),
        Diagnosis("prior", "The prior pulls, too: - tau theta.",
                  lambda theta, slope, z, e, tau, num_data: d.step(theta, slope, z, e, 0.0, num_data)),
        Diagnosis("prior once more", "The prior counts once, not once for each example.",
                  lambda theta, slope, z, e, tau, num_data: d.step(theta, slope, z, e, num_data * tau, num_data)),
        Diagnosis("uphill", "slope leads uphill in the loss; the chain goes uphill in the log joint.",
                  lambda theta, slope, z, e, tau, num_data: d.step(theta, -slope, z, e, -tau, num_data)),
    )  # fmt: skip


def _other_noise(d: _Chain, e: str) -> tuple[Diagnosis, ...]:
    plain = d.T == 1
    half = "Only half a step of the gradient, e / 2" + (": otherwise the temperature is a half." if plain else ".")
    found = (
        Diagnosis("half", half, lambda theta, slope, z, e, tau, num_data:
                  d.step(theta, slope, z, e, tau, num_data) + d.drift(theta, slope, z, e, tau, num_data) - theta),
        Diagnosis("noise", f"The variance of the noise is {e}, so its deviation is the root of {e}.",
                  lambda theta, slope, z, e, tau, num_data:
                  d.step(theta, slope, math.sqrt(d.T * e) * z, e, tau, num_data)),
        Diagnosis("no noise", "Without noise it is gradient descent.", d.drift),
    )  # fmt: skip
    warm = Diagnosis("temperature", "This is the step at the temperature 1.", _Chain().step)
    return found if plain else (*found, warm)


def _designs() -> list[tuple[Tensor, float, float]]:
    drawn = torch.Generator().manual_seed(2)
    sizes = ((24, 2, 0.25, 1.0), (30, 3, 1.0, 0.5), (18, 2, 0.1, 2.0))
    return [(torch.randn(n, p, generator=drawn, dtype=torch.float64), s2, tau) for n, p, s2, tau in sizes]


def _posterior(X: Tensor, s2: float, tau: float) -> Tensor:
    return BayesianLinearRegression(tau, s2).fit(X, X[:, :1]).covariance


def _forgotten(told: int) -> Exercise:
    one = told == 1
    as_one, k = ("one example", "") if one else (f"{told} examples", f"{told} ")

    def drawn(X: Tensor, s2: float, tau: float) -> Tensor:
        return _posterior(X, len(X) * s2 / told, tau)

    alone = () if one else (
        Diagnosis("one example", f"It is told {told}, not 1.",
                  lambda X, s2, tau: _posterior(X, len(X) * s2, tau)),
    )  # fmt: skip
    return Exercise(
        id="uncertain.forgotten",
        prompt=f"A Langevin chain of small steps is told num_data = {told}, each batch is all N rows of X. Answer: a "
        "function of (X, s2, tau), for a line with noise of variance s2, that returns the covariance of what it draws, "
        "(P, P).",
        given="Langevin dynamics draws from the posterior if its gradient is that of the log joint: num_data times the "
        "mean log likelihood of a batch, and the prior, Gaussian around 0 with the precision tau for each parameter.",
        nudge="By which factor is the gradient of the data too small?",
        hint=f"The data count as {as_one}: {k}X^T X / (N s2) instead of X^T X / s2; the prior is as it was.",
        right="The more data there are, the wronger it is, and no diagnostic of the chain will tell.",
        reference=drawn,
        inputs=_designs,
        diagnoses=(
            Diagnosis("remembered", "This is the posterior that was wanted; the chain draws from another.", _posterior),
            Diagnosis("precision", "This is the precision; the covariance is its inverse.",
                      lambda X, s2, tau: torch.linalg.inv(drawn(X, s2, tau))),
            Diagnosis("prior too", f"The prior is not divided by N{'' if one else f' / {told}'}: only the data are "
                      "weighed too little.", lambda X, s2, tau: len(X) / told * _posterior(X, s2, tau)),
            Diagnosis("too sure", f"You multiplied by N{'' if one else f' / {told}'}; a forgotten count weighs the "
                      "data too little.", lambda X, s2, tau: _posterior(X, told * s2 / len(X), tau)),
            Diagnosis("only the prior", f"The data count little, not nothing: as {as_one}.",
                      lambda X, s2, tau: torch.eye(X.shape[1], dtype=X.dtype) / tau),
            *alone,
        ),
    )  # fmt: skip


LANGEVIN, FORGOTTEN = _langevin(_Chain()), _forgotten(1)

TEMPERATURES = (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 10.0)

VARIANTS = {
    LANGEVIN.id: Variants(_langevin, lambda generator: _Chain(one_of(generator, TEMPERATURES))),
    FORGOTTEN.id: Variants(_forgotten, lambda generator: integer(generator, 2, 16)),
}
