"""Is a predicted distribution as wide as it should be? Probability integral transforms and sharpness.

    sharpness      root of the mean predicted variance; to be small, *subject to* calibration
    pit_values     Phi((y - m) / s)                       of Gaussians
    pit_mixture    1/S sum_s Phi((y - m_s) / s_s)         of ensembles
    pit_samples    rank of y among S samples, in [0, 1]

If y comes from the predicted distribution, its PIT is uniform on [0, 1]. A histogram like a U says that predictions are
too narrow, one like a hill that they are too wide, and a slope that they are shifted.
"""

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.regression.given import Mixture, Normal, components_of, moments_of, require_targets

__all__ = ["pit_mixture", "pit_samples", "pit_values", "sharpness"]


def sharpness(p: Normal) -> Tensor:
    """Return how narrow the predictions are on the whole, in the unit of the targets.

        sqrt(1/N sum s^2)

    Args:
        p: a Gaussian prediction, or (mean, std) of one shape; the mean does not count.

    Returns:
        Shape (), over all entries.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or a standard deviation is negative.

    Example:
        >>> sharpness((torch.zeros(2), torch.tensor([1.0, 7.0])))
        tensor(5.)

    Source: [kuleshov2018regression], sharpness as mean variance; the root, for the unit, is ours
    """
    return moments_of(p)[1].square().mean().sqrt()


def pit_values(p: Normal, y: Tensor) -> Tensor:
    """Return which share of its predicted Gaussian lies at or below each target.

        F(y) = Phi((y - m) / s) ;   1[y >= m] for s = 0

    Args:
        p: a Gaussian prediction, or (mean, std) of one shape, (N,) or (N, D).
        y: targets in that shape.

    Returns:
        In the shape of the targets, in [0, 1]; uniform if the predictions are right.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or a standard deviation is negative.

    Example:
        >>> pit_values((torch.tensor([0.0, 0.0]), torch.tensor([1.0, 0.0])), torch.tensor([0.0, 0.1]))
        tensor([0.5000, 1.0000])

    Source: [gneiting2007forecasts], probability integral transform
    """
    mean, std = moments_of(p)
    return _below(require_targets(y, mean), mean, std)


def pit_mixture(p: Mixture, y: Tensor) -> Tensor:
    """Return which share of its predicted mixture of Gaussians lies at or below each target.

        F(y) = 1/S sum_s Phi((y - m_s) / s_s)

    Args:
        p: a Gaussian prediction with members, or (means, stds) of one shape, (S, N) or (S, N, D).
        y: targets, shape (N,) or (N, D).

    Returns:
        In the shape of the targets, in [0, 1].

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or a standard deviation is negative.

    Example:
        >>> means, stds = torch.tensor([[-1.0], [1.0]]), torch.ones(2, 1)
        >>> pit_mixture((means, stds), torch.zeros(1))
        tensor([0.5000])

    Source: [gneiting2007forecasts], probability integral transform, for an equal mixture
    """
    means, stds = components_of(p)
    return _below(require_targets(y, means[0]), means, stds).mean(0)


def pit_samples(samples: Tensor, y: Tensor, *, generator: torch.Generator) -> Tensor:
    """Return the rank of each target among samples of its predicted distribution, spread evenly over [0, 1].

        (#{ s : x_s < y } + V (1 + #{ s : x_s = y })) / (S + 1) ,   V ~ U(0, 1)

    Without V there would be S + 1 values only. With it the PIT is exactly uniform if the target is one more sample, for
    any S, also where samples are equal.

    Args:
        samples: shape (S, N) or (S, N, D).
        y: targets, shape (N,) or (N, D).
        generator: source of randomness; one V for each target.

    Returns:
        In the shape of the targets, in [0, 1].

    Raises:
        ParameterError: if shapes do not fit, or an entry is not finite.

    Example:
        >>> samples = torch.tensor([[0.0, 0.0], [1.0, 1.0], [2.0, 2.0]])
        >>> found = pit_samples(samples, torch.tensor([-1.0, 1.5]), generator=torch.Generator().manual_seed(0))
        >>> (4 * found).floor()
        tensor([0., 2.])

    Source: [gneiting2007forecasts], rank histograms; the random place within a rank is ours
    """
    if not isinstance(samples, Tensor) or not samples.is_floating_point() or samples.ndim < 2 or not samples.numel():
        came = tuple(samples.shape) if isinstance(samples, Tensor) else type(samples).__name__
        raise ParameterError(f"samples must be floating, shape (S, N) or (S, N, D), samples first, got {came}")
    require_targets(y, require_finite("a sample", samples)[0])
    place = torch.rand(y.shape, generator=generator, dtype=samples.dtype, device=generator.device).to(samples.device)
    below, equal = (samples < y).sum(0), (samples == y).sum(0)
    return (below + place * (1 + equal)) / (len(samples) + 1)


def _below(y: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    point = std == 0
    w = (y - mean) / torch.where(point, 1.0, std)
    return torch.where(point, (y >= mean).to(mean.dtype), torch.special.ndtr(w))
