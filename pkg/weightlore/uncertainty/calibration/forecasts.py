"""What calibration judges: a confidence for each example, and whether it came true.

A network that gives class probabilities says many things at once, and each may be honest or not. *Top label*: the
largest probability, which comes true if that class is the right one. *Binary*: the probability of class 1, which comes
true if the label is 1. The two are different quantities, so the target is named and never guessed from the data.

    forecast_of(p)           pbar (N, C), the mean of the members
    confidence_of(p)         r (N,): the largest probability, or that of class 1
    judged(p, y)             r and c (N,): was it right?
    two_classes(p)           (N, 2) from the probabilities of class 1
    dtype_of(p)              in which the answer is given
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from weightlore.errors import ParameterError, require_option
from weightlore.uncertainty.measures.members import TOLERANCE, Members, members_of, require_observed, require_probs

__all__ = ["Judged", "Target", "confidence_of", "dtype_of", "forecast_of", "judged", "two_classes"]

Target = Literal["top", "binary"]
SHORT = 32  # classes
TIED = 0.51  # more than two classes can have each, even if a 16-bit row sums to 1.01


@dataclass(frozen=True, eq=False)
class Judged:
    """A confidence for each example, and whether it came true.

    Args:
        confidence: r, shape (N,), in [0, 1].
        hit: c, shape (N,), boolean.

    Source: ours
    """

    confidence: Tensor
    hit: Tensor


def forecast_of(p: Members) -> Tensor:
    """Return the class probabilities that are judged: what the members say together.

        pbar = 1/S sum_s p_s

    Args:
        p: probabilities, shape (N, C), or (S, N, C) of members, or a prediction that holds them.

    Returns:
        pbar, shape (N, C), without gradient; in float32 where the dtype has 16 bits.

    Raises:
        ParameterError: if these are no probabilities.

    Source: [gawlikowski2023uncertainty], the predictive distribution as an average over parameters
    """
    if isinstance(p, Tensor) and p.ndim == 2:
        probs = p.detach() if _sound(p.detach()) else require_probs(p.detach())
    else:
        members = members_of(p).detach()
        probs = members[0] if len(members) == 1 else members.mean(0)
    return probs.float() if probs.dtype in (torch.float16, torch.bfloat16) else probs


def confidence_of(p: Members, target: Target = "top") -> Tensor:
    """Return the number that calibration is about.

        r = max_k pbar_k   or   pbar_1

    Args:
        p: probabilities, as in ``forecast_of``; for ``"binary"`` of two classes, or those of class 1 alone, shape (N,).
        target: ``"top"`` for the largest probability, ``"binary"`` for that of class 1.

    Returns:
        r, shape (N,).

    Raises:
        ParameterError: if these are no probabilities, or not of two classes for ``"binary"``.

    Source: [guo2017calibration], section 2, for the top label
    """
    require_option("target", target, Target)
    if target == "top":
        _require_classes(p)
        return _largest(forecast_of(p))
    probs = forecast_of(two_classes(p))
    if probs.shape[1] != 2:
        raise ParameterError(
            f'target="binary" judges the probability of class 1 of two, got {probs.shape[1]} classes; '
            'use target="top", or pick a class: p[:, k] with y == k'
        )
    return probs[:, 1]


def judged(p: Members, y: Tensor, *, target: Target = "top") -> Judged:
    """Return the confidences with what became of them.

        top      r = max_k pbar_k,   c = 1[argmax_k pbar_k = y]    (the first of equals)
        binary   r = pbar_1,         c = 1[y = 1]

    Args:
        p: probabilities, as in ``confidence_of``.
        y: class numbers, shape (N,), int64.
        target: which of the two.

    Returns:
        Confidences and hits.

    Raises:
        ParameterError: if these are no probabilities, or y are no class numbers of theirs.

    Example:
        >>> judged(torch.tensor([[0.7, 0.3], [0.4, 0.6]]), torch.tensor([0, 0])).hit
        tensor([ True, False])

    Source: [guo2017calibration], section 2, for the top label
    """
    require_option("target", target, Target)
    if target == "binary":
        confidence = confidence_of(p, target)
        require_observed(y, tuple(confidence.shape), 2)
        return Judged(confidence, y == 1)
    _require_classes(p)
    probs = forecast_of(p)
    require_observed(y, (len(probs),), probs.shape[1])
    confidence = _largest(probs)
    hit = probs.gather(1, y[:, None])[:, 0] == confidence  # a third of the time of argmax, but for equals:
    tied = (hit & (confidence <= TIED)).nonzero()[:, 0]  # only there can another class have as much
    rows = probs[tied]
    if int((rows == confidence[tied, None]).sum()) > len(tied):
        hit[tied] = rows.argmax(1) == y[tied]
    return Judged(confidence, hit)


def two_classes(p: Members) -> Members:
    """Return probabilities of both classes from those of class 1; anything else comes back as it is.

        (1 - p, p)

    Args:
        p: probabilities of class 1, shape (N,), or of all classes in any form.

    Returns:
        Shape (N, 2).

    Raises:
        ParameterError: if numbers of shape (N,) are not between 0 and 1.

    Source: ours, because binary forecasts come as one number
    """
    if not isinstance(p, Tensor) or p.ndim != 1:
        return p
    if not p.is_floating_point() or not bool(((p >= 0) & (p <= 1)).all()):
        raise ParameterError(
            f"probabilities of class 1 are floating and between 0 and 1, got {p.dtype} with entries outside or NaN; "
            "if these are logits, take their sigmoid"
        )
    return torch.stack([1 - p, p], 1)


def dtype_of(p: Members) -> torch.dtype:
    """Return the dtype of probabilities: sums are taken in float64, and the answer is given in the dtype of the caller.

    Args:
        p: probabilities, or a prediction that holds them.

    Source: ours
    """
    return (p if isinstance(p, Tensor) else p.probs).dtype


def _require_classes(p: Members) -> None:
    if isinstance(p, Tensor) and p.ndim == 1:
        raise ParameterError(
            f'target="top" needs the probabilities of all classes, shape (N, C), got {tuple(p.shape)}; '
            'for those of class 1 alone say target="binary"'
        )


def _sound(probs: Tensor) -> bool:
    """Say in two passes over memory whether these are probabilities; a no is explained by ``require_probs``."""
    if not probs.is_floating_point() or probs.numel() == 0:
        return False
    low, high = (probs @ probs.new_ones(probs.shape[1])).aminmax()  # of the sums; faster than a sum over few classes
    off = TOLERANCE.get(probs.dtype, 1e-2)
    return bool(probs.min() >= 0) and 1 - off <= float(low) <= float(high) <= 1 + off


def _largest(probs: Tensor) -> Tensor:
    """Return the largest entry of each row, (N,); pooling scans short rows in two thirds of the time of a maximum."""
    classes = probs.shape[1]
    return functional.max_pool1d(probs.reshape(1, -1), classes)[0] if classes < SHORT else probs.amax(1)
