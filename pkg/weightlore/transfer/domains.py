"""Pairs of tasks: images of one kind to learn from, and few of another kind to learn for.

Source and target never share an image, not even a shifted one. Of the digits, 840 train images are the source and the
other 237 are those from which few labels are drawn; the validation and the test set are those of the digits.

    changed_digits(change)    clean digits -> digits under a change: inverted, transposed, flipped, rotated, noisy
    shuffled_labels(pair)     the same, with a source that was taught nonsense
    new_classes()             digits 0 to 4 -> digits 5 to 9
    turned_patches(count)     how a patch of a photograph was turned -> digits
    as_sequences(pair)        the rows of the images, top down, as the steps of a sequence

Pairs of fetched sets are in ``fetched_pairs``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
import torch
from sklearn.datasets import load_sample_images
from torch import Tensor

from weightlore.data import Split, digits, shift
from weightlore.data.digits import DigitSplit
from weightlore.errors import MissingExtra, ParameterError, require_option

__all__ = [
    "CHANGES",
    "Change",
    "DomainPair",
    "as_sequences",
    "changed_digits",
    "digit_parts",
    "new_classes",
    "shuffled_labels",
    "turned_patches",
]

Change = Literal["inverted", "transposed", "flipped", "rotated", "noisy"]
PARTS: tuple[DigitSplit, ...] = ("train", "validation", "test")
SOURCE = 840  # of the 1,077 train images of the digits
Images = Callable[[Tensor, torch.Generator | None], Tensor]
CHANGES: dict[str, Images] = {
    "inverted": lambda x, generator: shift(x, "inversion", 5),
    "transposed": lambda x, generator: x.transpose(2, 3).contiguous(),
    "flipped": lambda x, generator: x.flip(2),
    "rotated": lambda x, generator: shift(x, "rotation", 3),
    "noisy": lambda x, generator: shift(x, "gaussian_noise", 4, generator=generator),
}


@dataclass(frozen=True)
class DomainPair:
    """A source task and a target task on images of one form.

    Args:
        source: examples to train the source network on.
        train: of the target, from which few labels are drawn.
        validation: of the target, for choices; that there are more of these than labels is a luxury of a study.
        test: of the target.
        source_classes: C of the source task.
        classes: C of the target task.

    Source: ours
    """

    source: Split
    train: Split
    validation: Split
    test: Split
    source_classes: int = 10
    classes: int = 10


def changed_digits(
    change: Change, *, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float64
) -> DomainPair:
    """Return clean digits as the source, and digits under a change as the target.

    ``"inverted"`` is the negative, ``"transposed"`` mirrors at the diagonal, ``"flipped"`` turns the order of the rows
    around, ``"rotated"`` turns by 30 degrees, ``"noisy"`` adds normal noise of 0.3.

    Args:
        change: of the target's images, test images included.
        generator: of the noise; the others draw nothing.
        dtype: floating dtype of the images.

    Returns:
        Images of shape (N, 1, 8, 8): 840 for the source, 237, 180 and 540 of the target.

    Raises:
        ParameterError: if there is no such change, or noise has no generator.

    Source: ours, because the paper's pairs are unknown
    """
    require_option("change", change, CHANGES)
    source, pool, validation, test = _clean(dtype)
    pool, validation, test = (Split(CHANGES[change](part.x, generator), part.y) for part in (pool, validation, test))
    return DomainPair(source, pool, validation, test)


def shuffled_labels(pair: DomainPair, *, generator: torch.Generator) -> DomainPair:
    """Return the pair with the source's labels in random order: a source that has learned nothing of use.

    Args:
        pair: left as it is.
        generator: draws the order.

    Source: ours, as a control: a harmful source should do little harm
    """
    order = torch.randperm(len(pair.source), generator=generator, device=generator.device).to(pair.source.y.device)
    return replace(pair, source=Split(pair.source.x, pair.source.y[order]))


def new_classes(*, dtype: torch.dtype = torch.float64) -> DomainPair:
    """Return the digits 0 to 4 as the source and 5 to 9, numbered from 0, as the target.

    Args:
        dtype: floating dtype of the images.

    Returns:
        Images of shape (N, 1, 8, 8); both tasks have five classes.

    Source: ours, as the popular pair that goes wrong on small easy images
    """
    source, pool, validation, test = _clean(dtype)
    pool, validation, test = (Split(part.x[part.y >= 5], part.y[part.y >= 5] - 5) for part in (pool, validation, test))
    return DomainPair(source[source.y < 5], pool, validation, test, source_classes=5, classes=5)


def turned_patches(count: int = 2000, *, generator: torch.Generator, dtype: torch.dtype = torch.float64) -> DomainPair:
    """Return patches of two photographs, to be told how they were turned, as the source and clean digits as the target.

    The photographs are those that come with scikit-learn, in gray and at a quarter of their size. A patch of 8x8 is cut
    at a random place and turned by 0, 90, 180 or 270 degrees, which is its label: no person had to label anything.

    Args:
        count: patches of the source, at least 1.
        generator: draws photograph, place and turn of each patch.
        dtype: floating dtype of the images.

    Returns:
        Images of shape (N, 1, 8, 8) between 0 and 1; the source has 4 classes.

    Raises:
        ParameterError: if count is below 1.
        MissingExtra: if Pillow is not installed, which reads the photographs.

    Source: ours, as a pair of distant domains
    """
    if count < 1:
        raise ParameterError(f"count of patches must be at least 1, got {count}")
    photographs = _photographs().to(dtype)  # (2, 106, 160)
    draws = torch.rand(count, 4, generator=generator, dtype=torch.float64, device=generator.device).cpu()
    sizes = torch.tensor([len(photographs), photographs.shape[1] - 7, photographs.shape[2] - 7, 4])
    which, top, left, turn = (draws * sizes).long().T
    rows, columns = (start[:, None] + torch.arange(8) for start in (top, left))
    patches = photographs[which[:, None, None], rows[:, :, None], columns[:, None, :]]  # (N, 8, 8)
    turned = torch.stack([patch.rot90(int(k)) for patch, k in zip(patches, turn, strict=True)])
    source = Split(turned[:, None], turn)
    _, pool, validation, test = _clean(dtype)
    return DomainPair(source, pool, validation, test, source_classes=4)


def as_sequences(pair: DomainPair) -> DomainPair:
    """Return the pair with each image as a sequence of its rows, for recurrent networks.

    Flipped images are then sequences backwards, transposed ones read columns instead of rows.

    Args:
        pair: of gray images, shape (N, 1, T, D); left as it is.

    Returns:
        Sequences of shape (N, T, D).

    Raises:
        ParameterError: if the images are not gray.

    Source: ours
    """
    if pair.source.x.ndim != 4 or pair.source.x.shape[1] != 1:
        raise ParameterError(
            f"rows become steps where images are gray, shape (N, 1, T, D), got {tuple(pair.source.x.shape)}; take the "
            "mean over the channels first"
        )
    source, train, validation, test = (
        Split(part.x.squeeze(1), part.y) for part in (pair.source, pair.train, pair.validation, pair.test)
    )
    return replace(pair, source=source, train=train, validation=validation, test=test)


def digit_parts(dtype: torch.dtype) -> tuple[Split, Split, Split]:
    """Return the train, validation and test images of the digits, each of shape (N, 1, 8, 8).

    Args:
        dtype: floating dtype of the images.

    Source: ours
    """
    train, validation, test = (digits(part, images=True, dtype=dtype) for part in PARTS)
    return train, validation, test


def _clean(dtype: torch.dtype) -> tuple[Split, Split, Split, Split]:
    """Return the clean digits: source, pool of the target, validation, test."""
    train, validation, test = digit_parts(dtype)
    return train[:SOURCE], train[SOURCE:], validation, test


@cache
def _photographs() -> Tensor:
    """Return both photographs in gray at a quarter of their size, shape (2, 106, 160), float64 between 0 and 1."""
    try:
        pictures = np.stack(load_sample_images().images)
    except ImportError as error:
        raise MissingExtra("PIL", "images") from error
    gray = torch.from_numpy(pictures).double().mean(-1) / 255
    return torch.nn.functional.avg_pool2d(gray, 4)
