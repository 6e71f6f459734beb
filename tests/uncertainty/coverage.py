"""The table of the survey's entries, as functions from a row to complaints, so that a test can show that each bites."""

import csv
import importlib
import inspect
import json
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import weightlore
from weightlore import uncertainty

ROOT = Path(__file__).parents[2]
TABLE = Path(uncertainty.__file__).with_name("coverage.csv")
COUNTS = {"S": 10, "D": 19, "X": 12, "B": 31, "E": 21, "T": 5, "M": 31, "C": 15, "G": 9, "P": 16, "F": 7, "V": 7}
Row = dict[str, str]


def rows() -> list[Row]:
    """The rows of the table."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def found(name: str) -> Any:
    """The object with a dotted path below the package; ``None`` where there is none."""
    parts, value = name.split("."), weightlore
    for i, part in enumerate(parts):
        inside = getattr(value, part, None)
        if inside is None and isinstance(value, ModuleType):
            try:
                inside = importlib.import_module(".".join(["weightlore", *parts[: i + 1]]))
            except ModuleNotFoundError:
                return None
        value = inside
    return value


def objects(row: Row) -> list[str]:
    """Names that cannot be imported, or whose docstring says nothing or names no source."""
    complaints = []
    for name in row["names"].split():
        value = found(name)
        if value is None:
            complaints.append(f"{row['id']}: weightlore.{name} does not exist")
        elif not inspect.getdoc(value) or (not isinstance(value, property) and not _has_source(value)):
            complaints.append(f"{row['id']}: weightlore.{name} has no docstring with its source")
    return complaints if row["names"] else [f"{row['id']}: names no object"]


def _has_source(value: Any) -> bool:
    method = inspect.isfunction(value) and "." in value.__qualname__
    return method or "Source:" in (inspect.getdoc(value) or "")


@cache
def pages() -> dict[str, str]:
    """The packages of the API pages of the book, each with its page."""
    contents = (ROOT / "_toc.yml").read_text("utf-8")
    listed = [ROOT / f"{path}.md" for path in re.findall(r"file: (book/api/\w+)", contents)]
    asked = [(re.findall(r"generated: api weightlore\.([\w.]+)", page.read_text("utf-8")), page) for page in listed]
    return {package: page.name for packages, page in asked for package in packages}


def documented(row: Row) -> list[str]:
    """Names that no page of the book describes."""
    complaints = []
    for name in row["names"].split():
        value, owner = found(name), name
        if not hasattr(value, "__module__") or value is None:
            owner = name.rpartition(".")[0]  # a property, described with its class
            value = found(owner)
        home = str(getattr(value, "__module__", "")).removeprefix("weightlore.")
        listed = getattr(importlib.import_module(f"weightlore.{home}"), "__all__", ()) if home else ()
        if not any(home == page or home.startswith(f"{page}.") for page in pages()):
            complaints.append(f"{row['id']}: no page of the book describes weightlore.{name}")
        elif str(getattr(value, "__qualname__", "")).split(".")[0] not in listed:
            complaints.append(f"{row['id']}: weightlore.{name} is not public in its module")
    return complaints


def tested(row: Row) -> list[str]:
    """A row without a test that compares with an oracle or states a property, and names its object."""
    path = ROOT / "tests" / row["test"]
    if not row["test"] or not path.is_file():
        return [f"{row['id']}: no test tests/{row['test']}"]
    text = path.read_text("utf-8")
    if not re.search(r"def test_(oracle|property)_", text):
        return [f"{row['id']}: tests/{row['test']} has no oracle and no property"]
    return [
        f"{row['id']}: tests/{row['test']} never uses {name}" for name in row["names"].split() if not _used(name, text)
    ]


def shown(row: Row) -> list[str]:
    """A core row that no code cell of its notebook uses."""
    if row["tier"] != "core":
        return []
    path = ROOT / "tutorials" / row["notebook"]
    if not row["notebook"] or not path.is_file():
        return [f"{row['id']}: no notebook tutorials/{row['notebook']}"]
    cells = json.loads(path.read_text("utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    used = any(_used(name, code) for name in row["names"].split())
    return [] if used else [f"{row['id']}: no cell of tutorials/{row['notebook']} uses {row['names']}"]


def _used(name: str, text: str) -> bool:
    return re.search(rf"\b{name.rpartition('.')[2]}\b", text) is not None
