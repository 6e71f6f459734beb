"""One number for the distance between confidence and frequency, and how large it is when nothing is wrong.

    expected_calibration_error    ECE: mean |frequency - confidence| over bins, or another norm
    maximum_calibration_error     MCE: the largest of them
    ece_noise_floor               what the ECE of a perfect forecaster is on so many examples
    debiased_ce                   squared distance, less what chance adds; may be negative

The error of a finite sample is positive even if calibration is perfect, and it grows with the number of bins. So an
ECE of 0.02 says nothing without its noise floor [brocker2007reliability] [kumar2019verified].

Other libraries, and where their numbers differ for a reason. torchmetrics 1.9 puts a confidence of exactly 1 into a bin
of its own. netcal 1.4 takes labels of at most two different values for a binary problem, and then refuses more than two
classes; its ``ACE`` is the mean gap of the top label over the bins of equal width that are not empty, and not that of
[nixon2019measuring]. The adaptive error of torch-uncertainty is the ECE with ``binning="mass"``.
"""

import math

from torch import Tensor

from weightlore.uncertainty.calibration.binning import Binning, few_examples, partition
from weightlore.uncertainty.calibration.forecasts import Target, confidence_of, dtype_of, judged
from weightlore.uncertainty.calibration.gaps import Bins, binned, sums
from weightlore.uncertainty.measures.members import Members

__all__ = ["debiased_ce", "ece_noise_floor", "expected_calibration_error", "maximum_calibration_error"]


def expected_calibration_error(
    p: Members,
    y: Tensor,
    *,
    bins: int = 15,
    norm: float = 1.0,
    binning: Binning = "width",
    target: Target = "top",
) -> Tensor:
    """Return how far confidence and frequency are apart, on average over bins.

        ECE = (sum_b n_b/N |frequency_b - confidence_b|^p)^(1/p)

    Args:
        p: probabilities, shape (N, C), or (S, N, C) of members, or a prediction that holds them; for
            ``target="binary"`` of two classes, or those of class 1, shape (N,).
        y: class numbers, shape (N,), int64.
        bins: B. More bins see more, and more noise.
        norm: p, at least 1; ``inf`` for the largest gap.
        binning: bins of equal ``"width"``, or of equal ``"mass"``.
        target: the ``"top"`` label, or the probability of class 1 (``"binary"``): two different questions.

    Returns:
        ECE, shape (), in [0, 1]. Compare it with ``ece_noise_floor``.

    Raises:
        ParameterError: if these are no probabilities and class numbers, or an option is out of range.

    Example:
        >>> import torch
        >>> expected_calibration_error(torch.tensor([0.95, 1.0]), torch.tensor([1, 0]), bins=1, target="binary")
        tensor(0.4750)

    Source: [naeini2015bbq], ECE; the top label as in [guo2017calibration], Eq. (3)
    """
    found = _bins(p, y, bins, binning, target)
    return found.distance(norm).to(dtype_of(p))


def maximum_calibration_error(
    p: Members, y: Tensor, *, bins: int = 15, binning: Binning = "width", target: Target = "top"
) -> Tensor:
    """Return how far confidence and frequency are apart in the worst bin.

        MCE = max over the bins that hold an example of |frequency_b - confidence_b|

    A bin with few examples is the worst by chance: look at the counts.

    Args:
        p: as in ``expected_calibration_error``.
        y: likewise.
        bins: likewise.
        binning: likewise.
        target: likewise.

    Returns:
        MCE, shape (), in [0, 1], at least the ECE.

    Raises:
        ParameterError: as ``expected_calibration_error``.

    Example:
        >>> import torch
        >>> maximum_calibration_error(torch.tensor([0.25, 1.0]), torch.tensor([0, 0]), bins=2, target="binary")
        tensor(1.)

    Source: [naeini2015bbq], MCE
    """
    found = _bins(p, y, bins, binning, target)
    return found.distance(math.inf).to(dtype_of(p))


def ece_noise_floor(p: Members, *, bins: int = 15, binning: Binning = "width", target: Target = "top") -> Tensor:
    """Return the ECE that a perfectly calibrated forecaster with these confidences has by chance.

        E|frequency_b - confidence_b| ~ sqrt(2 r (1 - r) / (pi n_b)),   r the mean confidence of the bin

    weighted like the ECE. The labels are not needed: chance alone makes the gap. It falls like 1 / sqrt(N).

    Args:
        p: as in ``expected_calibration_error``.
        bins: likewise.
        binning: likewise.
        target: likewise.

    Returns:
        The floor, shape (): an ECE of that size is no evidence of miscalibration.

    Raises:
        ParameterError: as ``expected_calibration_error``.

    Example:
        >>> import torch
        >>> ece_noise_floor(torch.full((10_000,), 0.5), target="binary")
        tensor(0.0040)

    Source: ours, because the mean of n_b hits is nearly normal; the same null as in [brocker2007reliability]
    """
    confidence = confidence_of(p, target)
    parts = partition(confidence, bins, binning)
    said = sums(parts.number, confidence, len(parts.counts))
    mean = (said / parts.counts).nan_to_num(nan=0.0).clamp(0, 1)  # an empty bin contributes nothing
    chance = (2 * mean * (1 - mean) / (math.pi * parts.counts.clamp(min=1))).sqrt()
    return (parts.weights * chance).sum().to(dtype_of(p))


def debiased_ce(p: Members, y: Tensor, *, bins: int = 15, binning: Binning = "width", target: Target = "top") -> Tensor:
    """Return the squared calibration error without what chance adds to it.

        sum_b n_b/N [ (a_b - r_b)^2 - a_b (1 - a_b) / (n_b - 1) ],   a frequency, r mean confidence

    The subtrahend estimates the variance of a_b without bias, so that a perfect forecaster gets zero on average, and
    less than zero every other time. Bins with fewer than two examples are left out.

    Args:
        p: as in ``expected_calibration_error``.
        y: likewise.
        bins: likewise.
        binning: likewise.
        target: likewise.

    Returns:
        An estimate of the squared error, shape (); negative where chance alone would explain more.

    Raises:
        ParameterError: as ``expected_calibration_error``.

    Example:
        >>> import torch
        >>> debiased_ce(torch.full((4,), 0.5), torch.tensor([0, 0, 1, 1]), bins=1, target="binary")
        tensor(-0.0833)

    Source: [kumar2019verified], debiased estimator
    """
    found = _bins(p, y, bins, binning, target)
    enough = found.counts >= 2
    count, a = found.counts[enough].double(), found.frequency[enough]
    terms = found.gaps[enough].square() - a * (1 - a) / (count - 1)
    return (count / found.counts.sum() * terms).sum().to(dtype_of(p))


def _bins(p: Members, y: Tensor, bins: int, binning: Binning, target: Target) -> Bins:
    of = judged(p, y, target=target)
    found = binned(of, bins, binning)
    few_examples(len(y), bins, stacklevel=4)
    return found
