"""The board of chapter 1: the worst change in a budget, the points of three balls, and what chance gets of it."""

import math

import torch

from weightlore.corruption import Budget, closed_form, expected_best
from weightlore.teaching.boards.drawing import blackboard, stroke, words
from weightlore.teaching.diagrams import Diagram

__all__ = ["corrupted_board"]

SIZE, TRIES = 6570, 3000  # parameters of the network; random directions
CENTER, RADIUS = (96, 166), 66  # of the balls
BALLS = ((1.0, "s2"), (2.0, "s0"), (math.inf, "s1"))
LEFT, WIDE = 14, 452  # of the bars


def corrupted_board() -> Diagram:
    """Draw the board of chapter 1 as it looks at the end of the class.

    Source: ours
    """
    shares = [("the worst: \\eps \\norm{}g\\norm", 1.0), (f"best of {TRIES:,} tries", expected_best(TRIES, SIZE))]
    shares.append(("one try, on average", math.sqrt(2 / (math.pi * SIZE))))
    parts = [*_problem(), *_balls(), *_solutions(), *_chance(), *_bars(shares)]
    parts.append(words(14, 502, r"Fitted data: \norm{}g\norm \to 0, and first order is silent.", "s1"))
    alt = (
        "Above, the problem: the largest a times g over all a of p-norm epsilon with at most n entries, and Hoelder's "
        "bound, epsilon times the q-norm of the n largest entries of g. In the middle left a diamond, a circle and a "
        "square with the point of each that reaches farthest along g; right the three solutions: along h for p = 2, "
        "signs for p = infinity, one entry for p = 1. Below, chance: the mean gain is zero, its deviation epsilon "
        f"times the length of g over the root of P, so that the worst is {math.sqrt(SIZE):.0f} times that; three bars "
        f"for the worst, the best of {TRIES:,} tries, {shares[1][1]:.3f} of it, and one try, {shares[2][1]:.3f} of it. "
        "Last line: on fitted data the gradient vanishes and first order is silent."
    )
    return blackboard("The board of chapter 1", parts, 518, alt)


def _problem() -> list[str]:
    return [
        words(14, 30, r"max a \dot g,   \norm{}a\norm_{p} = \eps,   at most n entries"),
        words(14, 62, "H\N{LATIN SMALL LETTER O WITH DIAERESIS}lder:  " + r"a \dot g \le \eps \norm{}h\norm_{q}"),
        words(466, 62, "h: the n largest of g", "small", "end"),
    ]


def _balls() -> list[str]:
    x, y = CENTER
    turn = torch.linspace(0, 2 * math.pi, 81)
    circle, slope = torch.stack([turn.cos(), turn.sin()]), torch.tensor([2.0, 1.0])
    parts = [stroke([(x, y), (x + 1.5 * RADIUS, y - 0.75 * RADIUS)], dashed=True), words(x + 104, y - 50, "g")]
    for p, kind in BALLS:
        rim = RADIUS * circle / torch.linalg.vector_norm(circle, p, dim=0)
        parts.append(stroke([(x + u, y - v) for u, v in rim.T.tolist()], kind))
        u, v = (RADIUS * closed_form(slope, Budget(1.0, p=p)).vector).tolist()
        dot = [(x + u - 4, y - v), (x + u, y - v - 4), (x + u + 4, y - v), (x + u, y - v + 4), (x + u - 4, y - v)]
        parts.append(stroke(dot, kind, thick=True))
    return parts


def _solutions() -> list[str]:
    return [
        words(240, 150, r"p = \inf:  a = \eps sign(h)", "s1"),
        words(240, 184, r"p = 2:  a = \eps h / \norm{}h\norm", "s0"),
        words(240, 218, "p = 1:  one entry takes all", "s2"),
    ]


def _chance() -> list[str]:
    return [
        words(14, 274, "By chance, p = 2 and n = P:", "s1"),
        words(14, 304, r"E[a \dot g] = 0,   deviation  \eps \norm{}g\norm / \root{}P"),
        words(14, 334, r"best of m tries:  \eps \norm{}g\norm \root{}(2 ln m / P)"),
        words(466, 304, rf"\root{{}}{SIZE} = {math.sqrt(SIZE):.0f}", "small", "end"),
    ]


def _bars(shares: list[tuple[str, float]]) -> list[str]:
    parts = []
    for row, (name, share) in enumerate(shares):
        y = 380 + 40 * row
        parts.append(words(LEFT, y - 10, name, "small"))
        parts.append(stroke([(LEFT, y), (LEFT + WIDE * share, y)], "s0", thick=True))
    return parts
