"""Pairs of twins: the size of an effect, what pairing is worth, what chance finds, an interval for many."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of, several
from weightlore.teaching.variants.families import Variants

__all__ = ["CHANCE", "EFFECT", "PAIRED", "TOGETHER"]

Numbers = Sequence[float]


def _words(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers[:-1])) + f" and {numbers[-1]}"


def _effects(generator: torch.Generator) -> tuple[int, ...]:
    return several(generator, range(1, 12), 5)


def _effect(gains: tuple[int, ...]) -> Exercise:
    mean, spread = float(np.mean(gains)), float(np.std(gains, ddof=1))
    return Exercise(
        id="crossed.effect",
        prompt=f"Five pairs of twins differ by {_words(gains)} points. How large is the effect, in standard deviations "
        "of the differences? Answer: a number.",
        nudge="What is the mean, and how far do the five lie from it?",
        hint=f"The mean is {mean:g}. Divide by the standard deviation, with n - 1 = 4 under the root.",
        right="More pairs of twins make its interval narrower, and the effect itself neither larger nor smaller.",
        reference=lambda: mean / spread,
        diagnoses=(
            Diagnosis("divisor", "The standard deviation of a sample divides by n - 1.", lambda: mean / np.std(gains)),
            Diagnosis(
                "standard error",
                "You divided by the standard error: this is t. It grows with the number of pairs, an effect does not.",
                lambda: mean / spread * 5**0.5,
            ),
            Diagnosis("variance", "You divided by the variance; take its root.", lambda: mean / spread**2),
            Diagnosis("turned", "This is the spread in units of the mean.", lambda: spread / mean),
        ),
    )


def _counts(generator: torch.Generator) -> tuple[int, int]:
    return integer(generator, 21, 120), one_of(generator, (80, 90, 95, 98, 99))


def _chance(counts: tuple[int, int]) -> Exercise:
    many, level = counts
    return Exercise(
        id="crossed.chance",
        prompt=f"No fate has any effect, and {many} intervals of {level} % are computed. How many miss zero, on "
        "average? Answer: a number.",
        nudge="How often does one such interval miss the truth?",
        hint=f"One of them misses zero with probability {1 - level / 100:.2f}. Averages add up.",
        right="They add up whether or not the intervals depend on each other.",
        reference=lambda: many * (1 - level / 100),
        diagnoses=(
            Diagnosis("one", "This is the probability for one interval.", lambda: 1 - level / 100),
            Diagnosis("hits", "So many hold zero.", lambda: many * level / 100),
            Diagnosis(
                "at least one",
                "This is the probability that at least one misses, if they were independent; how many are there?",
                lambda: 1 - (level / 100) ** many,
            ),
        ),
    )


def _twins(generator: torch.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
    made = []
    for n in (10, 6, 25):
        origin = torch.randn(n, generator=generator, dtype=torch.float64) * 5 + 70
        changed = origin + torch.randn(n, generator=generator, dtype=torch.float64) + 2
        made.append((changed.numpy(), origin.numpy()))
    return made


@dataclass(frozen=True)
class _Paired:
    """Where the numbers come from, and what is asked: the error of the mean, a power or a multiple of it."""

    seed: int = 7
    power: int = 1
    times: int = 1

    @property
    def asked(self) -> str:
        return TIMES[self.times] + ASKED[self.power]

    def of(self, error: float | np.floating) -> float:
        return self.times * float(error) ** self.power


def _paireds(generator: torch.Generator) -> _Paired:
    return _Paired(integer(generator, 100, 10**6), one_of(generator, (-2, -1, 1, 2)), integer(generator, 2, 5))


TIMES = {1: "", 2: "twice ", 3: "three times ", 4: "four times ", 5: "five times "}
ASKED = {
    1: "the standard error of the mean difference",
    2: "the squared standard error of the mean difference",
    -1: "the inverse of the standard error of the mean difference",
    -2: "the inverse of the squared standard error of the mean difference",
}


def _paired(d: _Paired) -> Exercise:
    def error(network: np.ndarray, control: np.ndarray) -> float:
        return d.of(np.std(network - control, ddof=1) / len(network) ** 0.5)

    return Exercise(
        id="crossed.paired",
        prompt=f"Write {d.asked} of pairs of twins. Answer: a function of (network, control), arrays of shape "
        "(n,), that returns a number.",
        nudge="Subtract first.",
        hint="The n differences are a sample like any other: its standard deviation over the root of n.",
        right="What a seed does to both twins is gone before anything is squared.",
        reference=error,
        inputs=lambda: _twins(torch.Generator().manual_seed(d.seed)),
        diagnoses=(
            Diagnosis(
                "not paired",
                "You added the variances of both. That is right for strangers; twins share their seed.",
                lambda a, b: d.of(((np.var(a, ddof=1) + np.var(b, ddof=1)) / len(a)) ** 0.5),
            ),
            Diagnosis(
                "root of n",
                "This is the spread of one difference. The mean of n of them spreads less.",
                lambda a, b: d.of(np.std(a - b, ddof=1)),
            ),
            Diagnosis(
                "divisor", "A sample's variance divides by n - 1.", lambda a, b: d.of(np.std(a - b) / len(a) ** 0.5)
            ),
        ),
    )


def _gains(generator: torch.Generator) -> list[tuple[np.ndarray, int]]:
    drawn = [(10, 87), (5, 20), (8, 1), (20, 4)]
    return [(torch.randn(n, generator=generator, dtype=torch.float64).numpy() + 1, many) for n, many in drawn]


@dataclass(frozen=True)
class _Together:
    """Where the numbers come from, and how sure the interval is, in percent."""

    seed: int = 3
    level: int = 95


def _togethers(generator: torch.Generator) -> _Together:
    return _Together(
        integer(generator, 100, 10**6), one_of(generator, (70, 75, 80, 85, 88, 90, 92, 94, 96, 97, 98, 99))
    )


def _half(gains: np.ndarray, tail: float) -> float:
    return float(stats.t.ppf(1 - tail, len(gains) - 1) * np.std(gains, ddof=1) / len(gains) ** 0.5)


def _together(d: _Together) -> Exercise:
    alpha = 1 - d.level / 100
    return Exercise(
        id="crossed.together",
        prompt=f"All intervals of a matrix together shall hold the truth with probability {d.level} % or more "
        "(Bonferroni). Write half the width of one of them. Answer: a function of (differences, many): an array of "
        "shape (n,) and the number of intervals.",
        nudge="How often may one of them miss, so that all together miss often enough?",
        hint=f"One may miss with probability {alpha:.2f} / many, half of it on each side: "
        f"stats.t.ppf(1 - {alpha:.2f} / (2 * many), n - 1).",
        right="It needs no independence: probabilities of missing add up at worst.",
        reference=lambda gains, many: _half(gains, alpha / (2 * many)),
        inputs=lambda: _gains(torch.Generator().manual_seed(d.seed)),
        diagnoses=(
            Diagnosis("one", "This is the interval of a single question.", lambda g, many: _half(g, alpha / 2)),
            Diagnosis("one side", "Both sides may be missed: halve it.", lambda g, many: _half(g, alpha / many)),
            Diagnosis("width", "This is the whole width.", lambda g, many: 2 * _half(g, alpha / (2 * many))),
            Diagnosis(
                "normal",
                "With few pairs the quantile of the normal distribution is too small; take that of t.",
                lambda g, many: float(stats.norm.ppf(1 - alpha / (2 * many)) * np.std(g, ddof=1) / len(g) ** 0.5),
            ),
            Diagnosis(
                "root of n",
                "This is the spread of one difference; the mean spreads less.",
                lambda g, many: _half(g, alpha / (2 * many)) * len(g) ** 0.5,
            ),
        ),
    )


EFFECT, CHANCE = _effect((2, 4, 1, 3, 6)), _chance((87, 95))
PAIRED, TOGETHER = _paired(_Paired()), _together(_Together())
VARIANTS = {
    EFFECT.id: Variants(_effect, _effects),
    CHANCE.id: Variants(_chance, _counts),
    PAIRED.id: Variants(_paired, _paireds, "a function has one formula; variants ask for a power or a multiple of it"),
    TOGETHER.id: Variants(_together, _togethers),
}
