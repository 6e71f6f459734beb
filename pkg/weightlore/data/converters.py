"""From the files of a set to its arrays, the same ones whichever copy the files are.

A converter takes the files of a record in their order and gives parts: name of the part -> (inputs, answers), still in
the integers or sentences in which they are stored. ``digest`` is the checksum of what came out.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from weightlore.data import readers
from weightlore.data.pickles import cifar

__all__ = [
    "Converter",
    "Part",
    "archived_cifar",
    "digest",
    "idx_pairs",
    "labeled_files",
    "npz_pairs",
    "one_table",
    "positive_first",
    "two_classes",
    "usps_tables",
    "zipped_file",
]

Part = tuple[np.ndarray | tuple[str, ...], np.ndarray]
Converter = Callable[[Sequence[Path]], dict[str, Part]]


def digest(parts: dict[str, Part]) -> str:
    """Return the sha256 over all parts: names, types, shapes and values, independent of the machine.

    Args:
        parts: what a converter gave.

    Source: ours
    """
    total = hashlib.sha256()
    for name in sorted(parts):
        x, y = parts[name]
        lines = np.frombuffer("\n".join(x).encode(), np.uint8) if isinstance(x, tuple) else x
        for array in (lines, y):
            little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
            total.update(f"{name} {little.dtype.str} {little.shape}\n".encode())
            total.update(little.tobytes())
    return total.hexdigest()


def idx_pairs(files: Sequence[Path]) -> dict[str, Part]:
    """Read train images, train labels, test images and test labels from idx files.

    Args:
        files: the four files, in this order.

    Source: ours
    """
    x, y, x_test, y_test = (readers.idx(file) for file in files)
    return {"train": (x[..., None], y.astype(np.int64)), "test": (x_test[..., None], y_test.astype(np.int64))}


def npz_pairs(files: Sequence[Path], scale: int = 1) -> dict[str, Part]:
    """Read arrays ``train_images``, ``train_labels``, ``test_images`` and ``test_labels`` from one npz archive.

    Args:
        files: the archive.
        scale: if above 1, images are levels between 0 and 1 in steps of 1 / scale, and are counted in such steps.

    Source: ours
    """
    names = [f"{part}_{what}" for part in ("train", "test") for what in ("images", "labels")]
    x, y, x_test, y_test = readers.npz(files[0], names)
    if scale > 1:
        x, x_test = (np.rint(levels.astype(np.float64) * scale).astype(np.int16)[..., None] for levels in (x, x_test))
    return {"train": (x, y.astype(np.int64)), "test": (x_test, y_test.astype(np.int64))}


def usps_tables(files: Sequence[Path]) -> dict[str, Part]:
    """Read USPS in the LIBSVM format, where gray levels go from -1 to 1 in steps of 0.001 and digits from 1 to 10.

    Args:
        files: the train and the test table.

    Returns:
        Gray levels between 0 and 1, counted in steps of 1/2000.

    Source: ours
    """
    parts: dict[str, Part] = {}
    for name, file in zip(("train", "test"), files, strict=True):
        x, y = readers.libsvm(file, 256)
        parts[name] = (np.rint((x + 1) * 1000).astype(np.int16).reshape(-1, 16, 16, 1), y - 1)
    return parts


def archived_cifar(
    files: Sequence[Path], train: Sequence[str], test: Sequence[str], labels: str = "labels", first: int | None = None
) -> dict[str, Part]:
    """Read a CIFAR archive.

    Args:
        files: the archive.
        train: its train batches.
        test: its test batches.
        labels: what the labels are called in it.
        first: how many train images; a quarter as many test images. ``None`` for all.

    Source: ours
    """
    parts: dict[str, Part] = {}
    for name, batches, stop in (("train", train, first), ("test", test, None if first is None else first // 4)):
        x, y = cifar(files[0], batches, labels)
        parts[name] = (x[:stop], y[:stop])
    return parts


def labeled_files(
    files: Sequence[Path], parts: Sequence[str] = ("all",), header: bool = False, tidy: bool = False
) -> dict[str, Part]:
    """Read labeled sentences, a file a part.

    Args:
        files: one file a part.
        parts: the names of the parts.
        header: whether the first line of each file is none of the sentences.
        tidy: whether the sentences are cleaned, see ``readers.clean``.

    Source: ours
    """
    found: dict[str, Part] = {}
    for name, file in zip(parts, files, strict=True):
        data = readers.labeled_lines(file, header=header)
        found[name] = readers.clean(data) if tidy else data
    return found


def positive_first(files: Sequence[Path]) -> dict[str, Part]:
    """Read labeled sentences from one file and put the positive ones first, each group in its order.

    Args:
        files: the file.

    Source: ours
    """
    sentences, labels = readers.labeled_lines(files[0])
    order = np.argsort(1 - labels, kind="stable")
    return {"all": (tuple(sentences[row] for row in order), labels[order])}


def two_classes(files: Sequence[Path]) -> dict[str, Part]:
    """Read sentences of two files, one a line, the first file positive.

    Args:
        files: the positive and the negative sentences.

    Source: ours
    """
    positive, negative = (readers.plain_lines(file) for file in files)
    return {"all": (positive + negative, np.array([1] * len(positive) + [0] * len(negative), dtype=np.int64))}


def zipped_file(files: Sequence[Path], member: str) -> dict[str, Part]:
    """Read cleaned sentences from a file in a zip archive.

    Args:
        files: the archive.
        member: the file's name within.

    Source: ours
    """
    return {"all": readers.clean(readers.zipped_lines(files[0], member))}


def one_table(files: Sequence[Path]) -> dict[str, Part]:
    """Read a table of numbers, the target last.

    Args:
        files: the table.

    Source: ours
    """
    return {"all": readers.table(files[0])}
