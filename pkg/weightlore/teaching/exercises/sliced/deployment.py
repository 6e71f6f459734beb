"""From sums to converters, and from converters to the whole chip."""

import math

import torch
from torch import Tensor

from weightlore.bitslice import predicted_bits
from weightlore.crossbar import Adc, CrossbarConfig, matmul
from weightlore.teaching.exercises.checker import Diagnosis, Exercise

__all__ = ["CUT_OFF", "EXPECTED_SUM", "SATURATED", "WHOLE_CHIP"]

ROWS, ACTIVE, DENSITY, FIRST, SECOND = 128, 0.3, 0.025, 1.7, 3.2
SUM, BITS, SLICES = 9, 3, 4


def _expected(active: float = ACTIVE, rows: int = ROWS) -> tuple[float, float]:
    found = predicted_bits(DENSITY, rows=rows, active=active, first=FIRST, second=SECOND)
    return found.mean, found.spread


EXPECTED_SUM = Exercise(
    id="sliced.expected_sum",
    prompt="Of the digits of a slice 2.5 % are non-zero, with mean 1.7 and mean square 3.2; 30 % of the input bits are "
    "on; the array has 128 rows. What are the mean and the standard deviation of the sum on a bit line, by equation "
    "(3)? Answer: two numbers.",
    nudge="With which probability does a row contribute anything at all, and how much on average if it does?",
    hint="A row contributes with probability a d = 0.0075. Multiply one row's mean and variance by 128; take the root.",
    right="Mean plus three deviations is 7, which 3 bits just hold: so far goes the argument for 3 bits.",
    reference=lambda: list(_expected()),
    diagnoses=(
        Diagnosis("inputs", "You let all inputs be on; only 30 % are.", lambda: list(_expected(active=1.0))),
        Diagnosis(
            "variance",
            "Your second number is the variance; take its root.",
            lambda: [_expected()[0], _expected()[1] ** 2],
        ),
        Diagnosis("one row", "These are the numbers of one row.", lambda: list(_expected(rows=1))),
        Diagnosis(
            "digits",
            "Your second number lacks the digits: they contribute their mean square 3.2, not 1.",
            matches=lambda answer: abs(float(answer[1]) - math.sqrt(ROWS * ACTIVE * DENSITY)) < 0.02,
        ),
        Diagnosis(
            "deviation",
            "You multiplied the deviation of one row by 128. Variances add up, deviations do not.",
            lambda: [_expected()[0], ROWS * _expected(rows=1)[1]],
        ),
    ),
    tolerance=5e-3,
)


def _missing() -> list[float]:
    """What converters take from a product in which one slice's bit line carries the sum."""
    x, missing = torch.ones(1, SUM, dtype=torch.int64), []
    for k in range(SLICES):
        w = torch.full((1, SUM), 4**k)
        short = matmul(x, w, CrossbarConfig(adc=Adc(bits=BITS)))
        missing.append(float(matmul(x, w) - short))
    return missing


CUT_OFF = Exercise(
    id="sliced.cut_off",
    prompt="A converter of 3 bits meets a sum of 9. How much is missing from the product if its bit line belongs to "
    "slice 0, 1, 2 or 3, for the input's lowest bit? Answer: four numbers.",
    nudge="What is the largest number that 3 bits can say, and what does one level of slice k count for?",
    hint="The converter says 7, so 2 levels are missing, and a level of slice k counts for 4^k.",
    right="The same accident is 64 times as bad in the top slice as in the lowest one.",
    reference=_missing,
    diagnoses=(
        Diagnosis("ceiling", "Three bits count to 7, not to 8.", lambda: [4.0**k for k in range(SLICES)]),
        Diagnosis("base", "A slice has two bits, so its base is 4 and not 2.", lambda: [2 * 2.0**k for k in range(4)]),
        Diagnosis("weight", "These are levels of the cell; a level of slice k counts for 4^k.", lambda: [2.0] * SLICES),
        Diagnosis(
            "all lost",
            "You lost the whole sum. A saturated converter still says its greatest code.",
            lambda: [SUM * 4.0**k for k in range(SLICES)],
        ),
        Diagnosis(
            "what is left",
            "This is what the converter still says; how much is missing?",
            lambda: [7 * 4.0**k for k in range(SLICES)],
        ),
    ),
)


def _share(sums: Tensor, bits: int) -> Tensor:
    return (sums > 2**bits - 1).double().mean()


SATURATED = Exercise(
    id="sliced.saturated",
    prompt="Which share of the sums does a converter cut off? Answer: a function of (sums, bits), a tensor of whole "
    "numbers and a number of bits, that returns a number from 0 to 1.",
    nudge="A converter of N bits has 2^N codes, and one of them is 0.",
    hint="A sum is cut off if it is greater than 2^N - 1; the mean of such a comparison is a share.",
    right="And the share alone says little: in section 1 two sums in three were cut off and nobody noticed.",
    reference=_share,
    inputs=lambda: [
        (torch.tensor([0, 1, 2, 7, 8, 9, 3, 0]), 3),
        (torch.tensor([[0, 0, 1, 2], [1, 5, 0, 3]]), 1),
        (torch.arange(40), 4),
    ],
    diagnoses=(
        Diagnosis(
            "ceiling",
            "You counted the sum 2^N - 1 as cut off, but that is the greatest code.",
            lambda s, b: (s >= 2**b - 1).double().mean(),
        ),
        Diagnosis("ceiling", "A sum of 2^N is cut off, too.", lambda s, b: (s > 2**b).double().mean()),
        Diagnosis("number of bits", "You compared with N, not with 2^N - 1.", lambda s, b: (s > b).double().mean()),
        Diagnosis("the rest", "This is the share that is not cut off.", lambda s, b: 1 - _share(s, b)),
        Diagnosis("count", "This is a count; divide by the number of sums.", lambda s, b: (s > 2**b - 1).sum()),
        Diagnosis("percent", "This is in percent.", lambda s, b: 100 * _share(s, b)),
    ),
)


def _whole(share: float, factor: float) -> float:
    return 1 / (1 - share + share / factor)


WHOLE_CHIP = Exercise(
    id="sliced.whole_chip",
    prompt="Converters take a share s of a chip's energy, and each becomes r times cheaper. How many times less "
    "energy does the chip take? Answer: a function of (s, r) that returns a factor.",
    nudge="Let the chip take 1 before. What do the converters take afterwards, and what do all other parts take?",
    hint="Afterwards it takes (1 - s) + s / r; the factor is before over after.",
    right="With s = 0.6 no converter in the world, not even a free one, saves more than a factor of 2.5.",
    reference=_whole,
    inputs=lambda: [(0.58, 14.2), (0.12, 28.4), (0.9, 2.0)],
    diagnoses=(
        Diagnosis(
            "part", "This is the factor of the converters alone; the other parts cost what they did.", lambda s, r: r
        ),
        Diagnosis("free", "You made the converters free; they still take s / r.", lambda s, r: 1 / (1 - s)),
        Diagnosis("mean", "Factors do not average; add the energies first.", lambda s, r: (1 - s) + s * r),
        Diagnosis("inverse", "This is what is left, after over before.", lambda s, r: 1 / _whole(s, r)),
        Diagnosis("saved", "This is the share that is saved.", lambda s, r: 1 - 1 / _whole(s, r)),
        Diagnosis("other parts", "You left out the other parts, 1 - s.", lambda s, r: r / s),
    ),
)
