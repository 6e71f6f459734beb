"""Read the built pages as plain XHTML, for paper and e-books: formulas set, folds open, knobs as pictures.

Chromium is the parser: it opens each page from disk, sets its formulas, and ``plain.js`` cuts the article out of it and
writes it as well-formed XML. One look at a page gives both forms of its formulas, as SVG for paper and as MathML for
readers that let the text grow.
"""

import os
import posixpath
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Plain", "beside", "browser", "key", "read", "style_sheet"]

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome", "msedge")
NEEDED = ("/mathjax/", "/_images/", "/_static/cover.svg")  # what a page may load here besides itself
ABSENT = """make release prints the book with Chromium, and there is none here under the names {names}.
Install it (on Debian or Ubuntu: apt install chromium), or name it: WEIGHTLORE_CHROMIUM=/path/to/it make release"""


@dataclass(frozen=True)
class Plain:
    """One page as plain XHTML.

    Attributes:
        page: its address below the root of the book.
        title: its heading.
        print: with formulas as SVG and ids that begin with the page's key.
        ebook: with formulas as MathML.
        heads: the headings of the second order with their ids.
        images: the pictures that it shows, as paths below the root.
        style: what the SVG formulas ask of a style sheet.
        uses: whether the e-book form has MathML and SVG in it.
    """

    page: str
    title: str
    print: str
    ebook: str
    heads: list[tuple[str, str]]
    images: list[str]
    style: str
    uses: dict[str, bool]


def key(page: str) -> str:
    """Return a short name of a page, which is also a file name and an id."""
    return posixpath.splitext(page)[0].replace("tutorials/", "").replace("/", "-")


def style_sheet(name: str) -> str:
    """Return a style sheet of this folder with the colors of the light theme put in for its variables."""
    from weightlore.teaching.style import css_variables

    colors = dict(re.findall(r"(--wl-\w+):([^;}]+)", css_variables().partition("}")[0]))
    return re.sub(r"var\((--wl-\w+)\)", lambda match: colors[match[1]], beside(name))


def beside(name: str) -> str:
    """Return the text of a file of this folder."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


@contextmanager
def browser() -> Iterator[Any]:
    """Give a Chromium that was installed on the system."""
    from playwright.sync_api import sync_playwright

    path = os.environ.get("WEIGHTLORE_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise SystemExit(ABSENT.format(names=", ".join(NAMES)))
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


def read(
    chromium: Any,
    html: Path,
    pages: Sequence[str],
    places: Mapping[str, str],
    *,
    site: str,
    printed: Mapping[str, str],
) -> Iterator[Plain]:
    """Yield each page as plain XHTML.

    Args:
        chromium: the browser.
        html: the folder of the built book.
        pages: the pages to read.
        places: the place of each page in the e-book; links to pages without one lead to the web.
        site: where the book is published on the web.
        printed: the chapter that each page is printed in.
    """
    context = chromium.new_context()
    context.route("**/*", lambda route: route.continue_() if loads(route.request) else route.abort())
    root = html.resolve().as_uri() + "/"
    for page in pages:
        tab = context.new_page()
        tab.goto(root + page)
        tab.evaluate("window.MathJax && MathJax.startup && MathJax.startup.promise")
        wish = {"root": root, "site": site}
        paper = {**wish, "math": "svg", "prefix": key(page), "places": neighbors(page, printed)}
        yield told(
            page,
            tab.evaluate(beside("plain.js"), paper),
            tab.evaluate(beside("plain.js"), {**wish, "math": "mathml", "prefix": "", "places": dict(places)}),
        )
        tab.close()
    context.close()


def neighbors(page: str, printed: Mapping[str, str]) -> dict[str, str]:
    """Return the places of the pages that are printed in the same document."""
    return {other: f"#{key(other)}" for other, chapter in printed.items() if chapter == printed.get(page)}


def loads(request: Any) -> bool:
    """Say whether a page may load something: the page itself, its pictures and what sets its formulas."""
    return request.is_navigation_request() or any(part in request.url for part in NEEDED)


def told(page: str, paper: dict[str, Any], ebook: dict[str, Any]) -> Plain:
    """Return what the script found, under its names."""
    title = next((text for level, text, _ in ebook["heads"] if level == "H1"), page)
    heads = [(text, anchor) for level, text, anchor in ebook["heads"] if level == "H2"]
    return Plain(page, title, paper["xhtml"], ebook["xhtml"], heads, ebook["images"], paper["style"], ebook["uses"])
