"""The student edition: the whole tutorial, with its checkers and without its solutions.

student(notebook, name=..., elsewhere=...)    a new notebook
"""

import copy

from weightlore.teaching.editions.elsewhere import Elsewhere
from weightlore.teaching.editions.folded import without
from weightlore.teaching.editions.tags import PRIVATE, require_tags, tags_of
from weightlore.teaching.notebooks import Notebook

__all__ = ["student"]


def student(notebook: Notebook, name: str, *, elsewhere: Elsewhere) -> Notebook:
    """Return the edition that is handed to students.

    Out go the cells tagged ``solution``, ``instructor`` or ``notes``, and solutions folded into other text. The answers
    below a knob stay: they belong to the reading. Exercises keep the checker's first nudge as their output.

    Args:
        notebook: a tutorial, nbformat 4; left as it is.
        name: its folder and file, such as ``"1_corrupted/resistance.ipynb"``.
        elsewhere: what rewrites citations and links.

    Returns:
        A new notebook; figures and widgets are those of the tutorial.

    Raises:
        ParameterError: if its tags contradict each other.

    Source: ours
    """
    require_tags(notebook, name)
    result = copy.deepcopy(notebook)
    hidden = {"solution", *PRIVATE}
    result.cells = [cell for cell in result.cells if not tags_of(cell) & hidden]
    folder = name.rpartition("/")[0]
    for cell in result.cells:
        if cell.cell_type == "markdown":
            cell.source = elsewhere.text(without(cell.source, lambda fold: not fold.is_solution), folder)
    return result
