"""What is written down about a set that can be fetched: whose it is, where it lies, how it is checked.

A record pins the original files by their sha256, and by another the arrays that a converter makes from them, so that a
set from its source and the same set from a mirror are the same numbers. None of the sets is part of the package:
several may be used but not passed on.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from weightlore.data.converters import Converter

__all__ = ["Dataset", "Original", "originals"]


@dataclass(frozen=True)
class Original:
    """One file as its source offers it.

    Args:
        address: where it is fetched from.
        sha256: checksum of the file; anything else is refused.
        keep: where it is kept below the data folder.

    Source: ours
    """

    address: str
    sha256: str
    keep: str


@dataclass(frozen=True)
class Dataset:
    """A set that can be fetched.

    Args:
        name: how ``fetch`` knows it.
        title: what it is, in one line.
        kind: ``"images"``, ``"text"`` or ``"table"``.
        license: as its source states it.
        citation: BibTeX key of the work to cite.
        originals: the files of the source.
        convert: makes the arrays from the originals.
        tried: whether the converter was run on files with these very checksums. Whether an address still answers is
            known only when somebody fetches.
        sha256: checksum of the arrays; ``None`` where nobody could compute one for us, so that the checksums of the
            originals are the only guard.
        scale: the stored numbers are divided by this.
        mirror: the set's files below a mirror folder; empty if a mirror does not hold it.
        convert_mirror: makes the same arrays from them.

    Source: ours
    """

    name: str
    title: str
    kind: Literal["images", "text", "table"]
    license: str
    citation: str
    originals: tuple[Original, ...]
    convert: Converter
    tried: bool
    sha256: str | None = None
    scale: float = 1.0
    mirror: tuple[str, ...] = ()
    convert_mirror: Converter | None = None


def originals(source: str, folder: str, files: Iterable[tuple[str, str]]) -> tuple[Original, ...]:
    """Return the files of one source, kept in one folder.

    Args:
        source: the address above the files.
        folder: where they are kept below the data folder.
        files: name and sha256 of each.

    Source: ours
    """
    return tuple(Original(f"{source}/{file}", sha256, f"{folder}/{file}") for file, sha256 in files)
