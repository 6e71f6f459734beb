"""The standard random splits of the UCI tables, with which regression is compared.

folds(n)         20 masks of test rows
fold(data, k)    the train and the test rows of one of them
"""

import numpy as np
import torch

from weightlore.data.split import Split
from weightlore.errors import ParameterError

__all__ = ["fold", "folds"]


def folds(n: int, *, count: int = 20, share: float = 0.9) -> np.ndarray:
    """Return the standard random splits with which regression on the UCI tables is compared.

    They are drawn one after the other from NumPy's legacy generator with seed 1, which is frozen for good:

        p = permutation of n;    test rows = p[round(0.9 n):]

    Args:
        n: number of rows of the table.
        count: number of splits.
        share: share of train rows.

    Returns:
        ``True`` for test rows, shape (count, n), bool.

    Raises:
        ParameterError: if n < 1, count < 1 or share is not within 0 and 1.

    Source: [hernandez2015pbp], experiments; the seed is that of the authors' public splits.
    """
    if n < 1 or count < 1 or not 0 <= share <= 1:
        raise ParameterError(f"n and count must be >= 1 and share within 0 and 1, got {n}, {count} and {share}")
    legacy = np.random.RandomState(1)  # the published splits were drawn with it; a state of its own
    masks = np.zeros((count, n), dtype=bool)
    for mask in masks:
        mask[legacy.choice(n, n, replace=False)[round(share * n) :]] = True
    return masks


def fold(data: Split, k: int) -> dict[str, Split]:
    """Return the train and the test rows of a standard split.

    Some tables repeat rows, and a repeated row may fall on both sides. Scale with what the train rows say, never the
    test rows.

    Args:
        data: the whole table, in its original order.
        k: which split, from 0 to 19.

    Returns:
        ``"train"`` and ``"test"``.

    Raises:
        ParameterError: if k is not within 0 and 19.

    Example:
        >>> data = Split(torch.zeros(308, 6), torch.zeros(308, 1))
        >>> fold(data, 0)["test"]
        Split(N=31: x (31, 6) float32, y (31, 1) float32)

    Source: [hernandez2015pbp], experiments
    """
    if k not in range(20):
        raise ParameterError(f"the standard splits are numbered from 0 to 19, got {k!r}")
    test = torch.from_numpy(folds(len(data), count=k + 1)[k])
    return {"train": data[~test], "test": data[test]}
