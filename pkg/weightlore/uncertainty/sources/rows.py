"""The check that numbers come as rows, one for each example.

require_rows    (N, ...) floating and finite -> float64
"""

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite

__all__ = ["require_rows"]


def require_rows(name: str, rows: Tensor, columns: int | None = None) -> Tensor:
    """Return rows of numbers in float64, in which all linear algebra is done.

    Args:
        name: how the caller calls them, for the message.
        rows: shape (N, D), floating.
        columns: D, or ``None`` for any.

    Raises:
        ParameterError: if they have another shape, are empty, not floating or not finite.

    Source: ours, because a vector (N,) would be broadcast to (N, N) without a word
    """
    if not isinstance(rows, Tensor) or not rows.is_floating_point() or rows.ndim != 2 or rows.numel() == 0:
        came = f"{tuple(rows.shape)}, {rows.dtype}" if isinstance(rows, Tensor) else type(rows).__name__
        raise ParameterError(f"{name} must be floating rows, shape (N, D), got {came}; one column is {name}[:, None]")
    if columns is not None and rows.shape[1] != columns:
        raise ParameterError(f"{name} must have {columns} columns, shape (N, {columns}), got {tuple(rows.shape)}")
    return require_finite(name, rows).detach().to(torch.float64)
