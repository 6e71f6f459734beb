"""The transfer unit as a diagram: two streams, two gates, and where each line runs thick or thin.

unit_diagram(z, r)     source and target above each other, with the reuse gate r and the update gate z between them
"""

from collections.abc import Iterator

from weightlore.errors import ParameterError
from weightlore.teaching.diagrams import Diagram, finished

__all__ = ["unit_diagram"]

SIZE = (620, 250)
TOP, LOW = 62, 188  # height of the source's stream and of the target's
HALF = 22


def unit_diagram(z: float, r: float) -> Diagram:
    """Draw one transfer unit with its gates at z and r; a line is the thicker the more runs through it.

        c = phi(a + U (r p)),   h = (1 - z) p + z c

    Args:
        z: update gate, in [0, 1].
        r: reuse gate, in [0, 1].

    Returns:
        The drawing.

    Raises:
        ParameterError: if a gate is outside of [0, 1].

    Source: [zhang2019ptu], abstract, in our formulation; the drawing is ours
    """
    for name, gate in (("z", z), ("r", r)):
        if not 0 <= gate <= 1:
            raise ParameterError(f"a gate is a share, so {name} is drawn from 0 to 1, got {gate!r}")
    body = [*_lines(z, r), *_boxes(), *_words(z, r)]
    alt = (
        "The activation p of the source arrives above, the input a of the target layer below. A share "
        f"r = {r:g} of p runs through the matrix U and is added to a; phi makes the candidate c of it. The output h is "
        f"{1 - z:.3g} of p and {z:.3g} of c. The stream of the source runs on above, untouched."
    )
    return finished("One transfer unit", body, SIZE, alt)


def _lines(z: float, r: float) -> Iterator[str]:
    runs = [
        (1.0, f"M70 {TOP}H590"),  # the source goes on
        (1.0, f"M70 {LOW}H420"),
        (r, f"M180 {TOP}V{LOW}"),
        (1 - z, f"M470 {TOP}V{LOW - 16}"),
        (z, f"M420 {LOW}H{470 - HALF}"),
        (1.0, f"M{470 + HALF} {LOW}H590"),
    ]
    for share, path in runs:
        kind, width = ("on", 1 + 5 * share) if share else ("idle", 1)
        dashes = "" if share else ' stroke-dasharray="3 5"'
        yield f'<path class="{kind}" fill="none" style="stroke-width:{width:.2f}"{dashes} d="{path}"/>'


def _boxes() -> Iterator[str]:
    for x, y, word in (
        (180, 104, "r"),
        (180, 146, "U"),
        (180, LOW, "+"),
        (300, LOW, "\N{GREEK SMALL LETTER PHI}"),
        (470, LOW, "blend"),
    ):
        yield f'<rect class="cell" x="{x - HALF}" y="{y - 16}" width="{2 * HALF}" height="32" rx="6"/>'
        yield f'<text x="{x}" y="{y + 5}">{word}</text>'


def _words(z: float, r: float) -> Iterator[str]:
    told = (
        (40, TOP + 5, "", "p"),
        (40, LOW + 5, "", "a"),
        (385, LOW - 10, "", "c"),
        (606, LOW + 5, "", "h"),
        (310, TOP - 22, "small", "source, frozen: goes on untouched"),
        (310, LOW + 42, "small", "target: h is what its next layer reads"),
        (240, 109, "small", f"r = {r:g}"),
        (525, 125, "small", f"1 \N{MINUS SIGN} z = {1 - z:.3g}"),
        (428, LOW + 24, "small", f"z = {z:g}"),
    )
    for x, y, kind, word in told:
        yield f'<text{f" class={chr(34)}{kind}{chr(34)}" if kind else ""} x="{x}" y="{y}">{word}</text>'
