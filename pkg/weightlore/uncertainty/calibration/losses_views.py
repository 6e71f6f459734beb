"""Views of an image that mean the same, and a penalty where a network disagrees about them.

augmix_batch                   m x + (1 - m) sum_j w_j chain_j(x): a mixture of chains of small changes
jensen_shannon_consistency     how far the predictions of several views are apart
Operation                      a change of images: (images, generator) -> images

views = torch.stack([model(x), model(augmix_batch(x, generator=g)), model(augmix_batch(x, generator=g))])
loss = cross_entropy(views[0], y) + 12 * jensen_shannon_consistency(views)
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor

from weightlore.data import shift
from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.calibration.simplex import draw_simplex

__all__ = ["Operation", "augmix_batch", "jensen_shannon_consistency"]

Operation = Callable[[Tensor, torch.Generator], Tensor]
KINDS, SEVERITIES = ("rotation", "translation", "contrast", "brightness"), (1, 2, 3)


def augmix_batch(
    x: Tensor,
    *,
    generator: torch.Generator,
    operations: Sequence[Operation] | None = None,
    chains: int = 3,
    depth: int = 3,
    alpha: float = 1.0,
) -> Tensor:
    """Return one view of each image: itself, mixed with the ends of chains of small changes.

        x' = m x + (1 - m) sum_j w_j (o_1 o ... o o_d)(x),   w ~ Dirichlet(alpha),  m ~ Beta(alpha, alpha)

    with d from 1 to ``depth`` and every change o drawn anew, for each image and chain.

    Args:
        x: images between 0 and 1 of shape (N, C, H, W), or flat gray ones (N, D); left as they are.
        generator: of all draws; it advances.
        operations: changes of images, each a function of (images, generator) that keeps their shape; ``None`` for
            rotation, translation, contrast and brightness of ``data.shift`` in severities 1 to 3. What a network is
            tested on should not be among them.
        chains: how many are mixed.
        depth: most changes in a chain.
        alpha: concentration of the shares, > 0.

    Returns:
        The views, in the shape and dtype of x.

    Raises:
        ParameterError: if x is not floating and finite, an operation changes the shape, or an option is out of range.

    Example:
        >>> x = torch.full((2, 64), 0.5)
        >>> augmix_batch(x, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([2, 64])

    Source: [hendrycks2020augmix], mixture of chains; the operations are ours
    """
    require_counts(chains=chains, depth=depth)
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 2 or x.numel() == 0:
        came = f"{tuple(x.shape)}, {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
        raise ParameterError(f"x holds floating images with a row for each, got {came}")
    known = _bundled() if operations is None else tuple(operations)
    if not known:
        raise ParameterError("operations is empty, so that nothing can be changed; give at least one, or None")
    require_finite("x", x)
    one_each = (len(x), *(1 for _ in x.shape[1:]))
    weights = draw_simplex(alpha, (len(x), chains), generator=generator).to(x)
    share = draw_simplex(alpha, (len(x), 2), generator=generator)[:, 0].to(x).reshape(one_each)
    mixture = torch.zeros_like(x)
    for chain in range(chains):
        mixture += weights[:, chain].reshape(one_each) * _chained(x, known, depth, generator)
    return share * x + (1 - share) * mixture


def jensen_shannon_consistency(logits: Tensor) -> Tensor:
    """Return how far the predictions of several views of the same inputs are apart.

        JS = 1/S sum_s KL(p_s || M),   M = 1/S sum_s p_s,   the mean over examples

    Args:
        logits: of S views, shape (S, N, C).

    Returns:
        The penalty, shape (), in nats, between 0 and ln S; with gradient to all views.

    Raises:
        ParameterError: if the logits have another shape or are not finite.

    Example:
        >>> jensen_shannon_consistency(torch.tensor([[[50.0, 0.0]], [[0.0, 50.0]]]))
        tensor(0.6931)

    Source: [hendrycks2020augmix], Jensen-Shannon consistency of three views
    """
    if not isinstance(logits, Tensor) or not logits.is_floating_point() or logits.ndim != 3 or logits.numel() == 0:
        came = f"{tuple(logits.shape)}, {logits.dtype}" if isinstance(logits, Tensor) else type(logits).__name__
        raise ParameterError(f"logits of S views have shape (S, N, C), got {came}; torch.stack those of the views")
    require_finite("logits", logits.detach())
    log_p = logits.log_softmax(-1)
    log_mean = log_p.logsumexp(0) - math.log(len(logits))
    return (log_p.exp() * (log_p - log_mean)).sum(-1).mean()


def _bundled() -> tuple[Operation, ...]:
    return tuple(partial(_shifted, kind=kind, severity=severity) for kind in KINDS for severity in SEVERITIES)


def _shifted(x: Tensor, generator: torch.Generator, *, kind: str, severity: int) -> Tensor:
    return shift(x, kind, severity, generator=generator)


def _chained(x: Tensor, operations: Sequence[Operation], depth: int, generator: torch.Generator) -> Tensor:
    """Return each image after a chain of its own: one operation is applied at once to all that drew it."""
    lengths = torch.randint(1, depth + 1, (len(x),), generator=generator, device=generator.device)
    changed = x.detach().clone()
    for step in range(depth):
        drawn = torch.randint(len(operations), (len(x),), generator=generator, device=generator.device)
        for number, operation in enumerate(operations):
            rows = ((drawn == number) & (step < lengths)).nonzero()[:, 0].to(x.device)
            if not len(rows):
                continue
            after = operation(changed[rows], generator)
            if after.shape != changed[rows].shape:
                raise ParameterError(
                    f"operation {number} must keep the shape of images, {tuple(changed[rows].shape)}, but made "
                    f"{tuple(after.shape)} of it"
                )
            changed[rows] = after.to(changed)
    return changed
