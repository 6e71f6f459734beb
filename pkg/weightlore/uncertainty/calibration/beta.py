"""Beta calibration: curves that a logistic one cannot draw, the identity among them.

    q = sigmoid( a log p - b log(1 - p) + c ),   a, b >= 0        BetaCalibration

If the scores of each of two classes follow a beta distribution, this is the exact map. With a = b it is Platt scaling
of the log-odds, with a = b = 1 and c = 0 nothing happens. Many classes are taken each against the rest.
"""

import warnings
from itertools import product

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid, softplus

from weightlore.uncertainty.calibration.logistic_regression import Fit, logistic
from weightlore.uncertainty.calibration.one_vs_rest import BinaryMap, OneVsRest, log_odds, require_both
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["BetaCalibration"]


class BetaCalibration(OneVsRest):
    """Fit a, b >= 0 and c for each class.

        q = sigmoid( a log p - b log(1 - p) + c )

    Raises:
        ParameterError: if a class, or the rest, has no example.

    Example:
        >>> z = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, -1.0], [0.0, -1.0]])
        >>> BetaCalibration().fit(z, torch.tensor([1, 0, 0, 1])).predict_proba(z[:1])
        tensor([[0.5000, 0.5000]])

    Source: [kull2017beta], three parameters; many classes as in [zadrozny2002transforming]
    """

    @property
    def weights(self) -> Tensor:
        """The numbers a, b and c of each map, shape (C, 3), or (1, 3) for two classes, float64."""
        return torch.stack([f.weights for f in self.maps if isinstance(f, _Curve)])

    def scores(self, logits: Tensor) -> Tensor:
        """Return what the maps read, float64, shape (N, C): the log-odds, which tell p also where it rounds to 1."""
        return log_odds(logits)

    def fit_map(self, scores: Tensor, hit: Tensor) -> BinaryMap:
        """Return the curve of one class, fitted on its log-odds (N,) and on where it is right (N,), bool."""
        require_both("BetaCalibration", hit)
        found = _constrained(_features(scores), hit.double())
        if not found.converged:
            warnings.warn(
                "one class can be separated from the rest by its score, and the best curve is a step: what was reached "
                "is kept; fit on more data, with errors in them",
                UncertaintyWarning,
                stacklevel=3,
            )
        return _Curve(found.weights)


def _features(odds: Tensor) -> Tensor:
    """Return log p, -log(1 - p) and 1, shape (N, 3)."""
    odds = odds.double()
    return torch.stack([logsigmoid(odds), softplus(odds), torch.ones_like(odds)], -1)


def _constrained(x: Tensor, targets: Tensor) -> Fit:
    """Return the best fit with a, b >= 0: it is the free optimum of the face on which it lies, and there are four."""
    fits = []
    for kept in product((True, False), repeat=2):
        columns = torch.tensor([*kept, True])
        found = logistic(x[:, columns], targets)
        weights = x.new_zeros(3).masked_scatter(columns, found.weights)
        if bool((weights[:2] >= 0).all()):
            fits.append(Fit(weights, found.loss, found.converged))
            if all(kept):
                break
    return min(fits, key=lambda fit: fit.loss)


class _Curve:
    """sigmoid(a log p - b log(1 - p) + c) as a map of the log-odds."""

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights

    def __call__(self, odds: Tensor) -> Tensor:
        return (_features(odds) @ self.weights.to(odds.device)).sigmoid()
