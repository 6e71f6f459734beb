"""What a converter must hold: a penalty on the fullest line, and lines of more rows."""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.crossbar import required_bits
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, several
from weightlore.teaching.variants.families import Variants

__all__ = ["FULLEST_LINE", "TALLER", "VARIANTS"]

AXES = ("slices", "bit lines", "rows")
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


@dataclass(frozen=True)
class _Charge:
    """Which axis is which, and to which power the fullest line is charged."""

    order: tuple[int, ...] = (0, 1, 2)  # of AXES
    power: int = 1

    def lines(self, levels: Tensor) -> Tensor:
        """Return levels of shape (slices, bit lines, rows)."""
        return levels.permute([self.order.index(axis) for axis in range(3)])

    def fullest(self, levels: Tensor) -> Tensor:
        return (self.lines(levels).sum(-1).amax(-1) ** self.power).sum()

    def arrays(self) -> list[tuple[Tensor]]:
        generator = torch.Generator().manual_seed(8)
        shapes = ((4, 5, 6), (2, 3, 9), (4, 1, 7))
        made = [torch.randint(0, 4, shape, generator=generator).double() for shape in shapes]
        return [(levels.permute(self.order),) for levels in made]


def _charges(generator: torch.Generator) -> _Charge:
    return _Charge(several(generator, range(3), 3), integer(generator, 1, 3))


def _fullest_line(d: _Charge) -> Exercise:
    shape, power = ", ".join(AXES[axis] for axis in d.order), ("", "the square of ", "the cube of ")[d.power - 1]
    raised = ("", ", the square of it", ", the third power of it")[d.power - 1]
    return Exercise(
        id="sliced.fullest_line",
        prompt="A converter asks for the largest sum of its slice. Write a penalty on that: for levels of shape "
        f"({shape}), the sum over slices of {power}what the fullest bit line carries with all inputs on. Answer: a "
        "function of the levels that returns one number.",
        nudge="Three dimensions, three reductions: which one is a sum because of the wire, which one a maximum?",
        hint=f"Sum over the rows, maximum over the bit lines{raised}, sum over the slices.",
        right="Its gradient reaches one line of each slice only; a mean over the few fullest lines reaches more. What "
        "it does to training is an open question here.",
        reference=d.fullest,
        inputs=d.arrays,
        diagnoses=_other_lines(d),
    )


def _other_lines(d: _Charge) -> tuple[Diagnosis, ...]:
    lines, power = d.lines, d.power
    plain = Diagnosis("power", "You added up the fullest lines as they are; the power is missing.",
                      lambda v: lines(v).sum(-1).amax(-1).sum())  # fmt: skip
    return (
        Diagnosis("sum", "This is slice L1: all cells are charged alike, full lines or not.", lambda v: v.sum()),
        Diagnosis("mean", "This charges the mean line; a converter must hold the fullest.",
                  lambda v: (lines(v).sum(-1).mean(-1) ** power).sum()),
        Diagnosis("all slices", "One maximum over all slices; each slice has its own converter.",
                  lambda v: lines(v).sum(-1).max() ** power),
        Diagnosis("cell", "This is the fullest cell; a wire adds up its cells first.",
                  lambda v: (lines(v).amax((1, 2)) ** power).sum()),
        Diagnosis("axis", "You added up along the lines and took the fullest row.",
                  lambda v: (lines(v).sum(1).amax(-1) ** power).sum()),
        Diagnosis("each slice", "These are the slices; add them up.", lambda v: lines(v).sum(-1).amax(-1) ** power),
        *(() if power == 1 else (plain,)),
    )  # fmt: skip


Loads = tuple[int, ...]


@dataclass(frozen=True)
class _Halves:
    """Levels on the two halves of a bit line, slice by slice; those of one slice add up to a power of two."""

    lower: Loads = (100, 40, 13, 3)
    upper: Loads = (30, 23, 3, 3)

    @property
    def whole(self) -> Loads:
        return tuple(a + b for a, b in zip(self.lower, self.upper, strict=True))

    @property
    def powers(self) -> list[bool]:
        return [load & (load - 1) == 0 for load in self.whole]

    def more(self, *, rounded: bool = False) -> list[int]:
        """Bits of the whole line minus those of its larger half; powers of two are one short if they are rounded."""
        bits = [both - half for both, half in zip(_bits(self.whole), _bits(self.lower), strict=True)]
        return [bit - (rounded and power) for bit, power in zip(bits, self.powers, strict=True)]


def _bits(loads: Loads) -> list[int]:
    return [required_bits(load) for load in loads]


def _halves(generator: torch.Generator) -> _Halves:
    lower = [integer(generator, most // 2, most) for most in (120, 50, 20, 6)]
    upper = [integer(generator, 1, load) for load in lower]
    full = integer(generator, 0, 2)
    upper[full] = 2 ** lower[full].bit_length() - lower[full]
    return _Halves(tuple(lower), tuple(upper))


def _listed(numbers: Loads) -> str:
    return ", ".join(map(str, numbers))


def _taller(d: _Halves) -> Exercise:
    return Exercise(
        id="sliced.taller",
        prompt="A bit line of 256 rows takes the place of two of 128. With all inputs on, the two halves carried "
        f"{_listed(d.lower)} and {_listed(d.upper)} levels, slice 0 first. How many bits more than the larger half "
        "needed does the whole line need, to lose nothing? Answer: four numbers.",
        nudge="What does the whole line carry, and how many bits write that down?",
        hint=f"{_and(d.whole)} levels need {_and(tuple(_bits(d.whole)))} bits; the larger halves needed "
        f"{_and(tuple(_bits(d.lower)))}.",
        right="At most one bit: two halves are at most twice the larger. The worst case doubles and takes exactly one, "
        "9 to 10; given weights may take none. And half as many conversions are left.",
        reference=d.more,
        diagnoses=(
            Diagnosis("worst case", "One bit each is what the worst case takes; these lines have room left.",
                      lambda: [1, 1, 1, 1]),
            Diagnosis("difference", "These are the bits of the whole line; how many more than before?",
                      lambda: _bits(d.whole)),
            Diagnosis("rounding", f"{_power(d)} bits can say.", lambda: d.more(rounded=True)),
            Diagnosis("sum of bits", "You added the bits of the halves; add their levels.", lambda: _bits(d.upper)),
        ),
    )  # fmt: skip


def _and(numbers: Loads) -> str:
    return f"{_listed(numbers[:-1])} and {numbers[-1]}"


def _power(d: _Halves) -> str:
    load = d.whole[d.powers.index(True)]
    return f"{load} levels are one more than {NUMBERS[required_bits(load) - 1]}"


FULLEST_LINE, TALLER = _fullest_line(_Charge()), _taller(_Halves())

VARIANTS = {FULLEST_LINE.id: Variants(_fullest_line, _charges), TALLER.id: Variants(_taller, _halves)}
