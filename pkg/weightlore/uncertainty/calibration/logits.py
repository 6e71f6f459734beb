"""What the losses of calibration read from a batch of logits, with its graph.

log_probs_of    ln p (N, C), after a check that logits and class numbers belong together
top_of          r (N,) with gradient, and whether the largest logit is right
root_of         a square root, or another, whose slope at zero is zero instead of infinite
"""

import torch
from torch import Tensor
from torch.nn import functional

from weightlore.uncertainty.calibration.calibrator import require_pairs

__all__ = ["log_probs_of", "root_of", "top_of"]


def log_probs_of(logits: Tensor, y: Tensor) -> Tensor:
    """Return the logarithms of the probabilities, with gradient.

    Args:
        logits: shape (N, C).
        y: class numbers, shape (N,).

    Returns:
        ln p, shape (N, C).

    Raises:
        ParameterError: if these are no logits and class numbers of the same N examples.

    Source: ours, because a logarithm of a softmax loses what small probabilities say
    """
    require_pairs(logits, y)
    return functional.log_softmax(logits, 1)


def top_of(logits: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the confidence in the predicted class, with gradient, and whether that class is right.

        r = max_k p_k,   c = 1[argmax_k p_k = y]

    Args:
        logits: shape (N, C).
        y: class numbers, shape (N,).

    Returns:
        r, shape (N,), and c, shape (N,), boolean.

    Raises:
        ParameterError: as ``log_probs_of``.

    Source: [guo2017calibration], section 2
    """
    top, label = log_probs_of(logits, y).max(1)
    return top.exp(), label == y


def root_of(value: Tensor, order: float = 2.0) -> Tensor:
    """Return value^(1/order), 0 with slope 0 where the value is not above 0.

    Args:
        value: shape ().
        order: of the root, at least 1.

    Source: ours, because the slope of a root at zero is infinite, and a network that is perfect on a batch would be NaN
    """
    safe = torch.where(value > 0, value, torch.ones_like(value))
    return torch.where(value > 0, safe ** (1 / order), value * 0)
