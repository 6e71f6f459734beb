"""Execute a notebook as its readers would see it, and store it in a form that can be compared.

A notebook is stored with its outputs, because the book is built without running anything. So that a second execution
can be compared with the stored one, both are brought into a *canonical form*: what differs by chance (random ids of
widgets, time stamps, the version of Python) is renamed or left out, and nothing else.

    canonical(notebook)   the form that is stored
    execute(path)         a fresh execution: no network, one thread, widgets kept
    freeze(path)          execute, write alt texts, store
    run_offline()         the environment of such an execution, for other runners
"""

import copy
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from weightlore.errors import MissingExtra, ParameterError

try:
    import nbformat
    from nbclient import NotebookClient
    from traitlets.config import Config
except ImportError as error:
    raise MissingExtra("nbclient", "book") from error

__all__ = ["ANNOUNCE", "STATE", "VIEW", "Notebook", "alt_text", "canonical", "execute", "freeze", "run_offline"]

Notebook = Any  # nbformat has no types
STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
ANNOUNCE = "__import__('described').start()"  # the module lies in kernel/, which run_offline puts on the path

PATIENCE = Config(KernelManager={"shutdown_wait_time": 120.0})  # for the report: a busy machine ends a kernel slowly
KERNEL = Path(__file__).parent / "kernel"
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def canonical(notebook: Notebook) -> Notebook:
    """Return a copy in which everything that differs by chance has a fixed name.

    Widget ids are numbered in the order in which the reader meets them; those that no cell shows (links) follow,
    sorted by what they say. What a cell prints is one text, however it arrived. Execution times and the version of
    Python are left out.

    Args:
        notebook: an executed notebook, nbformat 4; left as it is.

    Returns:
        A new notebook. ``canonical`` of it changes nothing.

    Source: ours
    """
    result = copy.deepcopy(notebook)
    result.metadata.get("language_info", {}).pop("version", None)
    for cell in result.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = _joined(cell.outputs)
    state = result.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    names = {old: f"{i:032x}" for i, old in enumerate(_in_order(result, state))}
    text = json.dumps(result)
    if names:
        text = re.sub("|".join(names), lambda match: names[match[0]], text)
    renamed = nbformat.from_dict(json.loads(text))
    if state:
        _sort_state(renamed.metadata.widgets[STATE])
    return renamed


def execute(path: Path | str, *, timeout: int = 600) -> Notebook:
    """Run a notebook from top to bottom in a fresh kernel and return it in canonical form.

    The kernel has one thread and reaches no other machine. The processor's seconds and the peak memory are written to
    ``metadata.weightlore.measured``; each figure's alt text to the metadata of its output.

    Args:
        path: the notebook; left as it is.
        timeout: seconds for one cell.

    Returns:
        The executed notebook, with the state of its widgets.

    Raises:
        nbclient.exceptions.CellExecutionError: if a cell fails; the message holds its traceback.

    Source: ours
    """
    path = Path(path)
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata.pop("widgets", None)
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            store_widget_state=True,
            extra_arguments=[f"--IPKernelApp.exec_lines={ANNOUNCE}"],
            config=PATIENCE,
        )
        start = time.perf_counter()
        client.execute(env=run_offline() | {"WEIGHTLORE_KERNEL_REPORT": str(report)})
        measured = {"seconds": round(time.perf_counter() - start, 1)}
        if report.exists():
            measured = {name: round(number) for name, number in json.loads(report.read_text()).items()}
    notebook.metadata.setdefault("weightlore", nbformat.NotebookNode())["measured"] = measured
    return canonical(notebook)


def freeze(path: Path | str, *, timeout: int = 600) -> Notebook:
    """Execute a notebook and store it in canonical form, with an alt text for each picture.

    The alt text comes from ``describe`` of the figure that was shown and is written where the book looks for it,
    ``mystnb: image: alt:`` in the metadata of the cell. The file is replaced at the end, in one step.

    Args:
        path: the notebook, overwritten.
        timeout: seconds for one cell.

    Returns:
        What was stored.

    Raises:
        ParameterError: if a cell tagged ``figure`` shows no picture.
        nbclient.exceptions.CellExecutionError: if a cell fails; the file is then as before.

    Source: ours
    """
    path = Path(path)
    notebook = execute(path, timeout=timeout)
    for number, cell in _code_cells(notebook):
        alt = alt_text(cell)
        if "figure" in cell.metadata.get("tags", []) and not alt:
            raise ParameterError(
                f"cell {number} of {path.name} is tagged 'figure' but shows no figure; end in plt.show()"
            )
        if alt:
            cell.metadata.setdefault("mystnb", nbformat.NotebookNode()).setdefault("image", {})["alt"] = alt
    _write(path, notebook)
    return notebook


def alt_text(cell: Notebook) -> str:
    """Return what the figures of an executed cell say of themselves, "" if it shows none.

    Args:
        cell: a code cell, as ``execute`` returns it.

    Source: ours
    """
    said = (output.get("metadata", {}).get("image/png", {}).get("alt", "") for output in cell.get("outputs", []))
    return " ".join(text for text in said if text)


def run_offline() -> dict[str, str]:
    """Return this process's environment, changed so that a kernel started in it has no network and one thread.

    Returns:
        A new mapping. The folder that goes to the front of ``PYTHONPATH`` holds a ``sitecustomize`` that lets every
        connection but loopback raise.

    Source: ours
    """
    environment = dict(os.environ)
    environment.pop("MPLBACKEND", None)  # else figures would not be shown in the notebook
    paths = [str(KERNEL), *filter(None, [environment.get("PYTHONPATH")])]
    return environment | dict.fromkeys(ONE_THREAD, "1") | {"PYTHONPATH": os.pathsep.join(paths), "PYTHONHASHSEED": "0"}


def _joined(outputs: list[Notebook]) -> list[Notebook]:
    """Join neighboring pieces of one stream."""
    joined: list[Notebook] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last is not None and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def _in_order(notebook: Notebook, state: dict[str, Any]) -> list[str]:
    """Return the ids of all widgets: first as the cells show them, each with those it refers to, then the rest."""
    order: dict[str, None] = {}

    def visit(model: str) -> None:
        if model in state and model not in order:
            order[model] = None
            for reference in re.findall(r"IPY_MODEL_([0-9a-f]{32})", json.dumps(state[model], sort_keys=True)):
                visit(reference)

    for _, cell in _code_cells(notebook):
        for output in cell.outputs:
            if view := output.get("data", {}).get(VIEW):
                visit(view["model_id"])
    while rest := [model for model in state if model not in order]:
        visit(min(rest, key=lambda model: _content(state[model], order)))
    return list(order)


def _content(record: Any, order: dict[str, None]) -> str:
    """Return the text of a widget's record in which known ids are numbers and unknown ones a question mark."""
    numbers = {model: str(i) for i, model in enumerate(order)}
    return re.sub(r"[0-9a-f]{32}", lambda match: numbers.get(match[0], "?"), json.dumps(record, sort_keys=True))


def _sort_state(widgets: Notebook) -> None:
    widgets["state"] = {model: widgets["state"][model] for model in sorted(widgets["state"])}
    for record in widgets["state"].values():
        if "buffers" in record:
            record["buffers"] = sorted(record["buffers"], key=lambda buffer: json.dumps(buffer["path"]))


def _code_cells(notebook: Notebook) -> Iterator[tuple[int, Notebook]]:
    """Yield the code cells with their number among all cells, from 1."""
    return ((i, cell) for i, cell in enumerate(notebook.cells, start=1) if cell.cell_type == "code")


def _write(path: Path, notebook: Notebook) -> None:
    half = path.with_suffix(f".{os.getpid()}.half")
    try:
        nbformat.write(notebook, half)
        half.replace(path)
    finally:
        half.unlink(missing_ok=True)


if sys.platform == "win32":  # pragma: no cover
    import asyncio

    asyncio.set_event_loop_policy(asyncio.WindowsSelectorEventLoopPolicy())  # zmq needs it
