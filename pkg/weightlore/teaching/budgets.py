"""What a tutorial may cost its reader, and what it promises in return.

budget(notebook)   one line for each promise that is missing or broken
"""

import ast
import re
from collections.abc import Iterator
from typing import Any

from weightlore.errors import MissingExtra
from weightlore.teaching.notebooks import STATE, Notebook

try:
    import nbformat
except ImportError as error:
    raise MissingExtra("nbformat", "book") from error

__all__ = ["budget"]

FILE_BYTES, WIDGET_BYTES = 500_000, 300_000
CELLS, LINES, FUNCTION_LINES = 40, 8, 5
SAFETY = 3  # times the declared seconds
DECLARED: dict[str, tuple[type, ...]] = {
    "minutes": (int,),
    "seconds": (int, float),
    "memory_mb": (int, float),
    "objectives": (list,),
    "prerequisites": (list, str),
    "paper": (str, list, type(None)),
}
FIRST = ("torch.set_num_threads(1)", "torch.set_default_dtype(torch.float64)")
TIMERS = re.compile(r"^\s*%{1,2}time|\b(?:perf_counter|timeit|process_time|monotonic)\b|\btime\.time\(", re.M)
RATES = re.compile(r"\d\s?(?:it/s|s/it)\b|Wall time:|CPU times:")


def budget(notebook: Notebook, *, seconds: float | None = None) -> list[str]:
    """Return what a notebook lacks or overspends.

    Args:
        notebook: an executed notebook, nbformat 4.
        seconds: what an execution took; ``None`` to take the stored measurement, if there is one.

    Returns:
        One line for each complaint; empty if the notebook keeps its budget.

    Source: ours
    """
    return [*_promises(notebook, seconds), *_sizes(notebook), *_cells(notebook)]


def _promises(notebook: Notebook, seconds: float | None) -> Iterator[str]:
    declared = notebook.metadata.get("weightlore", {})
    for key, types in DECLARED.items():
        if key not in declared:
            yield f"metadata weightlore.{key} is missing"
        elif not isinstance(declared[key], types) or declared[key] in ([], ""):
            yield f"metadata weightlore.{key} must be a {types[0].__name__} that says something, got {declared[key]!r}"
    took = declared.get("measured", {}).get("seconds") if seconds is None else seconds
    limit = declared.get("seconds")
    if isinstance(limit, int | float) and took is not None and took > SAFETY * limit:
        yield f"ran {took:.0f} s, over {SAFETY} times the declared {limit:g} s"


def _sizes(notebook: Notebook) -> Iterator[str]:
    size = len(nbformat.writes(notebook).encode())
    if size > FILE_BYTES:
        yield f"has {size} bytes, at most {FILE_BYTES} are allowed"
    state: dict[str, Any] = notebook.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    data = sum(len(buffer["data"]) for record in state.values() for buffer in record.get("buffers", []))
    if data > WIDGET_BYTES:
        yield f"has {data} bytes of widget data, at most {WIDGET_BYTES} are allowed"


def _cells(notebook: Notebook) -> Iterator[str]:
    code = [(i, cell) for i, cell in enumerate(notebook.cells, start=1) if cell.cell_type == "code"]
    code = [(i, cell) for i, cell in code if "install" not in cell.metadata.get("tags", [])]
    if len(code) > CELLS:
        yield f"has {len(code)} code cells, at most {CELLS} are allowed"
    first = code[0][1].source if code else ""
    yield from (f"the first code cell must say {line}" for line in FIRST if line not in first)
    for number, cell in code:
        yield from (f"cell {number} {line}" for line in _cell(cell))


def _cell(cell: Notebook) -> Iterator[str]:
    lines = [line for line in cell.source.splitlines() if line.strip()]
    if len(lines) > LINES:
        yield f"has {len(lines)} lines, at most {LINES} are allowed"
    if lines and lines[-1].rstrip().endswith(";"):
        yield "ends in ';', which shows an output in one runner and not in another; end in plt.show()"
    if TIMERS.search(cell.source) or RATES.search(str(cell.get("outputs", ""))):
        yield "shows a measured time; read it from benchmarks/results instead"
    if _shows_picture(cell) and not {"figure", "knob"} & set(cell.metadata.get("tags", [])):
        yield "shows a picture without the tag 'figure' or 'knob'"
    if _shows_picture(cell) and not cell.metadata.get("mystnb", {}).get("image", {}).get("alt"):
        yield "shows a picture without an alt text; freeze the notebook"
    yield from _functions(cell.source)


def _functions(source: str) -> Iterator[str]:
    plain = re.sub(r"^(\s*)[%!].*$", r"\1pass", source, flags=re.M)  # magics are not Python
    try:
        tree = ast.parse(plain)
    except SyntaxError:
        yield "is not Python"
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES:
            yield f"defines {node.name} in over {FUNCTION_LINES} lines; it belongs into the package, with a test"


def _shows_picture(cell: Notebook) -> bool:
    return any("image/png" in output.get("data", {}) for output in cell.get("outputs", []))
