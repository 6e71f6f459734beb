"""An order of rows that no library's random generator decides.

Which row belongs to which split follows from a hash of its number, so that every machine and every version of every
library gives the same test set.

    interleaved(labels, name)   rows of a class by the sha256 of "name number", classes interleaved in proportion
"""

import hashlib
from collections.abc import Sequence

__all__ = ["interleaved"]


def interleaved(labels: Sequence[int], name: str) -> list[int]:
    """Return the numbers of all rows, so ordered that every stretch holds the classes in proportion.

    Within a class rows stand by the hash of their number. The row of rank r among the M of a class comes at the place
    (2 r + 1) / (2 M) of the whole; where two classes meet there, the smaller class number goes first.

    Args:
        labels: class of each row; all alike where there are no classes.
        name: of the set of data, part of what is hashed.

    Returns:
        The N row numbers, each once.

    Source: ours, because a random split would depend on the version of the library that drew it.
    """
    place: dict[int, tuple[float, int]] = {}
    for label in sorted(set(labels)):
        members = sorted((row for row, other in enumerate(labels) if other == label), key=lambda row: _hash(name, row))
        for rank, row in enumerate(members):
            place[row] = ((2 * rank + 1) / (2 * len(members)), label)
    return sorted(place, key=place.__getitem__)


def _hash(name: str, row: int) -> str:
    return hashlib.sha256(f"{name} {row}".encode()).hexdigest()
