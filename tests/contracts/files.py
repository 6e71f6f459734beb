"""The files that the contracts are about, read once."""

import csv
from functools import cache
from pathlib import Path

from pybtex.database import parse_file

ROOT = Path(__file__).parents[2]


@cache
def package() -> dict[str, str]:
    """Path and text of every Python file of the package."""
    return {p.relative_to(ROOT).as_posix(): p.read_text("utf-8") for p in sorted((ROOT / "pkg").rglob("*.py"))}


@cache
def modules() -> dict[str, str]:
    """Those that are no ``__init__``."""
    return {path: text for path, text in package().items() if not path.endswith("__init__.py")}


@cache
def keys() -> frozenset[str]:
    """The keys of the references."""
    return frozenset(parse_file(str(ROOT / "book" / "references.bib")).entries)


def equations() -> list[dict[str, str]]:
    """The rows of the list of equations."""
    with (ROOT / "tests" / "equations.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def notebooks() -> list[Path]:
    """The tutorials."""
    return sorted(p for p in (ROOT / "tutorials").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
