"""Two maps that bin: a temperature for each range of confidence, and a smooth map whose values are then binned.

    BinwiseTemperature    q = softmax(z / T_b),   b the bin of max p        keeps every answer
    ScalingBinning        q = mean of g in the bin of g(o),   g a logistic curve

Binning a smooth map costs little variance, since g is fitted on all examples, and its calibration error can be measured
without the bias that smooth maps hide, since it takes only B values.
"""

import warnings
from typing import Self

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.calibration.binning import partition
from weightlore.uncertainty.calibration.calibrator import Calibrator, not_fitted, require_logits, require_pairs
from weightlore.uncertainty.calibration.one_vs_rest import BinaryMap, OneVsRest, log_odds
from weightlore.uncertainty.calibration.piecewise import Steps
from weightlore.uncertainty.calibration.platt import platt_map
from weightlore.uncertainty.calibration.temperature import find_temperature
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["BinwiseTemperature", "ScalingBinning"]


class BinwiseTemperature(Calibrator):
    """Divide the logits by a temperature of their own for each range of confidence.

        q = softmax(z / T_b),   b the bin of max_k softmax(z)_k

    A bin whose examples are all answered correctly has no best temperature and keeps T = 1, with a warning.

    Args:
        bins: B, of equal mass.

    Attributes:
        edges: between the bins, shape (B - 1,), fewer where equal confidences would be parted.
        temperatures: T, shape (B,).

    Raises:
        ParameterError: if B is no whole number of at least 1.

    Example:
        >>> z = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]])
        >>> BinwiseTemperature(bins=1).fit(z, torch.tensor([0, 0, 1])).predict_proba(z[:1])
        tensor([[0.6667, 0.3333]])

    Source: [ji2019binwise]; bins of equal mass and T = 1 without errors are ours
    """

    def __init__(self, *, bins: int = 5) -> None:
        require_counts(bins=bins)
        self.bins = bins
        self.edges, self.temperatures = torch.empty(0), torch.empty(0)

    def fit(self, logits: Tensor, y: Tensor) -> Self:
        """Find the bins and a temperature for each on held-out data.

        Args:
            logits: shape (N, C).
            y: class numbers, shape (N,).

        Returns:
            The calibrator itself.

        Raises:
            ParameterError: if logits and classes are not of that form.
        """
        z, y = require_pairs(logits, y)
        parts = partition(_confidence(z), self.bins, "mass")
        found = [find_temperature(z[parts.number == b], y[parts.number == b]) for b in range(len(parts.counts))]
        kept = [1.0 if one.at_bound and one.value < 1 else one.value for one in found]
        self.edges, self.temperatures = parts.edges[1:-1], torch.tensor(kept, dtype=torch.float64)
        if count := sum(one.at_bound for one in found):
            warnings.warn(
                f"{count} of {len(found)} bins have no best temperature: all of their answers are right, and T = 1 is "
                "kept, or the logits say nothing there; take fewer bins, or more data",
                UncertaintyWarning,
                stacklevel=2,
            )
        return self

    def predict_proba(self, logits: Tensor) -> Tensor:
        """Return softmax(z / T_b), shape (N, C), for logits of that shape."""
        if not len(self.temperatures):
            raise not_fitted(self)
        z = require_logits(logits)
        temperature = Steps(self.edges, self.temperatures)(_confidence(z))
        return torch.softmax(z / temperature.to(z.dtype)[:, None], 1)


class ScalingBinning(OneVsRest):
    """Fit a logistic curve for each class, then say its mean value in each bin of equal mass.

        g fitted on the first part,   bins such that g has equal mass in each on the second,
        q = mean of g over the third part in the bin of g(o)

    Args:
        bins: B, of equal mass.
        split: whether the three parts are different rows, every third from the first, the second and the third, as the
            theory asks; otherwise each part is all rows. Shuffle rows first whose order means something.

    Attributes:
        maps: one for each class, a single one for two classes.

    Raises:
        ParameterError: if B is no whole number of at least 1.

    Example:
        >>> z = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, -1.0], [0.0, -1.0]])
        >>> ScalingBinning(bins=1, split=False).fit(z, torch.tensor([1, 0, 0, 1])).predict_proba(z[:1])
        tensor([[0.5000, 0.5000]])

    Source: [kumar2019verified], scaling-binning calibrator; every third row and rows that sum to 1 are ours
    """

    def __init__(self, *, bins: int = 10, split: bool = True) -> None:
        super().__init__()
        require_counts(bins=bins)
        self.bins, self.split = bins, split

    def scores(self, logits: Tensor) -> Tensor:
        """Return what the maps read, float64, shape (N, C): the log-odds of each class."""
        return log_odds(logits)

    def fit_map(self, scores: Tensor, hit: Tensor) -> BinaryMap:
        """Return the map of one class, fitted on its log-odds (N,) and on where it is right (N,), bool."""
        parts = [slice(first, None, 3) for first in range(3)] if self.split else [slice(None)] * 3
        if len(scores) < 3 and self.split:
            raise ParameterError(
                f"three parts need three rows at least, got {len(scores)}; fit on more, or split=False"
            )
        curve = platt_map(scores[parts[0]], hit[parts[0]])
        second, third = curve(scores[parts[1]]), curve(scores[parts[2]])
        bins = partition(second, self.bins, "mass")
        _, means = _means(second, bins.number, len(bins.counts))
        number = torch.bucketize(third, bins.edges[1:-1], right=True)
        seen, fresh = _means(third, number, len(bins.counts))
        return _Binned(curve, Steps(bins.edges[1:-1], torch.where(seen > 0, fresh, means)))


class _Binned:
    """A smooth map, then stairs."""

    def __init__(self, curve: BinaryMap, steps: Steps) -> None:
        self.curve, self.steps = curve, steps

    def __call__(self, scores: Tensor) -> Tensor:
        return self.steps(self.curve(scores))


def _means(values: Tensor, number: Tensor, bins: int) -> tuple[Tensor, Tensor]:
    """Return how many values are in each bin, and their mean."""
    counts = torch.bincount(number, minlength=bins)
    return counts, torch.bincount(number, values, bins) / counts


def _confidence(z: Tensor) -> Tensor:
    return z.double().softmax(1).amax(1)
