"""Bins of confidence, so that what was said with about the same confidence can be compared with what came.

    width   b_j = [(j-1)/B, j/B), the last bin closed on the right: 1 belongs to bin B, 0 to bin 1
    mass    as many examples in each bin as can be, equal confidences never parted

    bin_numbers    the number of the bin of each confidence, of equal width
    mass_ends      where the bins of equal mass end in the sorted values
    partition      which bin each confidence is in
    few_examples   warns where a bin holds fewer than 20 on average

Confidences are compared with the edges in their own dtype, so that 0.7 in float32 is not below the edge 0.7.
"""

import math
import warnings
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from weightlore.errors import require_option
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["Binning", "Partition", "bin_numbers", "few_examples", "mass_ends", "partition"]

Binning = Literal["width", "mass"]
ENOUGH = 20  # examples in a bin, on average


@dataclass(frozen=True, eq=False)
class Partition:
    """Which bin each of N confidences is in.

    Args:
        number: of the bin, shape (N,), int64, counted from 0.
        counts: n_b, shape (B,), int64.
        edges: where bins begin and end, shape (B + 1,), float64.
        weights: share of each bin in a distance, shape (B,), float64, summing to 1: n_b / N for equal width; for equal
            mass 1/R times the number of the R asked-for bins that ended up in this one, because equals are not parted.

    Source: [naeini2015bbq], bins of equal width; [nixon2019measuring], of equal mass
    """

    number: Tensor
    counts: Tensor
    edges: Tensor
    weights: Tensor


def bin_numbers(confidence: Tensor, bins: int) -> Tensor:
    """Return in which of B bins of equal width each confidence lies, counted from 0.

        b_j = [(j-1)/B, j/B),   the last one closed

    Args:
        confidence: numbers in [0, 1], shape (N,); what rounding puts above 1 counts as 1.
        bins: B.

    Returns:
        Shape (N,), int64, from 0 to B - 1.

    Raises:
        ParameterError: if B is not a whole number of at least 1.

    Example:
        >>> bin_numbers(torch.tensor([0.0, 0.3, 1.0]), 10)
        tensor([0, 3, 9])

    Source: [naeini2015bbq], bins of equal width; which side of a bin is closed is ours
    """
    require_counts(bins=bins)
    scaled = confidence * bins
    number = scaled.long().clamp_(0, bins - 1)
    part, near = scaled.frac(), 4 * bins * torch.finfo(confidence.dtype).eps
    low, high = part.aminmax() if len(part) else (math.inf, 0.0)
    if low <= near or high >= 1 - near:  # rounding may have crossed an edge: compare these with the edges themselves
        doubtful = ((part <= near) | (part >= 1 - near)).nonzero()[:, 0]
        inner = _edges(bins)[1:-1].to(confidence)
        number[doubtful] = torch.bucketize(confidence[doubtful], inner, right=True)
    return number


def mass_ends(ordered: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Return where bins of equal mass end in sorted values, and how many of the asked-for bins each one took in.

    The values are split by count into B parts that differ by one at most. An end within equal values moves behind them;
    bins that end at the same place are one bin.

    Args:
        ordered: values in ascending order, shape (N,), N >= 1.
        bins: B.

    Returns:
        Ends, shape (B',), the last is N; and how many of the B parts end there, shape (B',), summing to B.

    Raises:
        ParameterError: if B is not a whole number of at least 1.

    Example:
        >>> mass_ends(torch.tensor([0.1, 0.2, 0.2, 0.9]), 2)
        (tensor([3, 4]), tensor([1, 1]))

    Source: [nixon2019measuring], adaptive bins; that equals stay together is ours
    """
    require_counts(bins=bins)
    sizes = torch.full((bins,), len(ordered) // bins, device=ordered.device)
    sizes[: len(ordered) % bins] += 1
    last = sizes.cumsum(0) - 1
    ends = torch.searchsorted(ordered.contiguous(), ordered[last].contiguous(), right=True)
    unique, parts = torch.unique_consecutive(ends, return_counts=True)
    return unique, parts


def partition(confidence: Tensor, bins: int = 15, binning: Binning = "width") -> Partition:
    """Return which bin each confidence is in.

    Args:
        confidence: shape (N,), N >= 1.
        bins: how many are asked for; fewer come where equal confidences share a bin of equal mass.
        binning: bins of equal ``"width"`` or of equal ``"mass"``.

    Returns:
        The numbers of the bins, their edges and their weights.

    Raises:
        ParameterError: if bins is not a whole number of at least 1, or there is no such binning.

    Source: [naeini2015bbq] for equal width, [nixon2019measuring] for equal mass
    """
    require_option("binning", binning, Binning)
    if binning == "width":
        number = bin_numbers(confidence, bins)
        counts = torch.bincount(number, minlength=bins)
        return Partition(number, counts, _edges(bins).to(confidence.device), counts.double() / len(number))
    ordered, order = confidence.sort()
    ends, parts = mass_ends(ordered, bins)
    counts = ends.diff(prepend=ends.new_zeros(1))
    number = torch.empty_like(order)
    number[order] = torch.repeat_interleave(torch.arange(len(ends), device=ends.device), counts)
    inner = (ordered[ends[:-1] - 1].double() + ordered[ends[:-1]].double()) / 2  # halfway between neighbors
    edges = torch.cat([inner.new_zeros(1), inner, inner.new_ones(1)])
    return Partition(number, counts, edges, parts.double() / bins)


def few_examples(size: int, bins: int, *, stacklevel: int = 3) -> None:
    """Warn if bins hold fewer than 20 examples on average: what is measured is then mostly noise.

    Args:
        size: N.
        bins: B.
        stacklevel: whose line the warning names; 3 is the caller of the function that calls this one.

    Source: ours, because the error of a perfect forecaster in a bin of n examples is about 0.4 / sqrt(n)
    """
    if size < ENOUGH * bins:
        warnings.warn(
            f"{size} examples in {bins} bins are {size / bins:.1f} for each, fewer than {ENOUGH}: compare the error "
            f"with ece_noise_floor, or take at most {max(1, size // ENOUGH)} bins",
            UncertaintyWarning,
            stacklevel=stacklevel,
        )


def _edges(bins: int) -> Tensor:
    return torch.arange(bins + 1, dtype=torch.float64) / bins
