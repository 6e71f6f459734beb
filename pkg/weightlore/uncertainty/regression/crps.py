"""The continuous ranked probability score: how far a predicted distribution is from the number that came.

    CRPS(F, y) = integral over z of (F(z) - 1[y <= z])^2 dz = E|X - y| - 1/2 E|X - X'| ,   X, X' ~ F

    crps_gaussian    closed form for N(m, s)
    crps_samples     from S samples of F

It is in the unit of the targets, proper, and equals |X - y| where F is a point.
"""

import math
import warnings

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.regression.given import Normal, moments_of, require_targets
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["crps_gaussian", "crps_samples"]


def crps_gaussian(p: Normal, y: Tensor) -> Tensor:
    """Return the CRPS of each Gaussian in closed form.

        s (w (2 Phi(w) - 1) + 2 phi(w) - 1/sqrt(pi)) ,   w = (y - m) / s ;   |y - m| for s = 0

    Args:
        p: a Gaussian prediction, or (mean, std) of one shape, (N,) or (N, D).
        y: targets in that shape.

    Returns:
        In the shape and unit of the targets; differentiable.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or a standard deviation is negative.

    Example:
        >>> crps_gaussian((torch.tensor([0.0]), torch.tensor([1.0])), torch.tensor([0.0]))
        tensor([0.2337])

    Source: [gneiting2007scoring], CRPS of a Gaussian
    """
    mean, std = moments_of(p)
    missing, point = require_targets(y, mean) - mean, std == 0
    w = missing / torch.where(point, 1.0, std)
    share = torch.where(point, missing.sign(), torch.erf(w / math.sqrt(2)))  # 2 Phi(w) - 1
    density = (-w * w / 2).exp() * math.sqrt(2 / math.pi)  # 2 phi(w)
    return missing * share + std * (density - 1 / math.sqrt(math.pi))


def crps_samples(samples: Tensor, y: Tensor, *, fair: bool = True) -> Tensor:
    """Return the CRPS of each predicted distribution from samples of it, in O(S log S).

        1/S sum_s |x_s - y| - 1/(2 S (S - 1)) sum_st |x_s - x_t|

    The sum over pairs is 2 sum_s (2 s - S - 1) x_(s) with the samples in rising order.

    Args:
        samples: shape (S, N) or (S, N, D).
        y: targets, shape (N,) or (N, D).
        fair: whether pairs are divided by S (S - 1), so that the mean is that of infinitely many samples, also for
            S = 2; otherwise by S^2, which is the CRPS of the samples taken as the whole distribution, and never
            negative.

    Returns:
        In the shape and unit of the targets; differentiable. One sample gives |x - y|, with a warning if it is to be
        fair.

    Raises:
        ParameterError: if shapes do not fit, or an entry is not finite.

    Example:
        >>> crps_samples(torch.tensor([[0.0], [2.0]]), torch.tensor([1.0]))
        tensor([0.])
        >>> crps_samples(torch.tensor([[0.0], [2.0]]), torch.tensor([1.0]), fair=False)
        tensor([0.5000])

    Source: [gneiting2007scoring], CRPS as expectations; dividing by S (S - 1) makes it unbiased
    """
    if not isinstance(samples, Tensor) or not samples.is_floating_point() or samples.ndim < 2 or not samples.numel():
        came = tuple(samples.shape) if isinstance(samples, Tensor) else type(samples).__name__
        raise ParameterError(f"samples must be floating, shape (S, N) or (S, N, D), samples first, got {came}")
    count = len(samples)
    missing = require_finite("a sample", samples) - require_targets(y, samples[0])
    if count == 1:
        if fair:
            warnings.warn(
                "one sample says nothing of a spread: its CRPS is the absolute error; draw two samples at least",
                UncertaintyWarning,
                stacklevel=2,
            )
        return missing[0].abs()
    weights = 2 * torch.arange(1, count + 1, dtype=samples.dtype, device=samples.device) - count - 1
    pairs = torch.einsum("s,s...->...", weights, missing.sort(0).values)
    return missing.abs().mean(0) - pairs / (count * (count - 1) if fair else count**2)
