"""The one number behind every conformal prediction: a quantile of scores, moved up by the example to come.

    conformal_quantile     the ceil((n + 1) level)-th smallest of n scores; infinite if n is too small
    smallest_set           how many scores a level needs: ceil(1 / (1 - level)) - 1
    weighted_quantile      the same where the example to come is drawn otherwise, by a ratio of densities
    rank_of                which score it is
    require_level          is this a promised coverage?
    require_calibration    are these scores?

If the n scores and the one to come are exchangeable, the latter is at most the quantile with a probability from level
to level + 1 / (n + 1), if there are no ties. Nothing else is assumed, neither of the network nor of the data.
"""

import math
import warnings

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["conformal_quantile", "rank_of", "require_calibration", "require_level", "smallest_set", "weighted_quantile"]

ROUNDING = 1e-12  # 0.9 times 10 is 9, and 0.93 times 100 is 93


def conformal_quantile(scores: Tensor, *, level: float) -> Tensor:
    """Return the threshold below which the score of one more example lies with a probability of at least ``level``.

        r = ceil((n + 1) level);   r-th smallest score, infinite if r > n

    Args:
        scores: of examples that were not trained on, shape (n,), n >= 0; larger = stranger.
        level: the promised coverage 1 - a.

    Returns:
        Shape (), in the dtype of the scores; infinite, with a warning, if there are too few of them. It is never the
        largest score instead, which would not keep the promise.

    Raises:
        ParameterError: if the scores are no finite vector, or the level is out of range.

    Example:
        >>> conformal_quantile(torch.arange(1.0, 10.0), level=0.8)
        tensor(8.)

    Source: [papadopoulos2002inductive], inductive conformal prediction; the quantile as in [lei2018predictive]
    """
    require_calibration(scores)
    rank = rank_of(len(scores), level)
    if rank > len(scores):
        warnings.warn(
            f"{len(scores)} scores promise nothing at level {level:g}: the threshold is infinite; "
            f"{smallest_set(level)} are needed at least",
            UncertaintyWarning,
            stacklevel=2,
        )
        return scores.new_full((), torch.inf)
    return scores.detach().kthvalue(rank).values


def smallest_set(level: float) -> int:
    """Return how many scores a finite threshold needs.

        n = ceil(1 / a) - 1 ,   a = 1 - level

    Args:
        level: the promised coverage 1 - a.

    Raises:
        ParameterError: if the level is out of range.

    Example:
        >>> smallest_set(0.9), smallest_set(0.99)
        (9, 99)

    Source: ours, because ceil((n + 1) (1 - a)) <= n means n + 1 >= 1/a
    """
    require_level(level)
    count = max(0, round(1 / (1 - level)) - 3)
    while rank_of(count, level) > count:
        count += 1
    return count


def weighted_quantile(scores: Tensor, weights: Tensor, new: Tensor, *, level: float) -> Tensor:
    """Return the threshold for inputs that are drawn otherwise than those of the scores.

        p_i = w_i / (sum_j w_j + w) ,   smallest t with sum { p_i : score_i <= t } >= level ,   else infinite

    w(x) is the density of the inputs to come divided by that of the inputs of the scores, up to a factor. The promise
    holds if it is right; a network that tells the two apart gives it as p / (1 - p).

    Args:
        scores: shape (n,), n >= 1; larger = stranger.
        weights: w of their inputs, shape (n,), >= 0.
        new: w of each input to come, shape (N,), >= 0.
        level: the promised coverage 1 - a.

    Returns:
        A threshold for each, shape (N,), in the dtype of the scores; infinite where the new weight is so large that the
        scores say too little of such inputs, with a warning.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, a weight is negative, all are 0, or the level is
            out of range.

    Example:
        >>> weighted_quantile(torch.arange(1.0, 10.0), torch.ones(9), torch.ones(1), level=0.8)
        tensor([8.])

    Source: [tibshirani2019covariate], weighted conformal prediction
    """
    require_calibration(scores, least=1)
    require_level(level)
    for name, given, shape in (("weights", weights, scores.shape), ("new", new, new.shape[:1])):
        if given.shape != shape or given.ndim != 1 or not given.is_floating_point():
            raise ParameterError(
                f"{name} must be floating, one for each input, got {tuple(given.shape)}, {given.dtype}"
            )
        if bool((require_finite(name, given) < 0).any()):
            raise ParameterError(f"{name} are ratios of densities and must be >= 0, got {float(given.min()):g}")
    ordered, order = scores.detach().sort()
    mass = weights.detach().double()[order].cumsum(0)
    needed = level * (mass[-1] + new.detach().double())
    if bool((needed == 0).any()):
        raise ParameterError("weights and new are all 0, so that no score counts; give ratios of densities")
    place = torch.searchsorted(mass, needed * (1 - ROUNDING))
    found = torch.cat([ordered, ordered.new_full((1,), torch.inf)])[place]
    if missing := int(found.isinf().sum()):
        warnings.warn(
            f"{missing} of {len(new)} thresholds are infinite: the scores hold too few inputs like these; collect more "
            "of them, or promise less",
            UncertaintyWarning,
            stacklevel=2,
        )
    return found


def rank_of(count: int, level: float) -> int:
    """Return which of ``count`` scores, counted from the smallest, keeps the promise: ceil((n + 1) level).

    Args:
        count: n.
        level: the promised coverage 1 - a.

    Returns:
        From 1 to n + 1, which means that none does.

    Raises:
        ParameterError: if the level is out of range.

    Source: [lei2018predictive], the rank
    """
    require_level(level)
    rank = (count + 1) * level
    return max(1, round(rank) if abs(rank - round(rank)) < ROUNDING * rank else math.ceil(rank))


def require_calibration(scores: Tensor, least: int = 0) -> Tensor:
    """Return the scores if they are a finite floating vector.

    Args:
        scores: shape (n,).
        least: how many there must be.

    Raises:
        ParameterError: if they are not.

    Source: ours
    """
    if not isinstance(scores, Tensor) or not scores.is_floating_point() or scores.ndim != 1 or len(scores) < least:
        came = f"{tuple(scores.shape)}, {scores.dtype}" if isinstance(scores, Tensor) else type(scores).__name__
        raise ParameterError(f"scores must be floating, one for each example, (n,) with n >= {least}, got {came}")
    return require_finite("a score", scores)


def require_level(level: float) -> None:
    """Check a promised coverage.

    Args:
        level: 1 - a.

    Raises:
        ParameterError: if it is not between 0 and 1.

    Source: ours
    """
    if not 0 < level < 1:
        raise ParameterError(f"level is the promised coverage, 1 - a, between 0 and 1, got {level}; 0.9 is usual")
