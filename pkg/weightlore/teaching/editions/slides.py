"""Slides of a tutorial: which cell goes on which, what is shown, and what only the presenter reads.

A section begins a slide to the right; a figure or a knob has a slide of its own; the guess before it and the exercises
too, and what answers a guess comes on the next slide. Code is folded, except in the section that is about it. What the
tutorial says around a figure, the folded answers and the solutions are the presenter's notes, and so are the minutes of
a class.

    slides(notebook, name, elsewhere=...)    a notebook with the metadata of a slide show
"""

import copy
import re
from dataclasses import dataclass, field

from weightlore.errors import MissingExtra
from weightlore.teaching.editions.elsewhere import Elsewhere
from weightlore.teaching.editions.outline import pages, passages
from weightlore.teaching.editions.tags import require_tags, tags_of
from weightlore.teaching.notebooks import Notebook

try:
    from nbformat.v4 import new_markdown_cell
except ImportError as error:
    raise MissingExtra("nbformat", "book") from error

__all__ = ["CLASS_PLAN", "slides"]

NEIGHBOR = re.compile(r"\]\(([^):\s]+)\.ipynb")  # another notebook, which has slides of its own
CLASS_PLAN = {  # the sections of a tutorial in the fifty minutes that the pages for instructors describe
    1: ("0-5", "hook"),
    3: ("5-20", "blackboard"),
    7: ("20-30", "knob with votes"),
    8: ("30-45", "pairs"),
    9: ("45-50", "what the paper says"),
}
GUESS = "**Guess"
ABOUT_CODE, EXERCISES = 5, 8  # the section whose code is shown, and the one whose folded text is no answer to a knob


@dataclass
class _Slide:
    """One slide while it is put together."""

    kind: str
    cells: list[Notebook] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    has_output: bool = False
    is_asked: bool = False  # a knob, whose answer comes later

    @property
    def has_guess(self) -> bool:
        """Whether it asks for a guess, so that what comes next would give the answer away."""
        return any(cell.cell_type == "markdown" and GUESS in cell.source for cell in self.cells)


class _Show:
    """The slides so far, and what waits for the next one."""

    def __init__(self) -> None:
        self.slides: list[_Slide] = [_Slide("slide")]
        self.section = 0
        self.code: list[str] = []  # ran, but had nothing to show
        self.leads = ""

    def text(self, source: str) -> None:
        """Put a cell of prose on slides and into notes."""
        for passage in passages(source):
            self.section = passage.section or self.section
            if passage.kind != "-":
                self._begin(passage.kind)
            elif passage.shown and self.slides[-1].has_output:
                self._begin("subslide")
            here = self.slides[-1]
            if passage.answers:
                (here if passage.kind != "-" else self._asking()).notes.append(passage.answers)
            if passage.section in CLASS_PLAN:
                here.notes.append("**Minutes {} of a class of 50: {}.**".format(*CLASS_PLAN[passage.section]))
            for number, page in enumerate(pages(passage.shown)):
                if number:
                    self._begin("subslide")
                self.slides[-1].cells.append(new_markdown_cell(page))
            here.notes += [passage.said] if passage.said else []
            self.leads = passage.leads

    def ran(self, cell: Notebook) -> None:
        """Put what a cell of code shows on a slide, its code folded above."""
        self.code.append(cell.source)
        if not cell.outputs:
            return
        own, asks = bool({"figure", "knob"} & tags_of(cell)), "exercise" in tags_of(cell)
        if GUESS in self.leads:
            self._begin("subslide")
            self.slides[-1].cells.append(new_markdown_cell(self.leads))
            self.leads = ""
        apart = own or self.section == ABOUT_CODE or self.slides[-1].has_output or self.leads
        if not asks and (apart or self.slides[-1].has_guess):
            self._begin("subslide")
        here = self.slides[-1]
        here.cells += [new_markdown_cell(self.leads)] if self.leads else []
        if not asks:
            here.cells.append(_listing("\n\n\n".join(self.code), self.section == ABOUT_CODE and not own))
        shown = copy.deepcopy(cell)
        shown.metadata["transient"] = {"remove_source": True}
        here.cells.append(shown)
        here.has_output, here.is_asked = True, "knob" in tags_of(cell)
        self.code, self.leads = [], ""

    def _asking(self) -> _Slide:
        """Return the slide that a folded text belongs to: the last knob before the exercises, else the last slide."""
        asked = [slide for slide in self.slides if slide.is_asked]
        return asked[-1] if asked and self.section < EXERCISES else self.slides[-1]

    def _begin(self, kind: str) -> None:
        """Begin a slide; the very first one is there already."""
        if self.slides[-1].cells:
            self.slides.append(_Slide(kind))

    def cells(self) -> list[Notebook]:
        """Return the cells of the show, each with its place in it."""
        made = []
        for slide in self.slides:
            for number, cell in enumerate(slide.cells):
                made.append(_placed(cell, "-" if number else slide.kind))
            if notes := "\n\n".join(filter(None, slide.notes)):
                made.append(_placed(new_markdown_cell(notes), "notes"))
        return made


def slides(notebook: Notebook, name: str, *, elsewhere: Elsewhere) -> Notebook:
    """Return the slide show of a tutorial, as the slides exporter of nbconvert and JupyterLab understand it.

    Args:
        notebook: a tutorial, nbformat 4, with its outputs; left as it is.
        name: its folder and file, such as ``"1_corrupted/resistance.ipynb"``.
        elsewhere: what rewrites citations and links.

    Returns:
        A new notebook; each cell says in ``metadata.slideshow.slide_type`` where it goes.

    Raises:
        ParameterError: if the tags contradict each other.

    Source: ours
    """
    require_tags(notebook, name)
    show, folder = _Show(), name.rpartition("/")[0]
    for cell in notebook.cells:
        tags = tags_of(cell)
        if tags & {"install", "setup", "instructor"}:
            continue
        if cell.cell_type == "code":
            show.ran(cell)
        elif "notes" in tags:
            show.slides[-1].notes.append(elsewhere.text(cell.source, folder))
        else:
            show.text(NEIGHBOR.sub(r"](\1.html", elsewhere.text(cell.source, folder)))
    result = copy.deepcopy(notebook)
    result.cells = show.cells()
    result.metadata["title"] = notebook.metadata.get("weightlore", {}).get("title", name)
    return result


def _listing(source: str, shown: bool) -> Notebook:
    opened = " open" if shown else ""
    return new_markdown_cell(
        f'<details class="wl-code"{opened}><summary>Code</summary>\n\n```python\n{source}\n```\n\n</details>'
    )


def _placed(cell: Notebook, kind: str) -> Notebook:
    cell.metadata["slideshow"] = {"slide_type": kind}
    return cell
