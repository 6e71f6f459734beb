"""The board of chapter 5: three weights in four cells, the saw, the two forces, and points against curves."""

from weightlore.bitslice import digit_sum, force
from weightlore.crossbar import required_bits
from weightlore.teaching.boards.drawing import blackboard, box, stroke, words
from weightlore.teaching.diagrams import Diagram

__all__ = ["sliced_board"]

SUM, ALPHA = "\N{GREEK CAPITAL LETTER SIGMA}", "\N{GREEK SMALL LETTER ALPHA}"
ROWS, HIGHEST = 128, 3  # of a bit line, and the largest digit of a cell of two bits


def sliced_board() -> Diagram:
    """Draw the board of chapter 5 as it looks at the end of the class.

    Source: ours
    """
    worst = ROWS * HIGHEST
    parts = [
        words(14, 28, f"q = {SUM} 4^{{k}} b_{{k}}", "s1"),
        words(250, 28, "64", "small", "middle"),
        words(290, 28, "16", "small", "middle"),
        words(330, 28, "4", "small", "middle"),
        words(370, 28, "1", "small", "middle"),
        words(466, 28, "C(q)", "small", "end"),
        *[part for row, q in enumerate((65, 63, 3)) for part in _weight(q, 38 + 40 * row)],
        words(14, 186, f"a bit line adds up digits: {ROWS} \N{MULTIPLICATION SIGN} {HIGHEST} = {worst}"),
        words(14, 212, f"so a converter needs {required_bits(worst)} bits, or fewer", "small"),
        *_saw(),
        words(14, 352, f"L1:  {ALPHA}/P \N{MIDDLE DOT} sign W", "s0"),
        words(14, 382, f"slice L1:  {ALPHA}/(KP step) \N{MIDDLE DOT} sign W \N{MIDDLE DOT} C(q)", "s2"),
        words(40, 412, f"C(q) = {SUM} 4^{{\N{MINUS SIGN}k}} [b_{{k}} \N{NOT EQUAL TO} 0]"),
        words(40, 442, "no detach:  1/64, and only for q \N{GREATER-THAN OR EQUAL TO} 64", "small"),
        *_points(),
    ]
    alt = (
        "Above, three weights in four cells of two bits: 65 is 1001, 63 is 0333, 3 is 0003; their forces C are 1 "
        f"and 1/64, 1 and 5/16, 1. A bit line of {ROWS} cells adds up at most {worst}, which takes "
        f"{required_bits(worst)} bits. In the middle the sum of digits from 0 to 64, a saw: 63 of 255 steps towards "
        "zero go uphill. Then the forces: L1 pulls with alpha over P, slice L1 with C of q, the sum of 4 to the "
        "minus k over the filled cells; without the detach 1/64 is left, for codes from 64 on. Below, two curves "
        "of accuracy against digits cross: one point each names a winner, the curves do not."
    )
    return blackboard("The board of chapter 5", parts, 590, alt)


def _weight(q: int, top: float) -> list[str]:
    digits = [q // 4**k % 4 for k in (3, 2, 1, 0)]
    parts = [words(190, top + 23, str(q), anchor="end")]
    parts += [box(232 + 40 * i, top, 36, str(digit), "s1" if digit else "") for i, digit in enumerate(digits)]
    return [*parts, words(466, top + 23, _fraction(float(force()[q])), anchor="end")]


def _fraction(value: float) -> str:
    whole, rest = int(value), round(64 * (value - int(value)))
    below = 64
    while rest and rest % 2 == 0:
        rest, below = rest // 2, below // 2
    return f"{whole} {rest}/{below}" if rest else str(whole)


def _saw() -> list[str]:
    found = digit_sum()[:256]
    uphill = int((found[1:] < found[:-1]).sum())
    line = [(40 + 6.4 * q, 310 - 5.5 * float(s)) for q, s in enumerate(found[:65])]
    told = f"sum of digits, 0 to 64: a saw, {uphill} of 255 steps down go uphill"
    return [words(14, 242, told, "small"), stroke([(40, 250), (40, 312), (460, 312)]), stroke(line, "s1")]


def _points() -> list[str]:
    rings = [
        stroke([(x - 5, y), (x, y - 5), (x + 5, y), (x, y + 5), (x - 5, y)], kind, thick=True) for x, y, kind in RINGS
    ]
    return [
        stroke([(40, 468), (40, 556), (230, 556)]),
        stroke([(50, 550), (80, 512), (130, 490), (220, 480)], "s0", thick=True),
        stroke([(58, 550), (80, 518), (120, 494), (220, 484)], "s2", thick=True, dashed=True),
        *rings,
        words(40, 580, "digits left", "small"),
        words(250, 496, "one point each:", "small"),
        words(250, 516, "a winner"),
        words(250, 544, "curves:", "small"),
        words(250, 564, "a comparison"),
    ]


RINGS = ((175, 485, "s0"), (80, 518, "s2"))
