"""The folder of a course, as nbgrader knows it: sheets, settings, and nothing of the seed of the class.

    write_course(folder, "fragile", sheets)    writes source/fragile/ and nbgrader_config.py

From then on nbgrader does the work: ``generate_assignment`` makes what students get, ``autograde`` runs and judges what
they handed in, ``generate_feedback`` tells them. It stops a cell after a while, and puts back each cell that a student
changed or removed though it was not theirs.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from weightlore.errors import MissingExtra, ParameterError
from weightlore.teaching.notebooks import Notebook

try:
    import nbformat
except ImportError as error:
    raise MissingExtra("nbformat", "book") from error

__all__ = ["PATIENCE", "write_course"]

PATIENCE = 60  # seconds for one cell of a submission
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
OF_CLASS = re.compile(r"[a-z_]+\.[a-z0-9_]+@[0-9a-f]+")
SETTINGS = '''"""Settings of nbgrader for this course; `weightlore notebooks assignment` writes them anew."""

import os
import sys

os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", "")  # of nbgrader's programs
c = get_config()
c.CourseDirectory.course_id = "weightlore"
c.ClearSolutions.code_stub = {{"python": ""}}  # the cell already says where the answer goes
c.Execute.timeout = {patience}  # seconds for one cell; a loop without end is cut off, the rest is graded
c.OverwriteCells.add_missing_cells = True  # a removed cell comes back and is graded
'''
CLASS_SETTINGS = """
# The exercises are those of a class. Its seed is in this file; it stays on the machine that grades.
from weightlore.errors import ParameterError
from weightlore.teaching.editions import announce_class

try:
    announce_class({seed_file!r}, {ids!r})
except ParameterError as error:
    raise SystemExit(f"Nothing was done. {{error}}")
"""


def write_course(
    folder: Path, assignment: str, sheets: Mapping[str, Notebook], *, seed_file: Path | None = None
) -> list[Path]:
    """Write the sheets of an assignment where nbgrader looks for them, and its settings.

    Args:
        folder: of the course; made where it is absent. Other assignments in it stay.
        assignment: letters, digits, ``-`` and ``_``.
        sheets: by the name of the notebook, without ending.
        seed_file: of the class whose variants the sheets ask; ``None`` where they ask the public exercises.

    Returns:
        The files written.

    Raises:
        ParameterError: if the name cannot be used, the assignment was handed out already, or a class's sheet comes
            without its seed.

    Source: ours
    """
    if not NAME.fullmatch(assignment):
        raise ParameterError(f"an assignment is named by letters, digits, - and _, got {assignment!r}")
    if (folder / "release" / assignment).exists():
        raise ParameterError(
            f"{assignment!r} was released from {folder} already, and other questions would be graded than students "
            "have; give the assignment another name, or delete its folder under release"
        )
    text = {name: nbformat.writes(notebook) for name, notebook in sheets.items()}
    ids = sorted(set(OF_CLASS.findall("".join(text.values()))))
    if ids and seed_file is None:
        raise ParameterError(f"{ids[0]} is of a class, so its seed is needed; say which file holds it")
    source = folder / "source" / assignment
    source.mkdir(parents=True, exist_ok=True)
    written = [_write(source / f"{name}.ipynb", content) for name, content in text.items()]
    return [*written, _write(folder / "nbgrader_config.py", _settings(ids, seed_file, folder))]


def _settings(ids: list[str], seed_file: Path | None, folder: Path) -> str:
    """Return the settings of a course, with the exercises of all its assignments."""
    text = SETTINGS.format(patience=PATIENCE)
    known = folder / "nbgrader_config.py"
    ids = sorted({*ids, *(OF_CLASS.findall(known.read_text("utf-8")) if known.exists() else [])})
    if seed_file is None:
        return text
    return text + CLASS_SETTINGS.format(seed_file=str(seed_file.expanduser().resolve()), ids=ids)


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
