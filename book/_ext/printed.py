"""Print each chapter as a PDF: a title page, then its notebooks one after another, with bookmarks and page numbers.

Chromium prints one HTML file per chapter, made of the plain pages (see ``plain``) and ``paper.css``. Links within a
chapter lead to its pages, all others to the book on the web.
"""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chapters import Part
from plain import Plain, key, style_sheet

__all__ = ["document", "pdf"]

FOOT = """<div style="width:100%;font:7pt sans-serif;padding:0 16mm;display:flex;justify-content:space-between">
<span>{left}</span><span><span class="pageNumber"></span> of <span class="totalPages"></span></span></div>"""
DOCUMENT = """<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" lang="en"><head><meta charset="utf-8"/><title>{title}</title>
<style>{style}</style></head><body><section class="front"><p class="book">{book}</p><h1>{title}</h1>
<img src="{cover}" alt="The parameters of one network as strips of colored pixels, one strip for each fate"/>
<ol>{entries}</ol><p>Version {version}. The book turns its knobs at <a href="{site}">{site}</a>.<br/>
The weightlore authors. Text under CC BY 4.0, code under the MIT license.</p></section>{body}</body></html>"""


def document(part: Part, pages: Sequence[Plain], folder: Path, *, book: str, version: str, site: str) -> str:
    """Return a chapter as one HTML document; pictures are taken from the folder of the built book."""
    entries = "".join(f'<li><a href="#{key(page.page)}">{html.escape(page.title)}</a></li>' for page in pages)
    style = "\n".join(
        [
            (folder / "_static" / "pygments.css").read_text(),
            style_sheet("paper.css"),
            next((page.style for page in pages if page.style), ""),
        ]
    )
    number, _, fate = part.caption.partition(": ")
    body = "".join(page.print for page in pages).replace('src="images/', f'src="{(folder / "_images").as_uri()}/')
    cover = (folder / "_static" / "cover.svg").as_uri()
    title = f"Chapter {number}: {fate}" if fate else part.caption
    return DOCUMENT.format(
        title=html.escape(title),
        style=style,
        book=html.escape(book),
        cover=cover,
        entries=entries,
        version=version,
        site=site,
        body=body,
    )


def pdf(chromium: Any, text: str, target: Path, *, foot: str) -> Path:
    """Print an HTML document, tagged for screen readers and with its headings as bookmarks."""
    draft = target.with_suffix(".print.html")
    draft.write_text(text, encoding="utf-8")
    context = chromium.new_context()
    page = context.new_page()
    page.goto(draft.as_uri())
    page.evaluate("Promise.all([...document.images].map((image) => image.decode()))")
    page.pdf(
        path=target,
        format="A4",
        print_background=True,
        tagged=True,
        outline=True,
        display_header_footer=True,
        header_template="<span></span>",
        footer_template=FOOT.format(left=html.escape(foot)),
        margin={"top": "16mm", "bottom": "18mm", "left": "16mm", "right": "16mm"},
    )
    context.close()
    draft.unlink()
    return target
