"""Do intervals hold what they promise, and how wide are they? Coverage, width, and one score for both.

An interval with the promised coverage 1 - a is [l, u], closed at both ends.

    Interval         an interval prediction, or a pair (lower, upper); ends_of, level_of
    picp             mean of 1[l <= y <= u]                        coverage
    mpiw, nmpiw      mean of u - l; divided by the range of the training targets
    interval_score   (u - l) + 2/a (l - y)+ + 2/a (y - u)+         smallest at the true quantiles a/2 and 1 - a/2

Coverage alone is won by intervals from -inf to inf, width alone by points; the interval score is proper.
"""

from typing import Protocol

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.regression.given import require_pair, require_targets

__all__ = ["HasEnds", "Interval", "ends_of", "interval_score", "level_of", "mpiw", "nmpiw", "picp"]


class HasEnds(Protocol):
    """An object with a lower and an upper end for each number, such as an ``IntervalPrediction``.

    Source: ours, because measures take raw tensors and containers alike
    """

    @property
    def lower(self) -> Tensor:
        """Lower ends, shape (N,)."""
        ...

    @property
    def upper(self) -> Tensor:
        """Upper ends, shape (N,)."""
        ...


Interval = HasEnds | tuple[Tensor, Tensor]


def ends_of(interval: Interval) -> tuple[Tensor, Tensor]:
    """Return the lower and the upper ends.

    Args:
        interval: an interval prediction, or a pair (lower, upper) of tensors of one shape; ends may be infinite.

    Raises:
        ParameterError: if the shapes differ, an end is NaN, or a lower end is above its upper end.

    Source: ours
    """
    lower, upper = interval if isinstance(interval, tuple) else (interval.lower, interval.upper)
    require_pair("lower", lower, "upper", upper)
    if bool(lower.isnan().any()) or bool(upper.isnan().any()):
        raise ParameterError("an end of an interval is NaN; infinite ends are fine, look for what made the others")
    if bool((crossed := lower > upper).any()):
        raise ParameterError(
            f"{int(crossed.sum())} of {crossed.numel()} lower ends are above their upper ends; sort each pair, and say "
            "how many were crossed"
        )
    return lower, upper


def level_of(interval: Interval, level: float | None) -> float:
    """Return the promised coverage: as given, or else that of the prediction.

    Args:
        interval: an interval prediction with a ``level``, or a pair of tensors without.
        level: 1 - a, between 0 and 1, or ``None``.

    Raises:
        ParameterError: if there is none, or it is out of range.

    Source: ours
    """
    found = getattr(interval, "level", None) if level is None else level
    if not isinstance(found, float) or not 0 < found < 1:
        raise ParameterError(
            f"level is the promised coverage, 1 - a, between 0 and 1, got {found}; give it, as in level=0.9, or an "
            "IntervalPrediction that holds it"
        )
    return found


def picp(interval: Interval, y: Tensor) -> Tensor:
    """Return which share of the targets lies in its interval: prediction interval coverage probability.

        PICP = 1/N sum 1[l <= y <= u]

    Args:
        interval: an interval prediction, or (lower, upper), shape (N,) each.
        y: targets, shape (N,).

    Returns:
        Shape (), in the dtype of the ends.

    Raises:
        ParameterError: if shapes do not fit, an end is NaN, ends are crossed, or a target is not finite.

    Example:
        >>> picp((torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0])), torch.tensor([1.0, 2.0]))
        tensor(0.5000)

    Source: [khosravi2011lower], PICP
    """
    lower, upper = ends_of(interval)
    require_targets(y, lower)
    return ((lower <= y) & (y <= upper)).double().mean().to(lower.dtype)


def mpiw(interval: Interval) -> Tensor:
    """Return the mean width of the intervals, in the unit of the targets.

        MPIW = 1/N sum (u - l)

    Args:
        interval: an interval prediction, or (lower, upper), shape (N,) each.

    Returns:
        Shape (), infinite if an end is.

    Raises:
        ParameterError: if shapes do not fit, an end is NaN, or ends are crossed.

    Example:
        >>> mpiw((torch.tensor([0.0, 1.0]), torch.tensor([1.0, 4.0])))
        tensor(2.)

    Source: [pearce2018intervals], MPIW
    """
    return _widths(*ends_of(interval)).mean()


def nmpiw(interval: Interval, y_train: Tensor) -> Tensor:
    """Return the mean width as a share of the range of the training targets.

        NMPIW = MPIW / (max y_train - min y_train)

    Args:
        interval: an interval prediction, or (lower, upper), shape (N,) each.
        y_train: targets that the network was trained on, at least two different ones.

    Returns:
        Shape (), without unit.

    Raises:
        ParameterError: if shapes do not fit, an end is NaN, ends are crossed, or the training targets are all equal.

    Example:
        >>> nmpiw((torch.tensor([0.0, 1.0]), torch.tensor([1.0, 4.0])), torch.tensor([-1.0, 3.0]))
        tensor(0.5000)

    Source: [khosravi2011lower], NMPIW
    """
    if y_train.numel() == 0:
        raise ParameterError("y_train has no target, so there is no range; give those that the network was trained on")
    low, high = require_finite("y_train", y_train).aminmax()
    if not bool(high > low):
        raise ParameterError(f"all {y_train.numel()} training targets are {float(low):g}, a range of 0; use mpiw")
    return mpiw(interval) / (high - low)


def interval_score(interval: Interval, y: Tensor, *, level: float | None = None) -> Tensor:
    """Return the interval score of each example: its width, and a fine for what lies outside (Winkler).

        (u - l) + 2/a max(l - y, 0) + 2/a max(y - u, 0)

    Args:
        interval: an interval prediction, or (lower, upper), shape (N,) each.
        y: targets, shape (N,).
        level: the promised coverage 1 - a; ``None`` for that of the prediction.

    Returns:
        Shape (N,), in the unit of the targets; smaller is better, and no interval has a smaller mean than the
        one between the quantiles a/2 and 1 - a/2.

    Raises:
        ParameterError: if shapes do not fit, an end is NaN, ends are crossed, a target is not finite, or there is no
            level.

    Example:
        >>> interval_score((torch.tensor([0.0]), torch.tensor([1.0])), torch.tensor([1.5]), level=0.9)
        tensor([11.])

    Source: [gneiting2007scoring], interval score
    """
    lower, upper = ends_of(interval)
    require_targets(y, lower)
    outside = (lower - y).clamp(min=0) + (y - upper).clamp(min=0)
    return _widths(lower, upper) + 2 / (1 - level_of(interval, level)) * outside


def _widths(lower: Tensor, upper: Tensor) -> Tensor:
    return torch.where(lower == upper, 0.0, upper - lower)  # also where both ends are the same infinity
