"""Trees of image files, one folder a class, as ImageNet is kept.

    folder = image_folder("imagenet/val")     looks at names only
    folder[:64]                               reads 64 images

So a set that does not fit into memory is read as it is needed. Reading needs Pillow.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightlore.data.readers import reading
from weightlore.data.split import Rows, Split
from weightlore.errors import DataError, MissingExtra, ParameterError

__all__ = ["ImageFolder", "image_folder", "opened"]

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".webp")


@dataclass(frozen=True, eq=False)
class ImageFolder:
    """N image files with their classes; indexing reads some of them.

    Args:
        paths: N files.
        y: class numbers, shape (N,), int64.
        classes: C names of classes, those of the folders.
        size: height and width of what is read, in pixels.
        resize: the shorter side before the center is cut out, >= size.
        dtype: floating dtype of what is read.

    Source: ours
    """

    paths: tuple[Path, ...]
    y: Tensor
    classes: tuple[str, ...]
    size: int
    resize: int
    dtype: torch.dtype

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, rows: Rows) -> Split:
        """Read some of the images.

        Args:
            rows: as for a Split.

        Returns:
            x of shape (N, 3, size, size), between 0 and 1; y of shape (N,), int64.

        Raises:
            DataError: if a file is not an image.
            MissingExtra: if Pillow is not installed.
        """
        chosen = Split(torch.arange(len(self)), self.y)[rows]
        images = [_read(self.paths[row], self.size, self.resize) for row in chosen.x.tolist()]
        pixels = torch.from_numpy(np.stack(images)) if images else torch.zeros(0, self.size, self.size, 3)
        return Split(pixels.permute(0, 3, 1, 2).to(self.dtype) / 255, chosen.y)

    def __repr__(self) -> str:
        return f"ImageFolder(N={len(self)}: {len(self.classes)} classes, 3 x {self.size} x {self.size})"


def image_folder(
    path: str | Path, *, size: int = 224, resize: int = 256, dtype: torch.dtype = torch.float32
) -> ImageFolder:
    """Look through a tree of image files in which every folder is a class; nothing is read yet.

    The usual preparation for evaluation: the shorter side is resized, then the center is cut out.

    Args:
        path: the folder of folders; files are found at any depth below a class's folder.
        size: height and width of the cut, in pixels.
        resize: the shorter side before the cut, in pixels, >= size.
        dtype: floating dtype of the images.

    Returns:
        The files in alphabetical order, class by class, classes numbered in alphabetical order of their folders.

    Raises:
        DataError: if there is no such folder, or no image in it.
        ParameterError: if size < 1 or resize < size.

    Source: ours
    """
    if not 1 <= size <= resize:
        raise ParameterError(f"size must be >= 1 and resize at least as large, got {size} and {resize}")
    root = Path(path)
    if not root.is_dir():
        raise DataError(
            f"{root} is not a folder; image_folder expects a folder that holds one folder of images a class"
        )
    classes = tuple(sorted(entry.name for entry in root.iterdir() if entry.is_dir()))
    files = [
        (file, number)
        for number, name in enumerate(classes)
        for file in sorted((root / name).rglob("*"))
        if file.suffix.lower() in SUFFIXES and file.is_file()
    ]
    if not files:
        raise DataError(f"{root} holds no folder with images in it; their names must end in {', '.join(SUFFIXES)}")
    y = torch.tensor([number for _, number in files])
    return ImageFolder(tuple(file for file, _ in files), y, classes, size, resize, dtype)


def _read(path: Path, size: int, resize: int) -> np.ndarray:
    """Return the center of an image, shape (size, size, 3), uint8."""
    with opened(path) as image:
        scale = resize / min(image.size)
        width, height = (max(resize, round(scale * side)) for side in image.size)
        resized = image.convert("RGB").resize((width, height), _pillow().Resampling.BILINEAR)
        left, top = (width - size) // 2, (height - size) // 2
        return np.asarray(resized.crop((left, top, left + size, top + size)))


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """Open an image file for a while, as Pillow does.

    Args:
        path: the file.

    Raises:
        DataError: if it is not an image, also where that shows only inside.
        MissingExtra: if Pillow is not installed.

    Source: ours
    """
    with reading(path, "an image"), _pillow().open(path) as image:
        yield image


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError as error:
        raise MissingExtra("PIL", "images") from error
    return Image
