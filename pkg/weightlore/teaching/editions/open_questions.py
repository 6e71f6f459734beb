"""The exercises of a tutorial that no checker knows: they ask for reasons and are graded by hand.

open_questions(notebook, name)    each with its model answer and its rubric
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from weightlore.teaching.editions.folded import folds, without
from weightlore.teaching.editions.tags import tags_of
from weightlore.teaching.notebooks import Notebook
from weightlore.teaching.variants.reasons import Rubric, rubrics

__all__ = ["POINTS", "OpenQuestion", "open_questions"]

ASKED = re.compile(
    r"\*\*Exercise (?P<number>\d+) \((?P<stars>★+)\)[^*]*\*\*(?P<text>.*?)(?=\*\*Exercise \d|^## |\Z)", re.M | re.S
)
POINTS = 2  # for each star of any exercise, so that half of them is a whole number


@dataclass(frozen=True)
class OpenQuestion:
    """An exercise that is graded by hand.

    Args:
        id: the tutorial and the exercise's number, such as ``"sources-5"``.
        number: of the exercise in its tutorial.
        points: for a full answer.
        text: the question, Markdown.
        model: the tutorial's solution, Markdown; "" if it has none.
        rubric: what earns all, half and none of the points; ``None`` for tutorials that are not of the book.

    Source: ours
    """

    id: str
    number: int
    points: int
    text: str
    model: str
    rubric: Rubric | None

    def key(self) -> str:
        """Return model answer and rubric, Markdown.

        Source: ours
        """
        lines = self.rubric.lines(self.points) if self.rubric else []
        parts = [f"**Model answer.** {self.model or '-'}", *(["**Rubric.**"] if lines else [])]
        return "\n\n".join([*parts, "\n".join(f"- {line}" for line in lines)]).strip()


def open_questions(notebook: Notebook, name: str) -> tuple[OpenQuestion, ...]:
    """Return the exercises of a tutorial that have no checker, in their order.

    Args:
        notebook: a tutorial, nbformat 4.
        name: its folder and file, such as ``"3_uncertain/sources.ipynb"``.

    Source: ours
    """
    known, stem = rubrics(name), name.rpartition("/")[2].removesuffix(".ipynb")
    found = []
    for match, model in _unchecked(notebook):
        number, text = int(match["number"]), without(match["text"], lambda fold: False).strip()
        found.append(
            OpenQuestion(f"{stem}-{number}", number, POINTS * len(match["stars"]), text, model, known.get(number))
        )
    return tuple(found)


def _unchecked(notebook: Notebook) -> Iterator[tuple[re.Match[str], str]]:
    """Yield each question that no checker is asked about, and its solution."""
    waiting: re.Match[str] | None = None
    model = ""
    for cell in notebook.cells:
        if "exercise" in tags_of(cell):
            waiting = None
        if cell.cell_type != "markdown":
            continue
        asked = list(ASKED.finditer(cell.source))
        for match in asked:
            if waiting is not None:
                yield waiting, model
            waiting, model = match, _solution(match["text"])
        if waiting is not None and not asked:
            model = model or _solution(cell.source)
    if waiting is not None:
        yield waiting, model


def _solution(source: str) -> str:
    return next((fold.text for fold in folds(source) if fold.is_solution), "")
