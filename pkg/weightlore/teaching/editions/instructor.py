"""The instructor edition: everything open, and cells that only the teacher sees.

Nothing of it is written twice: the first cell is made from the chapter's page for instructors, the cell below each
exercise from the mistakes that its checker knows.

    instructor(notebook, name=..., elsewhere=..., page=...)    a new notebook
"""

import copy
import re
from collections.abc import Callable, Iterator

from weightlore.errors import MissingExtra, ParameterError
from weightlore.teaching.editions.elsewhere import Elsewhere, public_address
from weightlore.teaching.editions.folded import unfolded
from weightlore.teaching.editions.open_questions import OpenQuestion, open_questions
from weightlore.teaching.editions.tags import CHECKER, require_tags, tags_of
from weightlore.teaching.exercises import Exercise, exercises
from weightlore.teaching.notebooks import Notebook
from weightlore.teaching.variants.reasons import Rubric

try:
    from nbformat.v4 import new_markdown_cell
except ImportError as error:
    raise MissingExtra("nbformat", "book") from error

__all__ = ["exercise_named", "instructor", "misconceptions"]

PAGES = "../book/instructors"  # from the tutorials
BELIEFS = re.compile(r"^## (What they will believe[^\n]*)\n(.*?)(?=^## |\Z)", re.M | re.S)


def exercise_named(exercise_id: str) -> Exercise:
    """Return an exercise as it stands in the book.

    Args:
        exercise_id: such as ``"corrupted.by_hand"``.

    Raises:
        ParameterError: if there is no such exercise; the message lists those of the chapter.

    Source: ours
    """
    known = {exercise.id: exercise for exercise in exercises(exercise_id.partition(".")[0])}
    if exercise_id not in known:
        raise ParameterError(f"no exercise {exercise_id!r}, the chapter has {', '.join(known)}; correct the cell's id")
    return known[exercise_id]


def instructor(
    notebook: Notebook,
    name: str,
    *,
    elsewhere: Elsewhere,
    page: str = "",
    exercise_of: Callable[[str], Exercise] = exercise_named,
) -> Notebook:
    """Return the edition that the teacher keeps.

    Every solution and every answer is open. A first cell says where the chapter's plan is and what students will
    believe; below each exercise stands what its checker recognizes, and last, for those that have no checker, what
    earns the points. These cells are tagged ``instructor``.

    Args:
        notebook: a tutorial, nbformat 4; left as it is.
        name: its folder and file, such as ``"1_corrupted/resistance.ipynb"``.
        elsewhere: what rewrites citations and links.
        page: the text of the chapter's page for instructors, "" if it has none.
        exercise_of: the exercise with an id.

    Returns:
        A new notebook.

    Raises:
        ParameterError: if its tags contradict each other.

    Source: ours
    """
    require_tags(notebook, name)
    result, folder = copy.deepcopy(notebook), name.rpartition("/")[0]
    cells = [_opening(notebook, folder, elsewhere.text(misconceptions(page), PAGES))]
    for cell in result.cells:
        if cell.cell_type == "markdown":
            cell.source = unfolded(elsewhere.text(cell.source, folder))
        cells.append(cell)
        if "exercise" in tags_of(cell):
            cells += [_mistakes(exercise_of(found)) for found in CHECKER.findall(cell.source)]
    cells += [_rubric(question, question.rubric) for question in open_questions(notebook, name) if question.rubric]
    for number, cell in enumerate(cells):
        if "instructor" in tags_of(cell):
            cell["id"] = f"instructor-{number}"  # the same at every cut
    result.cells = cells
    return result


def misconceptions(page: str) -> str:
    """Return the part of a page for instructors that says what students will believe, "" if there is none.

    Args:
        page: its Markdown.

    Source: ours
    """
    found = BELIEFS.search(page)
    return f"**{found[1].strip()}**\n\n{found[2].strip()}" if found else ""


def _opening(notebook: Notebook, folder: str, beliefs: str) -> Notebook:
    declared = notebook.metadata.get("weightlore", {})
    objectives = "; ".join(declared.get("objectives", []))
    plan = f"{public_address()}/book/instructors/{folder}.html"
    lines = [
        "**Instructor edition.** Solutions and answers are open. Below each exercise stands what its checker "
        "recognizes; students see neither those cells nor this one.",
        f"Reading time: {declared.get('minutes', '?')} minutes. Students will be able to: {objectives}.",
        f"The plan for a class, the board and the rubric: [page for instructors]({plan}).",
    ]
    return _private("\n\n".join([*lines, *filter(None, [beliefs])]))


def _mistakes(exercise: Exercise) -> Notebook:
    """Return a cell with the mistakes that a checker knows by name."""
    title = f"**What the checker of `{exercise.id}` recognizes**"
    rows = list(_rows(exercise)) or ["| - | only the mistakes that any numbers can have |"]
    return _private("\n".join([title, "", "| mistake | what it says |", "|---|---|", *rows]))


def _rubric(question: OpenQuestion, rubric: Rubric) -> Notebook:
    """Return a cell with what earns the points of an exercise that is graded by hand."""
    title = f"**Exercise {question.number}, graded by hand: {question.points} points**"
    return _private("\n".join([title, "", *(f"- {line}" for line in rubric.lines(question.points))]))


def _rows(exercise: Exercise) -> Iterator[str]:
    for diagnosis in exercise.diagnoses:
        says = diagnosis.says.replace("|", r"\|").replace("\n", " ")
        yield f"| {diagnosis.name} | {says} |"


def _private(text: str) -> Notebook:
    return new_markdown_cell(text, metadata={"tags": ["instructor", "remove-cell"]})
