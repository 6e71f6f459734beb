"""Calibration by a kernel: pairs of examples with about the same confidence should not err in the same direction.

mmce         the error as a measure, in N log N operations and without a matrix of pairs
mmce_loss    the same as a penalty for training, differentiable in the logits, also with both kinds of examples weighed

MMCE^2 = 1/N^2 sum_ij (c_i - r_i) (c_j - r_j) k(r_i, r_j),   k = exp(-|r_i - r_j| / width)
"""

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration.forecasts import Target, dtype_of, judged
from weightlore.uncertainty.calibration.logits import root_of, top_of
from weightlore.uncertainty.measures.members import Members

__all__ = ["mmce", "mmce_loss"]

NARROWEST = 1 / 500  # exp(1 / width) must be a number
LARGEST_BATCH = 8192  # a matrix of pairs in float64 then takes half a gigabyte


def mmce(p: Members, y: Tensor, *, width: float = 0.4, target: Target = "top") -> Tensor:
    """Return the maximum mean calibration error of a kernel that sees differences of confidence up to a width.

        MMCE = sqrt( 1/N^2 sum_ij (c_i - r_i) (c_j - r_j) exp(-|r_i - r_j| / width) )

    In the order of confidence the kernel of a pair is a product of two numbers, exp(r_i / width) exp(-r_j / width), so
    that the sum over pairs is one running sum.

    Args:
        p: as in ``expected_calibration_error``.
        y: likewise.
        width: of the kernel, at least 0.002.
        target: as in ``expected_calibration_error``.

    Returns:
        MMCE, shape (), in [0, 1]; 0 only if every confidence is exactly what came.

    Raises:
        ParameterError: as ``expected_calibration_error``, or if the kernel is too narrow.

    Example:
        >>> mmce(torch.full((2, 2), 0.5), torch.tensor([0, 0]))
        tensor(0.5000)

    Source: [kumar2018mmce], the empirical error and its kernel; as a measure in [widmann2019tests]
    """
    _require_width(width)
    of = judged(p, y, target=target)
    r, order = of.confidence.double().sort()
    gap, scaled = of.hit[order].double() - r, r / width
    before = (gap * scaled.exp()).cumsum(0) * (-scaled).exp() - gap  # sum over j < i of gap_j k(r_i, r_j)
    squared = (gap * gap).sum() + 2 * (gap * before).sum()
    return (squared.clamp(min=0).sqrt() / len(r)).to(dtype_of(p))


def mmce_loss(logits: Tensor, y: Tensor, *, width: float = 0.4, weighted: bool = False) -> Tensor:
    """Return the kernel's calibration error of a batch, to be added to the cross-entropy with a strength.

        sqrt( sum_ij a_i a_j (c_i - r_i) (c_j - r_j) exp(-|r_i - r_j| / width) ),   a = 1/N

    Weighted, a is one over the number of right examples for a right one and over that of wrong ones for a wrong one:
    where nearly all are right, the few wrong ones still count for half. The gradient flows through the confidences r
    only; c is what it is. Where the error is exactly zero the gradient is zero.

    Args:
        logits: shape (N, C), N at most 8,192.
        y: class numbers, shape (N,), int64.
        width: of the kernel, > 0.
        weighted: whether right and wrong examples have the same weight in sum.

    Returns:
        The penalty, shape (), at least 0.

    Raises:
        ParameterError: if these are no logits and class numbers, the batch is larger, or the width is out of range.

    Example:
        >>> mmce_loss(torch.zeros(2, 2), torch.tensor([0, 0]))
        tensor(0.5000)

    Source: [kumar2018mmce], MMCE and its weighted variant
    """
    _require_width(width)
    r, hit = top_of(logits, y)
    if len(r) > LARGEST_BATCH:
        raise ParameterError(
            f"the penalty compares all pairs and takes at most {LARGEST_BATCH} examples at once, got {len(r)}; give it "
            "smaller batches, or use mmce as a measure, which needs no pairs"
        )
    share = torch.where(hit, hit.sum(), (~hit).sum()) if weighted else torch.full_like(hit, len(r), dtype=torch.int64)
    gap = (hit.to(r) - r) / share
    squared = gap @ (torch.exp(-(r[:, None] - r).abs() / width) @ gap)
    return root_of(squared)


def _require_width(width: float) -> None:
    if isinstance(width, bool) or not isinstance(width, int | float) or not NARROWEST <= width < float("inf"):
        raise ParameterError(
            f"width is that of a kernel over confidences and must be a number of at least {NARROWEST}, got {width!r}; "
            "the usual one is 0.4"
        )
