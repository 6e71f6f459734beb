"""Keep every published address alive: a page that moved leaves a small page behind that leads to the new place.

``book/addresses.txt`` lists every address that the book ever had, one a line. ``book/redirects.json`` says where a page
went, both sides as addresses below the book's root:

    {"tutorials/1_corrupted/old.html": "tutorials/1_corrupted/new.html"}

A test compares both with the table of contents. New pages are added to the list by

    python book/_ext/moved.py
"""

import html
import json
import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import chapters
from sphinx.application import Sphinx
from sphinx.util import logging

__all__ = ["listed", "lost", "promise", "redirect", "redirects", "unlisted"]

ROOT = Path(__file__).resolve().parents[2]
ADDRESSES = ROOT / "book" / "addresses.txt"
REDIRECTS = ROOT / "book" / "redirects.json"
LOG = logging.getLogger(__name__)
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>This page has moved</title>
<link rel="canonical" href="{target}">
<script>location.replace("{target}" + location.hash);</script>
<noscript><meta http-equiv="refresh" content="0; url={target}"></noscript>
</head>
<body><main><h1>This page has moved</h1><p>It is now <a href="{target}">here</a>.</p></main></body>
</html>
"""


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages left behind when a build is finished."""
    app.connect("build-finished", leave_behind)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def leave_behind(app: Sphinx, exception: Exception | None) -> None:
    """Write a small page at every address that a page has left."""
    if exception or app.builder.format != "html":
        return
    for old, new in redirects().items():
        place = Path(app.outdir) / old
        if place.exists():
            LOG.warning("book/redirects.json: %s has a page again; remove its line", old)
        elif not (Path(app.outdir) / new).exists():
            LOG.warning("book/redirects.json: %s leads to %s, and there is no such page", old, new)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(redirect(old, new), encoding="utf-8")


def redirect(old: str, new: str) -> str:
    """Return the page that stands at the old address: at once with scripts, at once without, by a link for the rest."""
    target = posixpath.relpath(new, posixpath.dirname(old) or ".")
    return PAGE.format(target=html.escape(target, quote=True))


def redirects() -> dict[str, str]:
    """Return where pages went, as stored."""
    return json.loads(REDIRECTS.read_text(encoding="utf-8"))


def listed() -> list[str]:
    """Return every address that the book ever had, as stored."""
    return ADDRESSES.read_text(encoding="utf-8").split()


def lost(known: Sequence[str], now: Sequence[str], moved: Mapping[str, str]) -> list[str]:
    """Return what to write for each address that has vanished or is led astray."""
    gone = [old for old in known if old not in now and old not in moved]
    astray = [f"{old!r} leads to {new!r}, which is no page" for old, new in moved.items() if new not in now]
    say = '{old} is gone, and links to it end in nothing. Write into book/redirects.json: "{old}": "its new address"'
    return [say.format(old=old) for old in gone] + [f"book/redirects.json: {line}" for line in astray]


def unlisted(known: Sequence[str], now: Sequence[str]) -> list[str]:
    """Return what to write for each page whose address is not promised yet."""
    return [f"{page} is new. Run `python book/_ext/moved.py`, which adds it to the list" for page in {*now} - {*known}]


def promise() -> None:
    """Add the pages that the book has now to the list."""
    ADDRESSES.write_text("\n".join(sorted({*listed(), *chapters.pages()})) + "\n", encoding="utf-8")


if __name__ == "__main__":
    promise()
