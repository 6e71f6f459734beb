"""Does the error fall when the most uncertain predictions are taken away? Sparsification, beside an oracle.

    sparsification_curve   mean error of what remains, after the most uncertain have gone, and the same for an oracle
                           that takes away the largest errors
    ause                   the area between the two

It is the curve of risk over coverage, read from the other end, for errors of any size: of depths, optical flow, or the
targets of a regression. Equal scores go in random order, on average.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.ranking.ordered import require_losses, require_scores
from weightlore.uncertainty.ranking.selective import summed_losses

__all__ = ["SparsificationCurve", "ause", "sparsification_curve"]


@dataclass(frozen=True, eq=False)
class SparsificationCurve:
    """The mean error of what remains, for every number of predictions taken away.

    Args:
        removed: share that is taken away, 0 ... (N - 1)/N, shape (N,).
        error: mean error of the rest, the most uncertain gone, shape (N,); in the unit of the error, or of the mean
            error of all.
        oracle: the same with the largest errors gone, shape (N,).

    Source: ours
    """

    removed: Tensor
    error: Tensor
    oracle: Tensor


def sparsification_curve(scores: Tensor, errors: Tensor, *, normalized: bool = False) -> SparsificationCurve:
    """Return how the mean error falls when the most uncertain predictions are taken away.

        error(i / N) = mean of the errors of the N - i smallest scores

    Args:
        scores: larger = less certain, taken away first, shape (N,), without NaN.
        errors: size of each error, >= 0, shape (N,): absolute, squared, or booleans.
        normalized: whether both curves are divided by the mean error of all, so that they begin at 1.

    Returns:
        Both curves in the dtype of the scores.

    Raises:
        ParameterError: if these are no scores or errors, or no error is left to divide by.

    Example:
        >>> sparsification_curve(torch.tensor([0.3, 0.1, 0.2]), torch.tensor([4.0, 0.0, 2.0])).error
        tensor([2., 1., 0.])

    Source: [ilg2018flow], sparsification plots
    """
    values = require_losses(errors, require_scores(scores), "errors").double()
    if normalized and not bool(values.any()):
        raise ParameterError("every error is 0, so there is no mean error to divide by; say normalized=False")
    kept = torch.arange(1, len(values) + 1, dtype=torch.float64, device=values.device)
    scale = values.mean() if normalized else 1.0
    curves = ((summed_losses(by, values) / kept).flip(0) / scale for by in (scores, values))
    removed = (kept - 1) / len(values)
    return SparsificationCurve(*(curve.to(scores.dtype) for curve in (removed, *curves)))


def ause(scores: Tensor, errors: Tensor, *, normalized: bool = False) -> Tensor:
    """Return the area between the sparsification curve and the oracle's, by the trapezoid rule.

        AUSE = integral over the removed share of (error - oracle)

    Args:
        scores: larger = less certain, shape (N,), without NaN.
        errors: size of each error, >= 0, shape (N,).
        normalized: whether both curves are divided by the mean error of all.

    Returns:
        Shape (), >= 0 up to rounding, in the unit of the error (normalized: without), in the dtype of the scores; 0
        where the scores rank as the errors do.

    Raises:
        ParameterError: if these are no scores or errors, or no error is left to divide by.

    Example:
        >>> ause(torch.tensor([0.3, 0.1, 0.2]), torch.tensor([4.0, 0.0, 2.0]))
        tensor(0.)

    Source: [ilg2018flow], area under the sparsification error curve
    """
    curve = sparsification_curve(require_scores(scores).double(), errors, normalized=normalized)
    return torch.trapezoid(curve.error - curve.oracle, curve.removed).to(scores.dtype)
