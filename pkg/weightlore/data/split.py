"""Examples and their answers, kept together.

Split(x, y)    N inputs and N targets
split[rows]    some of the rows, as a Split
split.to(...)  the same rows in another dtype or on another device
require_labels are targets numbers of classes that a network has?
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from weightlore.errors import ParameterError

__all__ = ["Rows", "Split", "require_labels"]

Rows = int | slice | Tensor | np.ndarray | Sequence[int]


@dataclass(frozen=True, eq=False)
class Split:
    """N examples: inputs x and targets y, row by row.

    Args:
        x: inputs, shape (N, ...).
        y: targets, shape (N, ...): class numbers (N,) int64, or numbers to be regressed.

    Raises:
        ParameterError: if x and y have no or different numbers of rows.

    Example:
        >>> Split(torch.zeros(5, 64), torch.zeros(5, dtype=torch.int64))[:2]
        Split(N=2: x (2, 64) float32, y (2,) int64)

    Source: ours
    """

    x: Tensor
    y: Tensor

    def __post_init__(self) -> None:
        if self.x.ndim == 0 or self.y.ndim == 0 or len(self.x) != len(self.y):
            raise ParameterError(
                f"x and y must have the same number of rows, got shapes {tuple(self.x.shape)} and {tuple(self.y.shape)}"
            )

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, rows: Rows) -> "Split":
        """Return some of the rows; a single number gives a Split of one row.

        Args:
            rows: a row number, a slice, row numbers, or N booleans; lists, arrays and tensors will do.

        Raises:
            IndexError: if a row does not exist.
        """
        if isinstance(rows, slice):
            return Split(self.x[rows], self.y[rows])
        chosen = torch.as_tensor(rows).reshape(-1)
        chosen = chosen if chosen.numel() else chosen.to(torch.int64)  # an empty list would count as floating
        return Split(self.x[chosen], self.y[chosen])

    def to(self, *, dtype: torch.dtype | None = None, device: torch.device | str | None = None) -> "Split":
        """Return the same rows with another floating dtype or on another device.

        Args:
            dtype: a floating dtype for x, and for y where y is not integer; ``None`` keeps it.
            device: where to put both; ``None`` keeps it.
        """
        return Split(_moved(self.x, dtype, device), _moved(self.y, dtype, device))

    def __repr__(self) -> str:
        return f"Split(N={len(self)}: x {_form(self.x)}, y {_form(self.y)})"


def require_labels(y: Tensor, classes: int) -> None:
    """Check that targets are numbers of classes that a network has an output for.

    Args:
        y: class numbers, shape (N, ...), of an integer dtype.
        classes: C, the outputs of the network.

    Raises:
        ParameterError: if one is below 0 or above C - 1. Torch leaves rows of -100 out of a mean without a word, and
            others end in an error that names no target.

    Source: ours
    """
    low, high = (int(end) for end in torch.aminmax(y)) if y.numel() else (0, 0)
    if low < 0 or high >= classes:
        raise ParameterError(
            f"targets must be class numbers from 0 to {classes - 1}, one for each output of the network, "
            f"got {low} to {high}; count classes from 0, or give the network more outputs"
        )


def _moved(tensor: Tensor, dtype: torch.dtype | None, device: torch.device | str | None) -> Tensor:
    return tensor.to(device=device, dtype=dtype if tensor.is_floating_point() else None)


def _form(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} {str(tensor.dtype).removeprefix('torch.')}"
