"""The log score of predicted densities, in nats: what an observation costs under them.

    nll_gaussian    1/2 (ln(2 pi s^2) + (y - m)^2 / s^2)
    nll_mixture     -ln sum_s weight_s N(y; m_s, s_s)

An ensemble predicts a mixture. Its exact log score is at most the mean of the members' (Jensen); the Gaussian with the
same mean and variance is another distribution, with another score.
"""

import math

from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.regression.given import (
    Mixture,
    Normal,
    components_of,
    moments_of,
    require_targets,
)

__all__ = ["nll_gaussian", "nll_mixture"]


def nll_gaussian(p: Normal, y: Tensor) -> Tensor:
    """Return the negative log density of each target under its Gaussian.

        1/2 (ln(2 pi s^2) + (y - m)^2 / s^2)

    Args:
        p: a Gaussian prediction, or (mean, std) of one shape, (N,) or (N, D).
        y: targets in that shape.

    Returns:
        In the shape of the targets, in nats, differentiable; rescaling the targets adds the logarithm of the scale.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or a standard deviation is not positive.

    Example:
        >>> import torch
        >>> nll_gaussian((torch.zeros(2), torch.ones(2)), torch.tensor([0.0, 1.0]))
        tensor([0.9189, 1.4189])

    Source: [nix1994variance], the likelihood; [gneiting2007scoring], logarithmic score
    """
    mean, std = moments_of(p)
    return -_log_density(require_targets(y, mean), mean, std)


def nll_mixture(p: Mixture, y: Tensor, *, weights: Tensor | None = None) -> Tensor:
    """Return the negative log density of each target under a mixture of Gaussians.

        -ln sum_s weight_s N(y; m_s, s_s^2)

    Args:
        p: a Gaussian prediction with members, or (means, stds) of one shape, (S, N) or (S, N, D).
        y: targets, shape (N,) or (N, D).
        weights: of the members, shape (S,), or in the shape of the means, >= 0 with sum 1 over S; ``None`` for equal.

    Returns:
        In the shape of the targets, in nats, differentiable; each of D outputs has its own mixture.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, a standard deviation is not positive, or the
            weights are none.

    Example:
        >>> import torch
        >>> means, stds = torch.tensor([[-1.0], [1.0]]), torch.ones(2, 1)
        >>> nll_mixture((means, stds), torch.zeros(1))
        tensor([1.4189])

    Source: [bishop1994mixture], the density of a mixture; [lakshminarayanan2017ensembles], ensembles as equal ones
    """
    means, stds = components_of(p)
    log_density = _log_density(require_targets(y, means[0]), means, stds)
    if weights is None:
        return math.log(len(means)) - log_density.logsumexp(0)
    if weights.shape not in (means.shape[:1], means.shape):
        raise ParameterError(
            f"weights must be one for each of {len(means)} members, shape {tuple(means.shape[:1])} or "
            f"{tuple(means.shape)}, got {tuple(weights.shape)}"
        )
    if not bool((weights >= 0).all()) or float((weights.detach().sum(0) - 1).abs().max()) > 1e-4:
        raise ParameterError("weights must be >= 0 and sum to 1 over the members; use a softmax over the first axis")
    shape = (-1,) + (1,) * (means.ndim - 1) if weights.ndim == 1 else means.shape
    return -(weights.log().reshape(shape) + log_density).logsumexp(0)


def _log_density(y: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    if bool((std == 0).any()):
        raise ParameterError(
            "a standard deviation is 0, and a density infinite; add the noise of the targets, or use crps_gaussian"
        )
    return -0.5 * ((y - mean) / std) ** 2 - std.log() - 0.5 * math.log(2 * math.pi)
