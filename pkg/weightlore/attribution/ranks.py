"""Ranks with ties, of many maps at once, and their correlation.

    mid_ranks      1 ... M, equal values share the mean of their ranks
    ranked         maps turned into ranks, once for each choice of the pixels that count
    Ranked         such ranks
    correlations   of other maps with them

    rank_i = #{ j counts : v_j < v_i } + (#{ j counts : v_j = v_i } + 1) / 2
    rho    = sum_i u_i v_i / sqrt(sum_i u_i^2 sum_i v_i^2),   u, v mid-ranks minus their mean

A map is sorted once for all choices of pixels, a few rows at a time so that a cache holds them. A constant map has no
ranks to speak of, and two points always lie on a line: such images give NaN.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from weightlore.errors import ParameterError

__all__ = ["Ranked", "correlations", "mid_ranks", "ranked"]

FEWEST = 3  # pixels: two points always lie on a line
CACHED = 2**15  # entries that are ranked at once


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
    if values.numel() == 0:
        return torch.zeros(values.shape, dtype=torch.float64, device=values.device)
    rows = values.reshape(-1, values.shape[-1])
    return ranked(rows, [None])[0].ranks.add((rows.shape[1] + 1) / 2).view(values.shape)


@dataclass(frozen=True, eq=False)
class Ranked:
    """Maps turned into ranks once, to be compared with many others.

    Args:
        ranks: mid-ranks minus their mean, zero where a pixel does not count, shape (N, M), float64.
        square: sum of their squares, shape (N,); zero where the map is constant.
        keep: which pixels count, shape (N, M), or ``None`` for all.

    Source: ours
    """

    ranks: Tensor
    square: Tensor
    keep: Tensor | None

    def correlation(self, other: "Ranked") -> Tensor:
        """Return Pearson's correlation of the ranks, shape (N,); NaN where it is not defined."""
        return self._normalized((self.ranks * other.ranks).sum(1), other.square)

    def _normalized(self, shared: Tensor, square: Tensor) -> Tensor:
        scale = (self.square * square).sqrt()
        count = self.ranks.shape[1] if self.keep is None else self.keep.sum(1)
        enough = torch.as_tensor(count, device=scale.device) >= FEWEST
        return (shared / scale).clamp(-1.0, 1.0).where((scale > 0) & enough, torch.nan)


def ranked(maps: Tensor, keeps: Sequence[Tensor | None]) -> list[Ranked]:
    """Return the centered ranks of maps for each choice of the pixels that count.

    Args:
        maps: shape (N, ...), N >= 1, at least one pixel each, without NaN.
        keeps: booleans in the shape of the maps, or ``None`` for all pixels.

    Returns:
        Ranks for each choice, in the order of the choices.

    Raises:
        ParameterError: if a shape differs, or a value is NaN.

    Source: ours
    """
    for keep in keeps:
        if keep is not None and keep.shape != maps.shape:
            raise ParameterError(
                f"the active pixels have shape {tuple(keep.shape)}, the maps {tuple(maps.shape)}: give x and the maps "
                "in one shape, and a baseline that fits"
            )
    values, flat = maps.flatten(1), [None if keep is None else keep.flatten(1) for keep in keeps]
    ranks = [torch.empty(values.shape, dtype=torch.float64, device=values.device) for _ in keeps]
    for some, order, centered in _centered(values, flat):
        for into, found in zip(ranks, centered, strict=True):
            into[some].scatter_(-1, order, found)
    return [Ranked(r, (r * r).sum(1), keep) for r, keep in zip(ranks, flat, strict=True)]


def correlations(references: Sequence[Ranked], maps: Tensor) -> list[Tensor]:
    """Return the rank correlation of maps with each of several rankings, ranking them under the same choices.

    Nothing of the size of the maps is kept: sums are taken in the order of the values, a few rows at a time.

        rho = sum_i u_i v_i / sqrt(sum_i u_i^2 sum_i v_i^2)

    Args:
        references: rankings of other maps.
        maps: shape (N, ...), as many rows and pixels as the references, without NaN.

    Returns:
        rho for each reference, shape (N,), float64; NaN where it is not defined.

    Raises:
        ParameterError: if the shapes differ, or a value is NaN.

    Source: ours
    """
    values = maps.flatten(1)
    if any(reference.ranks.shape != values.shape for reference in references):
        raise ParameterError(
            f"maps of one shape can be compared, got {[tuple(r.ranks.shape) for r in references]} and "
            f"{tuple(values.shape)}"
        )
    shared, square = torch.empty(2, len(references), len(values), dtype=torch.float64, device=values.device)
    for some, order, centered in _centered(values, [reference.keep for reference in references]):
        for k, (reference, found) in enumerate(zip(references, centered, strict=True)):
            shared[k, some] = (found * reference.ranks[some].gather(-1, order)).sum(1)
            square[k, some] = (found * found).sum(1)
    return [r._normalized(shared[k], square[k]) for k, r in enumerate(references)]


def _centered(values: Tensor, keeps: Sequence[Tensor | None]) -> Iterator[tuple[slice, Tensor, list[Tensor]]]:
    """Yield rows, the order of their values, and the centered ranks in that order for each choice of pixels."""
    if bool(values.isnan().any()):
        raise ParameterError("NaN has no rank; look for what made it, a division by zero or an overflow")
    rows = max(1, CACHED // values.shape[1])
    for start in range(0, len(values), rows):
        some = slice(start, start + rows)
        ordered, order = _sorted(values[some])
        first, last = _blocks(ordered)
        found = []
        for keep in keeps:
            if keep is None:
                found.append((first + last + (1 - values.shape[1])).double() / 2)
                continue
            counts = keep[some].gather(-1, order).double()
            up_to = counts.cumsum(-1)
            below = (up_to - counts).gather(-1, first)
            found.append((below + up_to.gather(-1, last) - up_to[:, -1:]) / 2 * counts)
        yield some, order, found


def _sorted(values: Tensor) -> tuple[Tensor, Tensor]:
    """Return each row in rising order, as numbers or as integers that rise with them, and the places it came from.

    A float32 number and its place fit into one integer of 64 bits. NumPy sorts such integers several times faster than
    torch sorts numbers together with their places.
    """
    if values.dtype != torch.float32 or values.device.type != "cpu":
        return values.sort(-1)
    bits = (values.detach() + 0.0).view(torch.int32)  # -0 becomes 0
    rising = (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(torch.int64)
    keys = (rising << 32) + torch.arange(values.shape[1])
    keys = torch.from_numpy(np.sort(keys.numpy(), axis=1))
    return keys >> 32, keys & 0xFFFFFFFF


def _blocks(ordered: Tensor) -> tuple[Tensor, Tensor]:
    """Return for each place where the block of equal values around it begins and ends, shape (n, M), int64."""
    count = ordered.shape[1]
    place = torch.arange(count, device=ordered.device)
    differs = ordered[:, 1:] != ordered[:, :-1]
    first = torch.zeros(ordered.shape, dtype=torch.int64, device=ordered.device)
    torch.mul(differs, place[1:], out=first[:, 1:])
    last = torch.full_like(first, count - 1)
    last[:, :-1] = torch.where(differs, place[:-1], count - 1)
    return first.cummax(-1).values, last.flip(-1).cummin(-1).values.flip(-1)
