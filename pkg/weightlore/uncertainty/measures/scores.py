"""The logarithmic score: what a prediction pays for the class that came.

    nll_categorical    -ln pbar_y         of probabilities; infinite where the observed class had none
    nll_from_logits    the same of logits, by logarithms only, so that nothing underflows

It is proper: nobody pays less on average than by saying what he believes [gneiting2007scoring].
"""

import math
from typing import Literal

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_option
from weightlore.uncertainty.measures.members import Members, logits_of, mean_of, nats_in, require_observed

__all__ = ["Reduction", "nll_categorical", "nll_from_logits"]

Reduction = Literal["mean", "none"]


def nll_categorical(
    p: Members, y: Tensor, *, eps: float | None = 0.0, base: float | None = None, reduction: Reduction = "mean"
) -> Tensor:
    """Return the negative logarithm of the probability that the observed class had.

        -ln max(pbar_y, eps)

    Args:
        p: probabilities, shape (S, N, C) or (N, C), or a prediction; members are averaged first.
        y: observed classes, shape (N,), int64.
        eps: floor of the probability; 0 leaves an observed impossibility at infinity, ``None`` takes the smallest
            normal number of the dtype, so that it costs 87 nats in float32 and 708 in float64.
        base: of the logarithm; ``None`` for nats.
        reduction: ``"mean"`` over examples, or ``"none"``.

    Returns:
        Shape () or (N,), >= 0.

    Raises:
        ParameterError: if these are no probabilities or classes, or an option is out of range.

    Example:
        >>> p = torch.tensor([[0.5, 0.5], [1.0, 0.0]])
        >>> nll_categorical(p, torch.tensor([0, 0]), reduction="none"), nll_categorical(p, torch.tensor([0, 1]))
        (tensor([0.6931, 0.0000]), tensor(inf))

    Source: [gneiting2007scoring], logarithmic score
    """
    require_option("reduction", reduction, Reduction)
    mean = mean_of(p)
    require_observed(y, mean.shape[:1], mean.shape[1])
    floor = torch.finfo(mean.dtype).tiny if eps is None else eps
    if not 0 <= floor < 1:
        raise ParameterError(f"eps is a floor of probabilities, from 0 to below 1, or None, got {eps}")
    chosen = mean.gather(1, y[:, None])[:, 0]
    values = (-chosen.clamp(floor, 1).log() + 0.0) / nats_in(base)  # + 0 turns -0 to 0
    return values.mean() if reduction == "mean" else values


def nll_from_logits(z: Tensor, y: Tensor, *, base: float | None = None, reduction: Reduction = "mean") -> Tensor:
    """Return the negative logarithm of the probability of the observed class, from logits.

        -ln 1/S sum_s softmax(z_s)_y = ln S - logsumexp_s (log_softmax(z_s)_y)

    Args:
        z: logits, shape (S, N, C) or (N, C), finite.
        y: observed classes, shape (N,), int64.
        base: of the logarithm; ``None`` for nats.
        reduction: ``"mean"`` over examples, or ``"none"``.

    Returns:
        Shape () or (N,), >= 0; cross-entropy for one member.

    Raises:
        ParameterError: if these are no logits or classes, or an option is out of range.

    Example:
        >>> nll_from_logits(torch.tensor([[0.0, 1000.0]]), torch.tensor([0]))
        tensor(1000.)

    Source: [gneiting2007scoring], logarithmic score; by logarithms only is ours
    """
    require_option("reduction", reduction, Reduction)
    members = logits_of(z)
    require_observed(y, members.shape[1:2], members.shape[2])
    chosen = members.log_softmax(-1).gather(2, y.expand(len(members), -1)[..., None])[..., 0]  # (S, N)
    values = (math.log(len(members)) - chosen.logsumexp(0)) / nats_in(base)
    return values.mean() if reduction == "mean" else values
