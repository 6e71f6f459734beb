"""The page of other implementations: what each is for, which entries of the survey it has, and what was compared.

Nothing is typed here: the overview is ``overview.json``, and every number is one that ``tests/uncertainty/peers``
measured and kept in ``agreements.json``.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import survey
from records import ROOT, plain, read, table

__all__ = ["agreements", "libraries", "whichlibrary"]

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
    head = ("library", "what for", "license", "entries", "agree", "differ")
    return table(head, (line(library, versions, counts) for library in overview()))


def line(library: Mapping[str, str], versions: Mapping[str, str], counts: Counter[tuple[str, str]]) -> list[str]:
    """Return a library's row."""
    name, has = library["name"].lower(), str(len(library["rows"].split()))
    numbers = [str(counts[name, verdict]) for verdict in ("agrees", "differs")]
    title = f"{linked(library)} {versions.get(name, '')}".rstrip()
    return [title, plain(library["purpose"]), library["license"], has, *numbers]


def linked(library: Mapping[str, str]) -> str:
    """Return the name of a library, which leads to it."""
    return f"[{library['name']}]({library['url']})"


def whichlibrary() -> str:
    """Return, for each entry that some library has, which those are and what came of the comparisons."""
    verdicts: defaultdict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in measured():
        verdicts[row["row"], row["library"].lower()][row["verdict"]] += 1
    head, parts = ("", "entry", "libraries"), []
    for letter, title in survey.GROUPS.items():
        lines = [entry(row, verdicts) for row in survey.rows() if row["id"][0] == letter and having(row["id"])]
        parts += [f"### {title}\n\n{table(head, lines)}"] if lines else []
    return "\n\n".join(parts)


def having(id: str) -> list[dict[str, str]]:
    """Return the libraries that have an entry."""
    return [library for library in overview() if id in library["rows"].split()]


def entry(row: Mapping[str, str], verdicts: Mapping[tuple[str, str], Counter[str]]) -> list[str]:
    """Return who has an entry, as a row of its table."""
    found = ((linked(library), verdicts.get((row["id"], library["name"].lower()))) for library in having(row["id"]))
    return [row["id"], plain(row["entry"]), ", ".join(f"{name}{outcome(counts)}" for name, counts in found)]


def outcome(counts: Mapping[str, int] | None) -> str:
    """Return what came of the comparisons with a library, in brackets."""
    words = [word for word in ("agrees", "differs") if counts and counts[word]]
    return f" ({' and '.join(words)})" if words else ""


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
