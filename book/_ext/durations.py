"""How long things take: the notebooks of each chapter, the tests, the slowest calls, from what is stored.

Nothing is measured here: minutes and seconds stand in the notebooks, times of calls in ``benchmarks/results``, and
tests are counted in their files.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from records import RESULTS, ROOT, TUTORIALS, plain, read, table

__all__ = ["chapters", "counted", "slowest", "tests"]

TESTS = ROOT / "tests"


def chapters() -> str:
    """Return minutes to read and seconds to run, one row for each chapter and one for all."""
    folders = sorted(path for path in TUTORIALS.glob("[0-9]*") if list(stored(path)))
    rows = [chapter(path.name, list(stored(path))) for path in folders]
    if not rows:
        return "No notebook is stored yet."
    rows.append(["**all**", *(sum(column) for column in list(zip(*rows, strict=True))[1:])])
    return table(("chapter", "notebooks", "minutes to read", "seconds to run"), rows)


def stored(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield what the notebooks of a folder declare, if the contents name them."""
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    for path in sorted(folder.glob("*.ipynb")):
        if path.relative_to(ROOT).with_suffix("").as_posix() in contents:
            yield read(path)["metadata"].get("weightlore", {})


def chapter(name: str, declared: list[dict[str, Any]]) -> list[Any]:
    """Return the row of one chapter."""
    minutes = sum(one.get("minutes", 0) for one in declared)
    seconds = sum(one.get("measured", {}).get("seconds", 0.0) for one in declared)
    return [name.replace("_", ": ", 1), len(declared), minutes, round(seconds)]


def tests() -> str:
    """Return how many test functions each part has, and how many of them are marked slow."""
    rows = []
    for folder in sorted(path for path in TESTS.iterdir() if path.is_dir()):
        files = [counted(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("test_*.py"))]
        if files:
            rows.append([folder.name, len(files), sum(all_ for all_, _ in files), sum(slow for _, slow in files)])
    rows.append(["**all**", *(sum(column) for column in list(zip(*rows, strict=True))[1:])])
    note = "Functions are counted as they are written; many run once for each of a list of cases."
    return note + "\n\n" + table(("part", "files", "test functions", "of them slow"), rows)


def counted(text: str) -> tuple[int, int]:
    """Return how many test functions a file has, and how many of those are marked slow, by themselves or as a file."""
    tree = ast.parse(text)
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
    whole = any(isinstance(n, ast.Assign) and ast.unparse(n).startswith("pytestmark") and slow(n) for n in tree.body)
    return len(found), len(found) if whole else sum(any(map(slow, node.decorator_list)) for node in found)


def slow(node: ast.AST) -> bool:
    """Say whether a mark of pytest is the one for slow tests."""
    return re.search(r"\bmark\.slow\b", ast.unparse(node)) is not None


def slowest() -> str:
    """Return the slowest of our own calls in each workload."""
    rows = [row for path in sorted(RESULTS.glob("*.json")) if (row := longest(read(path)))]
    return table(("workload", "call", "median"), rows) if rows else "Nothing was measured yet; `make bench` does."


def longest(result: dict[str, Any]) -> list[str] | None:
    """Return the row of one workload: what took longest of ours, and how long."""
    ours = [(race["contestants"].get(race["candidate"], {}).get("median_ms"), race) for race in result["races"]]
    known = [(ms, race) for ms, race in ours if ms is not None]
    if not known:
        return None
    ms, race = max(known, key=lambda item: item[0])
    return [result["workload"], plain(race["what"]), f"{ms / 1000:.1f} s" if ms >= 1000 else f"{ms:.3g} ms"]
