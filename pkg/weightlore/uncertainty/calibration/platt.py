"""Platt scaling: a logistic curve over the log-odds.

    q = sigmoid(a o + b),   o = log p / (1 - p)                              PlattScaling
    targets (N+ + 1) / (N+ + 2) and 1 / (N- + 2) instead of 1 and 0          smoothed_targets

The slope a is an inverse temperature, the shift b repairs a class that is said too often. Many classes are taken each
against the rest.
"""

import warnings

import torch
from torch import Tensor

from weightlore.uncertainty.calibration.logistic_regression import logistic
from weightlore.uncertainty.calibration.one_vs_rest import BinaryMap, OneVsRest, log_odds, require_both
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["PlattScaling", "platt_map", "smoothed_targets"]


class PlattScaling(OneVsRest):
    """Fit slope and shift of the log-odds for each class.

        q = sigmoid(a o + b)

    Args:
        smoothed: whether targets are pulled a little away from 0 and 1, as for one more example of either kind. Then
            a minimum exists also where the two kinds can be separated.

    Example:
        >>> z = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, -1.0], [0.0, -1.0]])
        >>> PlattScaling().fit(z, torch.tensor([1, 0, 0, 1])).predict_proba(z[:1])
        tensor([[0.5000, 0.5000]])

    Source: [platt1999probabilistic], smoothed targets as an option; many classes as in [zadrozny2002transforming]
    """

    def __init__(self, *, smoothed: bool = True) -> None:
        super().__init__()
        self.smoothed = smoothed

    @property
    def weights(self) -> Tensor:
        """Slope a and shift b of each map, shape (C, 2), or (1, 2) for two classes, float64."""
        return torch.stack([f.weights for f in self.maps if isinstance(f, _Curve)])

    def scores(self, logits: Tensor) -> Tensor:
        """Return what the maps read, float64, shape (N, C): the log-odds of each class."""
        return log_odds(logits)

    def fit_map(self, scores: Tensor, hit: Tensor) -> BinaryMap:
        """Return the curve of one class, fitted on its log-odds (N,) and on where it is right (N,), bool."""
        return platt_map(scores, hit, smoothed=self.smoothed)


def platt_map(odds: Tensor, hit: Tensor, *, smoothed: bool = True) -> BinaryMap:
    """Return the logistic curve over a score.

        f(o) = sigmoid(a o + b)

    Args:
        odds: the score, shape (N,).
        hit: which examples are of the class, shape (N,), bool.
        smoothed: whether targets are pulled a little away from 0 and 1.

    Returns:
        A map from scores of any shape to probabilities.

    Raises:
        ParameterError: if all or no examples are of the class.

    Source: [platt1999probabilistic]
    """
    require_both("PlattScaling", hit)
    targets = smoothed_targets(hit) if smoothed else hit.double()
    found = logistic(torch.stack([odds, torch.ones_like(odds)], 1), targets)
    if not found.converged:
        warnings.warn(
            "one class can be separated from the rest by its score, and the best curve is a step: what was reached is "
            "kept; smoothed=True has a minimum",
            UncertaintyWarning,
            stacklevel=4,
        )
    return _Curve(found.weights)


def smoothed_targets(hit: Tensor) -> Tensor:
    """Return Platt's targets, those of a uniform prior on either kind.

        t = (N+ + 1) / (N+ + 2) where hit,   1 / (N- + 2) elsewhere

    Args:
        hit: which examples are of the class, shape (N,), bool.

    Returns:
        t, shape (N,), float64.

    Example:
        >>> smoothed_targets(torch.tensor([True, True, False]))
        tensor([0.7500, 0.7500, 0.3333], dtype=torch.float64)

    Source: [platt1999probabilistic], targets
    """
    positive = int(hit.sum())
    high, low = (positive + 1) / (positive + 2), 1 / (len(hit) - positive + 2)
    return torch.where(hit, torch.tensor(high, dtype=torch.float64), low)


class _Curve:
    """sigmoid(a o + b)."""

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights

    def __call__(self, odds: Tensor) -> Tensor:
        slope, shift = self.weights.tolist()
        return (slope * odds.double() + shift).sigmoid()
