"""The board of chapter 7: twins, an effect, how large it must be, and two cells of the matrix opened."""

from scipy import stats

from weightlore.teaching.boards.drawing import blackboard, stroke, words
from weightlore.teaching.diagrams import Diagram
from weightlore.teaching.ledgers import ledger

__all__ = ["crossed_board"]

PAIRS, CELLS = 10, 87
LEFT, ZERO, RIGHT = 40.0, 360.0, 450.0  # of the lines on which the pairs lie
DELTA, SIGMA = "\N{GREEK SMALL LETTER DELTA}", "\N{GREEK SMALL LETTER SIGMA}"


def needed(cells: int, pairs: int = PAIRS) -> float:
    """Return the smallest effect whose 95 % interval misses zero, if so many cells are to be right together.

    Args:
        cells: how many intervals.
        pairs: of twins behind each.

    Source: ours
    """
    return float(stats.t.ppf(1 - 0.025 / cells, pairs - 1)) / pairs**0.5


def crossed_board() -> Diagram:
    """Draw the board of chapter 7 as it looks at the end of the class.

    Source: ours
    """
    alone, together = needed(1), needed(CELLS)
    parts = [
        words(14, 30, "twins:  d_{s} = a_{s} \N{MINUS SIGN} h_{s}", "s1"),
        words(466, 30, "same start, same order", "small", "end"),
        words(14, 64, f"effect:  {DELTA} = mean d / {SIGMA}_{{d}}"),
        words(14, 96, f"95 %:  mean d \N{PLUS-MINUS SIGN} t {SIGMA}_{{d}} / \N{SQUARE ROOT}n"),
        words(14, 138, f"n = {PAIRS}, misses zero if"),
        words(40, 168, f"|{DELTA}| > {alone:.2f}  for one question", "s0"),
        words(40, 198, f"|{DELTA}| > {together:.2f}  for all {CELLS} together", "s2"),
        words(40, 228, f"by chance alone: {0.05 * CELLS:.2f} of {CELLS}", "small"),
        *_opened("sliced, on a chip that misses", "sliced-chipped", 270),
        *_opened("transferred, adapted to turned digits", "transferred-adapted", 340),
        words(14, 412, "because its cells are nearly empty?", "s1"),
        words(14, 440, "each misses by its share: three times the loss, again", "small"),
    ]
    alt = (
        "Twins: d is the answer of the network that had a fate, less that of its healthy twin. The effect is the "
        "mean of d over its standard deviation. The interval is the mean plus or minus t times the deviation over "
        f"the root of n. With {PAIRS} pairs it misses zero if the effect is beyond {alone:.2f} for one question, "
        f"{together:.2f} for all {CELLS} together; {0.05 * CELLS:.2f} would miss it by chance. Below, two cells, "
        "ten pairs each on a line with zero: sliced, on a chip that misses, all pairs lie on the side of loss; "
        "transferred, adapted to turned digits, they lie on both sides. Last, a reason and its test: does the "
        "sliced network lose because its cells are nearly empty? On a chip whose cells miss by their share, and that "
        "takes as much from the healthy network, it loses three times as much again: the reason fails."
    )
    return blackboard("The board of chapter 7", parts, 456, alt)


def _opened(name: str, cell: str, top: float) -> list[str]:
    found = [pair["value"] for pair in ledger("7_crossed")[cell]["values"].values()]
    parts = [words(14, top, name, "small"), stroke([(LEFT, top + 24), (RIGHT, top + 24)])]
    parts.append(stroke([(ZERO, top + 10), (ZERO, top + 38)], dashed=True))
    parts.append(words(ZERO + 6, top + 44, "0", "small"))
    for gain in found:
        x = ZERO + gain * (ZERO - LEFT) / 45
        parts.append(stroke([(x, top + 16), (x, top + 32)], "s1", thick=True))
    return parts
