"""The page of other implementations: what each is for, which entries of the survey it has, and what was compared.

Nothing is typed here: the overview is ``overview.json``, and every number is one that ``tests/uncertainty/peers``
measured and kept in ``agreements.json``.
"""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import survey
from records import ROOT, plain, read, table

__all__ = ["agreements", "libraries"]

FOLDER = ROOT / "book" / "libraries"


def overview() -> list[dict[str, str]]:
    """Return what is known of each library."""
    return read(FOLDER / "overview.json")


def measured() -> list[dict[str, Any]]:
    """Return every comparison that was measured."""
    return read(FOLDER / "agreements.json")


def libraries() -> str:
    """Return one row for each library, with the count of comparisons."""
    found = measured()
    versions = {row["library"].lower(): row["version"] for row in found}
    counts = Counter((row["library"].lower(), row["verdict"]) for row in found)
    head = ("library", "version", "license", "what for", "entries it has, too", "compared", "agree", "differ")
    return table(head, (line(library, versions, counts) for library in overview()))


def line(library: Mapping[str, str], versions: Mapping[str, str], counts: Counter[tuple[str, str]]) -> list[str]:
    """Return a library's row."""
    name = library["name"].lower()
    agree, differ = counts[name, "agrees"], counts[name, "differs"]
    absent = f"in `{library['test']}`" if "test" in library else "not run here"
    numbers = [str(agree + differ), str(agree), str(differ)] if name in versions else [absent, "", ""]
    link = f"[{library['name']}]({library['url']})"
    return [link, versions.get(name, ""), library["license"], plain(library["purpose"]), library["rows"], *numbers]


def agreements() -> str:
    """Return every comparison, one table for each library."""
    found, parts = measured(), []
    names = {row["name"].lower(): row["name"] for row in overview()}
    entries = {row["id"]: row["entry"] for row in survey.rows()}
    for name in dict.fromkeys(row["library"] for row in found):
        rows = [row for row in found if row["library"] == name]
        head = ("its function", "entry", "what was compared", "ours", "theirs", "largest difference", "")
        lines = (compared(row, entries) for row in rows)
        parts.append(f"### {names[name.lower()]} {rows[0]['version']}\n\n{table(head, lines)}")
    return "\n\n".join(parts)


def compared(row: Mapping[str, Any], entries: Mapping[str, str]) -> list[str]:
    """Return one comparison as a row of its table."""
    verdict = row["verdict"] if not row["reason"] else f"**differs**: {plain(row['reason'])}"
    entry = f"{row['row']}, {plain(entries[row['row']])}"
    sides = [shown(row["ours"]), shown(row["theirs"])]
    return [f"`{row['function']}`", entry, plain(row["what"]), *sides, power(row["difference"]), verdict]


def shown(numbers: list[float]) -> str:
    """Return the first numbers of one side, and how many there are."""
    first = ", ".join(f"{value:.4g}" for value in numbers[:2])
    return first if len(numbers) <= 2 else f"{first}, ... ({len(numbers)} numbers)"


def power(value: float) -> str:
    """Return a difference with two digits, by powers of ten where it is small."""
    if value == 0 or value >= 1e-3:
        return f"{value:.2g}"
    digits, exponent = re.fullmatch(r"([\d.]+)e([+-]\d+)", f"{value:.1e}").groups()
    return f"${digits} \\cdot 10^{{{int(exponent)}}}$"
