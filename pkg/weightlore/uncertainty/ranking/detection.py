"""Is the thing to be rejected ranked first? Curves and areas over all thresholds of a score.

A score is larger where a prediction is less certain; *positive* is what should be rejected: a mistake or an unknown
input. At a threshold t everything with a score >= t is rejected; equal scores are rejected together.

    detection_curve    true-positive rate, false-positive rate and precision at every threshold
    auroc              P(score of a positive > score of a negative) + 1/2 P(equal)
    auprc              sum over thresholds of (true_k - true_{k-1}) precision_k; the share of positives is its baseline
    fpr_at_tpr         smallest false-positive rate where the true-positive rate is >= 0.95
    detection_error    smallest share (1 - true) + (1 - share) false
    detection_report   all of them

Counts are integers until the last division, so that ties and the direction of the score cost nothing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.ranking.ordered import differences, require_marks, rising

__all__ = [
    "DetectionCurve",
    "DetectionReport",
    "auprc",
    "auroc",
    "detection_curve",
    "detection_error",
    "detection_report",
    "fpr_at_tpr",
]


@dataclass(frozen=True, eq=False)
class DetectionCurve:
    """What a threshold rejects, from nothing to everything; M distinct scores make M + 1 rows.

    Args:
        threshold: falling, shape (M + 1,); the first is infinite and rejects nothing.
        true_positive_rate: share of the positives that is rejected, shape (M + 1,); the recall.
        false_positive_rate: share of the negatives that is rejected, shape (M + 1,).
        precision: share of the rejected that is positive, shape (M + 1,); 1 where nothing is rejected.

    Source: ours
    """

    threshold: Tensor
    true_positive_rate: Tensor
    false_positive_rate: Tensor
    precision: Tensor


@dataclass(frozen=True)
class DetectionReport:
    """How well a score finds what should be rejected.

    Args:
        auroc: area under true over false positives; 0.5 for a score that knows nothing.
        auprc_positive: average precision for the positives (*error*, *out*); ``prevalence`` if the score knows nothing.
        auprc_negative: average precision of the negated score for the negatives (*success*, *in*); 1 - prevalence.
        prevalence: share of positives.
        fpr_at_95_tpr: share of the negatives that is rejected where 95 % of the positives are.
        detection_error: smallest mean of the two error rates.

    Source: ours
    """

    auroc: float
    auprc_positive: float
    auprc_negative: float
    prevalence: float
    fpr_at_95_tpr: float
    detection_error: float


def detection_curve(scores: Tensor, positive: Tensor) -> DetectionCurve:
    """Return what each threshold rejects.

        true(t) = #{positive, s >= t} / #positive,   false(t) = #{negative, s >= t} / #negative

    Args:
        scores: larger = to be rejected, shape (N,), without NaN.
        positive: what should be rejected, shape (N,), bool.

    Returns:
        The curve in the dtype of the scores.

    Raises:
        ParameterError: if these are no scores, or one of the two sets is empty.

    Example:
        >>> detection_curve(torch.tensor([0.9, 0.4, 0.4]), torch.tensor([True, True, False])).true_positive_rate
        tensor([0.0000, 0.5000, 1.0000])

    Source: [hendrycks2017baseline], the protocol
    """
    threshold, hits, false = _rejected(scores, positive)
    precision = torch.cat([hits.new_ones(1).double(), hits[1:].double() / (hits + false)[1:]])
    rates = (hits / hits[-1].double(), false / false[-1].double(), precision)
    return DetectionCurve(threshold, *(rate.to(scores.dtype) for rate in rates))


def auroc(scores: Tensor, positive: Tensor) -> Tensor:
    """Return the area under the true-positive rate over the false-positive rate.

        AUROC = (sum of mid-ranks of the positives - n1 (n1 + 1) / 2) / (n1 n0)

    Args:
        scores: larger = to be rejected, shape (N,), without NaN.
        positive: what should be rejected, shape (N,), bool.

    Returns:
        Shape (), in the dtype of the scores; 0.5 for a constant score.

    Raises:
        ParameterError: if these are no scores, or one of the two sets is empty.

    Example:
        >>> auroc(torch.tensor([0.9, 0.4, 0.4, 0.1]), torch.tensor([True, True, False, False]))
        tensor(0.8750)

    Source: [hendrycks2017baseline], area under the receiver operating characteristic
    """
    found = rising(scores)
    up_to, ends = found.sums(require_marks(positive, scores)), found.ends
    n1, n0 = int(up_to[-1]), len(scores) - int(up_to[-1])
    ranks = ends.clone()  # twice the mid-rank of each block, less 1
    ranks[1:] += ends[:-1]
    twice = (differences(up_to) * ranks).sum() + n1 - n1 * (n1 + 1)
    return (twice.double() / (2 * n1 * n0)).to(scores.dtype)


def auprc(scores: Tensor, positive: Tensor) -> Tensor:
    """Return the area under precision over recall, in steps (average precision).

        AUPRC = sum_k (true_k - true_{k-1}) precision_k

    No straight lines are drawn between thresholds, which would promise precisions that no threshold has.

    Args:
        scores: larger = to be rejected, shape (N,), without NaN.
        positive: what should be rejected, shape (N,), bool. For the other side (*in*, *success*) negate both.

    Returns:
        Shape (), in the dtype of the scores; the share of positives for a constant score.

    Raises:
        ParameterError: if these are no scores, or one of the two sets is empty.

    Example:
        >>> auprc(torch.tensor([0.9, 0.4, 0.4, 0.1]), torch.tensor([True, True, False, False]))
        tensor(0.8333)

    Source: [hendrycks2017baseline], area under precision and recall; steps instead of trapezoids are ours
    """
    _, hits, false = _rejected(scores, positive)
    precision = hits[1:].double() / (hits + false)[1:]
    return ((hits.diff() * precision).sum() / hits[-1]).to(scores.dtype)


def fpr_at_tpr(scores: Tensor, positive: Tensor, *, tpr: float = 0.95) -> Tensor:
    """Return the share of the negatives that is rejected when enough of the positives are.

        min { false(t) : true(t) >= tpr }

    Args:
        scores: larger = to be rejected, shape (N,), without NaN.
        positive: what should be rejected, shape (N,), bool.
        tpr: share of the positives that must be found, in (0, 1].

    Returns:
        Shape (), in the dtype of the scores; 0 for a perfect score, 1 for a constant one.

    Raises:
        ParameterError: if these are no scores, one of the two sets is empty, or tpr is out of range.

    Example:
        >>> fpr_at_tpr(torch.tensor([0.9, 0.4, 0.4, 0.1]), torch.tensor([True, True, False, False]))
        tensor(0.5000)

    Source: [liang2018odin], false positives at 95 % true ones
    """
    found, false = _rates(scores, positive)
    return false[_enough(found, tpr)].min().to(scores.dtype)


def detection_error(scores: Tensor, positive: Tensor, *, share: float = 0.5, tpr: float | None = None) -> Tensor:
    """Return how often the best threshold is wrong, if a share of the inputs is positive.

        error = min over t of share (1 - true(t)) + (1 - share) false(t)

    Args:
        scores: larger = to be rejected, shape (N,), without NaN.
        positive: what should be rejected, shape (N,), bool.
        share: of positives among the inputs to come, in [0, 1].
        tpr: ``None`` for the best of all thresholds; a number takes the threshold of ``fpr_at_tpr`` instead.

    Returns:
        Shape (), in the dtype of the scores; at most 0.5 for the default share.

    Raises:
        ParameterError: if these are no scores, one of the two sets is empty, or a share is out of range.

    Example:
        >>> detection_error(torch.tensor([0.9, 0.4, 0.4, 0.1]), torch.tensor([True, True, False, False]))
        tensor(0.2500)

    Source: [liang2018odin], detection error; the minimum over thresholds as in [lee2018mahalanobis]
    """
    if not 0 <= share <= 1:
        raise ParameterError(f"share is that of positives among the inputs and must be in [0, 1], got {share}")
    found, false = _rates(scores, positive)
    error = share * (1 - found) + (1 - share) * false
    return (error.min() if tpr is None else error[_enough(found, tpr).nonzero()[0, 0]]).to(scores.dtype)


def detection_report(scores: Tensor, positive: Tensor) -> DetectionReport:
    """Return all measures of this module.

    Args:
        scores: larger = to be rejected, shape (N,), without NaN.
        positive: what should be rejected, shape (N,), bool.

    Returns:
        The report, as numbers.

    Raises:
        ParameterError: if these are no scores, or one of the two sets is empty.

    Example:
        >>> detection_report(torch.tensor([0.9, 0.4, 0.4, 0.1]), torch.tensor([True, True, False, False])).auroc
        0.875

    Source: [hendrycks2017baseline], the protocol; false positives and detection error from [liang2018odin]
    """
    return DetectionReport(
        auroc=float(auroc(scores, positive)),
        auprc_positive=float(auprc(scores, positive)),
        auprc_negative=float(auprc(-scores, ~positive)),
        prevalence=float(positive.double().mean()),
        fpr_at_95_tpr=float(fpr_at_tpr(scores, positive)),
        detection_error=float(detection_error(scores, positive)),
    )


def _blocks(scores: Tensor, positive: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return each distinct score, rising, and how many positives and negatives have it."""
    found = rising(scores)
    positives = differences(found.sums(require_marks(positive, scores)))
    return found.sorted(scores.detach())[found.ends - 1], positives, found.sizes - positives


def _rejected(scores: Tensor, positive: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the thresholds, falling from infinity, and how many positives and negatives each rejects, (M + 1,)."""
    values, positives, negatives = _blocks(scores, positive)
    hits, false = (torch.cat([count.new_zeros(1), count.flip(0).cumsum(0)]) for count in (positives, negatives))
    return torch.cat([values.new_full((1,), torch.inf), values.flip(0)]), hits, false


def _rates(scores: Tensor, positive: Tensor) -> tuple[Tensor, Tensor]:
    """Return the true- and the false-positive rate at every threshold, float64."""
    _, hits, false = _rejected(scores, positive)
    return hits / hits[-1].double(), false / false[-1].double()


def _enough(found: Tensor, tpr: float) -> Tensor:
    """Return at which thresholds enough of the positives are found."""
    if not 0 < tpr <= 1:
        raise ParameterError(f"tpr is the share of positives that must be found and must be in (0, 1], got {tpr}")
    return found >= tpr - 1e-12  # 57 of 60 are 95 %, whatever the rounding of 0.95
