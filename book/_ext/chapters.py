"""Read the table of contents: the parts of the book, and the pages of each in their order."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

__all__ = ["Part", "contents", "pages"]

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Part:
    """A part of the book.

    Attributes:
        caption: its heading, such as ``1: Corrupted``.
        pages: the address of each page, below the root of the book.
    """

    caption: str
    pages: tuple[str, ...]

    @property
    def is_chapter(self) -> bool:
        """Whether the part is a chapter of notebooks."""
        return all(page.startswith("tutorials/") for page in self.pages)

    @property
    def name(self) -> str:
        """The name of the part in the name of a file: ``1-corrupted``."""
        return "-".join(self.caption.lower().replace(":", "").split())


def contents() -> list[Part]:
    """Return the parts of the book; the first page stands alone."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    first = Part("", (address(toc["root"]),))
    return [first, *(Part(part["caption"], tuple(walk(part["chapters"]))) for part in toc["parts"])]


def walk(entries: list[dict[str, Any]]) -> list[str]:
    """Return the pages of some entries, each with those below it."""
    return [page for entry in entries for page in (address(entry["file"]), *walk(entry.get("sections", [])))]


def address(name: str) -> str:
    """Return the address of a page of the table of contents."""
    return name.removesuffix(".ipynb").removesuffix(".md") + ".html"


def pages() -> list[str]:
    """Return the address of every page."""
    return [page for part in contents() for page in part.pages]
