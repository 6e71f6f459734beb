"""What the book's pages need beyond Jupyter Book: scripts in order, and pages written from the project's own data."""

from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

__all__ = ["setup"]

BOOK = Path(__file__).resolve().parents[1]
LOG = logging.getLogger(__name__)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the events and directives."""
    app.connect("builder-inited", warn_without_vendored)
    app.connect("html-page-context", drop_thebe, priority=900)
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
