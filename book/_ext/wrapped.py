"""Break long lines of code where the page ends, instead of hiding their end.

Pygments writes all lines of a listing into one ``<pre>``, where a line that is too long can only scroll or run on under
the one below it. Here each line is a box of its own that knows how far it is indented,

    <span class="wl-line" style="--in:4">    return ...</span>

so that ``weightlore.css`` can let it go on below itself, four letters farther in. Copied text is the same as before.

Names and punctuation have the color of the text around them in both themes, and no box: they were a fifth of a page.
"""

import html
import re
from collections.abc import Iterator
from typing import IO, Any

from pygments.formatters.html import HtmlFormatter
from pygments.token import Name, Punctuation, Text, Whitespace
from sphinx.application import Sphinx
from sphinx.highlighting import PygmentsBridge

__all__ = ["PLAIN", "LineFormatter", "boxed", "setup"]

PLAIN = frozenset({Name, Name.Namespace, Punctuation, Whitespace})


class LineFormatter(HtmlFormatter):  # type: ignore[type-arg]
    """Pygments' own formatter, with a box around each line and none around what has no color of its own."""

    def format_unencoded(self, tokensource: Iterator[tuple[Any, str]], outfile: IO[str]) -> None:
        """Write tokens as HTML.

        Args:
            tokensource: kinds of tokens with their text.
            outfile: where the HTML goes.
        """
        super().format_unencoded(((Text if kind in PLAIN else kind, text) for kind, text in tokensource), outfile)

    def wrap(self, source: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        """Return the lines in their boxes, between the tags of the listing.

        Args:
            source: lines of HTML, each with 1 where it is a line of code.
        """
        lines: Iterator[tuple[int, str]] = super().wrap((code, boxed(line) if code else line) for code, line in source)
        return lines


def boxed(line: str) -> str:
    """Return a line of HTML in a box that knows its indentation; an empty line as it is.

    Args:
        line: with its line feed.
    """
    bare = line.rstrip("\n")
    text = html.unescape(re.sub(r"<[^>]*>", "", bare))
    if not text.strip():
        return line
    indent = len(text) - len(text.lstrip(" "))
    style = f' style="--in:{indent}"' if indent else ""
    return f'<span class="wl-line"{style}>{bare}</span>{line[len(bare) :]}'


def setup(app: Sphinx) -> dict[str, Any]:
    """Let Sphinx write code by this formatter.

    Args:
        app: the application.
    """
    PygmentsBridge.html_formatter = LineFormatter  # type: ignore[assignment]
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
