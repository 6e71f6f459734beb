"""The page of what is here of the survey of uncertainty: every entry, where it is, and where it is tested and shown.

Nothing is typed here: the rows are those of ``coverage.csv`` beside the code at the moment of the build, and a name
leads to its place in the API pages as soon as it exists.
"""

import csv
import importlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

import api
from records import ROOT, plain, table

__all__ = ["coverage", "covered", "documented"]

TABLE = ROOT / "pkg" / "weightlore" / "uncertainty" / "coverage.csv"
GROUPS = {
    "S": "Sources of uncertainty",
    "D": "One network, one answer",
    "X": "From outside of a network",
    "B": "A distribution over parameters",
    "E": "Ensembles",
    "T": "Test-time augmentation",
    "M": "Measures of uncertainty",
    "C": "Measures of calibration",
    "G": "Training for calibration",
    "P": "Calibration afterwards",
    "F": "Conformal prediction",
    "V": "Protocols, costs and data",
}


def rows() -> list[dict[str, str]]:
    """Return the entries of the table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def covered() -> str:
    """Return how many entries of each group are done, core and reference, the survey's and ours."""
    found = rows()
    head = ("group", "entries", "done", "later", "core", "reference", "from the survey", "ours")
    lines = [counts(title, [row for row in found if row["id"][0] == letter]) for letter, title in GROUPS.items()]
    return table(head, [*lines, counts("all", found)])


def counts(title: str, group: list[dict[str, str]]) -> list[str]:
    """Return one row of the table of counts."""
    seen = Counter(row[key] for row in group for key in ("state", "tier", "origin"))
    return [title, str(len(group)), *(str(seen[key]) for key in ("done", "later", "core", "ref", "survey", "ours"))]


def coverage() -> str:
    """Return every entry of the survey, in one table for each group."""
    head = ("", "entry", "tier", "from", "functions", "test", "notebook", "state")
    parts = []
    for letter, title in GROUPS.items():
        lines = (line(row) for row in rows() if row["id"][0] == letter)
        parts.append(f"### {title}\n\n{table(head, lines)}")
    return "\n\n".join(parts)


def line(row: Mapping[str, str]) -> list[str]:
    """Return one entry as a row of its table."""
    names = " ".join(reference(name) for name in row["names"].split() if row["state"] == "done" or place(name))
    options = " or ".join(f"`{option}`" for option in row["options"].split())
    test = f"`{row['test']}`" if row["test"] else ""
    return [
        row["id"],
        plain(row["entry"]),
        row["tier"],
        row["origin"],
        f"{names} with {options}" if options else names,
        test,
        page(row["notebook"]),
        row["state"],
    ]


def reference(name: str) -> str:
    """Return a dotted name below the package as its last part, which leads to its place in the API pages."""
    short, found = name.rpartition(".")[2], place(name)
    return f"{{py:obj}}`{short} <{found}>`" if found else f"`{short}`"


def place(name: str) -> str:
    """Return under which name the API pages document a name below the package; empty where they do not."""
    owner, _, last = name.rpartition(".")
    found = documented()
    value = named(name)
    if id(value) in found:
        return found[id(value)]
    above = found.get(id(named(owner))) if value is not None else None  # an attribute or a method, below its class
    return f"{above}.{last}" if above else ""


def named(name: str) -> object:
    """Return the object with a dotted name below the package; ``None`` where there is none."""
    parts = ["weightlore", *name.split(".")]
    value: object = None
    for i, part in enumerate(parts):
        try:
            inside = getattr(value, part, None)
            value = importlib.import_module(".".join(parts[: i + 1])) if inside is None else inside
        except ModuleNotFoundError:
            return None
    return value


@cache
def documented() -> dict[int, str]:
    """Return the names in the API pages by the identity of what they stand for."""
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    pages = [ROOT / f"{path}.md" for path in re.findall(r"file: (book/api/\w+)", contents)]
    return {id(value): path for text in map(Path.read_text, pages) for path, value in entries(asked(text))}


def asked(text: str) -> Iterable[str]:
    """Return the packages that an API page asks for."""
    return re.findall(r"<!-- generated: api ([\w.]+)", text)


def entries(packages: Iterable[str]) -> Iterable[tuple[str, object]]:
    """Return the public names of packages, with what they stand for."""
    return (pair for package in packages for group in api.public_names(package).values() for pair in group)


def page(notebook: str) -> str:
    """Return a link to a notebook that the book holds."""
    path = f"tutorials/{notebook}"
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    here = notebook and path.removesuffix(".ipynb") in contents
    return f"[{Path(notebook).stem}](/{path})" if here else (f"`{Path(notebook).stem}`" if notebook else "")
