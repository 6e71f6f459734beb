r"""Chalk for the boards: words with indices, boxes, lines and curves, 480 wide, so that a phone can show them.

words(x, y, text)          a line of text; ``a_{i}`` and ``x^{2}`` shift, ``\theta`` and other names are signs
box(x, y, width, text)     a frame with a word in it
stroke(points)             straight lines from point to point
curve(function, ...)       a function over an interval, in a box of its own
blackboard(...)            the finished drawing, with its title and its words for screen readers
"""

import re
from collections.abc import Callable, Sequence
from html import escape

import numpy as np

from weightlore.errors import ParameterError
from weightlore.teaching.diagrams import Diagram, finished

__all__ = ["WIDTH", "blackboard", "box", "curve", "stroke", "words"]

WIDTH = 480  # of every board, in its own pixels; a phone shows it at two thirds
LARGE, SMALL = 17, 15  # heights of the two sizes of text
SHIFTED = re.compile(r"([_^])\{([^{}]*)\}")
SIGN = re.compile(r"\\([A-Za-z]+)(?:\{\})?")
SIGNS = {
    "Delta": "\N{GREEK CAPITAL LETTER DELTA}",
    "Pi": "\N{GREEK CAPITAL LETTER PI}",
    "Sum": "\N{N-ARY SUMMATION}",
    "alpha": "\N{GREEK SMALL LETTER ALPHA}",
    "approx": "\N{ALMOST EQUAL TO}",
    "delta": "\N{GREEK SMALL LETTER DELTA}",
    "dot": "\N{MIDDLE DOT}",
    "eps": "\N{GREEK SMALL LETTER EPSILON}",
    "ge": "\N{GREATER-THAN OR EQUAL TO}",
    "inf": "\N{INFINITY}",
    "int": "\N{INTEGRAL}",
    "lambda": "\N{GREEK SMALL LETTER LAMDA}",  # codespell:ignore
    "le": "\N{LESS-THAN OR EQUAL TO}",
    "minus": "\N{MINUS SIGN}",
    "norm": "\N{DOUBLE VERTICAL LINE}",
    "partial": "\N{PARTIAL DIFFERENTIAL}",
    "phi": "\N{GREEK SMALL LETTER PHI}",
    "pm": "\N{PLUS-MINUS SIGN}",
    "rho": "\N{GREEK SMALL LETTER RHO}",
    "root": "\N{SQUARE ROOT}",
    "sigma": "\N{GREEK SMALL LETTER SIGMA}",
    "theta": "\N{GREEK SMALL LETTER THETA}",
    "times": "\N{MULTIPLICATION SIGN}",
    "to": "\N{RIGHTWARDS ARROW}",
}
KINDS = ("", "small", "s0", "s1", "s2")
STYLE = (
    f"<style>.wl-diagram:has(.wl-board){{max-width:{WIDTH + 2}px}}"
    ".wl-diagram .wl-board text{font-size:17px;text-anchor:start}"
    ".wl-diagram .wl-board text.middle{text-anchor:middle}.wl-diagram .wl-board text.end{text-anchor:end}"
    ".wl-diagram .wl-board .small{font-size:15px}.wl-diagram .wl-board .index{font-size:.75em}"
    ".wl-diagram .wl-board .line{fill:none;stroke:var(--wl-muted);stroke-width:1.5}"
    ".wl-diagram .wl-board .thick{stroke-width:3}.wl-diagram .wl-board .dashed{stroke-dasharray:5 5}"
    + "".join(
        f".wl-diagram .wl-board text.s{i}{{fill:var(--wl-s{i})}}"
        f".wl-diagram .wl-board .line.s{i}{{stroke:var(--wl-s{i})}}"
        for i in range(3)
    )
    + "</style>"
)


def blackboard(title: str, parts: Sequence[str], height: int, alt: str) -> Diagram:
    """Return a board made of parts.

    Args:
        title: of the drawing.
        parts: what the other functions return.
        height: in pixels.
        alt: what stands on the board, in words.

    Source: ours
    """
    return finished(title, [STYLE, '<g class="wl-board">', *parts, "</g>"], (WIDTH, height), alt)


def words(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    r"""Return a line of text that begins, ends or has its middle at (x, y).

    Args:
        x: in pixels from the left.
        y: of the baseline, in pixels from above.
        text: may have ``_{...}`` and ``^{...}`` in it, and signs by name, such as ``\theta`` or ``\le``; a space
            after a name stays, and ``{}`` ends a name without one.
        kind: "" for plain, ``small``, or a color ``s0``, ``s1``, ``s2`` of the palette; ``small s1`` is both.
        anchor: ``start``, ``middle`` or ``end``.

    Raises:
        ParameterError: if the kind or the name of a sign is not known.

    Source: ours
    """
    _require(kind)
    text = SIGN.sub(_sign, text)
    pieces, place = [], 0
    for match in SHIFTED.finditer(text):
        pieces.append(escape(text[place : match.start()]))
        down = 0.3 if match[1] == "_" else -0.4
        pieces.append(f'<tspan class="index" dy="{down}em">{escape(match[2])}</tspan>')
        pieces.append(f'<tspan dy="{-0.75 * down:.3f}em">\u200b</tspan>')  # back; the index is 0.75 as high
        place = match.end()
    pieces.append(escape(text[place:]))
    return f'<text class="{f"{kind} {anchor}".strip()}" x="{x:g}" y="{y:g}">{"".join(pieces)}</text>'


def box(x: float, y: float, width: float, text: str, kind: str = "") -> str:
    """Return a frame, 34 high, with a word in its middle.

    Args:
        x: of its left side.
        y: of its upper side.
        width: in pixels.
        text: as in ``words``.
        kind: as in ``words``; colors the frame.

    Source: ours
    """
    _require(kind)
    frame = f'<rect class="line {kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="34" rx="6"/>'
    return frame + words(x + width / 2, y + 23, text, anchor="middle")


def stroke(points: Sequence[tuple[float, float]], kind: str = "", *, thick: bool = False, dashed: bool = False) -> str:
    """Return straight lines from point to point.

    Args:
        points: pairs (x, y).
        kind: as in ``words``.
        thick: twice as wide.
        dashed: broken.

    Source: ours
    """
    _require(kind)
    look = " ".join(["line", *([kind] if kind else []), *(["thick"] * thick), *(["dashed"] * dashed)])
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="{look}" d="M{path}"/>'


def curve(
    function: Callable[[np.ndarray], np.ndarray],
    over: tuple[float, float],
    up: tuple[float, float],
    place: tuple[float, float, float, float],
    kind: str = "s0",
    *,
    dashed: bool = False,
) -> str:
    """Return the graph of a function.

    Args:
        function: of an array of shape (K,), returns the same shape.
        over: the interval on the horizontal axis.
        up: the values at the lower and at the upper side.
        place: left, top, width and height of the graph, in pixels.
        kind: as in ``words``.
        dashed: broken, so that color is not the only sign.

    Source: ours
    """
    left, top, width, height = place
    at = np.linspace(*over, 121)
    share = np.clip((function(at) - up[0]) / (up[1] - up[0]), 0, 1)
    points = zip(left + width * (at - over[0]) / (over[1] - over[0]), top + height * (1 - share), strict=True)
    return stroke([(float(x), float(y)) for x, y in points], kind, thick=True, dashed=dashed)


def _require(kind: str) -> None:
    if not set(kind.split()) <= set(KINDS):
        raise ParameterError(f"a part of a board is of the kinds {', '.join(KINDS[1:])} or plain, got {kind!r}")


def _sign(match: re.Match[str]) -> str:
    if match[1] not in SIGNS:
        raise ParameterError(f"no sign is called {match[0]}; the names are {', '.join(SIGNS)}")
    return SIGNS[match[1]]
