"""The folder of a course, as nbgrader knows it: sheets, settings, and nothing of the seed of the class.

    write_course(folder, "fragile", sheets)    writes source/fragile/ and nbgrader_config.py

From then on nbgrader does the work: ``generate_assignment`` makes what students get, ``autograde`` runs and judges what
they handed in, ``generate_feedback`` tells them. It stops a cell after a while, and puts back each cell that a student
changed or removed though it was not theirs.
"""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

from weightlore.errors import MissingExtra, ParameterError
from weightlore.teaching.editions.marks import strangers
from weightlore.teaching.notebooks import Notebook

try:
    import nbformat
except ImportError as error:
    raise MissingExtra("nbformat", "book") from error

__all__ = ["PATIENCE", "write_course"]

PATIENCE = 60  # seconds for one cell of a submission
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
OF_CLASS = re.compile(r"[a-z_]+\.[a-z0-9_]+@[0-9a-f]+")
SEED_FILE = re.compile(r"announce_class\((?P<path>'[^'\n]*'|\"[^\"\n]*\"),")
BEGIN = "# --- `weightlore notebooks assignment` writes what follows anew ---"
END = "# --- up to here; your own settings go below this line, and stay ---"
FRESH = """\"\"\"Settings of nbgrader for this course.\"\"\"

c = get_config()
c.CourseDirectory.course_id = "weightlore"

"""
SETTINGS = """
import os
import sys

os.environ["PATH"] = os.path.dirname(sys.executable) + os.pathsep + os.environ.get("PATH", "")  # of nbgrader's programs
c = get_config()
c.ClearSolutions.code_stub = {{"python": ""}}  # the cell already says where the answer goes
c.Execute.timeout = {patience}  # seconds for one cell; a loop without end is cut off, the rest is graded
c.Execute.iopub_timeout = 30  # for what a cell says once it is cut off; a slow machine is no reason not to grade
c.OverwriteCells.add_missing_cells = True  # a removed cell comes back and is graded
"""
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
        folder: of the course; made where it is absent. Other assignments in it stay, and so do settings that are not
            ours.
        assignment: letters, digits, ``-`` and ``_``.
        sheets: by the name of the notebook, without ending.
        seed_file: of the class whose variants the sheets ask; ``None`` where they ask the public exercises. A course
            has one class: the other assignments in the folder have the same seed, or none.

    Returns:
        The files written.

    Raises:
        ParameterError: if the name cannot be used, the assignment was handed out already or holds other sheets, or a
            class's sheet comes without its seed or with another one than the course has.

    Source: ours
    """
    text = {f"{name}.ipynb": nbformat.writes(notebook) for name, notebook in sheets.items()}
    _require_free(folder, assignment, set(text))
    source, known = folder / "source" / assignment, folder / "nbgrader_config.py"
    settings = known.read_text("utf-8") if known.exists() else FRESH
    seed_file = seed_file.expanduser().resolve() if seed_file else _named_in(settings)
    ids = _of_class({**_others(folder, assignment), assignment: "".join(text.values())}, seed_file)
    source.mkdir(parents=True, exist_ok=True)
    written = [_write(source / name, content) for name, content in text.items()]
    return [*written, _write(known, _renewed(settings, ids, seed_file))]


def _require_free(folder: Path, assignment: str, names: set[str]) -> None:
    """Check that an assignment can still be written."""
    if not NAME.fullmatch(assignment):
        raise ParameterError(f"an assignment is named by letters, digits, - and _, got {assignment!r}")
    if (folder / "release" / assignment).exists():
        raise ParameterError(
            f"{assignment!r} was released from {folder} already, and other questions would be graded than students "
            "have; give the assignment another name, or delete its folder under release"
        )
    source = folder / "source" / assignment
    if left := sorted({path.name for path in source.glob("*.ipynb")} - names):
        raise ParameterError(
            f"{source} holds {', '.join(left)} too, which would be handed out with this assignment; delete what is "
            "not wanted, or give the assignment another name"
        )


def _others(folder: Path, assignment: str) -> dict[str, str]:
    """Return the text of the other assignments' sheets, by the name of the assignment."""
    found: dict[str, str] = {}
    for path in sorted((folder / "source").glob("*/*.ipynb")):
        if path.parent.name != assignment:
            found[path.parent.name] = found.get(path.parent.name, "") + path.read_text("utf-8")
    return found


def _of_class(texts: Mapping[str, str], seed_file: Path | None) -> list[str]:
    """Return the exercises of a class in all assignments of a course, if its seed is theirs."""
    found = {name: sorted(set(OF_CLASS.findall(text))) for name, text in texts.items()}
    for name, ids in found.items():
        if ids and seed_file is None:
            raise ParameterError(f"{ids[0]} in {name!r} is of a class, so its seed is needed; say which file holds it")
        if ids and seed_file is not None and strangers(seed_file, ids):
            raise ParameterError(
                f"the assignment {name!r} of this course was made with another seed than the one in {seed_file}, and "
                "a course has one seed; put the old file back, or take another folder for this class"
            )
    return sorted({one for ids in found.values() for one in ids})


def _named_in(settings: str) -> Path | None:
    """Return the file with the seed that settings name."""
    found = SEED_FILE.search(settings)
    return Path(ast.literal_eval(found["path"])) if found else None


def _renewed(settings: str, ids: list[str], seed_file: Path | None) -> str:
    """Return settings with our part renewed; what stands before and after it is the teacher's and stays."""
    before, _, rest = settings.partition(BEGIN)
    after = rest.partition(END)[2] or "\n"
    ours = SETTINGS.format(patience=PATIENCE)
    ours += CLASS_SETTINGS.format(seed_file=str(seed_file), ids=ids) if ids else ""
    return f"{before.rstrip()}\n\n{BEGIN}\n{ours}\n{END}{after}"


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path
