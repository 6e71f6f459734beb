"""Ranks with ties, of many maps at once, and their correlation.

    mid_ranks   1 ... M, equal values share the mean of their ranks
    Ranked      maps turned into ranks once, to be compared with many others

    rho = sum_i u_i v_i / sqrt(sum_i u_i^2 sum_i v_i^2),   u, v mid-ranks minus their mean

A constant map has no ranks to speak of, and two points always lie on a line: such images give NaN.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError

__all__ = ["Ranked", "mid_ranks"]

FEWEST = 3  # pixels: two points always lie on a line


def mid_ranks(values: Tensor) -> Tensor:
    """Return the ranks along the last dimension, equal values sharing the mean of theirs.

    Args:
        values: shape (..., M); -0 equals 0, and infinities are ranked like other numbers.

    Returns:
        Ranks from 1 to M, float64, in the shape of the values.

    Raises:
        ParameterError: if a value is NaN.

    Example:
        >>> mid_ranks(torch.tensor([5.0, 0.0, 0.0, 7.0]))
        tensor([3.0000, 1.5000, 1.5000, 4.0000], dtype=torch.float64)

    Source: ours; the convention of Spearman's correlation
    """
    if bool(values.isnan().any()):
        raise ParameterError("NaN has no rank; look for what made it, a division by zero or an overflow")
    ordered, order = values.sort(-1)
    count = values.shape[-1]
    place = torch.arange(count, dtype=torch.float64, device=values.device).expand(values.shape)
    differs = ordered[..., 1:] != ordered[..., :-1]
    edge = differs.new_ones((*values.shape[:-1], min(count, 1)))
    first = place.where(torch.cat([edge, differs], -1), 0.0).cummax(-1).values
    last = place.where(torch.cat([differs, edge], -1), float(count)).flip(-1).cummin(-1).values.flip(-1)
    return torch.empty_like(place.contiguous()).scatter_(-1, order, (first + last) / 2 + 1)


@dataclass(frozen=True, eq=False)
class Ranked:
    """Maps turned into ranks once, to be compared with many others.

    Args:
        ranks: mid-ranks minus their mean, zero where a pixel does not count, shape (N, M), float64.
        square: sum of their squares, shape (N,); zero where the map is constant.
        counted: how many pixels count, shape (N,).

    Source: ours
    """

    ranks: Tensor
    square: Tensor
    counted: Tensor

    @classmethod
    def of(cls, maps: Tensor, keep: Tensor | None = None) -> "Ranked":
        """Rank maps.

        Args:
            maps: shape (N, ...), finite.
            keep: which pixels count, in the same shape; ``None`` for all.

        Raises:
            ParameterError: if the shapes differ.
        """
        values = maps.flatten(1)
        if keep is None:
            ranks = mid_ranks(values) - (values.shape[1] + 1) / 2
            counted = torch.full((len(values),), values.shape[1], device=values.device)
            return cls(ranks, (ranks * ranks).sum(1), counted)
        if keep.shape != maps.shape:
            raise ParameterError(
                f"the active pixels have shape {tuple(keep.shape)}, the maps {tuple(maps.shape)}: give x and the maps "
                "in one shape, and a baseline that fits"
            )
        keep = keep.flatten(1)
        counted = keep.sum(1)
        ranks = mid_ranks(values.where(keep, torch.inf)) - (counted[:, None] + 1) / 2  # the others go behind
        ranks = ranks.where(keep, 0.0)
        return cls(ranks, (ranks * ranks).sum(1), counted)

    def correlation(self, other: "Ranked") -> Tensor:
        """Return Pearson's correlation of the ranks, shape (N,); NaN where it is not defined."""
        shared = (self.ranks * other.ranks).sum(1)
        scale = (self.square * other.square).sqrt()
        defined = (scale > 0) & (self.counted >= FEWEST)
        return (shared / scale).clamp(-1.0, 1.0).where(defined, torch.nan)
