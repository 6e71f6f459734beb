"""Mean and variance on their way through a network whose weights are independent Gaussians.

Nothing is drawn: each layer maps a mean and a variance of its inputs to a mean and a variance of its outputs. For the
affine map and for the ReLU of a Gaussian these are exact; that a sum over units is Gaussian again is an assumption.

    linear_moments      of W z,  W and z independent
    relu_moments        of max(0, a),  a Gaussian
    gaussian_log_density    ln N(y; m, v)
    matched_gaussian    the Gaussian with the moments of N(w; m, v) times a likelihood, from the slopes of its ln Z
    GammaFactor         belief about a precision; .matched(log_z) does the same for it
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError

__all__ = ["GammaFactor", "gaussian_log_density", "linear_moments", "matched_gaussian", "relu_moments"]


def linear_moments(mean: Tensor, variance: Tensor, *, weight: Tensor, spread: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of W z, for independent entries of W and of z.

        E[a] = M m,   Var[a] = M^2 v + V m^2 + V v        (squares entry by entry)

    Args:
        mean: m of the inputs, shape (N, in).
        variance: v of the inputs, shape (N, in), >= 0.
        weight: M, means of the weights, shape (out, in).
        spread: V, variances of the weights, shape (out, in), >= 0.

    Returns:
        Mean and variance, each of shape (N, out).

    Raises:
        ParameterError: if shapes do not fit.

    Source: [hernandez2015pbp], moments of a layer's linear map
    """
    if mean.shape != variance.shape or weight.shape != spread.shape or mean.shape[-1] != weight.shape[-1]:
        raise ParameterError(
            f"means and variances go in pairs, (N, in) for inputs and (out, in) for weights, got {tuple(mean.shape)}, "
            f"{tuple(variance.shape)}, {tuple(weight.shape)}, {tuple(spread.shape)}"
        )
    return mean @ weight.T, variance @ weight.square().T + (mean.square() + variance) @ spread.T


def relu_moments(mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of max(0, a) for Gaussian a.

        t = m / s,   E = s (phi(t) + t Phi(t)),   E[square] = v ((1 + t^2) Phi(t) + t phi(t))

    Args:
        mean: m, any shape.
        variance: v = s^2 > 0, shape of m.

    Returns:
        Mean and variance, each >= 0, in the shape of m.

    Raises:
        ParameterError: if shapes differ or a variance is not above 0.

    Example:
        >>> mean, variance = relu_moments(torch.zeros(1), torch.ones(1))
        >>> mean, variance
        (tensor([0.3989]), tensor([0.3408]))

    Source: [hernandez2015pbp], moments behind a rectifier, in a form without their ratio of density and distribution
    """
    if mean.shape != variance.shape or bool((variance <= 0).any()):
        raise ParameterError(
            f"a rectified Gaussian needs a variance above 0 for each mean, got shapes {tuple(mean.shape)} and "
            f"{tuple(variance.shape)} with a smallest variance of {float(variance.min()):g}"
        )
    deviation = variance.sqrt()
    t = mean / deviation
    density, below = torch.exp(-t.square() / 2) / math.sqrt(2 * math.pi), torch.special.ndtr(t)
    first = (density + t * below).clamp(min=0)
    second = (1 + t.square()) * below + t * density
    return deviation * first, variance * (second - first.square()).clamp(min=0)


def gaussian_log_density(y: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Return ln N(y; m, v), entry by entry, in nats.

    Args:
        y: any shape.
        mean: of that shape.
        variance: > 0, of that shape.

    Source: [hernandez2015pbp], the normalizer of an observation
    """
    return -(torch.log(2 * math.pi * variance) + (y - mean).square() / variance) / 2


def matched_gaussian(mean: Tensor, variance: Tensor, *, by_mean: Tensor, by_variance: Tensor) -> tuple[Tensor, Tensor]:
    """Return the moments of N(w; m, v) times a likelihood, from the slopes of the logarithm of their integral Z(m, v).

        m' = m + v dlnZ/dm,   v' = v - v^2 ((dlnZ/dm)^2 - 2 dlnZ/dv)

    Exact whatever the likelihood, as far as Z is. Where an approximate Z gives no positive variance, the entry stays
    as it was.

    Args:
        mean: m, any shape.
        variance: v > 0, of that shape.
        by_mean: dlnZ/dm, of that shape.
        by_variance: dlnZ/dv, of that shape.

    Returns:
        m' and v'.

    Source: [hernandez2015pbp], assumed density filtering of a Gaussian
    """
    moved = mean + variance * by_mean
    shrunk = variance - variance.square() * (by_mean.square() - 2 * by_variance)
    fine = moved.isfinite() & shrunk.isfinite() & (shrunk > 0)
    return torch.where(fine, moved, mean), torch.where(fine, shrunk, variance)


@dataclass(frozen=True)
class GammaFactor:
    """A belief about a precision: a Gamma density.

        p(t) = rate^shape t^(shape - 1) exp(-rate t) / Gamma(shape)

    Args:
        shape: > 1, so that the expected variance exists.
        rate: > 0.

    Raises:
        ParameterError: if one is out of range.

    Example:
        >>> GammaFactor(6.0, 6.0).variance
        1.2

    Source: [hernandez2015pbp], Gamma beliefs about the precisions of noise and prior
    """

    shape: float
    rate: float

    def __post_init__(self) -> None:
        if not (1 < self.shape < math.inf and 0 < self.rate < math.inf):
            raise ParameterError(
                f"a belief about a precision has shape > 1 and rate > 0, got {self.shape}, {self.rate}"
            )

    @property
    def variance(self) -> float:
        """Expected variance, E[1/t] = rate / (shape - 1)."""
        return self.rate / (self.shape - 1)

    def matched(self, log_z: Callable[["GammaFactor"], float]) -> "GammaFactor":
        """Return the Gamma density with the first two moments of this one times a likelihood.

            E[t] = shape/rate Z1/Z,   E[t^2] = shape (shape + 1)/rate^2 Z2/Z

        Z, Z1 and Z2 are the integral of both under shapes raised by 0, 1 and 2. Where an approximate Z gives no
        density, the belief stays as it was.

        Args:
            log_z: the logarithm of that integral, for a belief.
        """
        z0, z1, z2 = (log_z(GammaFactor(self.shape + more, self.rate)) for more in range(3))
        if not all(map(math.isfinite, (z0, z1, z2))) or max(abs(z1 - z0), abs(z2 - z1)) > 500:
            return self
        first = self.shape / self.rate * math.exp(z1 - z0)
        excess = math.exp(z0 + z2 - 2 * z1) * (self.shape + 1) / self.shape - 1  # E[t^2] / E[t]^2 - 1
        if not 0 < excess < 1:  # a shape of 1 or less has no expected variance
            return self
        return GammaFactor(1 / excess, 1 / (excess * first))
