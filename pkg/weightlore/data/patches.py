"""Patches of photographs: what no network that reads digits has ever seen.

natural_patches(n)   square gray patches of the two photographs that come with scikit-learn: a temple and a flower

They are of the world, smooth and with edges, and hold no digit. A network that is sure of a digit in them is sure for
the wrong reason.
"""

from functools import cache

import torch
from sklearn.datasets import load_sample_images
from torch import Tensor
from torch.nn import functional

from weightlore.errors import MissingExtra, ParameterError

__all__ = ["natural_patches"]

GRAY = (0.299, 0.587, 0.114)  # how bright red, green and blue look


def natural_patches(
    n: int, *, size: int = 8, shrink: int = 8, images: bool = False, generator: torch.Generator
) -> Tensor:
    """Cut gray patches at random places from two photographs, which are made smaller first.

    A place is drawn, patch by patch, among all pixels at which a patch may begin, of both photographs together.

    Args:
        n: number of patches, >= 1.
        size: height and width in pixels, >= 1.
        shrink: a pixel is the mean of a square of ``shrink`` by ``shrink`` pixels of the photograph, >= 1. At 1 half of
            the patches of 8x8 are a piece of sky or petal whose gray levels spread by less than 0.01, at 8 by 0.08.
        images: whether to keep the two image dimensions.
        generator: source of all randomness.

    Returns:
        Gray levels between 0 and 1, shape (N, size * size), or (N, 1, size, size) with ``images=True``, float64.

    Raises:
        ParameterError: if a number is too small, or a patch is larger than the smaller photograph.
        MissingExtra: if pillow is not installed, which scikit-learn reads photographs with.

    Example:
        >>> natural_patches(5, generator=torch.Generator().manual_seed(0)).shape
        torch.Size([5, 64])

    Source: ours, because photographs are far from digits and need no download; [pedregosa2011sklearn] distributes them.
    """
    if min(n, size, shrink) < 1:
        raise ParameterError(f"n, size and shrink are whole numbers >= 1, got {n}, {size} and {shrink}")
    photographs = functional.avg_pool2d(_photographs(), shrink) if shrink <= 427 else torch.zeros(2, 1, 0, 0)
    count, _, height, width = photographs.shape
    if min(height, width) < size:
        raise ParameterError(
            f"a patch of {size}x{size} does not fit into a photograph of {height}x{width} pixels; "
            "make size or shrink smaller"
        )
    rows, columns = height - size + 1, width - size + 1
    place = torch.randint(count * rows * columns, (n,), generator=generator, device=generator.device).cpu()
    photograph, row, column = place // (rows * columns), place // columns % rows, place % columns
    along = torch.arange(size)
    cut = photographs[
        photograph[:, None, None], 0, (row[:, None] + along)[:, :, None], (column[:, None] + along)[:, None]
    ]
    return cut[:, None] if images else cut.flatten(1)


@cache
def _photographs() -> Tensor:
    """Return both photographs in gray, shape (2, 1, 427, 640), float64, between 0 and 1."""
    try:
        colors = load_sample_images().images
    except ImportError as error:
        raise MissingExtra("pillow", "images") from error
    levels = torch.stack([torch.tensor(color, dtype=torch.float64) for color in colors]) / 255
    return (levels @ torch.tensor(GRAY, dtype=torch.float64))[:, None]
