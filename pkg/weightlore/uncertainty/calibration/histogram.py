"""Histogram binning: every confidence in a bin becomes the share that came true there.

    f(p) = hits in the bin of p / examples in it          HistogramBinning
    an empty bin says its own midpoint

Bins are those of ``binning``: closed on the left, the last one on both sides, of equal width or equal mass. Many
classes are taken each against the rest.
"""

import torch
from torch import Tensor

from weightlore.errors import require_option
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.calibration.binning import Binning, partition
from weightlore.uncertainty.calibration.one_vs_rest import BinaryMap, OneVsRest
from weightlore.uncertainty.calibration.piecewise import Steps

__all__ = ["HistogramBinning"]


class HistogramBinning(OneVsRest):
    """Replace a confidence by the frequency of its bin.

    Args:
        bins: B, at least 1.
        binning: bins of equal ``"width"`` or of equal ``"mass"``, equal confidences never parted.

    Attributes:
        maps: stairs, one for each class, a single one for two classes.

    Raises:
        ParameterError: if B is no whole number of at least 1, or there is no such binning.

    Example:
        >>> z = torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.0, 2.0], [0.0, -1.0]])
        >>> HistogramBinning(bins=2).fit(z, torch.tensor([1, 0, 1, 0])).predict_proba(z[:1])
        tensor([[0.3333, 0.6667]])

    Source: [zadrozny2001obtaining], histogram method; many classes as in [zadrozny2002transforming]; midpoints are ours
    """

    def __init__(self, *, bins: int = 15, binning: Binning = "width") -> None:
        super().__init__()
        require_counts(bins=bins)
        require_option("binning", binning, Binning)
        self.bins, self.binning = bins, binning

    def fit_map(self, scores: Tensor, hit: Tensor) -> BinaryMap:
        """Return the stairs of one class, fitted on its probabilities (N,) and on where it is right (N,), bool."""
        parts = partition(scores, self.bins, self.binning)
        hits = torch.bincount(parts.number, hit.double(), len(parts.counts))
        middle = (parts.edges[:-1] + parts.edges[1:]) / 2
        return Steps(parts.edges[1:-1], torch.where(parts.counts > 0, hits / parts.counts, middle))
