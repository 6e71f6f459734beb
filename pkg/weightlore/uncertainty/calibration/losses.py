"""Losses that keep a network from being too sure while it trains; each is the cross-entropy when its knob is at zero.

    label_smoothing_loss    targets (1 - e) onehot + e / C
    focal_loss              -(1 - p_y)^gamma ln p_y: examples that are already right count less
    sample_gamma            gamma 5 for p_y < 0.2, else 3
    confidence_penalty      cross-entropy minus beta times the entropy of the prediction
    brier_loss              mean squared distance to the onehot: proper, and bounded

All take logits (N, C) and class numbers (N,), and return the mean over the batch, in nats but for Brier's.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration.logits import log_probs_of

__all__ = ["brier_loss", "confidence_penalty", "focal_loss", "label_smoothing_loss", "sample_gamma"]


def label_smoothing_loss(logits: Tensor, y: Tensor, *, smoothing: float) -> Tensor:
    """Return the cross-entropy with targets that leave something for every class.

        -sum_k t_k ln p_k,   t = (1 - e) onehot(y) + e / C

    The right class keeps 1 - e + e/C. Others share e among the C - 1 wrong classes only, which is this with a larger e.

    Args:
        logits: shape (N, C).
        y: class numbers, shape (N,), int64.
        smoothing: e, in [0, 1]; 0 for the cross-entropy, bit for bit.

    Returns:
        The mean loss, shape ().

    Raises:
        ParameterError: if these are no logits and class numbers, or e is out of range.

    Example:
        >>> label_smoothing_loss(torch.zeros(1, 2), torch.tensor([0]), smoothing=0.1)
        tensor(0.6931)

    Source: [szegedy2016inception], section 7; its effect on calibration in [muller2019smoothing]
    """
    _require("smoothing", smoothing, 1.0)
    log_p = log_probs_of(logits, y)
    return (1 - smoothing) * functional.nll_loss(log_p, y) - smoothing * log_p.mean()


def focal_loss(logits: Tensor, y: Tensor, *, gamma: float | Callable[[Tensor], Tensor]) -> Tensor:
    """Return the cross-entropy weighed by how wrong the network still is.

        -(1 - p_y)^gamma ln p_y

    Args:
        logits: shape (N, C).
        y: class numbers, shape (N,), int64.
        gamma: at least 0, 0 for the cross-entropy, bit for bit; or a function from p_y (N,), without gradient, to one
            gamma for each example, such as ``sample_gamma``.

    Returns:
        The mean loss, shape ().

    Raises:
        ParameterError: if these are no logits and class numbers, or a gamma is negative or not finite.

    Example:
        >>> focal_loss(torch.zeros(1, 2), torch.tensor([0]), gamma=2.0)
        tensor(0.1733)

    Source: [lin2017focal], Eq. (4), without class weights; for calibration in [mukhoti2020focal]
    """
    log_p = log_probs_of(logits, y)
    own = log_p.gather(1, y[:, None])[:, 0]
    exponent = torch.as_tensor(gamma(own.detach().exp()) if callable(gamma) else gamma).to(own)
    if exponent.shape not in ((), own.shape) or not bool(((exponent >= 0) & (exponent < math.inf)).all()):
        raise ParameterError(
            f"gamma must be a finite number >= 0, or one for each of {len(own)} examples, got {exponent.tolist()!r}"
        )
    missing = (-torch.expm1(own)).clamp(min=torch.finfo(own.dtype).tiny)  # 1 - p_y; a power has no slope at zero
    weight = missing**exponent
    return functional.nll_loss(weight[:, None] * log_p, y)


def sample_gamma(p: Tensor) -> Tensor:
    """Return the exponent of the focal loss for each example: 5 where the right class has less than 0.2, else 3.

    Args:
        p: probability of the right class, shape (N,).

    Returns:
        gamma, shape (N,).

    Example:
        >>> sample_gamma(torch.tensor([0.1, 0.9]))
        tensor([5., 3.])

    Source: [mukhoti2020focal], sample-dependent schedule with 5 and 3
    """
    return torch.where(p < 0.2, 5.0, 3.0).to(p)


def confidence_penalty(logits: Tensor, y: Tensor, *, beta: float) -> Tensor:
    """Return the cross-entropy with a reward for entropy.

        -ln p_y - beta H(p)

    Args:
        logits: shape (N, C).
        y: class numbers, shape (N,), int64.
        beta: strength, at least 0; 0 for the cross-entropy, bit for bit.

    Returns:
        The mean loss, shape (); may be negative.

    Raises:
        ParameterError: if these are no logits and class numbers, or beta is negative.

    Example:
        >>> confidence_penalty(torch.zeros(1, 2), torch.tensor([0]), beta=0.5)
        tensor(0.3466)

    Source: [pereyra2017penalizing], the penalty on low entropy
    """
    _require("beta", beta, math.inf)
    log_p = log_probs_of(logits, y)
    entropy = -(log_p.exp() * log_p).sum(1).mean()
    return functional.nll_loss(log_p, y) - beta * entropy


def brier_loss(logits: Tensor, y: Tensor) -> Tensor:
    """Return the Brier score of a batch, to be trained on.

        sum_k (p_k - 1[y = k])^2

    Args:
        logits: shape (N, C).
        y: class numbers, shape (N,), int64.

    Returns:
        The mean loss, shape (), in [0, 2].

    Raises:
        ParameterError: if these are no logits and class numbers.

    Example:
        >>> brier_loss(torch.zeros(1, 2), torch.tensor([0]))
        tensor(0.5000)

    Source: [brier1950verification], as a loss
    """
    p = log_probs_of(logits, y).exp()
    return (p - functional.one_hot(y, p.shape[1]).to(p)).square().sum(1).mean()


def _require(name: str, value: float, most: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most or value == math.inf:
        bound = "at least 0" if most == math.inf else f"between 0 and {most:g}"
        raise ParameterError(f"{name} must be a finite number {bound}, got {value!r}; 0 is the cross-entropy")
