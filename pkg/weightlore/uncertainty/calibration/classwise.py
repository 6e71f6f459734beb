"""Calibration of every class, not of the winner alone: the probability of class k against how often class k came.

    class_errors                   the binary error of each class, (C,)
    classwise_ece                  their mean
    static_calibration_error       SCE, the same with the first norm: two papers, one number
    adaptive_calibration_error     ACE: bins of equal mass, all of the same weight
    thresholded_ace                TACE: the same without the many probabilities near zero

With many classes nearly all probabilities are nearly zero, and so are their gaps: these measures shrink like 1/C, and
can only be compared for the same number of classes.
"""

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration.binning import Binning, few_examples
from weightlore.uncertainty.calibration.forecasts import Judged, dtype_of, forecast_of
from weightlore.uncertainty.calibration.gaps import binned
from weightlore.uncertainty.measures.members import Members, require_observed

__all__ = [
    "adaptive_calibration_error",
    "class_errors",
    "classwise_ece",
    "static_calibration_error",
    "thresholded_ace",
]


def class_errors(
    p: Members, y: Tensor, *, bins: int = 15, norm: float = 1.0, binning: Binning = "width", threshold: float = 0.0
) -> Tensor:
    """Return the calibration error of each class by itself.

        e_k = (sum_b w_kb |frequency of class k - mean p_k|^p)^(1/p) over the bins of p_k

    Args:
        p: probabilities, shape (N, C), or (S, N, C) of members, or a prediction that holds them.
        y: class numbers, shape (N,), int64.
        bins: B for each class.
        norm: p, at least 1; ``inf`` for the largest gap.
        binning: bins of equal ``"width"`` with weights n_b / N, or of equal ``"mass"`` with equal weights.
        threshold: only probabilities above it are judged, in [0, 1); 0 for all, zeros included.

    Returns:
        e, shape (C,); 0 for a class without a probability above the threshold.

    Raises:
        ParameterError: if these are no probabilities and class numbers, or an option is out of range.

    Example:
        >>> p = torch.tensor([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]])
        >>> class_errors(p, torch.tensor([0, 1]), bins=1)
        tensor([0.0000, 0.2500, 0.2500])

    Source: [kull2019dirichlet], classwise ECE; [nixon2019measuring], mass and threshold
    """
    probs = forecast_of(p)
    require_observed(y, (len(probs),), probs.shape[1])
    if not 0 <= threshold < 1:
        raise ParameterError(f"threshold is a probability in [0, 1), above which entries are judged, got {threshold!r}")
    found = []
    for k in range(probs.shape[1]):
        of = Judged(probs[:, k].contiguous(), y == k)
        if threshold > 0:
            keep = of.confidence > threshold
            of = Judged(of.confidence[keep], of.hit[keep])
        error = binned(of, bins, binning).distance(norm) if len(of.hit) else probs.new_zeros((), dtype=torch.float64)
        found.append(error)
    return torch.stack(found).to(dtype_of(p))


def classwise_ece(p: Members, y: Tensor, *, bins: int = 15, norm: float = 1.0) -> Tensor:
    """Return the mean over classes of the binary calibration error.

        1/C sum_k (sum_b n_kb/N |frequency of class k - mean p_k|^p)^(1/p)

    Args:
        p: as in ``class_errors``.
        y: likewise.
        bins: of equal width, B for each class.
        norm: p, at least 1.

    Returns:
        Shape (), in [0, 1].

    Raises:
        ParameterError: as ``class_errors``.

    Example:
        >>> p = torch.tensor([[0.75, 0.25], [0.75, 0.25]])
        >>> classwise_ece(p, torch.tensor([0, 0]), bins=1)
        tensor(0.2500)

    Source: [kull2019dirichlet], classwise ECE; norms other than 1 are ours
    """
    few_examples(len(y), bins)
    return class_errors(p, y, bins=bins, norm=norm).mean()


def static_calibration_error(p: Members, y: Tensor, *, bins: int = 15) -> Tensor:
    """Return SCE: gaps of all classes in bins of equal width.

        SCE = 1/C sum_k sum_b n_kb/N |frequency of class k - mean p_k|

    This is ``classwise_ece`` with the first norm, published twice.

    Args:
        p: as in ``class_errors``.
        y: likewise.
        bins: of equal width, B for each class.

    Returns:
        SCE, shape (), in [0, 1].

    Raises:
        ParameterError: as ``class_errors``.

    Example:
        >>> p = torch.tensor([[0.75, 0.25], [0.75, 0.25]])
        >>> static_calibration_error(p, torch.tensor([0, 1]), bins=1)
        tensor(0.2500)

    Source: [nixon2019measuring], SCE
    """
    few_examples(len(y), bins)
    return class_errors(p, y, bins=bins).mean()


def adaptive_calibration_error(p: Members, y: Tensor, *, bins: int = 15) -> Tensor:
    """Return ACE: gaps of all classes in bins of equal mass.

        ACE = 1/(C R) sum_k sum_r |frequency of class k - mean p_k|,   R ranges with equally many examples

    Equal probabilities are never parted: ranges that would part them are one bin, which has the weight of all it took
    in. So a constant forecast has one bin, and its error is the gap; parted at random it would be noise.

    Args:
        p: as in ``class_errors``.
        y: likewise.
        bins: R for each class.

    Returns:
        ACE, shape (), in [0, 1].

    Raises:
        ParameterError: as ``class_errors``.

    Example:
        >>> adaptive_calibration_error(torch.full((400, 2), 0.5), torch.arange(400) % 4 // 3)
        tensor(0.2500)

    Source: [nixon2019measuring], ACE; that equals stay together is ours
    """
    few_examples(len(y), bins)
    return class_errors(p, y, bins=bins, binning="mass").mean()


def thresholded_ace(p: Members, y: Tensor, *, bins: int = 15, threshold: float = 1e-3) -> Tensor:
    """Return TACE: ACE of the probabilities above a threshold.

    The bins of a class are made from what is left of it. A class without any contributes 0, and still counts.

    Args:
        p: as in ``class_errors``.
        y: likewise.
        bins: R for each class.
        threshold: probabilities up to it are left out, in [0, 1); with 0 it is ACE.

    Returns:
        TACE, shape (), in [0, 1].

    Raises:
        ParameterError: as ``class_errors``.

    Example:
        >>> p = torch.tensor([[1.0, 0.0], [0.5, 0.5]])
        >>> thresholded_ace(p, torch.tensor([0, 0]), bins=1)
        tensor(0.3750)

    Source: [nixon2019measuring], TACE
    """
    few_examples(len(y), bins)
    return class_errors(p, y, bins=bins, binning="mass", threshold=threshold).mean()
