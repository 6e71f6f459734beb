"""The digits that come with scikit-learn: 1,797 images of 8x8, in splits that never change.

Which image belongs to which split follows from a hash of its number and not from a library's random generator, so that
every machine and every version of every library gives the same test set.

    order   images of a class by the sha256 of their number, classes interleaved in proportion
    cut     the first 540 are the test set, the next 180 the validation set, the last 1,077 the train set
"""

from functools import cache
from typing import Literal

import torch
from sklearn.datasets import load_digits
from torch import Tensor

from weightlore.data.ordering import interleaved
from weightlore.data.split import Split
from weightlore.errors import ParameterError

__all__ = ["DigitSplit", "digits", "digits_indices"]

DigitSplit = Literal["train", "validation", "test", "all"]

CUTS = {"test": slice(0, 540), "validation": slice(540, 720), "train": slice(720, 1797)}


def digits(
    split: DigitSplit = "test",
    *,
    images: bool = False,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
) -> Split:
    """Return the handwritten digits, 8x8 gray levels between 0 and 1 (the original counts of 0 to 16, over 16).

    The tensors are fresh with every call: change them as you like.

    Args:
        split: ``"train"`` (1,077 images), ``"validation"`` (180), ``"test"`` (540) or ``"all"`` (1,797, in the original
            order). Each of the three holds the ten digits in equal proportion, to within one image.
        images: whether x keeps the two image dimensions.
        dtype: floating dtype of x.
        device: where to put both tensors.

    Returns:
        x of shape (N, 64), or (N, 1, 8, 8) with ``images=True``; y, the digit, of shape (N,), int64.

    Raises:
        ParameterError: if there is no such split.

    Example:
        >>> digits("test")
        Split(N=540: x (540, 64) float64, y (540,) int64)

    Source: [alpaydin1998digits], as distributed with [pedregosa2011sklearn]; the splits are ours.
    """
    rows = digits_indices(split)
    pixels, labels = _original()
    x, y = pixels[rows].to(dtype), labels[rows]
    return Split(x.reshape(-1, 1, 8, 8) if images else x, y).to(device=device)


def digits_indices(split: DigitSplit = "test") -> Tensor:
    """Return the numbers of the images of a split, as scikit-learn counts them.

    Args:
        split: as in ``digits``.

    Returns:
        Shape (N,), int64. The first ten of the test set are one image of each digit.

    Raises:
        ParameterError: if there is no such split.

    Source: ours, because a random split would depend on the version of the library that drew it.
    """
    if split == "all":
        return torch.arange(1797)
    if split not in CUTS:
        raise ParameterError(f"digits come in the splits 'train', 'validation', 'test' and 'all', got {split!r}")
    return torch.tensor(_order()[CUTS[split]])


@cache
def _original() -> tuple[Tensor, Tensor]:
    pixels, labels = load_digits(return_X_y=True)
    return torch.tensor(pixels, dtype=torch.float64) / 16.0, torch.tensor(labels, dtype=torch.int64)


@cache
def _order() -> list[int]:
    return interleaved(_original()[1].tolist(), "weightlore digits")
