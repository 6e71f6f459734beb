"""From sums to converters, and from converters to the whole chip."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.bitslice import predicted_bits
from weightlore.bitslice.metrics import Prediction
from weightlore.crossbar import Adc, CrossbarConfig, matmul
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.exercises.general import as_numbers
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["CUT_OFF", "EXPECTED_SUM", "SATURATED", "VARIANTS", "WHOLE_CHIP"]

NAMES, SLICES = {2: "Two", 3: "Three", 4: "Four", 5: "Five"}, 4
WORDS = {0: "lowest", 1: "second lowest", 2: "third lowest"}


@dataclass(frozen=True)
class _Slice:
    """What is known of the digits of a slice, and of what drives them."""

    rows: int = 128
    active: float = 0.3
    density: float = 0.025
    moments: tuple[float, float] = (1.7, 3.2)

    def predicted(self, *, active: float | None = None, rows: int | None = None) -> Prediction:
        first, second = self.moments
        active, rows = self.active if active is None else active, self.rows if rows is None else rows
        return predicted_bits(self.density, rows=rows, active=active, first=first, second=second)

    def expected(self, *, active: float | None = None, rows: int | None = None) -> list[float]:
        found = self.predicted(active=active, rows=rows)
        return [found.mean, found.spread]


def _slices(generator: torch.Generator) -> _Slice:
    moments = one_of(generator, ((1.7, 3.2), (1.5, 2.6), (1.6, 2.9), (1.8, 3.7), (2.0, 4.6)))
    active, density = one_of(generator, (0.2, 0.3, 0.4, 0.5)), one_of(generator, (0.01, 0.02, 0.03, 0.04, 0.05))
    return _Slice(one_of(generator, (64, 128, 256)), active, density, moments)


def _expected_sum(d: _Slice) -> Exercise:
    first, second = d.moments
    share, found = d.active * d.density, d.predicted()
    most = found.mean + 3 * found.spread
    most_said = f"{most:.0f}, which 3 bits just hold: so far goes the argument for 3 bits"
    held = most_said if d == _Slice() else f"{most:.1f}, which {found.bits} bits hold"
    return Exercise(
        id="sliced.expected_sum",
        prompt=f"Of the digits of a slice {100 * d.density:g} % are non-zero, with mean {first:g} and mean square "
        f"{second:g}; {100 * d.active:g} % of the input bits are on; the array has {d.rows} rows. What are the mean "
        "and the standard deviation of the sum on a bit line? Answer: two numbers.",
        given="A row adds the digit of its cell if its input bit is on. Rows are independent of each other, input bits "
        "of digits.",
        nudge="With which probability does a row contribute anything at all, and how much on average if it does?",
        hint=f"A row contributes with probability a d = {share:.4g}. Multiply one row's mean and variance by {d.rows}; "
        "take the root.",
        right=f"Mean plus three deviations is {held}.",
        reference=d.expected,
        diagnoses=_unexpected(d),
        tolerance=5e-3,
    )


def _unexpected(d: _Slice) -> tuple[Diagnosis, ...]:
    mean, spread = d.expected()
    ones = math.sqrt(d.rows * d.active * d.density)
    return (
        Diagnosis("inputs", f"You let all inputs be on; only {100 * d.active:g} % are.",
                  lambda: d.expected(active=1.0)),
        Diagnosis("variance", "Your second number is the variance; take its root.", lambda: [mean, spread**2]),
        Diagnosis("one row", "These are the numbers of one row.", lambda: d.expected(rows=1)),
        Diagnosis("digits", "Your second number lacks the digits: they contribute their mean square "
                  f"{d.moments[1]:g}, not 1.", matches=lambda a: abs(float(as_numbers(a)[0][1]) - ones) < 0.02),
        Diagnosis("deviation",
                  f"You multiplied the deviation of one row by {d.rows}. Variances add up, deviations do not.",
                  lambda: [mean, d.rows * d.expected(rows=1)[1]]),
    )  # fmt: skip


@dataclass(frozen=True)
class _Cut:
    """A sum that is too large for its converter, and the input bit that it belongs to."""

    total: int = 9
    bits: int = 3
    input_bit: int = 0

    @property
    def ceiling(self) -> int:
        return 2**self.bits - 1

    def missing(self) -> list[float]:
        """What converters take from a product in which one slice's bit line carries the sum."""
        x, missing = torch.full((1, self.total), 2**self.input_bit), []
        for k in range(SLICES):
            w = torch.full((1, self.total), 4**k)
            short = matmul(x, w, CrossbarConfig(adc=Adc(bits=self.bits)))
            missing.append(float(matmul(x, w) - short))
        return missing

    def worth(self, levels: float, base: float = 4.0) -> list[float]:
        """Levels of each slice, as they count in the product."""
        return [2**self.input_bit * levels * base**k for k in range(SLICES)]


def _cuts(generator: torch.Generator) -> _Cut:
    bits = integer(generator, 2, 5)
    return _Cut(2**bits - 1 + integer(generator, 2, 12), bits, integer(generator, 0, 2))


def _cut_off(d: _Cut) -> Exercise:
    levels, counts = d.total - d.ceiling, "4^k" if d.input_bit == 0 else f"{2**d.input_bit} * 4^k"
    return Exercise(
        id="sliced.cut_off",
        prompt=f"A converter of {d.bits} bits meets a sum of {d.total}. How much is missing from the product if its "
        f"bit line belongs to slice 0, 1, 2 or 3, for the input's {WORDS[d.input_bit]} bit? Answer: four numbers.",
        given="Cells hold two bits, slice 0 the least significant digit. Input bits are driven one after the other; "
        "the lowest counts 1.",
        nudge=f"What is the largest number that {d.bits} bits can say, and what does one level of slice k count for?",
        hint=f"The converter says {d.ceiling}, so {levels} levels are missing, and a level of slice k counts for "
        f"{counts}.",
        right="The same accident is 64 times as bad in the top slice as in the lowest one.",
        reference=d.missing,
        diagnoses=_miscut(d, levels, counts),
    )


def _miscut(d: _Cut, levels: int, counts: str) -> tuple[Diagnosis, ...]:
    place = Diagnosis("input bit", f"That is for the input's lowest bit; this one counts {2**d.input_bit}.",
                      lambda: _Cut(d.total, d.bits).missing())  # fmt: skip
    return (
        Diagnosis("ceiling", f"{NAMES[d.bits]} bits count to {d.ceiling}, not to {d.ceiling + 1}.",
                  lambda: d.worth(levels - 1)),
        Diagnosis("base", "A slice has two bits, so its base is 4 and not 2.", lambda: d.worth(levels, 2.0)),
        Diagnosis("weight", f"These are levels of the cell; a level of slice k counts for {counts}.",
                  lambda: [float(levels)] * SLICES),
        Diagnosis("all lost", "You lost the whole sum. A saturated converter still says its greatest code.",
                  lambda: d.worth(d.total)),
        Diagnosis("what is left", "This is what the converter still says; how much is missing?",
                  lambda: d.worth(d.ceiling)),
        *(() if d.input_bit == 0 else (place,)),
    )  # fmt: skip


def _above(sums: Tensor, bits: int, levels: int) -> Tensor:
    """Which share of the sums lies above the greatest code, by more than some levels."""
    return (sums > 2**bits - 1 + levels).double().mean()


def _saturated(levels: int) -> Exercise:
    """Cut off at all, or by more than some levels."""
    more = "" if levels == 0 else f" by more than {levels} levels"
    beyond = "2^N - 1" if levels == 0 else f"2^N - 1 + {levels}"
    section = "in section 1 two sums in three were cut off and nobody noticed"
    section = section if levels == 0 else "what a level is worth, its slice decides"
    return Exercise(
        id="sliced.saturated",
        prompt=f"Which share of the sums does a converter cut off{more}? Answer: a function of (sums, bits), a tensor "
        "of whole numbers and a number of bits, that returns a number from 0 to 1.",
        given="A converter of N bits says its greatest code where a sum is greater.",
        nudge="A converter of N bits has 2^N codes, and one of them is 0.",
        hint=f"A sum is cut off{more} if it is greater than {beyond}; the mean of such a comparison is a share.",
        right=f"And the share alone says little: {section}.",
        reference=lambda sums, bits: _above(sums, bits, levels),
        inputs=lambda: [
            (torch.tensor([0, 1, 2, 7, 8, 9, 3, 0]), 3),
            (torch.tensor([[0, 0, 1, 2], [1, 5, 0, 3]]), 1),
            (torch.arange(40), 4),
        ],
        diagnoses=_miscounted(levels),
    )


def _miscounted(n: int) -> tuple[Diagnosis, ...]:
    least = "You counted the sum 2^N - 1 as cut off, but that is the greatest code."
    next_one = "A sum of 2^N is cut off, too."
    if n:
        least, next_one = f"More than {n} levels are asked for, not {n} as well.", f"{n + 1} levels are more than {n}."
    whole = Diagnosis("all of them", f"You counted every sum that is cut off, also by {n} levels or fewer.",
                      lambda s, b: _above(s, b, 0))  # fmt: skip
    return (
        Diagnosis("ceiling", least, lambda s, b: _above(s, b, n - 1)),
        Diagnosis("ceiling", next_one, lambda s, b: _above(s, b, n + 1)),
        Diagnosis("number of bits", "You compared with N, not with 2^N - 1.",
                  lambda s, b: (s > b + n).double().mean()),
        Diagnosis("the rest", f"This is the share that is not cut off{'' if n == 0 else ' by more'}.",
                  lambda s, b: 1 - _above(s, b, n)),
        Diagnosis("count", "This is a count; divide by the number of sums.",
                  lambda s, b: (s > 2**b - 1 + n).sum()),
        Diagnosis("percent", "This is in percent.", lambda s, b: 100 * _above(s, b, n)),
        *(() if n == 0 else (whole,)),
    )  # fmt: skip


@dataclass(frozen=True)
class _Chip:
    """What the buffers take of the chip's energy, and how many times as much they take afterwards."""

    share: float = 0.0
    times: float = 1.0

    @property
    def buffers(self) -> float:
        return self.share * self.times

    def left(self, s: float, r: float) -> float:
        """After over before."""
        return self.others(s) + self.buffers + s / r

    def others(self, s: float) -> float:
        return 1 - s - self.share


def _whole_chip(d: _Chip) -> Exercise:
    also, after = "", "(1 - s) + s / r"
    others, free = "1 - s", "no converter in the world, not even a free one, saves more than a factor of 2.5"
    if d != _Chip():
        also = f" The buffers take a share of {d.share:g} and need {d.times:g} times as much then."
        others, after = f"1 - s - {d.share:g}", f"(1 - s - {d.share:g}) + {d.times:g} * {d.share:g} + s / r"
        free = f"not even free converters save more than a factor of {1 / (d.others(0.6) + d.buffers):.2g}"
    return Exercise(
        id="sliced.whole_chip",
        prompt=f"Converters take a share s of a chip's energy, and each becomes r times cheaper.{also} How many times "
        "less energy does the chip take? Answer: a function of (s, r) that returns a factor.",
        nudge="Let the chip take 1 before. What do the converters take afterwards, and what do all other parts take?",
        hint=f"Afterwards it takes {after}; the factor is before over after.",
        right=f"With s = 0.6 {free}.",
        reference=lambda s, r: 1 / d.left(s, r),
        inputs=lambda: [(0.58, 14.2), (0.12, 28.4), (0.9, 2.0)],
        diagnoses=_parts(d, others),
    )


def _parts(d: _Chip, others: str) -> tuple[Diagnosis, ...]:
    same = Diagnosis("buffers", f"The buffers take as much as before here; they need {d.times:g} times as much.",
                     lambda s, r: 1 / _Chip().left(s, r))  # fmt: skip
    return (
        Diagnosis("part", "This is the factor of the converters alone; the other parts cost what they did.",
                  lambda s, r: r),
        Diagnosis("free", "You made the converters free; they still take s / r.",
                  lambda s, r: 1 / (d.others(s) + d.buffers)),
        Diagnosis("mean", "Factors do not average; add the energies first.",
                  lambda s, r: d.others(s) + s * r + d.share / d.times),
        Diagnosis("inverse", "This is what is left, after over before.", lambda s, r: d.left(s, r)),
        Diagnosis("saved", "This is the share that is saved.", lambda s, r: 1 - d.left(s, r)),
        Diagnosis("other parts", f"You left out the other parts, {others}.", lambda s, r: 1 / (d.buffers + s / r)),
        *(() if d == _Chip() else (same,)),
    )  # fmt: skip


EXPECTED_SUM, CUT_OFF = _expected_sum(_Slice()), _cut_off(_Cut())
SATURATED, WHOLE_CHIP = _saturated(0), _whole_chip(_Chip())

VARIANTS = {
    EXPECTED_SUM.id: Variants(_expected_sum, _slices),
    CUT_OFF.id: Variants(_cut_off, _cuts),
    SATURATED.id: Variants(_saturated, lambda generator: integer(generator, 2, 20)),
    WHOLE_CHIP.id: Variants(
        _whole_chip,
        lambda generator: _Chip(integer(generator, 2, 9) / 100, one_of(generator, (0.25, 0.5, 1.5, 2.0, 3.0, 4.0))),
    ),
}
