"""The board of chapter 0: a network as a row of numbers, what leaves its function alone, one line of a landscape."""

import numpy as np
import torch

from weightlore.corruption import Budget, random
from weightlore.data import digits
from weightlore.networks import healthy
from weightlore.parameters import flatten
from weightlore.stacked import evaluate_thetas
from weightlore.teaching.boards.drawing import blackboard, box, curve, stroke, words
from weightlore.teaching.diagrams import Diagram

__all__ = ["healthy_board"]

END, DIRECTIONS, STEPS = 2.0, 10, 21  # lengths of theta; directions in the mean; points of the line
LEFT, TOP, WIDE, HIGH = 40, 268, 400, 110  # of the graph


def healthy_board() -> Diagram:
    """Draw the board of chapter 0 as it looks at the end of the class; the line is measured, not sketched.

    Source: ours
    """
    shares, accuracy = _line()
    theta = words(240, 118, r"\theta = [W_{1} | b_{1} | W_{2} | b_{2} | W_{3} | b_{3}],  P = 6,570", anchor="middle")
    parts = [*_network(), theta, *_symmetries(), *_votes()]
    parts.append(curve(lambda t: np.interp(t, shares, accuracy), (0, END), (0, 1), (LEFT, TOP, WIDE, HIGH)))
    alt = (
        "Above, the network: 64 gray levels, 64 units, 32 units, 10 logits, with W1, b1, W2, b2 and W3, b3 on the "
        "arrows. Theta is all of them in a row, 6,570 numbers. In the middle, what leaves the function alone: "
        "exchanging hidden units, 64! times 32! ways, and scaling a unit by c and its outgoing weights by 1/c, for "
        "ReLU. Below, the accuracy along random directions, with the three votes marked at 1, 10 and 100 % of theta's "
        f"length. There it is {', '.join(f'{np.interp(s, shares, accuracy):.2f}' for s in (0.01, 0.1, 1.0))}."
    )
    return blackboard("The board of chapter 0", parts, 444, alt)


def _line() -> tuple[np.ndarray, np.ndarray]:
    """How far, in lengths of theta, and the mean accuracy there."""
    model, test = healthy("mlp"), digits("test")
    theta, shares = flatten(model), torch.linspace(0, END, STEPS, dtype=torch.float64)
    generator = torch.Generator().manual_seed(1989)
    steps = random(len(theta), Budget(float(theta.norm())), trials=DIRECTIONS, generator=generator)
    thetas = (theta + shares[:, None, None] * steps).reshape(-1, len(theta))
    accuracy = evaluate_thetas(model, thetas, test).accuracy.reshape(STEPS, DIRECTIONS).mean(1)
    return shares.numpy(), accuracy.numpy()


def _network() -> list[str]:
    parts = [words(39, 26, "x", anchor="middle"), words(441, 26, "logits", "small", "middle")]
    for i, name in enumerate(("64", "64", "32", "10")):
        x = 14 + 134 * i
        parts.append(box(x, 38, 50, name))
        if i:
            parts.append(stroke([(x - 84, 55), (x, 55)], "s0"))
            parts.append(words(x - 42, 46, f"W_{{{i}}}, b_{{{i}}}", "small", "middle"))
    return parts


def _symmetries() -> list[str]:
    return [
        words(14, 158, r"Same f, other \theta:", "s1"),
        words(14, 188, r"exchange: \Pi{}W_{1}, \Pi{}b_{1}, W_{2} \Pi^{T}"),
        words(466, 188, r"64! \times 32! ways", "small", "end"),
        words(14, 218, "scale: cW_{1}, cb_{1}, W_{2}/c"),
        words(466, 218, "ReLU, c > 0", "small", "end"),
    ]


def _votes() -> list[str]:
    bottom = TOP + HIGH
    parts = [words(LEFT + 12, TOP - 12, "accuracy along random directions", "small")]
    parts.append(stroke([(LEFT, TOP), (LEFT, bottom), (LEFT + WIDE, bottom)]))
    for vote, shift in ((1, -8), (10, 12), (100, 0)):
        x = LEFT + WIDE * vote / 100 / END
        parts.append(stroke([(x, bottom - 8), (x, bottom + 8)], "s1", thick=True))
        parts.append(words(x + shift, bottom + 28, f"{vote} %", "small s1", "middle"))
    return [*parts, words(466, bottom + 50, r"share of the length of \theta", "small", "end")]
