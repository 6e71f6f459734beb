"""Guessing before looking: how many pairs a guess needs, what it costs to be wrong, and how rare one direction is."""

import math

import torch
from scipy import stats

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["ALL_ONE_WAY", "PAIRS_NEEDED", "VARIANTS", "WAGER"]

EFFECTS = (0.3, 0.32, 0.35, 0.38, 0.4, 0.42, 0.45, 0.48, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.9, 1.1, 1.2)


def _needed(effect: float, *, student: bool = True, sides: int = 2) -> int:
    """Return the smallest number of pairs at which an effect of that size is decided at 95 %."""
    n = 2
    while True:
        tail = 1 - 0.05 / sides
        quantile = float(stats.t.ppf(tail, n - 1) if student else stats.norm.ppf(tail))
        if n >= (quantile / effect) ** 2:
            return n
        n += 1


def _sizes(generator: torch.Generator) -> float:
    return one_of(generator, EFFECTS)


def _pairs_needed(effect: float) -> Exercise:
    return Exercise(
        id="crossed.pairs_needed",
        prompt=f"You expect an effect of {effect:g} standard deviations. How many pairs of twins are enough for its "
        "95 % interval to end at zero or before, if the effect comes out as expected? Answer: a whole number.",
        nudge="The interval ends at zero where the mean equals t times the standard error.",
        hint="Look for the smallest n with n >= (t / effect)^2, t = stats.t.ppf(0.975, n - 1), which depends on n.",
        right="With so many pairs you would still miss it half of the time: half of all means are too small.",
        reference=lambda: _needed(effect),
        tolerance=1e-9,
        diagnoses=(
            Diagnosis("normal", "1.96 is too small for few pairs; take t.", lambda: _needed(effect, student=False)),
            Diagnosis("one side", "The interval has two ends: 0.975, not 0.95.", lambda: _needed(effect, sides=1)),
            Diagnosis("one too few", "With one pair fewer it still holds zero.", lambda: _needed(effect) - 1),
        ),
    )


def _stakes(generator: torch.Generator) -> tuple[int, int, int]:
    sure = integer(generator, 50, 85)
    rest = 100 - sure
    worse = integer(generator, 2, rest - 2)
    return sure, worse, rest - worse


def _wager(percent: tuple[int, int, int]) -> Exercise:
    better, worse, undecided = (part / 100 for part in percent)
    return Exercise(
        id="crossed.wager",
        prompt=f"Before the run you write: better {better:g}, worse {worse:g}, undecided {undecided:g}. It comes out "
        "worse. What is the log loss of your guess, in nats? Answer: a number.",
        nudge="Only one of your three numbers counts.",
        hint=f"Minus the natural logarithm of what you gave to what happened: {worse:g}.",
        right="Who gives nothing to what happens loses without bound. Leave a little for everything.",
        reference=lambda: -math.log(worse),
        diagnoses=(
            Diagnosis("other one", "This is the loss if it had come out better.", lambda: -math.log(better)),
            Diagnosis("other one", "This is the loss if it had stayed undecided.", lambda: -math.log(undecided)),
            Diagnosis("base", "In bits; with the natural logarithm it is nats.", lambda: -math.log2(worse)),
            Diagnosis("sign", "A loss is positive here.", lambda: math.log(worse)),
            Diagnosis("rest", "You took the logarithm of what the others got.", lambda: -math.log(1 - worse)),
        ),
    )


def _numbers(generator: torch.Generator) -> int:
    return one_of(generator, (4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 18, 20))


def _all_one_way(pairs: int) -> Exercise:
    return Exercise(
        id="crossed.all_one_way",
        prompt=f"A fate does nothing. How probable is it that all {pairs} pairs of twins differ in the same direction, "
        "up or down? Answer: a number.",
        nudge="Each pair falls to either side like a coin.",
        hint=f"All up: (1/2)^{pairs}. All down: as much again.",
        right="It needs no spread and no normal distribution. That is the sign test.",
        reference=lambda: 2 * 0.5**pairs,
        diagnoses=(
            Diagnosis("one side", "This is the probability of one of both directions.", lambda: 0.5**pairs),
            Diagnosis("any", "This is the probability that not all go up.", lambda: 1 - 0.5**pairs),
        ),
    )


PAIRS_NEEDED, WAGER, ALL_ONE_WAY = _pairs_needed(1.0), _wager((70, 20, 10)), _all_one_way(10)
VARIANTS = {
    PAIRS_NEEDED.id: Variants(_pairs_needed, _sizes, on_paper=False),
    WAGER.id: Variants(_wager, _stakes),
    ALL_ONE_WAY.id: Variants(_all_one_way, _numbers),
}
