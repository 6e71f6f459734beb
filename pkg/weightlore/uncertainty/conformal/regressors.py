"""Intervals around the predictions of any regression, that hold the promised share of new targets.

    SplitConformalRegressor           mean +- q s        scores |y - mean| / s
    ConformalizedQuantileRegressor    [l - q, u + q]     scores max(l - y, y - u), negative where l and u are too wide
    uncrossed                         empty intervals become points, and are counted

Both are fitted to predictions for examples that the network was not trained on. The first is as wide everywhere as the
given scale says; the second adapts as the predicted quantiles do.
"""

import warnings
from typing import Self, TypeVar

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.conformal.groups import Thresholds, grouped_thresholds
from weightlore.uncertainty.conformal.quantile import require_level
from weightlore.uncertainty.predictions import IntervalPrediction
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["ConformalizedQuantileRegressor", "SplitConformalRegressor", "require_numbers", "uncrossed"]

Fitted = TypeVar("Fitted")


class SplitConformalRegressor:
    """Intervals of one width, or as wide as a scale says (normalized).

        score = |y - mean| / s ;   interval = mean +- q s ,   q the conformal quantile

    Args:
        level: the promised coverage 1 - a.

    Raises:
        ParameterError: if the level is out of range.

    Example:
        >>> y = torch.arange(19.0)
        >>> SplitConformalRegressor(level=0.9).fit(0 * y, y).predict(torch.zeros(1)).upper
        tensor([17.])

    Source: [papadopoulos2002inductive], inductive confidence machines; [lei2018predictive], split and locally weighted
    """

    def __init__(self, *, level: float) -> None:
        require_level(level)
        self.level = level
        self.thresholds: Thresholds | None = None
        self._scaled = False

    def fit(self, mean: Tensor, y: Tensor, *, scale: Tensor | None = None, groups: Tensor | None = None) -> Self:
        """Find the threshold of the scores, or one for each group.

        Args:
            mean: predictions for n examples that were not trained on, shape (n,).
            y: their targets, shape (n,).
            scale: s > 0, how uncertain each prediction is, shape (n,), such as a predicted standard deviation;
                ``None`` for 1.
            groups: a number for each example, shape (n,), int64; ``None`` for one group.

        Raises:
            ParameterError: if shapes do not fit, an entry is not finite, or a scale is not positive.
        """
        missing = (_numbers("y", y, mean) - mean).abs()
        self.thresholds = grouped_thresholds(missing / _scales(scale, mean), groups, level=self.level)
        self._scaled = scale is not None
        return self

    def predict(self, mean: Tensor, *, scale: Tensor | None = None, groups: Tensor | None = None) -> IntervalPrediction:
        """Return an interval for each prediction.

        Args:
            mean: predictions, shape (N,).
            scale: s > 0, shape (N,), if there was one when fitted.
            groups: shape (N,), if there were some when fitted.

        Raises:
            ParameterError: if nothing was fitted, scale or groups are missing or given in vain, or do not fit.
        """
        thresholds = _fitted(self.thresholds)
        if (scale is not None) != self._scaled:
            raise ParameterError("a scale must be given to fit and to predict, or to neither")
        half = thresholds.of(groups, len(mean)) * _scales(scale, mean)
        return IntervalPrediction(mean.detach() - half, mean.detach() + half, self.level)


class ConformalizedQuantileRegressor:
    """Predicted quantiles, moved outward or inward until they keep the promise.

        score = max(l - y, y - u) ;   interval = [l - q, u + q] ,   q the conformal quantile, possibly negative

    Args:
        level: the promised coverage 1 - a.
        symmetric: whether both ends move by the same q; otherwise each has its own, at the level (1 + level) / 2, which
            misses a/2 on either side and is a little wider.

    Raises:
        ParameterError: if the level is out of range.

    Example:
        >>> y = torch.arange(19.0)
        >>> fitted = ConformalizedQuantileRegressor(level=0.9).fit(0 * y, 0 * y + 10, y)
        >>> ends = fitted.predict(torch.zeros(1), torch.ones(1))
        >>> ends.lower, ends.upper
        (tensor([-7.]), tensor([8.]))

    Source: [romano2019cqr], conformalized quantile regression, both variants
    """

    def __init__(self, *, level: float, symmetric: bool = True) -> None:
        require_level(level)
        self.level, self.symmetric = level, symmetric
        self.thresholds: tuple[Thresholds, Thresholds] | None = None

    def fit(self, lower: Tensor, upper: Tensor, y: Tensor, *, groups: Tensor | None = None) -> Self:
        """Find how far the ends must move.

        Args:
            lower: predicted quantiles a/2 for n examples that were not trained on, shape (n,); may be above ``upper``.
            upper: predicted quantiles 1 - a/2, shape (n,).
            y: their targets, shape (n,).
            groups: a number for each example, shape (n,), int64; ``None`` for one group.

        Raises:
            ParameterError: if shapes do not fit, or an entry is not finite.
        """
        below, above = lower - _numbers("y", y, lower), y - _numbers("upper", upper, lower)
        if self.symmetric:
            both = grouped_thresholds(torch.maximum(below, above), groups, level=self.level)
            self.thresholds = (both, both)
        else:
            each = (1 + self.level) / 2
            self.thresholds = (
                grouped_thresholds(below, groups, level=each),
                grouped_thresholds(above, groups, level=each),
            )
        return self

    def predict(self, lower: Tensor, upper: Tensor, *, groups: Tensor | None = None) -> IntervalPrediction:
        """Return the moved intervals; an empty one becomes its middle, with a warning that counts them.

        Args:
            lower: predicted quantiles a/2, shape (N,).
            upper: predicted quantiles 1 - a/2, shape (N,).
            groups: shape (N,), if there were some when fitted.

        Raises:
            ParameterError: if nothing was fitted, groups are missing or given in vain, or shapes do not fit.
        """
        down, up = (one.of(groups, len(lower)) for one in _fitted(self.thresholds))
        low, high, empty = uncrossed(lower.detach() - down, _numbers("upper", upper, lower).detach() + up)
        if bool(empty.any()):
            warnings.warn(
                f"{int(empty.sum())} of {len(empty)} intervals would be empty, because predicted quantiles cross or "
                "are moved past each other; they are reduced to their middle",
                UncertaintyWarning,
                stacklevel=2,
            )
        return IntervalPrediction(low, high, self.level)


def uncrossed(lower: Tensor, upper: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return intervals of which the empty ones are reduced to their middle, and which those are.

    Args:
        lower: shape (N,).
        upper: shape (N,).

    Returns:
        Lower ends, upper ends, and where they were crossed, shape (N,) each.

    Source: ours, because an empty interval is an answer that no target can agree with
    """
    empty, middle = lower > upper, (lower + upper) / 2
    return torch.where(empty, middle, lower), torch.where(empty, middle, upper), empty


def require_numbers(what: str, values: Tensor) -> Tensor:
    """Return the values if they are a finite floating vector.

    Args:
        what: how the caller calls them, for the message.
        values: shape (N,), N >= 1.

    Raises:
        ParameterError: if they are not.

    Source: ours
    """
    if not isinstance(values, Tensor) or not values.is_floating_point() or values.ndim != 1 or not len(values):
        came = f"{tuple(values.shape)}, {values.dtype}" if isinstance(values, Tensor) else type(values).__name__
        raise ParameterError(
            f"{what} must be floating, one number for each example, (N,), got {came}; choose an output"
        )
    return require_finite(what, values)


def _numbers(what: str, values: Tensor, like: Tensor) -> Tensor:
    """Return numbers that go with predictions, both checked."""
    require_numbers("the predictions", like)
    if require_numbers(what, values).shape != like.shape:
        raise ParameterError(f"{what} must be one for each of {len(like)} predictions, got {len(values)}")
    return values


def _scales(scale: Tensor | None, mean: Tensor) -> Tensor:
    require_numbers("the predictions", mean)
    if scale is None:
        return torch.ones_like(mean)
    if bool((_numbers("the scale", scale, mean) <= 0).any()):
        raise ParameterError(
            f"a scale must be > 0, got {float(scale.min()):g}; add a small share of the mean residual to all of them"
        )
    return scale.detach()


def _fitted(thresholds: Fitted | None) -> Fitted:
    if thresholds is None:
        raise ParameterError("nothing was fitted yet; call fit with predictions for examples that were not trained on")
    return thresholds
