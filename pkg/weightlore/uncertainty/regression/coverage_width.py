"""Intervals that are trained or chosen by coverage and width at once.

    quality_driven_loss         width where it holds the target + lambda n/(a (1-a)) max(0, 1 - a - soft)^2
    coverage_width_criterion    NMPIW (1 + gamma exp(-eta (PICP - level)))

The first can be followed by a gradient, because it counts softly; the second cannot, and chooses among candidates.
Neither is a proper score: see ``intervals.interval_score``.
"""

from typing import Literal

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_option
from weightlore.uncertainty.regression.given import require_targets
from weightlore.uncertainty.regression.intervals import Interval, level_of, nmpiw, picp

__all__ = ["Penalty", "coverage_width_criterion", "quality_driven_loss"]

Penalty = Literal["below", "always"]


def quality_driven_loss(
    lower: Tensor, upper: Tensor, y: Tensor, *, level: float, weight: float = 15.0, softness: float = 160.0
) -> Tensor:
    """Return a loss that makes intervals as narrow as the promised coverage allows.

        loss = sum k (u - l) / sum k + weight n / (a (1 - a)) max(0, 1 - a - 1/n sum soft)^2
        k = 1[l <= y <= u] ,   soft = sigmoid(softness (y - l)) sigmoid(softness (u - y))

    Args:
        lower: l, shape (N,); may be above u during training.
        upper: u, shape (N,).
        y: targets, shape (N,), best of variance 1, for which the defaults are.
        level: the promised coverage 1 - a.
        weight: lambda, of the coverage, >= 0.
        softness: how sharply an end counts, in 1 / unit of y, > 0; the larger, the closer to counting.

    Returns:
        Shape (), differentiable in both ends. Where no interval holds its target there is no width, and the first term
        is 0.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or a number is out of range.

    Example:
        >>> lower, upper, y = torch.tensor([-1.0, 2.0]), torch.tensor([1.0, 3.0]), torch.tensor([0.0, 0.0])
        >>> quality_driven_loss(lower, upper, y, level=0.5, weight=1.0)
        tensor(2.)
        >>> quality_driven_loss(lower, upper, y, level=0.9, weight=1.0)
        tensor(5.5556)

    Source: [pearce2018intervals], quality-driven loss; both defaults are ours
    """
    promised = level_of((lower, upper), level)
    for end in (lower, upper):
        require_targets(end, y)
    require_targets(y, lower)
    if not 0 <= weight < torch.inf or not 0 < softness < torch.inf:
        raise ParameterError(f"weight must be >= 0 and softness > 0, both finite, got {weight} and {softness}")
    held = ((lower <= y) & (y <= upper)).to(lower.dtype)
    width = (held * (upper - lower)).sum() / held.sum().clamp(min=1)
    soft = torch.sigmoid(softness * (y - lower)) * torch.sigmoid(softness * (upper - y))
    missing = (promised - soft.mean()).clamp(min=0)
    return width + weight * len(y) / (promised * (1 - promised)) * missing**2


def coverage_width_criterion(
    interval: Interval,
    y: Tensor,
    y_train: Tensor,
    *,
    eta: float,
    level: float | None = None,
    penalty: Penalty = "below",
) -> Tensor:
    """Return one number for coverage and width, to choose among candidates; smaller is better.

        CWC = NMPIW (1 + gamma exp(-eta (PICP - level)))

    Args:
        interval: an interval prediction, or (lower, upper), shape (N,) each.
        y: targets, shape (N,).
        y_train: targets that the network was trained on; their range is the unit of the width.
        eta: how steeply missing coverage is fined, > 0; 0.01 of coverage then multiply the fine by exp(0.01 eta).
        level: the promised coverage; ``None`` for that of the prediction.
        penalty: ``"below"`` has gamma = 1 where PICP < level and 0 otherwise, as for evaluation; ``"always"`` has
            gamma = 1 everywhere, as for training, and so rewards coverage above the promised one.

    Returns:
        Shape (), without unit. Intervals of width 0 get 0 however few targets they hold: look at PICP as well.

    Raises:
        ParameterError: if shapes do not fit, ends are crossed, a number is out of range, or the training targets are
            all equal.

    Example:
        >>> ends, y = (torch.tensor([-1.0, 2.0]), torch.tensor([1.0, 3.0])), torch.tensor([0.0, 0.0])
        >>> coverage_width_criterion(ends, y, torch.tensor([0.0, 3.0]), eta=10.0, level=0.5)
        tensor(0.5000)
        >>> coverage_width_criterion(ends, y, torch.tensor([0.0, 3.0]), eta=10.0, level=0.6)
        tensor(1.8591)

    Source: [khosravi2011lower], coverage width-based criterion
    """
    require_option("penalty", penalty, Penalty)
    if not 0 < eta < torch.inf:
        raise ParameterError(f"eta is the steepness of the fine and must be a finite number > 0, got {eta}")
    covered, promised = picp(interval, y), level_of(interval, level)
    counts = penalty == "always" or bool(covered < promised)
    return nmpiw(interval, y_train) * (1 + counts * (-eta * (covered - promised)).exp())
