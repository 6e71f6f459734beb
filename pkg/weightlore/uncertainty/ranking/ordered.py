"""Scores in rising order, with every block of equal scores as one threshold.

    rising          where the scores go when they are sorted, and where each block of equal ones ends
    require_scores  are these scores?
    require_marks   are these booleans, some of them true and some false?
    require_losses  is there one loss for each score?

Everything that depends on the order of scores is counted at the ends of blocks, so that no number depends on how a sort
happens to break a tie.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite

__all__ = ["Rising", "differences", "require_losses", "require_marks", "require_scores", "rising"]


@dataclass(frozen=True, eq=False)
class Rising:
    """Where N scores go when they are sorted, and the M blocks of equal ones.

    Args:
        order: places of the scores, smallest first, shape (N,), int64; in no particular order within a block.
        ends: how many scores stand up to and with each block, shape (M,), int64; the last is N.

    Source: ours
    """

    order: Tensor
    ends: Tensor

    @property
    def sizes(self) -> Tensor:
        """How many scores are equal, block by block, shape (M,)."""
        return differences(self.ends)

    def sums(self, values: Tensor) -> Tensor:
        """Return the sum of the values up to and with each block, shape (M,), exact for integers and booleans."""
        return self.sorted(values).cumsum(0).index_select(0, self.ends - 1)

    def sorted(self, values: Tensor) -> Tensor:
        """Return the values in the order of the scores, shape (N,)."""
        return values.index_select(0, self.order)  # several times faster than values[order]


def rising(scores: Tensor) -> Rising:
    """Return the order of the scores, smallest first, with ties as blocks.

    On the processor NumPy sorts, several times faster than torch where the processor has vectors.

    Args:
        scores: shape (N,), floating, without NaN; infinities are the smallest and the largest.

    Returns:
        Order and ends of blocks.

    Raises:
        ParameterError: if these are no scores.

    Example:
        >>> rising(torch.tensor([0.5, 0.1, 0.5])).ends
        tensor([1, 3])

    Source: ours, because the survey's measures are defined over thresholds, and equal scores share one
    """
    values = require_scores(scores)
    values = values if values.dtype in (torch.float32, torch.float64) else values.float()  # exact, and NumPy's
    on_processor = values.device.type == "cpu"
    order = torch.from_numpy(np.argsort(values.numpy())) if on_processor else values.argsort()
    ordered = values.index_select(0, order)
    breaks = (ordered[1:] != ordered[:-1]).nonzero().squeeze(1) + 1
    return Rising(order, torch.cat([breaks, breaks.new_full((1,), len(values))]))


def differences(up_to: Tensor) -> Tensor:
    """Return what each block adds to a running sum.

    Args:
        up_to: sums up to and with each block, shape (M,).

    Returns:
        Shape (M,).

    Source: ours
    """
    found = up_to.clone()
    found[1:] -= up_to[:-1]
    return found


def require_scores(scores: Tensor, what: str = "scores") -> Tensor:
    """Return the scores, cut from any graph, if they are a floating vector without NaN.

    Args:
        scores: shape (N,), N >= 1.
        what: how the caller calls them, for the message.

    Raises:
        ParameterError: if they are not.

    Source: ours
    """
    if not isinstance(scores, Tensor) or scores.ndim != 1 or not scores.is_floating_point() or not len(scores):
        came = f"{tuple(scores.shape)}, {scores.dtype}" if isinstance(scores, Tensor) else type(scores).__name__
        raise ParameterError(f"{what} must be floating, one for each example, shape (N,) with N >= 1, got {came}")
    if bool(scores.isnan().any()):
        raise ParameterError(
            f"{what} must be numbers, but {int(scores.isnan().sum())} of {len(scores)} are NaN; look for what made "
            "them, 0 log 0 or a division by zero"
        )
    return scores.detach()


def require_marks(positive: Tensor, scores: Tensor, what: str = "positive") -> Tensor:
    """Return the marks if they are booleans, one for each score, and neither all true nor all false.

    Args:
        positive: shape (N,), bool; what is to be found, an error or an unknown input.
        scores: shape (N,).
        what: how the caller calls them, for the message.

    Raises:
        ParameterError: if they are not; the message names the set that is empty.

    Source: ours
    """
    if not isinstance(positive, Tensor) or positive.dtype != torch.bool or positive.shape != scores.shape:
        came = f"{tuple(positive.shape)}, {positive.dtype}" if isinstance(positive, Tensor) else repr(positive)
        raise ParameterError(
            f"{what} must be booleans, one for each of {len(scores)} scores, got {came}; compare first, as in y != 0"
        )
    found = int(positive.sum())
    if found in (0, len(positive)):
        empty, full = ("positive", "negative") if found == 0 else ("negative", "positive")
        raise ParameterError(
            f"the {empty} set is empty: all {len(positive)} examples are {full} ({what}); a ranking needs both"
        )
    return positive


def require_losses(losses: Tensor, scores: Tensor, what: str = "losses") -> Tensor:
    """Return the losses, cut from any graph, if there is one for each score.

    Args:
        losses: shape (N,), finite and >= 0; or booleans, true where the prediction is wrong.
        scores: shape (N,).
        what: how the caller calls them, for the message.

    Raises:
        ParameterError: if they are not.

    Source: ours
    """
    if not isinstance(losses, Tensor) or losses.shape != scores.shape or losses.is_complex():
        came = f"{tuple(losses.shape)}, {losses.dtype}" if isinstance(losses, Tensor) else repr(losses)
        raise ParameterError(f"{what} must be one number or boolean for each of {len(scores)} scores, got {came}")
    values = losses.detach()
    if values.dtype == torch.bool:
        return values
    if bool((require_finite(what, values) < 0).any()):
        raise ParameterError(
            f"{what} must be >= 0, the smallest is {float(values.min())}; subtract a log likelihood's lowest value, or "
            "give what can be lost"
        )
    return values
