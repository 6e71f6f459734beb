"""The table of the survey's entries, as functions from a row to complaints, so that a test can show that each bites."""

import ast
import csv
import importlib
import inspect
import json
import re
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

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
    """A row without a test that compares with an oracle or states a property, and calls its object by each option."""
    paths = [ROOT / "tests" / name for name in row["test"].split()]
    if not paths or not all(path.is_file() for path in paths):
        return [f"{row['id']}: no test tests/{row['test']}"]
    text = "\n".join(map(_proving, paths))
    if not re.search(r"def test_(oracle|property)_", text):
        return [f"{row['id']}: tests/{row['test']} has no oracle and no property"]
    names, words = used(text), spoken(text)
    missing = [name for name in row["names"].split() if not _among(name, names)]
    missing += [option for option in row["options"].split() if option not in words]
    return [f"{row['id']}: tests/{row['test']} never uses {name}" for name in missing]


def shown(row: Row) -> list[str]:
    """A core row that no code cell of its notebook uses, or by none of its options."""
    if row["tier"] != "core":
        return []
    path = ROOT / "tutorials" / row["notebook"]
    if not row["notebook"] or not path.is_file():
        return [f"{row['id']}: no notebook tutorials/{row['notebook']}"]
    code = _code(path)
    names, words = used(code), spoken(code)
    missing = [] if any(_among(name, names) for name in row["names"].split()) else [row["names"]]
    missing += [] if not row["options"] or words & set(row["options"].split()) else [row["options"]]
    return [f"{row['id']}: no cell of tutorials/{row['notebook']} uses {name}" for name in missing]


def optional(row: Row) -> list[str]:
    """Options that no object of the row has, as the name or as a value of an argument."""
    having = {word for name in row["names"].split() for word in _options(found(name))}
    return [f"{row['id']}: {row['names']} has no option {one}" for one in row["options"].split() if one not in having]


def _options(value: Any) -> set[str]:
    """The arguments of a function or class and of its methods, and the words that they take."""
    parts = (
        [value, *(getattr(value, name) for name in vars(value) if name[0] != "_")]
        if inspect.isclass(value)
        else [value]
    )
    arguments = [
        argument for part in parts if callable(part) for argument in inspect.signature(part).parameters.values()
    ]
    words = {word for argument in arguments for word in get_args(argument.annotation) if isinstance(word, str)}
    return words | {argument.name for argument in arguments}


@cache
def _proving(path: Path) -> str:
    """A file of tests without those of limits and errors, which call a thing but say little of what it computes."""
    tree = ast.parse(path.read_text("utf-8"))
    tree.body = [part for part in tree.body if not re.match("test_(limit|error)_", getattr(part, "name", ""))]
    return ast.unparse(tree)


@cache
def _code(path: Path) -> str:
    cells = json.loads(path.read_text("utf-8"))["cells"]
    return "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")


@cache
def used(text: str) -> frozenset[str]:
    """Dotted names below the package that code uses, beyond importing them; ``.name`` for any attribute."""
    tree, ours, names = ast.parse(text), {}, []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "weightlore":
            ours |= {one.asname or one.name: f"{node.module}.{one.name}".partition(".")[2] for one in node.names}
    for node in ast.walk(tree):
        root, _, rest = ast.unparse(node).partition(".") if isinstance(node, ast.Name | ast.Attribute) else ("", "", "")
        names += [f"{ours[root]}.{rest}".strip(".")] if root in ours else []
        names += [f".{node.attr}"] if isinstance(node, ast.Attribute) else []
    return frozenset(names)


@cache
def spoken(text: str) -> frozenset[str]:
    """Names of arguments and whole strings in code."""
    nodes = list(ast.walk(ast.parse(text)))
    words = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return frozenset(words + [node.arg for node in nodes if isinstance(node, ast.keyword) and node.arg])


def _among(name: str, names: frozenset[str]) -> bool:
    owner, _, last = name.rpartition(".")
    if inspect.isclass(found(owner)):
        return f".{last}" in names
    return any(one.rpartition(".")[2] == last and found(one) is found(name) for one in names if one[0] != ".")
