"""From maps for two classes to calibrators for many: each class against the rest, then rows are made to sum to 1.

    score_k = p_k or log p_k / (1 - p_k)      softmax, log_odds
    r_k     = map_k(score_k)                  fitted on whether y = k
    q_k     = r_k / sum_j r_j                 uniform where all are 0

Two classes need one map: that of class 1, and the rest belongs to class 0. With more, rows that are made to sum to 1
need no longer be calibrated class by class; that is the price of this construction.
"""

from abc import abstractmethod
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration.calibrator import Calibrator, not_fitted, require_logits, require_pairs

__all__ = ["BinaryMap", "OneVsRest", "log_odds", "normalized", "require_both"]

BinaryMap = Callable[[Tensor], Tensor]


class OneVsRest(Calibrator):
    """A calibrator with one map for each class; methods say how a map is fitted.

    Attributes:
        maps: one for each class, from scores (N,) to numbers in [0, 1]; a single one for two classes.

    Source: [zadrozny2002transforming], one against all
    """

    def __init__(self) -> None:
        self.maps: tuple[BinaryMap, ...] = ()

    @abstractmethod
    def fit_map(self, scores: Tensor, hit: Tensor) -> BinaryMap:
        """Return the map of one class, fitted on its scores (N,), float64, and on where it is right (N,), bool."""

    def scores(self, logits: Tensor) -> Tensor:
        """Return what the maps read, float64, shape (N, C): here the probabilities softmax(z)."""
        return logits.double().softmax(1)

    def fit(self, logits: Tensor, y: Tensor) -> Self:
        """Fit one map for each class on held-out data.

        Args:
            logits: shape (N, C).
            y: class numbers, shape (N,).

        Returns:
            The calibrator itself.

        Raises:
            ParameterError: if logits and classes are not of that form.
        """
        z, y = require_pairs(logits, y)
        scores, classes = self.scores(z).cpu(), range(z.shape[1])
        fitted = classes[1:] if len(classes) == 2 else classes
        maps: list[BinaryMap] = []
        for k in fitted:
            maps.append(self.fit_map(scores[:, k].contiguous(), y.cpu() == k))
        self.maps = tuple(maps)
        return self

    def predict_proba(self, logits: Tensor) -> Tensor:
        """Return calibrated probabilities, shape (N, C), for logits of that shape and in their dtype."""
        if not self.maps:
            raise not_fitted(self)
        z = require_logits(logits, 2 if len(self.maps) == 1 else len(self.maps))
        scores = self.scores(z)
        if len(self.maps) == 1:
            one = self.maps[0](scores[:, 1])
            return torch.stack([1 - one, one], 1).to(z.dtype)
        return normalized(torch.stack([f(scores[:, k]) for k, f in enumerate(self.maps)], 1)).to(z.dtype)


def log_odds(logits: Tensor) -> Tensor:
    """Return log p / (1 - p) for each class, exact also where p rounds to 1.

        o_k = z_k - logsumexp over j != k of z_j

    Args:
        logits: shape (N, C), floating.

    Returns:
        Shape (N, C), float64.

    Example:
        >>> log_odds(torch.tensor([[0.0, 100.0]]))
        tensor([[-100.,  100.]], dtype=torch.float64)

    Source: [platt1999probabilistic], for whom two classes have one score; for more of them ours
    """
    z = logits.double()
    logs = z.log_softmax(1)
    odds = logs - torch.log1p(-logs.exp())
    top = z.argmax(1, keepdim=True)  # the only one whose probability can be near 1
    rest = z.scatter(1, top, -torch.inf).logsumexp(1, keepdim=True)
    return odds.scatter(1, top, z.gather(1, top) - rest)


def normalized(values: Tensor) -> Tensor:
    """Return rows that sum to 1; a row of zeros becomes uniform.

    Args:
        values: shape (N, C), >= 0.

    Example:
        >>> normalized(torch.tensor([[0.2, 0.6], [0.0, 0.0]]))
        tensor([[0.2500, 0.7500],
                [0.5000, 0.5000]])

    Source: [zadrozny2002transforming], normalization; that nothing at all is uniform is ours
    """
    total = values.sum(1, keepdim=True)
    return torch.where(total > 0, values / total, 1 / values.shape[1])


def require_both(method: str, hit: Tensor) -> None:
    """Check that a class and the rest both occur, as a map with a slope needs.

    Args:
        method: its name, for the message.
        hit: which examples are of the class, shape (N,), bool.

    Raises:
        ParameterError: if all or none are.

    Source: ours
    """
    found = int(hit.sum())
    if found in (0, len(hit)):
        raise ParameterError(
            f"{method} needs examples of each class and of the rest, got {found} of a class among {len(hit)}; fit on "
            "more data, or use a map that all classes share, such as TemperatureScaling"
        )
