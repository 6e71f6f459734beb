"""What chance alone would do: labels drawn from the confidences themselves.

If every confidence were honest, an example with confidence r would come true with probability r. Drawing such labels
again and again shows how far from the diagonal a perfect forecaster lands with these very confidences, and how often it
looks as bad as the one at hand.

    null_hits           (R, B) hits in each bin, R times
    calibration_test    how many of them have an error as large as the one observed

Departs from Bröcker and Smith, who draw the forecasts anew as well: here they stay, so that bins and counts do.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.networks.layered import require_counts
from weightlore.uncertainty.calibration.binning import Binning, Partition, few_examples, partition
from weightlore.uncertainty.calibration.forecasts import Target, judged
from weightlore.uncertainty.calibration.gaps import binned, distance, sums
from weightlore.uncertainty.measures.members import Members

__all__ = ["CalibrationTest", "calibration_test", "null_hits"]


@dataclass(frozen=True, eq=False)
class CalibrationTest:
    """Whether an error is larger than chance explains.

    Args:
        observed: the calibration error of the labels at hand, shape ().
        null: that of labels drawn from the confidences, shape (R,), float64.
        p_value: share of these, the observed one included, that are at least as large; a small one speaks against
            calibration.

    Source: [vaicenavicius2019evaluating], consistency resampling
    """

    observed: Tensor
    null: Tensor
    p_value: float


def null_hits(confidence: Tensor, parts: Partition, *, generator: torch.Generator, resamples: int = 1000) -> Tensor:
    """Return how many examples of each bin come true when their confidences are honest.

        c_i ~ Bernoulli(r_i) for every example, R times

    Args:
        confidence: r, shape (N,).
        parts: which bin each of them is in.
        generator: of the labels; it advances.
        resamples: R.

    Returns:
        Counts, shape (R, B), float64.

    Raises:
        ParameterError: if resamples is not a whole number of at least 1.

    Source: [brocker2007reliability], consistency resampling; only labels are drawn
    """
    require_counts(resamples=resamples)
    confidence, size = confidence.double().to(generator.device), len(parts.counts)
    number, counts = parts.number.to(generator.device), []
    for _ in range(resamples):
        draws = torch.rand(len(confidence), generator=generator, dtype=torch.float64, device=generator.device)
        counts.append(sums(number, draws < confidence, size))
    return torch.stack(counts).to(parts.number.device)


def calibration_test(
    p: Members,
    y: Tensor,
    *,
    generator: torch.Generator,
    resamples: int = 1000,
    bins: int = 15,
    norm: float = 1.0,
    binning: Binning = "width",
    target: Target = "top",
) -> CalibrationTest:
    """Return whether the calibration error is larger than chance explains.

        p-value = (1 + #{r: ECE_r >= ECE}) / (1 + R),   ECE_r of labels drawn from the confidences

    Under calibration a p-value below a comes up with probability a, for any number of bins and examples.

    Args:
        p: as in ``expected_calibration_error``.
        y: likewise.
        generator: of the labels; it advances.
        resamples: R.
        bins: as in ``expected_calibration_error``.
        norm: likewise.
        binning: likewise.
        target: likewise.

    Returns:
        The error, R errors of a perfect forecaster, and the p-value.

    Raises:
        ParameterError: as ``expected_calibration_error``, or if resamples is not a whole number of at least 1.

    Example:
        >>> p, y = torch.full((500,), 0.9), torch.arange(500) % 2  # right half of the time
        >>> g = torch.Generator().manual_seed(0)
        >>> calibration_test(p, y, generator=g, resamples=99, target="binary").p_value
        0.01

    Source: [vaicenavicius2019evaluating], consistency resampling
    """
    of = judged(p, y, target=target)
    parts = partition(of.confidence, bins, binning)
    few_examples(len(y), bins)
    found = binned(of, bins, binning)
    came = null_hits(of.confidence, parts, generator=generator, resamples=resamples)
    gaps = (came / parts.counts - found.confidence).nan_to_num(nan=0.0)
    observed, null = found.distance(norm), distance(gaps, parts.weights, norm)
    beyond = int((null >= observed * (1 - 1e-12)).sum())  # an equal error counts, whatever the order of its sum
    return CalibrationTest(observed.to(of.confidence.dtype), null, (1 + beyond) / (1 + resamples))
