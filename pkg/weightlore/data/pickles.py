"""The CIFAR archives, without trusting them.

They hold Python pickles, and a pickle can run any code when it is loaded. The reader here lets a pickle name exactly
what a NumPy array consists of and nothing else; whatever else it names is an error.
"""

import pickle
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from weightlore.data.readers import reading

__all__ = ["cifar"]

ADMITTED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}


class _ArraysOnly(pickle.Unpickler):
    """An unpickler for lists, dictionaries, bytes, numbers and NumPy arrays."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ADMITTED:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which has no place in a data set")
        return super().find_class(module, name)


def cifar(path: Path, members: Sequence[str], labels: str = "labels") -> tuple[np.ndarray, np.ndarray]:
    """Read images and labels from a CIFAR archive in its Python version.

    Args:
        path: the ``.tar.gz`` archive; nothing is unpacked to disk.
        members: names of the batches, such as ``"cifar-10-batches-py/data_batch_1"``, in the order wanted.
        labels: ``"labels"`` for CIFAR-10, ``"fine_labels"`` or ``"coarse_labels"`` for CIFAR-100.

    Returns:
        Images of shape (N, 32, 32, 3), uint8, and labels of shape (N,), int64.

    Raises:
        DataError: if the archive is missing or broken, lacks a batch, or a batch holds anything but data.

    Source: [krizhevsky2009cifar], for the layout: a row is the red, the green and the blue plane.
    """
    with reading(path, "a CIFAR archive"), tarfile.open(path, "r:gz") as archive:
        found = {}
        for entry in archive:  # once from front to back: going back in a gzip file means starting again
            file = archive.extractfile(entry) if entry.name in members else None
            if file is not None:
                found[entry.name] = _batch(file, labels.encode())
        batches = [found[name] for name in members]
        return np.concatenate([images for images, _ in batches]), np.concatenate([answers for _, answers in batches])


def _batch(file: IO[bytes], labels: bytes) -> tuple[np.ndarray, np.ndarray]:
    batch = _ArraysOnly(file, encoding="bytes").load()
    planes, answers = batch[b"data"], np.array(batch[labels], dtype=np.int64)
    if not isinstance(planes, np.ndarray) or planes.dtype != np.uint8 or planes.shape != (len(answers), 3072):
        raise ValueError(f"{len(answers)} labels need as many rows of 3072 bytes")
    return planes.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), answers
