"""The board of chapter 4: what ties do to ranks, and four questions about the same maps; both are computed."""

from functools import cache
from typing import Literal

import torch
from torch import Tensor

from weightlore.attribution import (
    inflated_correlation,
    integrated_gradients,
    mid_ranks,
    randomize,
    rank_similarity,
    skewed_correlation,
)
from weightlore.data import digits
from weightlore.networks import healthy
from weightlore.teaching.boards.drawing import blackboard, stroke, words
from weightlore.teaching.diagrams import Diagram

__all__ = ["explained_board"]

LEFT, TOP, SIDE = 46, 122, 140  # of the picture with the ranks
IMAGES, SHARES = 100, (0.5, 0.81)
SIGNS: tuple[Literal["abs", "signed"], ...] = ("abs", "signed")
MASKS: tuple[Literal["all", "active"], ...] = ("all", "active")


def explained_board() -> Diagram:
    """Draw the board of chapter 4 as it looks at the end of the class.

    Source: ours
    """
    trained, other, images = _maps()
    found = [
        float(rank_similarity(trained, other, sign=sign, mask=mask, x=images, baseline=0.0).mean())
        for sign in SIGNS
        for mask in MASKS
    ]
    ties = [float(inflated_correlation(share, 0.0)) for share in SHARES]
    parts = [
        words(14, 32, r"A_{i} = (x_{i} \minus b_{i}) \times mean gradient on the path"),
        words(14, 62, r"x_{i} = b_{i}  \to  A_{i} = 0, any \theta", "s1"),
        words(14, 92, r"\Sum A_{i} = f(x) \minus f(b)"),
        *_ranks(trained[0].abs(), other[0].abs(), images[0] > 0),
        *_ties(ties),
        words(14, 338, r"signed, all:  12pq(u \minus 1/2)(v \minus 1/2) / (1 \minus p^{3})"),
        words(14, 366, f"p = 0.81, u = v = 0.2:  {float(skewed_correlation(0.81, 0.2, 0.2)):.2f}", "small"),
        *_table(found),
    ]
    alt = (
        "Above, an attribution is x minus b times the mean gradient on the path, so that a pixel that equals the "
        "baseline has zero, whatever theta is; all values add up to f(x) - f(b). In the middle the ranks of one "
        "image, trained against random: a square for the tied zeros low on the left, a cloud of active pixels high on "
        "the right, and a line through both. Beside it the formula (3p + q^2 rho) / (3p + q^2), which for maps with "
        f"nothing in common is {ties[0]:.2f} for half a background and {ties[1]:.3f} for 81 %. Below, signed maps that "
        "lean to one side. At last the four questions, mean of 100 digits: absolute, all pixels "
        f"{found[0]:.2f}, active {found[1]:.2f}; signed {found[2]:.2f} and {found[3]:.2f}."
    )
    return blackboard("The board of chapter 4", parts, 500, alt)


@cache
def _maps() -> tuple[Tensor, Tensor, Tensor]:
    """Maps of the trained and of a random network, and the images, each of shape (IMAGES, 64)."""
    model, images = healthy("cnn"), digits("test")[:IMAGES].x
    classes = model(images).argmax(1)
    random = randomize(model, scheme="full", generator=torch.Generator().manual_seed(0))[0].model
    maps = [integrated_gradients(net, images, classes, baseline=0.0, nodes=24).values for net in (model, random)]
    return maps[0].flatten(1), maps[1].flatten(1), images.flatten(1)


def _ranks(a: Tensor, b: Tensor, active: Tensor) -> list[str]:
    ranks = [mid_ranks(maps[None])[0] / len(maps) for maps in (a, b)]
    bottom, right = TOP + SIDE, LEFT + SIDE
    parts = [stroke([(LEFT, TOP), (LEFT, bottom), (right, bottom)])]
    parts.append(stroke([(LEFT, bottom), (right, TOP)], "s1", dashed=True))
    for u, v in zip(*(r[active].tolist() for r in ranks), strict=True):
        x, y = LEFT + SIDE * u, bottom - SIDE * v
        parts.append(stroke([(x - 1.5, y), (x + 1.5, y)], "s0", thick=True))
    x, y = LEFT + SIDE * float(ranks[0][~active][0]), bottom - SIDE * float(ranks[1][~active][0])
    parts.append(
        stroke([(x - 9, y - 9), (x + 9, y - 9), (x + 9, y + 9), (x - 9, y + 9), (x - 9, y - 9)], "s1", thick=True)
    )
    parts.append(words(x + 16, y + 16, "zeros", "small s1"))
    return [
        *parts,
        words(right, bottom + 22, "rank, trained", "small", "end"),
        words(LEFT - 32, TOP - 6, "random", "small"),
    ]


def _ties(ties: list[float]) -> list[str]:
    return [
        words(226, 142, "zeros at p/2,", "s1"),
        words(226, 168, "active around p + q/2", "s0"),
        words(226, 206, r"(3p + q^{2}\rho) / (3p + q^{2})"),
        *(
            words(226, 236 + 24 * i, rf"\rho = 0, p = {p}:  {tie:.3f}", "small")
            for i, (p, tie) in enumerate(zip(SHARES, ties, strict=True))
        ),
    ]


def _table(found: list[float]) -> list[str]:
    told = [f"{value:.2f}".replace("-", "\N{MINUS SIGN}") for value in found]
    parts = [words(x, 406, name, "small", "end") for x, name in ((250, "all"), (370, "active"))]
    for row, name in enumerate(("absolute", "signed")):
        y = 434 + 30 * row
        parts.append(words(14, y, name))
        parts += [words(x, y, told[2 * row + column], "s1", "end") for column, x in enumerate((250, 370))]
    return [stroke([(14, 413), (380, 413)]), *parts, words(14, 490, "same maps, same images", "small")]
