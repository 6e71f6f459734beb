"""The score of a predicted quantile.

    pinball_loss    mean of max(t (y - q), (t - 1) (y - q))

Its mean is smallest where a share t of the targets lies below q. Twice its integral over all levels t is the CRPS.
"""

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.regression.given import require_targets

__all__ = ["pinball_loss"]


def pinball_loss(q: Tensor, y: Tensor, level: float | Tensor) -> Tensor:
    """Return the mean pinball loss of predicted quantiles.

        rho_t(y - q) = max(t (y - q), (t - 1) (y - q))

    Args:
        q: predicted quantiles, shape (N,), or (N, Q) for Q levels at once.
        y: targets, shape (N,).
        level: t, between 0 and 1: a number, one for each example, shape (N,), or for each column, shape (Q,).

    Returns:
        Mean over examples and levels, shape (), in the unit of the targets; differentiable in q.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or a level is out of range.

    Example:
        >>> pinball_loss(torch.tensor([1.0, 1.0]), torch.tensor([0.0, 3.0]), 0.9)
        tensor(0.9500)

    Source: [gneiting2007scoring], quantile score
    """
    several = q.ndim == 2
    require_targets(y, q[:, 0] if several else q)
    t = torch.as_tensor(level, dtype=q.dtype, device=q.device)
    fitting = (q.shape[1:],) if several else ((), q.shape)
    if t.shape not in fitting:
        raise ParameterError(
            f"level must be a number or have one of the shapes {[tuple(s) for s in fitting]} for quantiles of shape "
            f"{tuple(q.shape)}, got {tuple(t.shape)}"
        )
    if not bool(((t > 0) & (t < 1)).all()):
        raise ParameterError(f"a level must be between 0 and 1, got {level}; the median is 0.5")
    missing = (y[:, None] if several else y) - require_finite("a quantile", q)
    return torch.maximum(t * missing, (t - 1) * missing).mean()
