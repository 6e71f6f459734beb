"""Class probabilities of S members: what every measure of this chapter takes.

Members are samples of the weights, networks of an ensemble, passes with dropout or augmented views of an input. Their
axis comes first, (S, N, C); one network is S = 1.

    HasProbs            an object with ``probs``, such as a ``CategoricalPrediction``
    Members             a tensor (S, N, C) or (N, C), or such an object
    members_of          -> the tensor (S, N, C), checked
    mean_of             -> pbar (N, C), the mean of the members
    logits_of           logits (S, N, C) or (N, C) -> (S, N, C), checked
    nats_in             how many nats the unit of a base has
    alone               warns when a measure of disagreement gets one member only
    require_probs       the check by itself, for any number of axes
    require_observed    are these N class numbers among the C classes?
"""

import math
import warnings
from typing import Protocol

import torch
from torch import Tensor

from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = [
    "HasProbs",
    "Members",
    "alone",
    "logits_of",
    "mean_of",
    "members_of",
    "nats_in",
    "require_observed",
    "require_probs",
]

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-4}  # how far a row may be from 1; others, of 16 bits, 1e-2


class HasProbs(Protocol):
    """An object that holds class probabilities of members.

    Source: ours, because measures take raw tensors and containers alike
    """

    @property
    def probs(self) -> Tensor:
        """Probabilities, shape (S, N, C)."""
        ...


Members = Tensor | HasProbs


def members_of(p: Members) -> Tensor:
    """Return the probabilities of the members with their axis first.

    Args:
        p: probabilities, shape (S, N, C), or (N, C) for S = 1; or an object that holds them as ``probs``.

    Returns:
        The same numbers, shape (S, N, C), in their dtype and with their gradient.

    Raises:
        ParameterError: if there are no such rows, an entry is negative or not finite, or a row does not sum to 1.

    Example:
        >>> members_of(torch.tensor([[0.5, 0.5], [0.9, 0.1]])).shape
        torch.Size([1, 2, 2])

    Source: ours, because one convention of axes serves all measures
    """
    probs = p if isinstance(p, Tensor) else getattr(p, "probs", None)
    if not isinstance(probs, Tensor) or probs.ndim not in (2, 3):
        came = tuple(probs.shape) if isinstance(probs, Tensor) else type(p).__name__
        raise ParameterError(
            f"probabilities must have shape (S, N, C), or (N, C) for one member, or be the probs of a prediction, "
            f"got {came}; maps of pixels belong to the segmentation module"
        )
    require_probs(probs)
    return probs if probs.ndim == 3 else probs[None]


def mean_of(p: Members) -> Tensor:
    """Return what the members say together.

        pbar = 1/S sum_s p_s

    Args:
        p: probabilities of the members.

    Returns:
        pbar, shape (N, C).

    Raises:
        ParameterError: as ``members_of``.

    Example:
        >>> mean_of(torch.tensor([[[1.0, 0.0]], [[0.5, 0.5]]]))
        tensor([[0.7500, 0.2500]])

    Source: [gawlikowski2023uncertainty], the predictive distribution as an average over parameters
    """
    return members_of(p).mean(0)


def logits_of(z: Tensor) -> Tensor:
    """Return the logits of the members with their axis first.

    Args:
        z: logits, shape (S, N, C), or (N, C) for S = 1; floating and finite.

    Returns:
        The same numbers, shape (S, N, C).

    Raises:
        ParameterError: if they have another shape or dtype, or are not finite.

    Source: ours, because one convention of axes serves all measures
    """
    if not isinstance(z, Tensor) or not z.is_floating_point() or z.ndim not in (2, 3) or z.numel() == 0:
        came = f"{tuple(z.shape)}, {z.dtype}" if isinstance(z, Tensor) else type(z).__name__
        raise ParameterError(f"logits must be a floating tensor of shape (S, N, C) or (N, C), got {came}")
    require_finite("a logit", z)
    return z if z.ndim == 3 else z[None]


def nats_in(base: float | None) -> float:
    """Return how many nats the unit of a logarithm has: ln base.

    Args:
        base: > 0 and not 1, 2 for bits; ``None`` for nats.

    Raises:
        ParameterError: if it is no base.

    Source: ours
    """
    if base is None:
        return 1.0
    if not (math.isfinite(base) and base > 0 and base != 1):
        raise ParameterError(f"a base of logarithms is > 0 and not 1, or None for nats; got {base}")
    return math.log(base)


def alone(members: Tensor, measure: str) -> bool:
    """Say whether there is one member only, and warn if so: a measure of disagreement is then zero whatever is unknown.

    Args:
        members: probabilities, shape (S, ...).
        measure: its name, for the warning.

    Returns:
        Whether S = 1.

    Source: ours, because zero for want of a second opinion is no agreement
    """
    if len(members) > 1:
        return False
    warnings.warn(
        f"{measure} compares members, but there is one only (S = 1), so that it is 0 whatever the network does not "
        "know; give several members, shape (S, N, C)",
        UncertaintyWarning,
        stacklevel=3,
    )
    return True


def require_probs(probs: Tensor, axis: int = -1) -> Tensor:
    """Return the tensor if it holds probabilities of classes along an axis.

    Args:
        probs: any shape.
        axis: where the classes are.

    Raises:
        ParameterError: if it is empty or not floating, an entry is negative or not finite, or the sum along the axis is
            off 1 by more than 1e-6 in float64, 1e-4 in float32, 1e-2 in 16 bits.

    Source: ours
    """
    if not probs.is_floating_point() or probs.numel() == 0:
        raise ParameterError(
            f"probabilities must be a floating tensor with an entry at least, got {tuple(probs.shape)}, {probs.dtype}"
        )
    low, off = float(probs.detach().min()), float((probs.detach().sum(axis) - 1).abs().max())
    if not (low >= 0 and off <= TOLERANCE.get(probs.dtype, 1e-2)):  # NaN and infinity reach one of the two
        require_finite("a probability", probs)
        raise ParameterError(
            f"probabilities must be >= 0 and sum to 1 over the classes, got a smallest entry of {low:g} and a sum that "
            f"is off by {off:g}; if these are logits, use CategoricalPrediction.from_logits"
        )
    return probs


def require_observed(y: Tensor, shape: tuple[int, ...], classes: int) -> Tensor:
    """Return the class numbers if there is one of C classes for each place.

    Args:
        y: class numbers, int64.
        shape: the shape they must have, (N,) for examples.
        classes: C.

    Raises:
        ParameterError: if the shape or the dtype is another, or a number is below 0 or above C - 1.

    Source: ours
    """
    if not isinstance(y, Tensor) or y.shape != shape or y.dtype != torch.int64:
        came = f"{tuple(y.shape)}, {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        raise ParameterError(f"y must be class numbers of shape {tuple(shape)} and dtype int64, got {came}")
    require_labels(y, classes)
    return y
