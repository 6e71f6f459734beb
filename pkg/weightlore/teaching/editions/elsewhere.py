"""Rewrite what only the book understands, for a notebook or a slide that is read elsewhere.

The book sets citations and links from page to page. Elsewhere a citation is the authors' names and the year, and a
link to a page of the book is the page's public address. Links between notebooks stay: an edition keeps their folders.

    Elsewhere(root).text(source, "1_corrupted")    the Markdown of a cell, readable anywhere
"""

import posixpath
import re
from functools import cached_property
from importlib.metadata import metadata
from pathlib import Path

from weightlore.errors import MissingExtra, ParameterError

try:
    from pybtex.database import Entry, parse_file  # type: ignore[import-untyped]
except ImportError as error:
    raise MissingExtra("pybtex", "book") from error

__all__ = ["Elsewhere", "public_address"]

CITATION = re.compile(r"\{cite:([tp])\}`([^`]+)`")
LINK = re.compile(r"\]\(([^)#\s:]+\.(?:md|ipynb))((?:#[^)\s]*)?)\)")


def public_address() -> str:
    """Return the address of the published book, without a slash at its end.

    Source: ours, because it stands in the package's metadata and nowhere else.
    """
    entries = dict(entry.split(", ", 1) for entry in metadata("weightlore").get_all("Project-URL") or [])
    return str(entries["Documentation"]).rstrip("/")


class Elsewhere:
    """Citations and links of one clone's tutorials, written so that they can be read anywhere.

    Args:
        root: the clone, with ``book/references.bib``.

    Source: ours
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    @cached_property
    def _works(self) -> dict[str, Entry]:
        return dict(parse_file(str(self.root / "book" / "references.bib")).entries)

    def text(self, source: str, folder: str) -> str:
        """Return the Markdown of a cell without what only the book understands.

        Args:
            source: Markdown.
            folder: of the tutorial, such as ``"1_corrupted"``, or of a page as seen from the tutorials.

        Raises:
            ParameterError: if a work is cited that the references do not have.

        Source: ours
        """
        cited = CITATION.sub(lambda match: self._cited(match[1], match[2].split(",")), source)
        return LINK.sub(lambda match: f"]({_address(match[1], folder)}{match[2]})", cited)

    def _cited(self, form: str, keys: list[str]) -> str:
        works = [self._named(key.strip()) for key in keys]
        if form == "t":
            return ", ".join(f"{names} ({year})" for names, year in works)
        return "(" + "; ".join(f"{names}, {year}" for names, year in works) + ")"

    def _named(self, key: str) -> tuple[str, str]:
        if key not in self._works:
            raise ParameterError(
                f"{key!r} is cited, but book/references.bib has no such work; add it or correct the key"
            )
        work = self._works[key]
        people = work.persons.get("author") or work.persons.get("editor", [])
        names = [" ".join(map(str, (*person.rich_prelast_names, *person.rich_last_names))) for person in people]
        short = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
        return short or work.fields.get("title", key), work.fields.get("year", "no year")


def _address(target: str, folder: str) -> str:
    """Return where a link goes: to another notebook of the edition, or to the published page."""
    place = posixpath.normpath(posixpath.join("tutorials", folder, target))
    if place.startswith("tutorials/") and place.endswith(".ipynb") and not folder.startswith(".."):
        return target
    return f"{public_address()}/{posixpath.splitext(place)[0]}.html"
