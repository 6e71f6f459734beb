"""Sets that are fetched when asked for, checked, and kept.

A set is looked for in the folder that ``WEIGHTLORE_DATA_MIRROR`` names, then among what was kept before, then at its
source. It is kept in the folder that ``WEIGHTLORE_DATA`` names, else in the cache folder of the system. Every original
is checked by its sha256 before it is kept, and the arrays by theirs before they are given out: a half download is never
used, and a set is the same numbers wherever it came from.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, overload

import numpy as np
import pooch
import torch

from weightlore.data.converters import Part, digest
from weightlore.data.image_sets import IMAGE_SETS
from weightlore.data.record import Dataset, Original
from weightlore.data.sentence_sets import SENTENCE_SETS
from weightlore.data.split import Split
from weightlore.data.table_sets import TABLE_SETS
from weightlore.data.text import Text
from weightlore.errors import DataError, ParameterError

__all__ = ["NumberSet", "TextSet", "data_folder", "datasets", "fetch"]

TextSet = Literal["sst2", "mr", "cr", "sls-imdb", "sls-amazon", "sls-yelp"]
NumberSet = Literal[
    "fashion-mnist",
    "usps",
    "cifar10",
    "cifar10-subset",
    "cifar100",
    "uci-concrete",
    "uci-energy",
    "uci-kin8nm",
    "uci-power-plant",
    "uci-wine-quality-red",
    "uci-yacht",
]


@overload
def fetch(
    name: TextSet, *, folder: str | Path | None = None, dtype: torch.dtype = torch.float32, progress: bool = False
) -> dict[str, Text]: ...


@overload
def fetch(
    name: NumberSet, *, folder: str | Path | None = None, dtype: torch.dtype = torch.float32, progress: bool = False
) -> dict[str, Split]: ...


@overload
def fetch(
    name: str | Dataset, *, folder: str | Path | None = None, dtype: torch.dtype = torch.float32, progress: bool = False
) -> dict[str, Any]: ...


def fetch(
    name: str | Dataset, *, folder: str | Path | None = None, dtype: torch.dtype = torch.float32, progress: bool = False
) -> dict[str, Any]:
    """Return a set, from a mirror, from what was kept, or from its source.

    Args:
        name: one of the names that ``datasets()`` lists, or a record of your own.
        folder: where originals are kept; ``None`` for ``data_folder()``.
        dtype: floating dtype of images and tables; tables have up to 16 digits, which only float64 keeps.
        progress: whether a bar shows how the download goes.

    Returns:
        Part by part (``"train"``, ``"validation"``, ``"test"``, or ``"all"`` for sets that come undivided) a Split or,
        for sentences, a Text. Images: x of shape (N, C, H, W) between 0 and 1, y of shape (N,), int64. Tables: x of
        shape (N, D), unscaled, y of shape (N, 1).

    Raises:
        ParameterError: if there is no set of that name.
        DataError: if the set cannot be had or is not the pinned one; the message says what to do.

    Example:
        >>> fetch("uci-yacht")  # doctest: +SKIP
        {'all': Split(N=308: x (308, 6) float32, y (308, 1) float32)}

    Source: ours; each record names the work to cite.
    """
    record = name if isinstance(name, Dataset) else _record(name)
    parts, origin = _mirrored(record), "the mirror"
    if parts is None:
        where = Path(folder) if folder is not None else data_folder()
        parts, origin = record.convert([_kept(record, file, where, progress) for file in record.originals]), str(where)
    if record.sha256 is not None and digest(parts) != record.sha256:
        raise DataError(
            f"{record.name} from {origin} is not the pinned set: its arrays have another checksum. Unset "
            f"WEIGHTLORE_DATA_MIRROR if it is set, remove the files, and run `weightlore data fetch {record.name}`"
        )
    return {part: _offered(record, arrays, dtype) for part, arrays in parts.items()}


def datasets() -> tuple[Dataset, ...]:
    """Return the records of all sets that can be fetched.

    Source: ours
    """
    return (*IMAGE_SETS, *SENTENCE_SETS, *TABLE_SETS)


def data_folder() -> Path:
    """Return the folder in which fetched files are kept: ``WEIGHTLORE_DATA``, else the system's cache folder.

    Source: ours
    """
    return Path(os.environ.get("WEIGHTLORE_DATA") or pooch.os_cache("weightlore")).expanduser()


def _record(name: str) -> Dataset:
    for record in datasets():
        if record.name == name:
            return record
    raise ParameterError(f"there is no set {name!r}; the names are {', '.join(record.name for record in datasets())}")


def _mirrored(record: Dataset) -> dict[str, Part] | None:
    """Return the set from the mirror, or nothing if no mirror is set or it lacks a file of the set."""
    named = os.environ.get("WEIGHTLORE_DATA_MIRROR")
    if not named or not record.mirror:
        return None
    mirror = Path(named).expanduser()
    if not mirror.is_dir():
        raise DataError(f"WEIGHTLORE_DATA_MIRROR names {mirror}, which is not a folder; correct or unset it")
    files = [mirror / file for file in record.mirror]
    if not all(file.is_file() for file in files):
        return None
    return (record.convert_mirror or record.convert)(files)


def _kept(record: Dataset, original: Original, folder: Path, progress: bool) -> Path:
    """Return the path of an original, fetched first if it is not kept yet or not whole."""
    path = folder / original.keep
    command = f"`weightlore data fetch {record.name}`"
    try:
        with _silent():  # the bar shows what goes on, where one is wanted
            pooch.retrieve(
                original.address,
                known_hash=f"sha256:{original.sha256}",
                fname=path.name,
                path=path.parent,
                downloader=pooch.HTTPDownloader(progressbar=progress, timeout=30),
            )
    except ValueError as error:
        raise DataError(
            f"{original.address} gave another file than the pinned one (sha256 {original.sha256}); nothing of it was "
            f"kept. Run {command} once more; if that does not help, its source has changed: please report it"
        ) from error
    except OSError as error:
        if error.errno is not None:  # the system's errors have a number, those of the connection have none
            raise DataError(
                f"{path} cannot be written ({error}); let WEIGHTLORE_DATA name a folder that can"
            ) from error
        mirrored = f", or let WEIGHTLORE_DATA_MIRROR name a folder that holds {', '.join(record.mirror)}"
        raise DataError(
            f"{record.name} could not be fetched from {original.address} ({error}). With a connection, run {command}; "
            f"without one, put that file at {path}{mirrored if record.mirror else ''}"
        ) from error
    return path


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the downloader from announcing what it does; its own setting is put back."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("WARNING")
    try:
        yield
    finally:
        logger.setLevel(level)


def _offered(record: Dataset, part: Part, dtype: torch.dtype) -> Split | Text:
    x, y = part
    if isinstance(x, tuple):
        return Text(x, torch.from_numpy(y))
    inputs = torch.from_numpy(np.ascontiguousarray(np.moveaxis(x, -1, 1) if record.kind == "images" else x)).to(dtype)
    targets = torch.from_numpy(np.ascontiguousarray(y))
    return Split(inputs / record.scale, targets.to(dtype) if record.kind == "table" else targets)
