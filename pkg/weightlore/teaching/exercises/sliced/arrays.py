"""Crossbars by hand: sums on bit lines, the bits that they need, and a converter that has too few."""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.crossbar import required_bits, slice_digits
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of, several
from weightlore.teaching.variants.families import Variants

__all__ = ["CONVERTER_BITS", "LINE_SUMS", "SATURATE", "VARIANTS"]

PLACES, WHICH = ("first", "middle", "last"), ("first", "second", "third", "fourth")
COUNTS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven"}


@dataclass(frozen=True)
class _Column:
    """Three codes, of which one is not driven."""

    weights: tuple[int, int, int] = (65, 27, 3)
    idle: int = 1

    @property
    def driven(self) -> list[int]:
        return [w for i, w in enumerate(self.weights) if i != self.idle]

    @property
    def plane(self) -> Tensor:
        """Input bits of the three rows."""
        return (torch.arange(3) != self.idle).long()

    def sums(self, plane: Tensor | None = None) -> list[int]:
        return (slice_digits(torch.tensor(self.weights)) @ (self.plane if plane is None else plane)).tolist()


def _columns(generator: torch.Generator) -> _Column:
    first, second, third = several(generator, range(1, 128), 3)
    return _Column((first, second, third), integer(generator, 0, 2))


def _digits(q: int) -> str:
    return "(" + ", ".join(map(str, slice_digits(torch.tensor(q)).tolist())) + ")"


def _line_sums(d: _Column) -> Exercise:
    (a, b, c), (one, other) = d.weights, d.driven
    beyond = [(i, total) for i, total in enumerate(d.sums()) if total > 3]
    place, total = beyond[0] if beyond else (0, 0)
    return Exercise(
        id="sliced.line_sums",
        prompt=f"Three cells of 2 bits on each bit line hold the digits of {a}, {b} and {c}, and the input bits are "
        f"{', '.join(map(str, d.plane.tolist()))}. What do the four bit lines carry? Answer: four numbers, the least "
        "significant slice first.",
        given="Slice k holds the digit of 4^k, one bit line for each slice; a row adds its digit where its input bit "
        "is 1.",
        nudge=f"Write {one} and {other} in base 4, the last digit first. The {PLACES[d.idle]} row is not driven.",
        hint=f"{one} is {_digits(one)} and {other} is {_digits(other)}, least significant first. Add digit by digit.",
        right=f"The {WHICH[place]} sum, {total}, is no digit of base 4: a bit line does not carry over. Shifting and "
        "adding does, later.",
        reference=d.sums,
        diagnoses=(
            Diagnosis("order", "The right sums, with the most significant slice first.", lambda: d.sums()[::-1]),
            Diagnosis("input", f"All three rows are added up; the input bit of {d.weights[d.idle]} is 0.",
                      lambda: d.sums(d.plane * 0 + 1)),
            Diagnosis("input", "This is the row that is not driven.", lambda: d.sums(1 - d.plane)),
            Diagnosis("carry", f"These are the digits of {one} + {other} = {one + other}. The bit lines know nothing "
                      "of each other and carry nothing over.",
                      lambda: slice_digits(torch.tensor(one + other)).tolist()),
        ),
    )  # fmt: skip


Tiles = tuple[tuple[int, int], ...]  # rows and cell bits of each
TILES: Tiles = ((128, 2), (256, 2), (64, 4))


def _tiles(generator: torch.Generator) -> Tiles:
    """One, another of twice the rows, and one of other cells."""
    first, third = several(generator, (24, 32, 48, 64, 96, 100, 128, 144, 200, 256), 2)
    few, many = several(generator, (1, 2, 3, 4), 2)
    return (first, few), (2 * first, few), (third, many)


def _converter_bits(tiles: Tiles) -> Exercise:
    sums, (rows, bits) = [rows * (2**bits - 1) for rows, bits in tiles], tiles[0]
    enough = required_bits(sums[0])
    return Exercise(
        id="sliced.converter_bits",
        prompt="How many bits must a converter have that never saturates, with inputs of one bit: "
        f"{', '.join(f'{r} rows of {b}-bit cells' for r, b in tiles)}? Answer: three numbers.",
        nudge="What is the greatest sum on a bit line, and how many different sums are there?",
        hint=f"{rows} cells of level {2**bits - 1} add up to {sums[0]}, so there are {sums[0] + 1} sums; {enough - 1} "
        f"bits tell {2 ** (enough - 1)} apart and {enough} bits {2**enough}.",
        right="Twice the rows is one bit more. "
        + ("Twice the bits of a cell is two more, and half as many conversions." if tiles == TILES else
           "More bits in a cell cost about as many in the converter, and save conversions."),
        reference=lambda: [required_bits(total) for total in sums],
        diagnoses=(
            Diagnosis("sum", "These are the greatest sums; how many bits write them down?", lambda: sums),
            Diagnosis("rows only", f"This counts the rows; a cell of {_cell(tiles)} and not to 1.",
                      lambda: [(r - 1).bit_length() for r, _ in tiles]),
            Diagnosis("rounding", "You rounded the logarithm down; a converter must reach the greatest sum.",
                      lambda: [required_bits(total) - 1 for total in sums]),
            Diagnosis("product", "Bits of a cell and of the row number are added here; that also counts sums that "
                      "cannot occur, or misses.", lambda: [r.bit_length() + b for r, b in tiles]),
        ),
    )  # fmt: skip


def _cell(tiles: Tiles) -> str:
    bits = next(bits for _, bits in tiles if bits > 1)
    return f"{bits} bits adds up to {2**bits - 1}"


@dataclass(frozen=True)
class _Line:
    """The levels on a bit line, and the bits of its converter."""

    held: tuple[int, ...] = (3, 0, 2, 1, 3, 0, 0, 1)
    bits: int = 3

    @property
    def ceiling(self) -> int:
        return 2**self.bits - 1

    @property
    def fewest(self) -> list[int]:
        """Input bits that drive as few rows as possible; the largest levels, and of equal ones the first."""
        plane = [0] * len(self.held)
        for i in (3, 2, 1):
            for place, level in enumerate(self.held):
                if level == i and self.load(plane) <= self.ceiling:
                    plane[place] = 1
        return plane

    def load(self, answer: object) -> float:
        return float(_plane(answer) @ torch.tensor(self.held, dtype=torch.float64))

    def binary(self, answer: object) -> bool:
        plane = _plane(answer)
        return len(plane) == len(self.held) and bool(((plane == 0) | (plane == 1)).all())

    def right(self, answer: object) -> bool:
        few = float(_plane(answer).sum()) == sum(self.fewest)
        return self.binary(answer) and self.load(answer) > self.ceiling and few


def _lines(generator: torch.Generator) -> _Line:
    return _Line(tuple(integer(generator, 0, 3) for _ in range(8)), one_of(generator, (2, 3, 3)))


def _plane(answer: object) -> Tensor:
    return torch.as_tensor(answer).to(torch.float64).flatten()


def _saturate(d: _Line) -> Exercise:
    driven, excess = sum(d.fewest), COUNTS.get(int(d.load(d.fewest)) - d.ceiling, "nothing")
    idle = COUNTS.get(8 - driven, "none").capitalize()
    return Exercise(
        id="sliced.saturate",
        prompt=f"A bit line holds the levels {', '.join(map(str, d.held))} and ends in a converter of {d.bits} bits. "
        "Break it: drive as few rows as possible so that it saturates. Answer: eight numbers, 0 or 1.",
        given="A driven row adds the level of its cell. The converter says the sum, or its greatest code where the sum "
        "is greater: it saturates.",
        nudge=f"A converter of {d.bits} bits returns {d.ceiling} at most. Which sum is the first that it cannot tell?",
        hint=f"The sum must be {d.ceiling + 1} or more. Begin with the largest levels.",
        right=f"{idle} of eight rows {'is' if driven == 7 else 'are'} idle, and the sum is wrong by {excess}. In the "
        "top slice, one level counts 64.",
        reference=lambda: torch.tensor(d.fewest),
        accept=d.right,
        diagnoses=(
            Diagnosis("form", "Eight numbers, each 0 or 1.", matches=lambda a: not d.binary(a)),
            Diagnosis("ceiling", f"This adds up to {d.ceiling}, which {d.bits} bits can still tell.",
                      matches=lambda a: d.load(a) == d.ceiling),
            Diagnosis("too few", "This stays below the ceiling.", matches=lambda a: d.load(a) < d.ceiling),
            Diagnosis("too many", "It saturates, but fewer rows would do.", matches=lambda a: d.load(a) > d.ceiling),
        ),
    )  # fmt: skip


LINE_SUMS, CONVERTER_BITS, SATURATE = _line_sums(_Column()), _converter_bits(TILES), _saturate(_Line())

VARIANTS = {
    LINE_SUMS.id: Variants(_line_sums, _columns),
    CONVERTER_BITS.id: Variants(_converter_bits, _tiles),
    SATURATE.id: Variants(_saturate, _lines),
}
