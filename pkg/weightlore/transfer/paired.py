"""Compare two methods over seeds: differences within a seed, and how certain their mean is.

Both methods of a pair start from the same source, the same labels and the same fresh network, so that what the seed
makes easy or hard cancels. Differences of a point or three are within noise at four seeds.

    paired(ours, theirs)   -> Paired(mean, error, t, interval, bootstrap, wins, ties, losses, ...)
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import copysign, inf

import torch
from scipy import stats
from torch import Tensor

from weightlore.errors import ParameterError, require_finite

__all__ = ["Paired", "paired"]


@dataclass(frozen=True)
class Paired:
    """How much one method is ahead of another, over S seeds.

    Args:
        differences: ours minus theirs, shape (S,), float64.
        mean: of the differences.
        error: standard error of the mean.
        t: mean over error; infinite if all differences are equal and not zero, 0 if all are zero.
        p: two-sided, of the t test with S - 1 degrees of freedom.
        interval: two-sided t interval of the mean.
        bootstrap: bias-corrected and accelerated interval of the mean, which does not rely on the normal law.
        wins: seeds with a positive difference.
        ties: seeds without a difference.
        losses: seeds with a negative difference.
        sign_p: two-sided, of the sign test on wins and losses.

    Source: ours
    """

    differences: Tensor
    mean: float
    error: float
    t: float
    p: float
    interval: tuple[float, float]
    bootstrap: tuple[float, float]
    wins: int
    ties: int
    losses: int
    sign_p: float


def paired(
    ours: Tensor | Sequence[float],
    theirs: Tensor | Sequence[float],
    *,
    generator: torch.Generator,
    confidence: float = 0.95,
    resamples: int = 9999,
) -> Paired:
    """Return mean, errors, intervals and counts of the differences between two methods.

        d_s = ours_s - theirs_s,   error = std(d) / sqrt(S),   t = mean(d) / error

    Args:
        ours: one number per seed, shape (S,), S >= 2.
        theirs: likewise, of the same seeds in the same order.
        generator: draws the resamples of the bootstrap.
        confidence: of both intervals, within 0 and 1.
        resamples: of the bootstrap, at least 1.

    Returns:
        The comparison. Equal differences give intervals without width.

    Raises:
        ParameterError: if the numbers are not finite or not of the same seeds, there are fewer than two, or an option
            is out of its range.

    Source: [efron1987better], bias-corrected and accelerated interval; the t and the sign test are of the textbook
    """
    d = _differences(ours, theirs)
    if not 0 < confidence < 1 or resamples < 1:
        raise ParameterError(
            f"confidence must be within 0 and 1 and resamples at least 1, got {confidence} and {resamples}"
        )
    mean, error = float(d.mean()), float(d.std(correction=1)) / len(d) ** 0.5
    t = mean / error if error else copysign(inf, mean) if mean else 0.0
    half = float(stats.t.ppf((1 + confidence) / 2, len(d) - 1)) * error
    wins, losses = int((d > 0).sum()), int((d < 0).sum())
    return Paired(
        differences=d,
        mean=mean,
        error=error,
        t=t,
        p=float(2 * stats.t.sf(abs(t), len(d) - 1)),
        interval=(mean - half, mean + half),
        bootstrap=_bootstrap(d, confidence, resamples, generator),
        wins=wins,
        ties=len(d) - wins - losses,
        losses=losses,
        sign_p=float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0,
    )


def _differences(ours: Tensor | Sequence[float], theirs: Tensor | Sequence[float]) -> Tensor:
    one, other = (torch.as_tensor(numbers, dtype=torch.float64).detach().cpu() for numbers in (ours, theirs))
    if one.ndim != 1 or one.shape != other.shape or len(one) < 2:
        raise ParameterError(
            f"both methods need one number for each of the same two or more seeds, got shapes {tuple(one.shape)} and "
            f"{tuple(other.shape)}"
        )
    difference = require_finite("ours", one) - require_finite("theirs", other)
    equal = (difference - difference[0]).abs() <= 1e-12 * (one.abs() + other.abs())
    return difference[:1].expand(len(one)).clone() if bool(equal.all()) else difference  # equal but for rounding


def _bootstrap(d: Tensor, confidence: float, resamples: int, generator: torch.Generator) -> tuple[float, float]:
    """Return the bias-corrected and accelerated interval of the mean."""
    rows = torch.randint(len(d), (resamples, len(d)), generator=generator, device=generator.device).cpu()
    mean = float(d.mean())
    if float((d - d[0]).abs().max()) == 0:
        return mean, mean
    means = d[rows].mean(1)
    below = float((means < mean).double().mean() + (means <= mean).double().mean()) / 2
    shift = float(stats.norm.ppf(min(max(below, 0.5 / resamples), 1 - 0.5 / resamples)))
    left_out = (d.sum() - d) / (len(d) - 1)  # the jackknife
    gaps = left_out.mean() - left_out
    slope = float((gaps**3).sum() / (6 * (gaps**2).sum() ** 1.5))
    ends = []
    for level in ((1 - confidence) / 2, (1 + confidence) / 2):
        z = shift + float(stats.norm.ppf(level))
        ends.append(float(means.quantile(float(stats.norm.cdf(shift + z / (1 - slope * z))))))
    return ends[0], ends[1]
