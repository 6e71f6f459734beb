"""Readers of the file formats in which well-known data sets come.

Each takes a path and gives NumPy arrays or sentences as they are stored, unscaled and in their order; a file that is
missing, cut short or something else is a ``DataError``.

    idx            gray images and labels of MNIST and its relatives, gzipped or not
    npz            named arrays, pickles refused
    libsvm         "label index:value ..." lines, bzip2
    plain_lines    sentences
    labeled_lines  "label sentence" lines, also tab-separated with a header
    zipped_lines   "sentence <tab> label" lines of a file in a zip archive
    table          numbers in columns, the target last
"""

import bz2
import gzip
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path
from pickle import UnpicklingError

import numpy as np

from weightlore.errors import DataError

__all__ = ["clean", "idx", "labeled_lines", "libsvm", "npz", "plain_lines", "reading", "table", "zipped_lines"]

Labeled = tuple[tuple[str, ...], np.ndarray]

IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
BROKEN = (
    *(OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, struct.error, zlib.error),
    *(zipfile.BadZipFile, tarfile.TarError, UnpicklingError),
)


@contextmanager
def reading(path: Path, what: str) -> Iterator[None]:
    """Turn whatever goes wrong while a file is read into a DataError that says what to do.

    Args:
        path: the file.
        what: what the file should be, with its article.

    Raises:
        DataError: if anything goes wrong within.

    Source: ours
    """
    try:
        yield
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(
            f"{path} is missing; run `weightlore data fetch NAME` (`weightlore data list` knows the names), "
            "or let WEIGHTLORE_DATA_MIRROR name a folder that has it"
        ) from error
    except BROKEN as error:
        raise DataError(
            f"{path} is not {what}, or it is broken ({type(error).__name__}: {error}); "
            "remove it and run `weightlore data fetch NAME`"
        ) from error


def idx(path: Path) -> np.ndarray:
    """Read an idx file: two zeros, a type, the number of dimensions, the shape, then the numbers.

    Args:
        path: the file, gzipped if its name ends in ``.gz``.

    Returns:
        An array of the stored shape and type, in the byte order of this machine.

    Raises:
        DataError: if the file is missing or not a whole idx file.

    Source: ours, after the format's description by LeCun, Cortes and Burges.
    """
    with reading(path, "a whole idx file"):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        zeros, kind, dimensions = struct.unpack_from(">HBB", data)
        shape = struct.unpack_from(f">{dimensions}I", data, 4)
        dtype, start = np.dtype(IDX_TYPES[kind]), 4 + 4 * dimensions
        if zeros != 0 or len(data) != start + dtype.itemsize * prod(shape):
            raise ValueError(f"its header promises shape {shape}, and {len(data) - start} bytes follow")
        return np.frombuffer(data, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def npz(path: Path, names: Sequence[str]) -> tuple[np.ndarray, ...]:
    """Read arrays from an npz archive; objects are refused, because loading them could run code.

    Args:
        path: the file.
        names: which arrays.

    Raises:
        DataError: if the file is missing, broken, or lacks an array.

    Source: ours
    """
    with reading(path, "a whole npz archive"), np.load(path, allow_pickle=False) as stored:
        return tuple(stored[name] for name in names)


def libsvm(path: Path, features: int) -> tuple[np.ndarray, np.ndarray]:
    """Read a bzip2-compressed table in the LIBSVM format; what a line does not mention is zero.

    Args:
        path: the file.
        features: number of columns D.

    Returns:
        Values of shape (N, D), float64, and the labels as stored, int64.

    Raises:
        DataError: if the file is missing or not of this form.

    Source: ours
    """
    with reading(path, "a bzip2-compressed LIBSVM table"):
        rows = [line.split() for line in bz2.decompress(path.read_bytes()).decode("ascii").splitlines() if line]
        x = np.zeros((len(rows), features))
        for row, (_, *entries) in enumerate(rows):
            places, values = zip(*(entry.split(":") for entry in entries), strict=True)
            x[row, np.array(places, dtype=np.int64) - 1] = np.array(values, dtype=np.float64)
        return x, np.array([float(row[0]) for row in rows]).astype(np.int64)


def labeled_lines(path: Path, *, header: bool = False) -> Labeled:
    """Read sentences, one a line, each after its label of one digit and a space or tab; blank ones are left out.

    Args:
        path: a UTF-8 file.
        header: whether the first line is none of them.

    Returns:
        The sentences, and the labels of shape (N,), int64.

    Raises:
        DataError: if the file is missing or a line has no label.

    Source: ours
    """
    with reading(path, "a UTF-8 file of labeled lines"):
        lines = _lines(path.read_bytes())[header:]
        pairs = [(line[2:].strip(), int(line[0])) for line in lines if line.strip()]
        return _labeled([pair for pair in pairs if pair[0]])


def plain_lines(path: Path) -> tuple[str, ...]:
    """Read sentences, one a line; blank ones are left out.

    Args:
        path: a UTF-8 file.

    Raises:
        DataError: if the file is missing or not UTF-8.

    Source: ours
    """
    with reading(path, "a UTF-8 file of lines"):
        return tuple(line.strip() for line in _lines(path.read_bytes()) if line.strip())


def zipped_lines(path: Path, member: str) -> Labeled:
    """Read sentences, one a line, each before a tab and its label, from a file in a zip archive.

    Args:
        path: the archive.
        member: the file's name within.

    Returns:
        The sentences, and the labels of shape (N,), int64.

    Raises:
        DataError: if the archive is missing, broken, or has no such member.

    Source: ours
    """
    with reading(path, "a whole zip archive"), zipfile.ZipFile(path) as archive:
        pairs = [line.rpartition("\t") for line in _lines(archive.read(member)) if line.strip()]
        return _labeled([(sentence.strip(), int(label)) for sentence, _, label in pairs])


def clean(data: Labeled) -> Labeled:
    """Drop quotation marks and control characters, and make every space a single one.

    Copies of the Sentiment Labelled Sentences differ in nothing else.

    Args:
        data: sentences and labels.

    Source: ours
    """
    sentences, labels = data
    return tuple(" ".join(re.sub("[\x80-\x9f]", " ", text.replace('"', "")).split()) for text in sentences), labels


def table(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read a table of numbers in columns; the last column is the target.

    Args:
        path: a text file, white space between columns.

    Returns:
        Features of shape (N, D) and targets of shape (N, 1), float64.

    Raises:
        DataError: if the file is missing or not such a table.

    Source: ours
    """
    with reading(path, "a table of numbers"):
        lines = _lines(path.read_bytes())
        numbers = np.loadtxt(lines, dtype=np.float64, ndmin=2) if any(lines) else np.empty((0, 0))
        if not np.isfinite(numbers).all() or numbers.shape[1] < 2:
            raise ValueError(f"finite numbers in two columns or more were expected, got shape {numbers.shape}")
        return numbers[:, :-1], numbers[:, -1:]


def _lines(data: bytes) -> list[str]:
    """Split at newlines alone: some sentences hold characters that count as line ends elsewhere."""
    return data.decode("utf-8").replace("\r\n", "\n").split("\n")


def _labeled(pairs: list[tuple[str, int]]) -> Labeled:
    return tuple(sentence for sentence, _ in pairs), np.array([label for _, label in pairs], dtype=np.int64)
