"""Write the tour as one file that needs no other, for phones whose browsers may not read a folder.

The text is the plain page of the tour, whose pictures are in it; the figures are the stored widgets, drawn by their
own script. Without scripts the pictures stay. Links lead to the book on the web.
"""

import html
import json

import tour
from plain import Plain, beside

__all__ = ["document"]

PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head><body><main>{body}
<footer><p>Version {version} of <a href="{site}">{book}</a>. Text under CC BY 4.0, code under the MIT license.</p>
</footer></main>
<script type="application/json" id="figures">{figures}</script><script type="module">{script}</script></body></html>
"""


def document(page: Plain, *, book: str, version: str, site: str) -> str:
    """Return the tour as one HTML file.

    Args:
        page: the page of the tour, plain, with links that lead to the web.
        book: the title of the book.
        version: its version.
        site: where it is published.
    """
    from weightlore.teaching.style import css_variables

    return PAGE.format(
        title=html.escape(page.title),
        style=css_variables("body") + beside("single.css"),
        body=page.ebook,
        book=html.escape(book),
        version=version,
        site=site,
        figures=figures(),
        script=beside("single.js"),
    )


def figures() -> str:
    """Return the stored widget of each stop by the id of its place."""
    found = {f"{stop}-figure": tour.stored(stop).state[tour.stored(stop).model] for stop in tour.STOPS}
    return json.dumps(found).replace("</", "<\\/")
