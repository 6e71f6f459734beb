"""Mixup: examples between two examples, with targets between two targets.

    mixup_batch    x' = w x + (1 - w) x_other,   w ~ Beta(a, a), one for the batch
    mixup_loss     w CE(z, y) + (1 - w) CE(z, y_other)

    mixed = mixup_batch(batch, alpha=0.4, generator=generator)
    loss = mixup_loss(model(mixed.x), mixed)

Nothing between two examples is ever certain, so that a network learns to be less sure between what it has seen.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration.logits import log_probs_of
from weightlore.uncertainty.calibration.simplex import draw_simplex

__all__ = ["Mixed", "mixup_batch", "mixup_loss"]


@dataclass(frozen=True, eq=False)
class Mixed:
    """Mixed inputs, with both classes of each.

    Args:
        x: w x + (1 - w) x_other, shape (N, ...).
        y: class numbers of the first, shape (N,).
        other: class numbers of the second, shape (N,).
        weight: w, the share of the first, in [0, 1].

    Source: [zhang2018mixup], Eq. (1)
    """

    x: Tensor
    y: Tensor
    other: Tensor
    weight: float


def mixup_batch(batch: Split, *, alpha: float, generator: torch.Generator) -> Mixed:
    """Return the batch mixed with itself in another order.

        x'_i = w x_i + (1 - w) x_j,   j a permutation,   w ~ Beta(alpha, alpha)

    Args:
        batch: N examples with class numbers; left as they are.
        alpha: at least 0. At 0 nothing is mixed (w = 1), at 1 every share is equally likely.
        generator: of the order and the share; it advances.

    Returns:
        Mixed inputs, both classes and the share.

    Raises:
        ParameterError: if the inputs are not floating, or alpha is negative or not finite.

    Example:
        >>> batch = Split(torch.eye(2), torch.tensor([0, 1]))
        >>> mixed = mixup_batch(batch, alpha=1.0, generator=torch.Generator().manual_seed(0))
        >>> mixed.x.shape, bool(torch.allclose(mixed.x.sum(1), torch.ones(2)))
        (torch.Size([2, 2]), True)

    Source: [zhang2018mixup], Eq. (1), one share for a batch; for calibration in [thulasidasan2019mixup]
    """
    if not batch.x.is_floating_point():
        raise ParameterError(f"mixup takes means of inputs, which must be floating, got {batch.x.dtype}; convert them")
    if isinstance(alpha, bool) or not isinstance(alpha, int | float) or not 0 <= alpha < math.inf:
        raise ParameterError(f"alpha must be a finite number >= 0 (0 mixes nothing), got {alpha!r}")
    order = torch.randperm(len(batch), generator=generator, device=generator.device).to(batch.x.device)
    weight = float(draw_simplex(alpha, (2,), generator=generator)[0]) if alpha > 0 else 1.0
    return Mixed(weight * batch.x + (1 - weight) * batch.x[order], batch.y, batch.y[order], weight)


def mixup_loss(logits: Tensor, mixed: Mixed) -> Tensor:
    """Return the cross-entropy with targets between two classes.

        -sum_k t_k ln p_k,   t = w onehot(y) + (1 - w) onehot(y_other)

    Args:
        logits: of ``mixed.x``, shape (N, C).
        mixed: from ``mixup_batch``.

    Returns:
        The mean loss, shape (); the cross-entropy, bit for bit, if nothing was mixed.

    Raises:
        ParameterError: if these are no logits of as many examples, or a class number has no logit.

    Example:
        >>> batch = Split(torch.eye(2), torch.tensor([0, 1]))
        >>> mixed = mixup_batch(batch, alpha=1.0, generator=torch.Generator().manual_seed(0))
        >>> mixup_loss(torch.zeros(2, 2), mixed)
        tensor(0.6931)

    Source: [zhang2018mixup], Eq. (1)
    """
    log_p = log_probs_of(logits, mixed.y)
    first, second = (functional.nll_loss(log_p, y) for y in (mixed.y, mixed.other))
    return mixed.weight * first + (1 - mixed.weight) * second
