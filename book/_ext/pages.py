"""What the book's pages need beyond Jupyter Book: scripts in order, and pages written from the project's own data."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import api
import durations
import libraries
import limits
import records
import survey
import tour
import versions
from sphinx.application import Sphinx
from sphinx.util import logging

from weightlore.teaching.boards import board

__all__ = ["setup"]

BOOK = Path(__file__).resolve().parents[1]


def drawn(chapter: str) -> str:
    """Return the board of a chapter as raw HTML in Markdown."""
    return f"```{{raw}} html\n{board(chapter)._repr_html_()}\n```"


GENERATED = re.compile(r"^<!-- generated: (\w+) ?([\w. ]*)-->$", re.MULTILINE)
GENERATORS: dict[str, Callable[..., str]] = {
    "api": api.page,
    "ledger": records.ledger,
    "verdicts": records.verdicts,
    "notebooks": records.notebooks,
    "benchmarks": records.benchmarks,
    "chapters": durations.chapters,
    "tests": durations.tests,
    "slowest": durations.slowest,
    "covered": survey.covered,
    "coverage": survey.coverage,
    "libraries": libraries.libraries,
    "whichlibrary": libraries.whichlibrary,
    "agreements": libraries.agreements,
    "limits": limits.limits,
    "figure": tour.figure,
    "versions": versions.versions,
    "board": drawn,
}
MENDED = {
    '<summary><span class="toctree-toggle"': '<summary aria-label="Pages below this one"><span class="toctree-toggle"',
    '<div role="list" class="citation-list">': '<div class="citation-list">',
}
# On every page the theme loads a search while typing, which this book does not use; its search page has its own.
SEARCH = re.compile(r'\n *<script src="[^"]*(?:searchtools|language_data|searchindex)\.js"></script>')
NUMBERED = re.compile(r' id="(id\d+)"')
LOG = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the events and directives."""
    app.connect("builder-inited", warn_without_vendored)
    app.connect("html-page-context", drop_thebe, priority=900)
    app.connect("build-finished", mend_pages)
    app.connect("source-read", fill_in)
    app.connect("autodoc-process-docstring", tidy_docstring, priority=100)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def warn_without_vendored(app: Sphinx) -> None:
    """Say so when the figures and formulas would not work in the page."""
    if not (BOOK / "_static" / "vendor" / "require.js").exists():
        LOG.warning("figures and formulas will not work in the page: run `make vendor` (or `make book`) first")


def drop_thebe(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Leave out the scripts of a live kernel that the book does not use; the theme declares one constant twice."""
    context["script_files"] = [script for script in context.get("script_files", []) if not is_thebe(script)]


def is_thebe(script: Any) -> bool:
    """Say whether a script of the page belongs to thebe."""
    attributes = getattr(script, "attributes", {})
    return "THEBE_JS_URL" in (attributes.get("body") or "") or "sphinx-thebe" in str(getattr(script, "filename", ""))


def mend_pages(app: Sphinx, exception: Exception | None) -> None:
    """Mend the finished pages: names and roles for screen readers, and no search index where nothing searches."""
    if exception or app.builder.format != "html":
        return
    for path in Path(app.outdir).rglob("*.html"):
        if "_static" not in path.parts:
            text = path.read_text(encoding="utf-8")
            for found, mended in MENDED.items():
                text = text.replace(found, mended)
            text = once(text if path.name == "search.html" else SEARCH.sub("", text))
            path.write_text(text, encoding="utf-8")


def once(text: str) -> str:
    """Take away a numbered id that a page has already: docstrings are parsed one by one, and each begins at ``id1``."""
    seen: set[str] = set()
    return NUMBERED.sub(lambda match: "" if match[1] in seen else seen.add(match[1]) or match[0], text)


def fill_in(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace each ``<!-- generated: NAME ARGUMENTS -->`` of a page by what the generator of that name writes."""
    source[0] = GENERATED.sub(lambda match: GENERATORS[match[1]](*match[2].split()), source[0])


def tidy_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Turn a docstring of the package into reStructuredText before napoleon reads its sections."""
    lines[:] = api.tidy(lines, keys=api.bibliography_keys())
