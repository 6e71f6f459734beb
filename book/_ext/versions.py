"""Say on every page which version of the book it is, and list the others.

The version stands in ``pyproject.toml``. The list is ``book/_static/switcher.json``, in the form that version switchers
of Sphinx themes read, newest first; it is a file of the site, so no server has to know about versions.
"""

import json
import tomllib
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

__all__ = ["known", "version", "versions"]

ROOT = Path(__file__).resolve().parents[2]
LIST = ROOT / "book" / "_static" / "switcher.json"
PAGE = "book/versions"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the event that writes the foot of each page."""
    app.connect("html-page-context", foot)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def foot(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Write the version into the foot of a page, with the way to the others."""
    address = context["pathto"](PAGE)
    context["theme_extra_footer"] = f'<p>Version {version()} · <a href="{address}">changes and other versions</a></p>'


def version() -> str:
    """Return the version of the package and the book."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


def known() -> list[dict[str, Any]]:
    """Return the list of versions, newest first, as stored."""
    return json.loads(LIST.read_text(encoding="utf-8"))


def versions() -> str:
    """Return the list of versions as Markdown."""
    return "\n".join(f"- [{entry['name']}]({entry['url']})" for entry in known())
