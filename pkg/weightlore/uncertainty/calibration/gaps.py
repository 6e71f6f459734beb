"""The gap between what was said and what came, bin by bin, and its norm.

binned      -> Bins: counts, mean confidence and frequency of each bin
distance    a norm of the gaps between the two
sums        of any values in each bin, in float64
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration.binning import Binning, partition
from weightlore.uncertainty.calibration.forecasts import Judged

__all__ = ["Bins", "binned", "distance", "sums"]


@dataclass(frozen=True, eq=False)
class Bins:
    """What was said and what came, bin by bin.

    Args:
        edges: as in ``Partition``, shape (B + 1,).
        counts: n_b, shape (B,).
        weights: as in ``Partition``, shape (B,).
        confidence: mean confidence, shape (B,), float64, NaN for an empty bin.
        frequency: share that came true, likewise.

    Source: [naeini2015bbq], bins of equal width; [nixon2019measuring], of equal mass
    """

    edges: Tensor
    counts: Tensor
    weights: Tensor
    confidence: Tensor
    frequency: Tensor

    @property
    def gaps(self) -> Tensor:
        """Frequency minus confidence, shape (B,), 0 for an empty bin: below 0 is over-confident."""
        return (self.frequency - self.confidence).nan_to_num(nan=0.0)

    def distance(self, norm: float = 1.0) -> Tensor:
        """Return how far frequencies are from confidences.

            (sum_b w_b |frequency_b - confidence_b|^p)^(1/p),   the largest for p = inf

        Args:
            norm: p, at least 1.

        Returns:
            Shape (), float64.

        Raises:
            ParameterError: if norm is not a number of at least 1.
        """
        return distance(self.gaps, self.weights, norm)


def binned(of: Judged, bins: int = 15, binning: Binning = "width") -> Bins:
    """Return counts, mean confidence and frequency in bins.

    Args:
        of: confidences and hits of N examples, N >= 1.
        bins: as in ``partition``.
        binning: as in ``partition``.

    Returns:
        The bins.

    Raises:
        ParameterError: as ``partition``.

    Example:
        >>> found = binned(Judged(torch.tensor([0.2, 0.9, 0.9]), torch.tensor([False, True, False])), 2)
        >>> found.counts, found.gaps
        (tensor([1, 2]), tensor([-0.2000, -0.4000], dtype=torch.float64))

    Source: [naeini2015bbq] for equal width, [nixon2019measuring] for equal mass
    """
    parts = partition(of.confidence, bins, binning)
    size = len(parts.counts)
    said, came = (sums(parts.number, kind, size) for kind in (of.confidence, of.hit))
    return Bins(parts.edges, parts.counts, parts.weights, said / parts.counts, came / parts.counts)


def distance(gaps: Tensor, weights: Tensor, norm: float = 1.0) -> Tensor:
    """Return the weighted norm of gaps.

        (sum_b w_b |gap_b|^p)^(1/p),   the largest for p = inf

    Args:
        gaps: shape (..., B).
        weights: shape (B,), summing to 1.
        norm: p, at least 1.

    Returns:
        Shape (...).

    Raises:
        ParameterError: if norm is not a number of at least 1.

    Source: [kumar2019verified], the calibration error of order p
    """
    if isinstance(norm, bool) or not isinstance(norm, int | float) or not norm >= 1:
        raise ParameterError(f"norm is the order of a norm and must be a number >= 1 or inf, got {norm!r}")
    if norm == math.inf:
        return gaps.abs().amax(-1)
    return (weights * gaps.abs() ** norm).sum(-1) ** (1 / norm)


def sums(number: Tensor, values: Tensor, size: int) -> Tensor:
    """Return the sum of the values in each bin.

    Args:
        number: of the bin of each value, shape (N,), int64.
        values: shape (N,); truth values count as 0 and 1.
        size: how many bins there are.

    Returns:
        Shape (size,), float64.

    Source: ours
    """
    return torch.zeros(size, dtype=torch.float64, device=values.device).scatter_add_(0, number, values.double())
