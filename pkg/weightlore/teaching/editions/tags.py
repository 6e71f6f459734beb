"""The tags of a tutorial's cells: what each means, and how they can contradict each other.

Every edition is cut along these tags, so a wrong one would show a solution to students, or lose an exercise.

    TAGS                         the known tags, and what each says of its cell
    contradictions(notebook)     one line for each tag that cannot be followed
    require_tags(notebook, name) raises if there is one
"""

import re
from collections.abc import Iterator
from itertools import combinations, product

from weightlore.errors import ParameterError
from weightlore.teaching.editions.folded import FOLD
from weightlore.teaching.notebooks import Notebook

__all__ = ["TAGS", "contradictions", "require_tags", "tags_of"]

TAGS = {
    "install": "gets the package where nothing is installed, and does nothing elsewhere; before the setup",
    "setup": "imports and settings; the first code cell; slides leave it out",
    "figure": "shows a picture; a slide of its own",
    "knob": "shows a figure that can be turned; a slide of its own",
    "exercise": "asks the checker about an answer; stored unanswered",
    "solution": "solves the exercise before it, folded; students do not get it",
    "instructor": "for the teacher alone; the book and the students do not get it",
    "notes": "what the presenter of the slides reads; the book and the students do not get it",
    "remove-cell": "the book leaves the cell out",
}
CODE = ("install", "setup", "figure", "knob", "exercise")
PRIVATE = ("instructor", "notes")
ALONE = ("install", "setup", "exercise", "solution", *PRIVATE)  # each sends its cell to other editions than the rest
TOGETHER = (*combinations(ALONE, 2), *product(("install", "setup"), ("figure", "knob")))
CHECKER = re.compile(r"\bcheck\(\s*[\"']([a-z_]+\.[a-z0-9_]+)[\"']")
OPEN_QUESTION = re.compile(r"\*\*Exercise \d+")


def tags_of(cell: Notebook) -> frozenset[str]:
    """Return the tags of a cell.

    Args:
        cell: of a notebook, nbformat 4.

    Source: ours
    """
    return frozenset(cell.metadata.get("tags", []))


def contradictions(notebook: Notebook) -> list[str]:
    """Return what is wrong with the tags of a tutorial.

    Args:
        notebook: nbformat 4.

    Returns:
        One line for each contradiction, with the number of the cell, from 1; empty if there is none.

    Source: ours
    """
    found = [f"cell {i} {line}" for i, cell in enumerate(notebook.cells, start=1) for line in _alone(cell)]
    return [*found, *_setup(notebook), *_order(notebook)]


def require_tags(notebook: Notebook, name: str) -> None:
    """Check that every tag of a tutorial can be followed.

    Args:
        notebook: nbformat 4.
        name: how the reader knows it, for the message.

    Raises:
        ParameterError: if the tags contradict each other; the message names the notebook and each cell.

    Source: ours
    """
    if found := contradictions(notebook):
        raise ParameterError(f"the tags of {name} contradict each other, so no edition can be cut: {'; '.join(found)}")


def _alone(cell: Notebook) -> Iterator[str]:
    """Yield what is wrong with a cell whatever stands around it."""
    tags = tags_of(cell)
    if unknown := sorted(tags - set(TAGS)):
        yield f"has the tag {unknown[0]!r}, which means nothing; the tags are {', '.join(TAGS)}"
    for one, other in TOGETHER:
        if {one, other} <= tags:
            yield f"is both {one!r} and {other!r}; make two cells of it"
    if cell.cell_type != "code" and (wrong := sorted(tags & set(CODE))):
        yield f"is text with the tag {wrong[0]!r}, which belongs to code"
    if "exercise" in tags and not CHECKER.search(cell.source):
        yield "is an exercise that asks no checker; call teaching.check, or take the tag away"
    if "solution" in tags and not FOLD.search(cell.source):
        yield "is a solution that is not folded; put it into <details><summary>Solution</summary> ... </details>"
    if tags & set(PRIVATE) and "remove-cell" not in tags:
        yield f"is tagged {min(tags & set(PRIVATE))!r} but the book would show it; add the tag 'remove-cell'"
    if "exercise" not in tags and cell.cell_type == "code" and CHECKER.search(cell.source):
        yield "asks a checker without the tag 'exercise'"


def _setup(notebook: Notebook) -> Iterator[str]:
    code = [i for i, cell in enumerate(notebook.cells, start=1) if cell.cell_type == "code" and not _installs(cell)]
    setups = [i for i, cell in enumerate(notebook.cells, start=1) if "setup" in tags_of(cell)]
    if setups != code[:1]:
        where = f"it is on cell {', '.join(map(str, setups))}" if setups else "no cell has it"
        yield f"the first code cell, and no other, has the tag 'setup'; {where}"
    late = [i for i, cell in enumerate(notebook.cells, start=1) if _installs(cell) and i > min(code, default=i)]
    yield from (f"cell {i} installs the package after it was used; put it before the setup" for i in late)


def _installs(cell: Notebook) -> bool:
    return "install" in tags_of(cell)


def _order(notebook: Notebook) -> Iterator[str]:
    """Yield the solutions that have nothing to solve."""
    asked = False
    for i, cell in enumerate(notebook.cells, start=1):
        tags = tags_of(cell)
        if "solution" in tags:
            if not asked:
                yield f"cell {i} is a solution without an exercise before it"
            asked = False
        elif "exercise" in tags or (cell.cell_type == "markdown" and OPEN_QUESTION.search(cell.source)):
            asked = True
