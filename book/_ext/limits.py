"""The table of limits that were measured: sentences from ``limits.json``, numbers from the ledger or a committed file.

A sentence names its source, a row of the third chapter's ledger or an entry of ``measured.json``, and its numbers are
filled in when the book is built, so that none can drift from what was measured.
"""

import re
from collections.abc import Mapping
from typing import Any

from records import LEDGERS, ROOT, read, table

__all__ = ["limits"]

FOLDER = ROOT / "book" / "limits"
CHAPTER = "3_uncertain"


def limits() -> str:
    """Return every family's limits, each with where its number comes from."""
    return table(("family", "what we measured", "from"), map(line, read(FOLDER / "limits.json")))


def line(limit: Mapping[str, str]) -> list[str]:
    """Return one limit as a row of the table."""
    kind, _, name = limit["from"].partition(":")
    where = f"{{ref}}`the ledger <claim-{CHAPTER}-{name}>`" if kind == "ledger" else "[measured](measured-limits)"
    says = limit["says"].format(**numbers(kind, name))
    return [limit["family"], re.sub(r"(?<=\d) ?%", "\u00a0%", says), where]


def numbers(kind: str, name: str) -> dict[str, Any]:
    """Return the numbers that a sentence may name."""
    if kind == "measured":
        return read(FOLDER / "measured.json")[name]
    row = next(row for row in read(LEDGERS / f"{CHAPTER}.json")["rows"] if row["id"] == name)
    low, high = row["interval"]
    return {"mean": row["mean"], "low": low, "high": high}
