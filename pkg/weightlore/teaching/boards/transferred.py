"""The board of chapter 2: the square of two gates with the habits in it, a gate that sleeps, and an interval."""

import math

from scipy import stats

from weightlore.teaching.boards.drawing import blackboard, box, stroke, words
from weightlore.teaching.diagrams import Diagram

__all__ = ["transferred_board"]

LEFT, TOP, WIDE, HIGH = 96, 118, 190, 120  # of the square
DRAWS = (5, 10)


def transferred_board() -> Diagram:
    """Draw the board of chapter 2 as it looks at the end of the class.

    Source: ours
    """
    parts = [*_unit(), *_square(), *_habits(), *_sleep(), *_interval()]
    alt = (
        "Above, the unit: the candidate c is phi of a plus U times r p, the output h is (1 - z) p + z c. In the "
        "middle the square of the gates, z to the right and r upwards. Its left side, z = 0, is sharing, whatever r "
        "is. The lower right corner is tuning if the target starts as a copy, and scratch if it starts fresh. The "
        "upper right corner is columns side by side. Below, the gradient of the update gate, delta (c - p) z (1 - z), "
        "which is zero for a copy with U = 0; tanh of tanh of 1 is "
        f"{math.tanh(math.tanh(1)):.3f} and not {math.tanh(1):.3f}; and the interval of a difference, mean plus or "
        f"minus t times its deviation over the root of S, t = {_quantile(5):.2f} for five draws and "
        f"{_quantile(10):.2f} for ten."
    )
    return blackboard("The board of chapter 2", parts, 468, alt)


def _quantile(draws: int) -> float:
    return float(stats.t.ppf(0.975, draws - 1))


def _unit() -> list[str]:
    return [
        words(14, 32, r"c = \phi(a + U(r p))"),
        words(14, 64, r"h = (1 \minus z) p + z c"),
        box(250, 18, 92, "source p"),
        box(374, 18, 92, "target a"),
        stroke([(296, 52), (296, 74), (420, 74), (420, 52)], "s0"),
    ]


def _square() -> list[str]:
    right, bottom = LEFT + WIDE, TOP + HIGH
    parts = [stroke([(LEFT, TOP), (right, TOP), (right, bottom), (LEFT, bottom), (LEFT, TOP)], dashed=True)]
    parts.append(stroke([(LEFT, TOP), (LEFT, bottom)], "s1", thick=True))
    for y in (TOP, bottom):
        corner = [(right + x, y + v) for x, v in ((-6, -6), (6, -6), (6, 6), (-6, 6), (-6, -6))]
        parts.append(stroke(corner, "s0" if y == bottom else "s2", thick=True))
    named = ((LEFT, "z = 0"), (right, "z = 1"))
    parts += [words(x, bottom + 26, name, "small", "middle") for x, name in named]
    return [
        *parts,
        words(LEFT - 46, TOP + 5, "r = 1", "small", "end"),
        words(LEFT - 46, bottom, "r = 0", "small", "end"),
    ]


def _habits() -> list[str]:
    right, bottom = LEFT + WIDE, TOP + HIGH
    return [
        words(LEFT + 12, TOP + HIGH / 2 + 6, "shared, any r", "s1"),
        words(right + 16, TOP + 5, "columns side by side", "small s2"),
        words(right + 16, bottom - 16, "copy: tuned", "small s0"),
        words(right + 16, bottom + 5, "fresh: scratch", "small s0"),
    ]


def _sleep() -> list[str]:
    return [
        words(14, 308, r"\partial{}L / \partial{}b_{z} = \delta (c \minus p) z (1 \minus z)"),
        words(14, 338, r"copy, U = 0:  c = p, so it is 0", "s1"),
        words(14, 368, f"tanh(tanh(1)) = {math.tanh(math.tanh(1)):.3f},  tanh(1) = {math.tanh(1):.3f}"),
    ]


def _interval() -> list[str]:
    told = ", ".join(f"{_quantile(draws):.2f} (S = {draws})" for draws in DRAWS)
    return [
        words(14, 412, r"mean of d \pm t \sigma_{d} / \root{}S"),
        words(466, 412, "within a draw", "small", "end"),
        words(14, 442, f"t: {told}", "small"),
    ]
