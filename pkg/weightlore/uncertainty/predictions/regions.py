"""Answers that are regions: an interval for a number, a set for a class, each with the coverage it promises.

IntervalPrediction(lower, upper, level)     y in [lower, upper] with probability level
SetPrediction(sets, level)                  y among the classes marked in a row
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError

__all__ = ["IntervalPrediction", "SetPrediction"]


@dataclass(frozen=True, eq=False)
class IntervalPrediction:
    """An interval for each of N numbers, closed at both ends.

    Args:
        lower: shape (N,), in the unit of the numbers; may be -inf.
        upper: shape (N,), nowhere below ``lower``; may be inf.
        level: the promised coverage 1 - a, between 0 and 1.

    Raises:
        ParameterError: if shapes do not fit, an end is NaN, ends are crossed, or the level is none.

    Example:
        >>> IntervalPrediction(torch.tensor([-1.0]), torch.tensor([2.0]), 0.9).width
        tensor([3.])

    Source: ours, because every method of intervals promises a level
    """

    lower: Tensor
    upper: Tensor
    level: float

    def __post_init__(self) -> None:
        _require_level(self.level)
        for name, end in (("lower", self.lower), ("upper", self.upper)):
            if not isinstance(end, Tensor) or not end.is_floating_point() or end.ndim != 1 or bool(end.isnan().any()):
                came = f"{tuple(end.shape)}, {end.dtype}" if isinstance(end, Tensor) else type(end).__name__
                raise ParameterError(
                    f"{name} must be a floating vector (N,) without NaN, infinite ends are fine, got {came}"
                )
        if self.lower.shape != self.upper.shape:
            raise ParameterError(
                f"every interval has two ends, got {len(self.lower)} lower and {len(self.upper)} upper ones; "
                "give N of each"
            )
        if bool((crossed := self.lower > self.upper).any()):
            raise ParameterError(
                f"a lower end must not be above its upper end, but {int(crossed.sum())} of {len(crossed)} are; sort "
                "each pair, and report how many were crossed"
            )
        if bool((self.lower == torch.inf).any()) or bool((self.upper == -torch.inf).any()):
            raise ParameterError("an interval may reach to -inf below and to inf above, got inf below or -inf above")

    @property
    def width(self) -> Tensor:
        """Length of each interval, shape (N,), in the unit of the numbers."""
        return self.upper - self.lower


@dataclass(frozen=True, eq=False)
class SetPrediction:
    """A set of classes for each of N examples.

    Args:
        sets: which classes are in, shape (N, C), bool; a row may be empty or full.
        level: the promised coverage 1 - a, between 0 and 1.

    Raises:
        ParameterError: if the sets are no booleans of that shape, or the level is none.

    Example:
        >>> SetPrediction(torch.tensor([[True, False, True]]), 0.9).sizes
        tensor([2])

    Source: ours, because every method of sets promises a level
    """

    sets: Tensor
    level: float

    def __post_init__(self) -> None:
        _require_level(self.level)
        if not isinstance(self.sets, Tensor) or self.sets.dtype != torch.bool or self.sets.ndim != 2:
            came = (
                f"{tuple(self.sets.shape)}, {self.sets.dtype}"
                if isinstance(self.sets, Tensor)
                else type(self.sets).__name__
            )
            raise ParameterError(f"sets must be booleans of shape (N, C), one row for each example, got {came}")

    @property
    def sizes(self) -> Tensor:
        """How many classes are in each set, shape (N,), int64."""
        return self.sets.sum(-1)


def _require_level(level: float) -> None:
    if not 0 < level < 1:
        raise ParameterError(f"level is the promised coverage, 1 - a, between 0 and 1, got {level}; 0.9 is usual")
