"""How much of a weight its signs keep, and what one bit for each weight saves."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch

from weightlore.binary.packed import PackedSize
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import one_of, several
from weightlore.teaching.variants.families import Variants

__all__ = ["KEPT", "STORAGE", "VARIANTS"]

WEIGHTS = 2**20  # of a network whose storage is counted


class _Spread(NamedTuple):
    """A distribution: what is said of it, E|w| and E w^2, and how these are written."""

    says: str
    size: float
    square: float
    hint: str

    @property
    def kept(self) -> float:
        return self.size**2 / self.square


EVEN = _Spread("are spread evenly from -1 to 1", 1 / 2, 1 / 3, "Even: 1/2 and 1/3")
NORMAL = _Spread("are normal", math.sqrt(2 / math.pi), 1.0, "Normal with variance 1: sqrt(2/pi) and 1")
HEAVY = _Spread("have the density exp(-|w|)/2", 1.0, 2.0, "exp(-|w|)/2: 1 and 2")
OTHERS = (
    EVEN,
    NORMAL,
    HEAVY,
    _Spread("have the density 1 - |w| up to 1", 1 / 3, 1 / 6, "1 - |w|: 1/3 and 1/6"),
    _Spread("have the density |w| up to 1", 2 / 3, 1 / 2, "|w|: 2/3 and 1/2"),
    _Spread("are zero in half of the cases and else 1 or -1", 1 / 2, 1 / 2, "Half of them zero: 1/2 and 1/2"),
    _Spread("are zero in three of four cases and else 1 or -1", 1 / 4, 1 / 4, "One in four is not zero: 1/4 and 1/4"),
    _Spread("have magnitudes spread evenly from 1 to 2", 3 / 2, 7 / 3, "From 1 to 2: 3/2 and 7/3"),
)


def _share(three: tuple[_Spread, ...]) -> Exercise:
    """Of three distributions."""
    first, second, third = three
    public = three == (EVEN, NORMAL, HEAVY)
    last = third.hint.replace("exp(-|w|)/2", "The third") if public else third.hint
    kept = [one.kept for one in three]
    return Exercise(
        id="binarized.kept",
        prompt="Which share of its squared length does a long weight keep when only signs and one scale are left, "
        f"if its entries {first.says}, if they {second.says}, and if they {third.says}? Answer: three "
        "numbers.",
        given="W is replaced by the alpha sign(W) that comes closest in squared distance; what is kept is 1 less the "
        "share of ||W||^2 that remains.",
        nudge="For many entries, means become expectations: what are E|w| and E w^2 of the three?",
        hint=f"{first.hint}. {second.hint}. {last}. Then (E|w|)^2 / E w^2.",
        right="The heavier the tails, the less is kept; weights of one magnitude would keep everything.",
        reference=lambda: kept,
        diagnoses=(
            Diagnosis("lost", "These are the shares that are lost.", lambda: [1 - share for share in kept]),
            Diagnosis("cosine", "This is the cosine between W and its signs; square it.",
                      lambda: [share**0.5 for share in kept]),
            Diagnosis("scale", "These are the scales, E|w|. Square them, and divide by E w^2.",
                      lambda: [one.size for one in three]),
            Diagnosis("squares", "These are squares of the scales; how long was the weight itself?",
                      lambda: [one.size**2 for one in three]),
            Diagnosis("upside down", "This is E w^2 over (E|w|)^2.", lambda: [1 / share for share in kept]),
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class _Stored:
    """How many bits a weight takes before and after, and a scale."""

    before: int = 32
    after: int = 1
    scale: int = 32

    def smaller(self, share: float, n: int) -> float:
        """How many times smaller a network becomes, by the package's bookkeeping."""
        outputs = round(share * WEIGHTS / n)
        number = self.before // 8
        return PackedSize(
            bits=outputs * n * self.after // 8,
            scales=self.scale // 8 * outputs,
            floats=number * outputs * n,
            rest=number * (WEIGHTS - outputs * n),
        ).network_ratio

    def part(self, n: float) -> float:
        """How many times smaller the part becomes that is stored in few bits; without scales for infinite n."""
        return self.before / (self.after + self.scale / n)

    def whole(self, share: float, bits: float) -> float:
        return self.before / ((1 - share) * self.before + share * bits)


def _stores(generator: torch.Generator) -> _Stored:
    return _Stored(one_of(generator, (16, 32, 64)), one_of(generator, (1, 2, 4)), one_of(generator, (8, 16, 32)))


def _bits(count: int) -> str:
    return "one bit" if count == 1 else f"{count} bits"


def _storage(d: _Stored) -> Exercise:
    kind = "binary weight" if d.after == 1 else "weight of few bits"
    average = f"(1 - s) {d.before} + s ({d.after} + {d.scale}/n)"
    law = "It is the law of the whole chip from chapter 5 again: what stays as it is sets the limit, 1/(1 - s)."
    return Exercise(
        id="binarized.storage",
        prompt=f"A share s of a network's {d.before}-bit weights is stored in {_bits(d.after)} each, with one "
        f"{d.scale}-bit scale for every n of them; the others stay. How many times smaller does the network become? "
        "Answer: a function of (s, n) that returns a factor.",
        nudge="How many bits does a weight take on average, before and after? A scale is shared by n weights.",
        hint=f"A {kind} takes {d.after} + {d.scale}/n bits, another one {d.before}. Divide {d.before} by the average "
        f"{average}.",
        right=law,
        reference=d.smaller,
        inputs=lambda: [(0.75, 128), (0.5, 1024), (1.0, 512)],
        tolerance=1e-4,
        diagnoses=_misstored(d, "binary weights" if d.after == 1 else "weights of few bits"),
    )


def _misstored(d: _Stored, kind: str) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("scales", "You forgot the scales.", lambda s, n: d.whole(s, d.after)),
        Diagnosis("part", f"This is the factor of the {kind} alone.", lambda s, n: d.part(n)),
        Diagnosis("part", f"This is the factor of the {kind} alone, and without scales.",
                  lambda s, n: d.part(math.inf)),
        Diagnosis("mean", "Factors do not average; add up the bits first.", lambda s, n: 1 - s + s * d.part(n)),
        Diagnosis("inverse", "This is what is left, after over before.", lambda s, n: 1 / d.smaller(s, n)),
        Diagnosis("one scale a weight", "A scale is shared by n weights.",
                  lambda s, n: d.whole(s, d.after + d.scale)),
    )  # fmt: skip


KEPT, STORAGE = _share((EVEN, NORMAL, HEAVY)), _storage(_Stored())

VARIANTS = {
    KEPT.id: Variants(_share, lambda generator: several(generator, OTHERS, 3)),
    STORAGE.id: Variants(_storage, _stores),
}
