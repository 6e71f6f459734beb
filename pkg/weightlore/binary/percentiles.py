"""Percentiles of more numbers than fit anywhere at once, exact.

A percentile close to 100 is decided by the largest numbers alone: of n numbers in order, p needs those from rank
p/100 (n - 1) on. So only they are kept, while all others pass by in batches; zeros are counted and never kept.

    activation_percentile(values)     of one tensor
    Largest                           of numbers that come in batches
"""

from collections.abc import Sequence
from math import floor
from numbers import Real

import torch
from torch import Tensor

from weightlore.errors import ParameterError

__all__ = ["Largest", "Percentiles", "activation_percentile", "one_percentile", "percentiles_of"]

Percentiles = float | Sequence[float]


def activation_percentile(values: Tensor, percentile: float = 99.9) -> Tensor:
    """Return a percentile of all entries of a tensor together, exact at any size.

    The entries in order are a_0 <= ... <= a_{n-1}; with r = p/100 (n - 1) and k the whole part of r:

        lambda = a_k + (r - k) (a_{k+1} - a_k)

    Args:
        values: activations, any shape with n >= 1 entries, none of them negative.
        percentile: p in (0, 100].

    Returns:
        The percentile, shape (), in the dtype of the values. It may be zero.

    Raises:
        ParameterError: if there are no values, one is negative, NaN or infinite, or the percentile is out of range.

    Example:
        >>> activation_percentile(torch.tensor([0.0, 0.0, 1.0, 3.0]), 50.0)
        tensor(0.5000)

    Source: [lu2020binary], data-based normalization
    """
    wanted = one_percentile(percentile)
    if not values.numel():
        raise ParameterError("a percentile needs at least one activation, got an empty tensor; give some images")
    top = Largest("the tensor", values.numel(), wanted)
    top.add(values.detach())
    return top.at(wanted)


class Largest:
    """The largest activations of one layer, as many as the lowest percentile needs.

    Args:
        name: of the layer, for messages.
        count: how many activations there will be in all.
        lowest: the lowest percentile that will be asked for, in (0, 100].

    Source: ours, because percentiles close to 100 need few of the numbers
    """

    def __init__(self, name: str, count: int, lowest: float) -> None:
        self.name, self.count = name, count
        self.room = count - _place(lowest, count)[0]
        self.kept: Tensor | None = None
        self.positive = 0

    def add(self, values: Tensor) -> None:
        """Take more activations; zeros need no room."""
        flat = values.reshape(-1)
        if not bool((flat >= 0).all()) or not bool(torch.isfinite(flat).all()):
            bad = int((~((flat >= 0) & torch.isfinite(flat))).sum())
            raise ParameterError(
                f"activations of {self.name!r} must be finite and not negative, but {bad} of {flat.numel()} are not; "
                "a firing rate follows a ReLU only, so check the non-linearity and the parameters before it"
            )
        above = flat[flat > 0]
        self.positive += above.numel()
        held = above if self.kept is None else torch.cat([self.kept, above])
        self.kept = held.topk(self.room, sorted=False).values if held.numel() > self.room else held

    def at(self, percentile: float) -> Tensor:
        """Return the percentile, which may be zero."""
        if self.kept is None:
            raise ParameterError(f"no activation of {self.name!r} was seen; give some images")
        place, weight = _place(percentile, self.count)
        ordered = self.kept.sort().values
        ends = []
        for rank in (place, min(place + 1, self.count - 1)):
            index = rank - (self.count - len(ordered))
            ends.append(ordered[index] if index >= 0 else ordered.new_zeros(()))
        return torch.lerp(ends[0], ends[1], weight)

    def percentile(self, percentile: float) -> Tensor:
        """Return the percentile, which must not be zero."""
        found = self.at(percentile)
        if found > 0:
            return found
        if not self.positive:
            raise ParameterError(
                f"layer {self.name!r} is dead: none of its {self.count} activations is above zero, so that nothing can "
                "be normalized; check the images and the training"
            )
        zeros = 100 * (1 - self.positive / self.count)
        raise ParameterError(
            f"the percentile {percentile:g} of layer {self.name!r} is zero, because {zeros:.2f} % of its activations "
            "are; choose one above that, for example 99.9"
        )


def one_percentile(percentile: float) -> float:
    """Return a percentile if it is a single one.

    Args:
        percentile: p in (0, 100].

    Raises:
        ParameterError: if it is out of range, or there are several.

    Source: ours
    """
    if not isinstance(percentile, Real):
        raise ParameterError(f"one percentile is needed here, a number in (0, 100], got {percentile!r}")
    return percentiles_of(float(percentile) if not isinstance(percentile, bool) else percentile)[0]


def percentiles_of(percentile: Percentiles) -> tuple[float, ...]:
    """Return one or several percentiles as a tuple.

    Args:
        percentile: p in (0, 100], or several of them.

    Raises:
        ParameterError: if one is out of range, or there is none.

    Source: ours
    """
    given: tuple[float, ...] = (percentile,) if isinstance(percentile, int | float) else tuple(percentile)
    if not given or not all(isinstance(p, Real) and not isinstance(p, bool) and 0 < p <= 100 for p in given):
        raise ParameterError(f"a percentile must lie in (0, 100], for example 99.9, got {percentile!r}")
    return tuple(float(p) for p in given)


def _place(percentile: float, count: int) -> tuple[int, float]:
    """Rank below the percentile, and the share of the way to the next one."""
    rank = percentile / 100 * (count - 1)
    return floor(rank), rank - floor(rank)
