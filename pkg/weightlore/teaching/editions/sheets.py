"""Sheets that nbgrader hands out, collects and grades, made from the exercises of tutorials.

A sheet holds the exercises alone, so that grading runs in seconds. Each becomes a question that cannot be changed, a
cell for the answer, and a cell that is graded and whose content students do not get. A question that asks for reasons
becomes a question and a cell of text for the answer, which nbgrader keeps for a person to grade.

    questions(notebook)     the ids of a tutorial's exercises that have a checker, with their stars
    sheet(notebook, name)   the notebook that nbgrader starts from
"""

import ast
import re
from collections.abc import Callable, Collection

from weightlore.errors import MissingExtra, ParameterError
from weightlore.teaching.editions.instructor import exercise_named
from weightlore.teaching.editions.open_questions import POINTS, OpenQuestion, open_questions
from weightlore.teaching.editions.tags import CHECKER, require_tags, tags_of
from weightlore.teaching.exercises import Exercise
from weightlore.teaching.notebooks import Notebook

try:
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
except ImportError as error:
    raise MissingExtra("nbformat", "book") from error

__all__ = ["questions", "sheet"]

ASKED = re.compile(r"\*\*Exercise (?P<number>\d+) \((?P<stars>★+)\)")
HINT = re.compile(r"^answer = None(?P<hint>\s*#.*)?$", re.M)
INTRODUCTION = """# {title}: graded exercises

Put each answer in the place of `None`, and run the cells from top to bottom before you hand in: a cell that does not
end is cut off and earns nothing. The right answer earns all points, one with a mistake that the checker knows by name
earns {share}, no answer none. What you write elsewhere than into the cells for answers is replaced before grading."""
BY_HAND = "It is graded by hand. Sections, equations and code are those of the tutorial *{title}*."
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def questions(notebook: Notebook) -> dict[str, int]:
    """Return the exercises of a tutorial that have a checker, in their order, with the number of their stars.

    Args:
        notebook: a tutorial, nbformat 4.

    Returns:
        By id; one star where the text gives none.

    Source: ours
    """
    stars, found = 1, dict[str, int]()
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (asked := list(ASKED.finditer(cell.source))):
            stars = len(asked[-1]["stars"])
        if "exercise" in tags_of(cell):
            found |= dict.fromkeys(CHECKER.findall(cell.source), stars)
    return found


def sheet(
    notebook: Notebook,
    name: str,
    *,
    exercise_of: Callable[[str], Exercise] = exercise_named,
    only: Collection[str] = (),
    share: float = 0.5,
) -> Notebook:
    """Return the notebook from which ``nbgrader generate_assignment`` makes the one that students get.

    Args:
        notebook: a tutorial, nbformat 4; left as it is.
        name: its folder and file, for messages.
        exercise_of: the exercise with an id, such as the variant of a class. One that keeps its id is public: students
            may then ask its checker in the cell of their answer.
        only: the ids of the exercises that are asked, such as ``"corrupted.by_hand"``, or ``"sources-5"`` for the fifth
            of *sources* if that has no checker; empty for all.
        share: of the points for a mistake that has a name, from 0 to 1.

    Returns:
        A new notebook with the metadata of nbgrader, and with reference answers that students do not get.

    Raises:
        ParameterError: if the tags contradict each other, no exercise has a checker, or one is not there.

    Source: ours
    """
    require_tags(notebook, name)
    asked = questions(notebook)
    if not asked:
        raise ParameterError(f"{name} has no exercise with a checker, so nothing of it can be graded; choose another")
    by_hand = open_questions(notebook, name)
    there = [*asked, *(question.id for question in by_hand)]
    if absent := [found for found in only if found not in there]:
        raise ParameterError(f"{name} has no exercise {', '.join(absent)}; it has {', '.join(there)}")
    asked = {found: stars for found, stars in asked.items() if found in only or not only}
    title = notebook.metadata.get("weightlore", {}).get("title", name)
    words = INTRODUCTION.format(title=title, share={0.0: "none", 0.5: "half"}.get(share, f"{share:.0%} of them"))
    cells = [_text("introduction", words), new_code_cell(_imports(notebook), metadata=_meta("imports", locked=True))]
    for number, (found, stars) in enumerate(asked.items(), start=1):
        cells += _question(exercise_of(found), number, POINTS * stars, share, hint=_hint(notebook, found))
    chosen = [question for question in by_hand if question.id in only or not only]
    for number, question in enumerate(chosen, start=1 + len(asked)):
        cells += _reasons(question, number, title)
    for cell in cells:
        cell["id"] = cell.metadata["nbgrader"]["grade_id"]
    return new_notebook(cells=cells, metadata={"kernelspec": KERNEL, "language_info": {"name": "python"}})


def _question(exercise: Exercise, number: int, points: int, share: float, hint: str) -> list[Notebook]:
    """Return the three cells of an exercise: the question, the answer, and what is graded."""
    place, public = re.sub(r"\W", "-", exercise.id.partition("@")[0]), "@" not in exercise.id
    asked = "\n\n".join(_plain(text) for text in (exercise.given, exercise.prompt) if text)
    question = f"**Exercise {number} ({points} points).** {asked}\n\n*{_plain(exercise.nudge)}*"
    answer = [f"answer = None{hint}", "### BEGIN SOLUTION", *_reference(exercise.id), "### END SOLUTION"]
    if public:
        answer.append(f'teaching.check("{exercise.id}", answer)')
    call = f'mark("{exercise.id}", globals().pop("answer", None), points={points}, share={share:g})'
    graded = [
        f"# Graded: {points} points. Leave this cell as it is.",
        "### BEGIN HIDDEN TESTS",
        "from weightlore.teaching.editions import mark",
        f"earned = {call}",
        "print(earned)",
        "earned.points",
        "### END HIDDEN TESTS",
    ]
    return [
        _text(f"{place}-question", question),
        new_code_cell("\n".join(answer), metadata=_meta(f"{place}-answer", solution=True)),
        new_code_cell("\n".join(graded), metadata=_meta(f"{place}-points", points=points, locked=True)),
    ]


def _reasons(question: OpenQuestion, number: int, title: str) -> list[Notebook]:
    """Return the two cells of a question that a person grades; students do not get the model answer and the rubric."""
    asked = f"**Exercise {number} ({question.points} points).** {question.text}\n\n*{BY_HAND.format(title=title)}*"
    model = f"### BEGIN SOLUTION\n{question.key()}\n### END SOLUTION"
    answer = new_markdown_cell(model, metadata=_meta(f"{question.id}-answer", solution=True, points=question.points))
    return [_text(f"{question.id}-question", asked), answer]


def _reference(exercise_id: str) -> list[str]:
    """Return the lines that compute the right answer; nbgrader takes them out of what students get."""
    return ["from weightlore.teaching.editions import reference", f'answer = reference("{exercise_id}")']


def _hint(notebook: Notebook, exercise_id: str) -> str:
    """Return the comment that says the form of an answer, as the tutorial gives it."""
    cells = [cell.source for cell in notebook.cells if exercise_id in CHECKER.findall(cell.source)]
    found = HINT.search(cells[0]) if cells else None
    return found["hint"] or "" if found else ""


def _imports(notebook: Notebook) -> str:
    """Return the setup of a tutorial and the imports of its other cells."""
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code" and "install" not in tags_of(cell)]
    lines = dict.fromkeys(["from weightlore import teaching"])
    for node in (node for source in code[1:] for node in ast.parse(source).body):
        if isinstance(node, ast.Import | ast.ImportFrom):
            lines[ast.unparse(node)] = None
    return "\n".join([code[0], "", *lines])


def _plain(text: str) -> str:
    """Return a checker's words as Markdown that shows them to the letter; what is code stays code."""
    parts = text.split("`")
    parts[::2] = [re.sub(r"([*_$<|\[\]\\])", r"\\\1", part) for part in parts[::2]]
    return "`".join(parts)


def _text(place: str, text: str) -> Notebook:
    return new_markdown_cell(text, metadata=_meta(place, locked=True))


def _meta(place: str, *, solution: bool = False, points: int = 0, locked: bool = False) -> dict[str, object]:
    """Return what nbgrader needs to know of a cell."""
    said: dict[str, object] = {"grade": points > 0, "solution": solution, "locked": locked, "task": False}
    said |= {"points": points} if points else {}
    return {"nbgrader": {**said, "grade_id": place, "schema_version": 3}}
