"""The Brier score: one number for honesty and knowledge together, and how to take it apart.

    brier_score            mean squared distance of the forecast from what came
    brier_decomposition    reliability - resolution + uncertainty, and what the bins hide

*Reliability* is the squared error of calibration: zero for honest forecasts. *Resolution* is how far the frequencies of
the bins are from the overall ones: zero for a forecaster who always says the same, however honest. *Uncertainty* is in
the data and not in the forecast. Inside a bin forecasts may vary; what that is worth are the last two terms.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from weightlore.errors import require_option
from weightlore.uncertainty.calibration.binning import bin_numbers
from weightlore.uncertainty.calibration.forecasts import dtype_of, forecast_of, two_classes
from weightlore.uncertainty.measures.members import Members, require_observed

__all__ = ["BrierParts", "Groups", "brier_decomposition", "brier_score"]

Groups = Literal["vector", "class"]


@dataclass(frozen=True, eq=False)
class BrierParts:
    """A Brier score in five parts.

        score = reliability - resolution + uncertainty + within_variance - within_covariance

    Args:
        reliability: squared distance of forecasts and frequencies, over bins.
        resolution: squared distance of the frequencies of bins from those of all examples.
        uncertainty: sum over classes of o (1 - o), o the share of the class.
        within_variance: how much forecasts vary within a bin; 0 if each bin holds one forecast.
        within_covariance: twice how much they vary together with what comes; likewise.

    Source: [murphy1973partition], the first three; [stephenson2008brier], the last two
    """

    reliability: float
    resolution: float
    uncertainty: float
    within_variance: float
    within_covariance: float

    @property
    def score(self) -> float:
        """The Brier score that the parts add up to."""
        three = self.reliability - self.resolution + self.uncertainty
        return three + self.within_variance - self.within_covariance


def brier_score(p: Members, y: Tensor, *, half: bool = False) -> Tensor:
    """Return the mean squared distance of forecasts from what came.

        BS = 1/N sum_i sum_k (pbar_ik - 1[y_i = k])^2

    Args:
        p: probabilities, shape (N, C), (S, N, C) of members, or (N,) of class 1, or a prediction that holds them.
        y: class numbers, shape (N,), int64.
        half: whether to take half of it, so that two classes give (pbar_1 - y)^2.

    Returns:
        Shape (), in [0, 2], or in [0, 1] if halved.

    Raises:
        ParameterError: if these are no probabilities and class numbers.

    Example:
        >>> brier_score(torch.tensor([0.9, 0.2]), torch.tensor([1, 0]), half=True)
        tensor(0.0250)

    Source: [brier1950verification]
    """
    f, o = _pairs(p, y)
    score = (f - o).square().sum(1).mean()
    return (score / 2 if half else score).to(dtype_of(p))


def brier_decomposition(
    p: Members, y: Tensor, *, bins: int | None = None, groups: Groups = "vector", half: bool = False
) -> BrierParts:
    """Return the parts of the Brier score.

        REL = sum_b n_b/N ||fbar_b - obar_b||^2      RES = sum_b n_b/N ||obar_b - obar||^2
        UNC = sum_k obar_k (1 - obar_k)
        WBV = 1/N sum_b sum_{i in b} ||f_i - fbar_b||^2
        WBC = 2/N sum_b sum_{i in b} (f_i - fbar_b) . (o_i - obar_b)

    with forecasts f, onehot outcomes o, and means over bin b or over all.

    Args:
        p: as in ``brier_score``.
        y: likewise.
        bins: of equal width on each probability; ``None`` for one bin for each forecast that occurs, so that the last
            two terms vanish. Where no forecast occurs twice, each example is its own bin and nothing is told apart.
        groups: ``"vector"`` for examples whose probabilities of all classes fall into the same bins, ``"class"`` for
            bins of each class by itself, whose parts are added up.
        half: whether to take half of all parts, as in ``brier_score``.

    Returns:
        Five parts that add up to the score.

    Raises:
        ParameterError: as ``brier_score``, if bins is not a whole number of at least 1, or there is no such grouping.

    Example:
        >>> parts = brier_decomposition(torch.tensor([[0.75, 0.25], [0.75, 0.25]]), torch.tensor([0, 1]))
        >>> parts.reliability, parts.resolution, parts.uncertainty
        (0.125, 0.0, 0.5)

    Source: [murphy1973partition], three parts; [stephenson2008brier], five
    """
    require_option("groups", groups, Groups)
    f, o = _pairs(p, y)
    cells = f if bins is None else bin_numbers(f.flatten(), bins).reshape(f.shape)
    if groups == "vector":
        parts = _parts(f, o, cells)
    else:
        parts = sum((_parts(*(t[:, [k]] for t in (f, o, cells))) for k in range(f.shape[1])), torch.zeros(5).to(f))
    return BrierParts(*(parts / 2 if half else parts).tolist())


def _pairs(p: Members, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return forecasts and outcomes, both (N, C), float64."""
    probs = forecast_of(two_classes(p))
    require_observed(y, (len(probs),), probs.shape[1])
    return probs.double(), functional.one_hot(y, probs.shape[1]).double()


def _parts(f: Tensor, o: Tensor, cells: Tensor) -> Tensor:
    """Return the five parts for examples grouped by equal rows of cells, shape (5,)."""
    group, counts = torch.unique(cells, dim=0, return_inverse=True, return_counts=True)[1:]
    share, count = counts.double() / len(f), counts.double()[:, None]
    f_bar, o_bar = (f.new_zeros(len(counts), f.shape[1]).index_add_(0, group, t) / count for t in (f, o))
    overall = o.mean(0)
    f_off, o_off = f - f_bar[group], o - o_bar[group]
    return torch.stack(
        [
            (share * (f_bar - o_bar).square().sum(1)).sum(),
            (share * (o_bar - overall).square().sum(1)).sum(),
            (overall * (1 - overall)).sum(),
            f_off.square().sum(1).mean(),
            2 * (f_off * o_off).sum(1).mean(),
        ]
    )
