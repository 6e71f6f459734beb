"""The law of random corruption: how little a random draw finds, and why trying again does not help.

A random corruption a on the sphere ||a||_2 = epsilon in P dimensions is nearly orthogonal to the gradient g. With
cos = a . g / (epsilon ||g||_2), its share of the first-order optimum, cos^2 follows Beta(1/2, (P-1)/2):

    density of cos               cosine_density(x, size)
    P(cos >= x)                  cosine_tail(x, size)
    E|cos|                       expected_efficiency(size)        ~ sqrt(2 / (pi P))
    E[best of m draws]           expected_best(trials, size)      ~ sqrt(2 ln m / P)

``moments`` has the mean and the variance for the other norms and for few parameters.
"""

import functools
import math

import numpy as np
import torch
from scipy import special
from torch import Tensor

from weightlore.corruption.arguments import require_real
from weightlore.errors import ParameterError, require_finite

__all__ = [
    "cosine_density",
    "cosine_tail",
    "expected_best",
    "expected_efficiency",
]


def cosine_density(x: Tensor | float, size: int) -> Tensor:
    """Return the density of the cosine between a random direction and a fixed one.

        f(x) = Gamma(P/2) / (sqrt(pi) Gamma((P-1)/2)) (1 - x^2)^((P-3)/2) ,   -1 <= x <= 1

    The share |cos| of the optimum has twice this density on [0, 1]. For P = 2 it is the arcsine law, for P = 3 uniform.

    Args:
        x: where, any shape; outside of [-1, 1] the density is 0.
        size: number of parameters P, >= 2.

    Returns:
        The density, of the shape of x, float64; infinite at +-1 for P = 2.

    Raises:
        ParameterError: if x is not finite, or size < 2.

    Source: [sun2021corruption], theorem on random corruption; re-derived here
    """
    at, size = _where(x), _require_size(size, 2)
    squared = at.square()
    factor = special.poch((size - 1) / 2, 0.5) / math.sqrt(math.pi)
    power = torch.pow((1 - squared).clamp(min=0), (size - 3) / 2)
    return torch.where(squared <= 1, factor * power, 0.0)


def cosine_tail(x: Tensor | float, size: int) -> Tensor:
    """Return the probability that a random direction reaches a cosine with a fixed one.

        P(cos >= x) = 1/2 I_{1-x^2}((P-1)/2, 1/2)   for x >= 0, of about exp(-P x^2 / 2)

    Its inverse is the number of random corruptions that are needed, on average, to gain a share x of the optimum.

    Args:
        x: where, any shape.
        size: number of parameters P, >= 2.

    Returns:
        The probability, of the shape of x, float64; 0 where it is below the smallest float64.

    Raises:
        ParameterError: if x is not finite, or size < 2.

    Example:
        >>> cosine_tail(0.1, 1000)
        tensor(0.0008, dtype=torch.float64)

    Source: [sun2021corruption], theorem on random corruption; re-derived here
    """
    at, size = _where(x).clamp(-1, 1), _require_size(size, 2)
    beyond = torch.from_numpy(np.asarray(special.betainc((size - 1) / 2, 0.5, 1 - at.numpy() ** 2))) / 2
    return torch.where(at >= 0, beyond, 1 - beyond)


def expected_efficiency(size: int) -> float:
    """Return the expected share |cos| of the first-order optimum that one random corruption attains.

        E|cos| = Gamma(P/2) / (sqrt(pi) Gamma((P+1)/2)) ~ sqrt(2 / (pi P))

    Args:
        size: number of parameters P, >= 1.

    Raises:
        ParameterError: if size < 1.

    Example:
        >>> round(expected_efficiency(10_000), 4)
        0.008

    Source: [sun2021corruption], theorem on random corruption; re-derived here
    """
    return float(1 / (math.sqrt(math.pi) * special.poch(_require_size(size, 1) / 2, 0.5)))


def expected_best(trials: float, size: int) -> float:
    """Return the expected largest cosine among several random directions, about sqrt(2 ln m / P).

    Exact, by Gauss-Legendre quadrature: with F(x) = P(cos < x) and m trials,

        E[max] = integral_0^1 1 - F(x)^m dx - integral_-1^0 F(x)^m dx

    Args:
        trials: number m of draws, >= 1; may be far more than could be drawn, such as 1e15.
        size: number of parameters P, >= 2.

    Returns:
        The best share of the first-order optimum, on average; 0 for one trial.

    Raises:
        ParameterError: if trials < 1 or size < 2.

    Example:
        >>> round(expected_best(100, 6570), 3)
        0.031

    Source: ours, because the asymptotic form is 20 % too high at 100 trials
    """
    require_real("trials", trials)
    if not 1 <= trials < math.inf:
        raise ParameterError(f"trials counts draws and must be >= 1 and finite, got {trials}")
    reach = min(1.0, math.sqrt(2 * (math.log(trials) + 40) / _require_size(size, 2)))  # beyond it the rest is < e^-40
    nodes, weights = _quadrature()
    angle = math.asin(reach) * (nodes + 1) / 2  # x = sin(angle) smooths the corner of the arcsine law at 1
    tail = cosine_tail(torch.from_numpy(np.sin(angle)), size).numpy()
    above = -np.expm1(trials * np.log1p(-tail))
    below = np.exp(trials * np.log(tail, where=tail > 0, out=np.full_like(tail, -np.inf)))
    return float(math.asin(reach) / 2 * (weights * np.cos(angle)) @ (above - below))


@functools.cache
def _quadrature() -> tuple[np.ndarray, np.ndarray]:
    return np.polynomial.legendre.leggauss(400)


def _where(x: Tensor | float) -> Tensor:
    return require_finite("x", torch.as_tensor(x, dtype=torch.float64).detach().cpu())


def _require_size(size: int, least: int) -> int:
    require_real("size", size)
    if size < least:
        raise ParameterError(f"size counts parameters and must be >= {least} here, got {size}")
    return int(size)
