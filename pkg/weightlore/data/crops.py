"""Training images that look a little different each time: cut out at random, and mirrored.

    shifted        images in memory: zeros around them, a cut of the old size, perhaps mirrored
    resized_cuts   image files: a part of random size and shape, resized, perhaps mirrored

What is drawn depends on the whole batch, also where only a share of it is made, so that several processes can each make
their share of one batch.
"""

import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from weightlore.data.folders import ImageFolder, opened
from weightlore.data.split import Split
from weightlore.errors import ParameterError

__all__ = ["resized_cuts", "shifted"]

TRIES = 10
AREA, SHAPE = (0.08, 1.0), (3 / 4, 4 / 3)
ALL = slice(None)
Box = tuple[float, float, float, float]


def shifted(data: Split, rows: Tensor, *, padding: int = 4, generator: torch.Generator, share: slice = ALL) -> Split:
    """Return images that are moved by up to some pixels in each direction, zeros coming in, half of them mirrored.

    Args:
        data: x of shape (N, C, H, W).
        rows: row numbers of the batch, shape (B,), int64.
        padding: pixels, >= 0.
        generator: draws two offsets and a mirror for each row of the batch.
        share: which of the batch are made.

    Returns:
        The images of the share, (B', C, H, W), and their targets.

    Raises:
        ParameterError: if x is no batch of images, or the padding negative.

    Source: [lu2020binary], set-ups of the authors' code, with padding 4
    """
    if data.x.ndim != 4 or padding < 0:
        raise ParameterError(
            f"shifted images need x of shape (N, C, H, W) and padding >= 0, got {tuple(data.x.shape)} and {padding}"
        )
    draws = torch.rand(len(rows), 3, generator=generator, dtype=torch.float64, device=generator.device)[share].cpu()
    chosen = data[rows[share]]
    top, left = ((draws[:, side] * (2 * padding + 1)).long() for side in (0, 1))
    height, width = chosen.x.shape[2:]
    padded = torch.nn.functional.pad(chosen.x, (padding,) * 4)
    down = (top[:, None] + torch.arange(height)).to(padded.device)
    right = left[:, None] + torch.arange(width)
    right = torch.where(draws[:, 2:] < 0.5, right.flip(1), right).to(padded.device)
    cut = padded[torch.arange(len(padded))[:, None, None], :, down[:, :, None], right[:, None, :]]  # (B', H, W, C)
    return Split(cut.permute(0, 3, 1, 2).contiguous(), chosen.y)


def resized_cuts(
    folder: ImageFolder, rows: Tensor, *, generator: torch.Generator, share: slice = ALL, workers: int = 1
) -> Split:
    """Read parts of images, of random place, size and shape, resized to the folder's size, half of them mirrored.

    A part has 8 to 100 percent of the area and an aspect between 3:4 and 4:3. Where ten draws find none that fits, the
    largest of the nearest shape is cut from the center.

    Args:
        folder: N image files; of its settings ``size`` and ``dtype`` count.
        rows: row numbers of the batch, shape (B,), int64.
        generator: draws 41 numbers for each row of the batch.
        share: which of the batch are read.
        workers: threads that read, >= 1; the images do not depend on it.

    Returns:
        x of shape (B', 3, size, size), between 0 and 1; y of shape (B',), int64.

    Raises:
        ParameterError: if there is no worker.
        DataError: if a file is not an image.
        MissingExtra: if Pillow is not installed.

    Source: [lu2020binary], set-ups of the authors' code; ten draws and the bounds are common practice
    """
    if workers < 1:
        raise ParameterError(f"workers counts threads that read images and must be >= 1, got {workers}")
    draws = torch.rand(len(rows), 4 * TRIES + 1, generator=generator, dtype=torch.float64, device=generator.device)
    with ThreadPoolExecutor(workers) as threads:
        images = list(threads.map(lambda row, one: _cut(folder, row, one), rows[share].tolist(), draws[share].tolist()))
    pixels = torch.from_numpy(np.stack(images)) if images else torch.zeros(0, folder.size, folder.size, 3)
    return Split(pixels.permute(0, 3, 1, 2).to(folder.dtype) / 255, folder.y[rows[share]])


def _cut(folder: ImageFolder, row: int, draws: list[float]) -> np.ndarray:
    """Return a part of one image, shape (size, size, 3), uint8."""
    with opened(folder.paths[row]) as image:
        box = next(_fitting(image.size, draws), None) or _central(image.size)
        pixels = np.asarray(image.convert("RGB").resize((folder.size, folder.size), 2, box=box))  # 2 is bilinear
    return pixels[:, ::-1] if draws[-1] < 0.5 else pixels


def _fitting(size: tuple[int, int], draws: list[float]) -> Iterator[Box]:
    """Go through the drawn parts that lie within an image: left, upper, right, lower."""
    width, height = size
    for n in range(TRIES):
        area, shape, across, down = draws[4 * n : 4 * n + 4]
        area = width * height * (AREA[0] + area * (AREA[1] - AREA[0]))
        shape = SHAPE[0] * (SHAPE[1] / SHAPE[0]) ** shape  # uniform in the logarithm
        w, h = round(math.sqrt(area * shape)), round(math.sqrt(area / shape))
        if 0 < w <= width and 0 < h <= height:
            left, top = int(across * (width - w + 1)), int(down * (height - h + 1))
            yield left, top, left + w, top + h


def _central(size: tuple[int, int]) -> Box:
    """Return the largest part in the middle whose shape is allowed."""
    width, height = size
    w, h = min(width, max(1, round(height * SHAPE[1]))), min(height, max(1, round(width / SHAPE[0])))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h
