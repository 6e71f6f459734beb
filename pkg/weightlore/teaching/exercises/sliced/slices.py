"""Weights as digits, and digits with a sign."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import torch

from weightlore.bitslice import digits_of
from weightlore.crossbar import signed_digits
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["DIGITS", "RECODING", "VARIANTS"]

WEIGHT = 39  # 2 * 16 + 1 * 4 + 3
WORDS = {1: "One", 2: "Two", 3: "Three", 4: "All"}
COUNTS = {3: "three", 4: "four", 5: "five", 9: "nine"}


def _digits(q: int) -> list[int]:
    return digits_of()[:, q].tolist()


def _signed(q: int) -> list[int]:
    return signed_digits(torch.tensor(q)).tolist()


def _written(q: int) -> str:
    """A code divided by 4 until nothing is left."""
    steps = []
    while q:
        steps.append(f"{q} = {q // 4} * 4 + {q % 4}")
        q //= 4
    return ", then ".join(steps)


def _sum(digits: Sequence[int]) -> str:
    """Signed digits as a sum, such as 64 - 16 - 8 - 1."""
    terms = [d * 4**k for k, d in enumerate(digits) if d][::-1]
    return f"{terms[0]}" + "".join(f" {'-' if term < 0 else '+'} {abs(term)}" for term in terms[1:])


def _in_digits(q: int) -> Exercise:
    filled = sum(d > 0 for d in _digits(q))
    cells = "cell conducts" if filled == 1 else "cells conduct"
    lines = "on one bit line of each pair" if filled == 1 else "all of them on one bit line of each pair"
    return Exercise(
        id="sliced.digits",
        prompt=f"Write {q} in base 4, the least significant digit first, as the slices are numbered. Answer: four "
        "digits.",
        nudge="The first digit is what is left after dividing by 4. Then go on with the quotient.",
        hint=f"{_written(q)}.",
        right=f"{WORDS[filled]} of the four {cells}, and {lines}: the one of its sign.",
        reference=lambda: _digits(q),
        diagnoses=(
            Diagnosis("order", "You put the most significant digit first.", lambda: _digits(q)[::-1]),
            Diagnosis("bits", "These are bits 0 to 3. A cell holds two bits, a digit from 0 to 3.",
                      lambda: [q >> k & 1 for k in range(4)]),
            Diagnosis("weights of digits",
                      "You multiplied each digit by its power of 4. A cell does not know which slice it is in.",
                      lambda: [d * 4**k for k, d in enumerate(_digits(q))]),
            Diagnosis("signed", f"This is {_sum(_signed(q))}, with digits that are negative. {_fine(q)}",
                      lambda: _signed(q)[:4]),
        ),
    )  # fmt: skip


def _fine(q: int) -> str:
    where = "for exercise 5" if q == WEIGHT else "where digits may have a sign"
    return f"A fine idea {where}; here digits go from 0 to 3."


@dataclass(frozen=True)
class _Recoded:
    """A base 2^c whose digits may be negative, and which digit comes first."""

    cell_bits: int = 2
    least_first: bool = True

    @property
    def base(self) -> int:
        return 2**self.cell_bits

    @property
    def half(self) -> int:
        return self.base // 2

    @property
    def a_half(self) -> str:
        return f"{'an' if self.half == 8 else 'a'} {self.half}"

    @property
    def pays(self) -> int:
        """The first code for which half of the base had better be negative."""
        return 7 if self.base == 2 else self.base**2 - self.half

    @property
    def count(self) -> int:
        """One digit more than eight bits need."""
        return -(-8 // self.cell_bits) + 1

    def ordered(self, digits: list[int]) -> list[int]:
        return digits if self.least_first else digits[::-1]

    def plain(self, q: int) -> list[int]:
        """Digits without a sign, least significant first."""
        return [q // self.base**k % self.base for k in range(self.count)]

    def signed(self, q: int) -> list[int]:
        return _recoded(self.cell_bits)[q]

    def value(self, digits: Sequence[int]) -> int:
        return sum(d * self.base**k for k, d in enumerate(digits))

    def within(self, digits: Sequence[int]) -> bool:
        return len(digits) <= self.count and all(-self.half <= d <= self.half for d in digits)

    def read(self, answer: Callable[[int], Sequence[int]]) -> list[tuple[int, list[int]]]:
        """An answer to each code, least significant digit first."""
        read = [[int(d) for d in torch.as_tensor(answer(q)).tolist()] for q in range(256)]
        return list(enumerate(map(self.ordered, read)))


@cache
def _recoded(cell_bits: int) -> list[list[int]]:
    return signed_digits(torch.arange(256), cell_bits).T.tolist()


def _size(digits: Sequence[int]) -> int:
    return sum(abs(d) for d in digits)


def _recoding(d: _Recoded) -> Exercise:
    first = "least" if d.least_first else "most"
    digits = "digits" if d.cell_bits == 2 else f"digits in base {d.base}"
    return Exercise(
        id="sliced.recoding",
        prompt=f"Write the codes 0 to 255 with {digits} from -{d.half} to {d.half}, {first} significant first, so that "
        f"the sizes of the digits add up to as little as possible: 63 = 64 - 1 has a sum of {_size(d.signed(63))} "
        f"instead of {_size(d.plain(63))}. Answer: a function of q that returns {COUNTS[d.count]} digits.",
        nudge=_nudge(d),
        hint=_carries(d),
        right=_means(d),
        reference=lambda q: d.ordered(d.signed(q)),
        inputs=lambda: [(q,) for q in (0, 3, 12, 14, 39, 63, 191, 255)],
        accept=lambda f: all(
            d.within(digits) and d.value(digits) == q and _size(digits) <= _size(d.signed(q)) for q, digits in d.read(f)
        ),
        diagnoses=_misread(d),
    )


def _nudge(d: _Recoded) -> str:
    if d.base == 2:
        return "Two ones in a row, 3, are 4 - 1: write -1, then 0, and add one to the next digit. And three in a row?"
    return f"A {d.base - 1} is {d.base} - 1: write -1 and add one to the next digit. And the {d.half}?"


def _carries(d: _Recoded) -> str:
    if d.base == 2:
        return "A 1 may stay, or become -1 and carry one: that pays where three or more are in a row, as in 7 = 8 - 1."
    above = f"A digit from {d.half + 1} to {d.base - 1} becomes itself minus {d.base}"
    if d.base == 4:
        above = "A 3 becomes -1"
    where = "3" if d.base == 4 else f"above {d.half}"
    return (
        f"{above} and carries one. {d.a_half.capitalize()} may stay, or become -{d.half} and carry one: that pays "
        f"where the next digit is {where}, as in {d.pays} = {d.base**2} - {d.half}."
    )


def _means(d: _Recoded) -> str:
    """What recoding does to sums and to cells, over all codes."""
    plain, signed = ([write(q) for q in range(256)] for write in (d.plain, d.signed))
    sums = [sum(map(_size, written)) / 256 for written in (plain, signed)]
    cells = [sum(sum(digit != 0 for digit in one) for one in written) / 256 for written in (plain, signed)]
    before, after = (f"{x:.1f}".removesuffix(".0") for x in cells)
    fewer = cells[1] < cells[0]
    return (
        f"Over all codes the sum falls from {f'{sums[0]:.1f}'.removesuffix('.0')} to {sums[1]:.1f} and is shared by "
        f"two bit lines. {'And' if fewer else 'But not'} fewer cells are filled: {after} for each code instead of "
        f"{before}. What gets sparse depends on what you count."
    )


def _misread(d: _Recoded) -> tuple[Diagnosis, ...]:
    first, greatest = ("least" if d.least_first else "most"), d.base - 1
    carried = f"a {greatest} becomes -1" if d.base > 2 else "a 1 becomes -1"
    among = f", with {greatest} among them" if d.base > 2 else ""
    return (
        Diagnosis("plain", f"These are the plain digits{among}.",
                  matches=lambda f: all(digits[: d.count - 1] == d.plain(q)[:-1] and d.value(digits) == q
                                        for q, digits in d.read(f))),
        Diagnosis("order", f"Read from the other end these add up: the {first} significant digit comes first.",
                  matches=lambda f: all(d.value(digits[::-1]) == q for q, digits in d.read(f))),
        Diagnosis("carry",
                  f"Your digits are not q any more. Where {carried}, one has to be carried to the next digit.",
                  matches=lambda f: any(d.value(digits) != q for q, digits in d.read(f))),
        Diagnosis("range", f"The digits add up, but some are beyond {d.half}, or there are more than "
                  f"{COUNTS[d.count]}.", matches=lambda f: any(not d.within(digits) for _, digits in d.read(f))),
        Diagnosis("too much", f"These are right but for some codes, such as {d.pays}: there {d.a_half} had better "
                  f"become -{d.half} and carry one.",
                  matches=lambda f: any(_size(digits) > _size(d.signed(q)) for q, digits in d.read(f))),
    )  # fmt: skip


DIGITS, RECODING = _in_digits(WEIGHT), _recoding(_Recoded())

VARIANTS = {
    DIGITS.id: Variants(_in_digits, lambda generator: integer(generator, 7, 255)),
    RECODING.id: Variants(
        _recoding, lambda generator: _Recoded(one_of(generator, (1, 2, 3, 4)), one_of(generator, (False, True)))
    ),
}
