"""One neuron by hand: when it spikes, how long a rate takes, and what a reset or an early spike does to it."""

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.spiking import if_step
from weightlore.spiking.neurons import Reset
from weightlore.teaching.exercises.binarized.given import NEURON
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["FEWEST_STEPS", "HARD_RATE", "SPIKE_TRAIN", "VARIANTS", "ZERO_MEAN"]

GRID, MOST = 100_000, 100  # currents tried, steps
COUNTS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 8: "eight", 10: "ten", 12: "twelve"}


def _spikes(currents: list[float], *, threshold: float = 1.0, start: float = 0.0, reset: Reset = "subtract") -> Tensor:
    """Spikes of one neuron, one for each current, shape (T,)."""
    potential, spikes = torch.tensor(start, dtype=torch.float64), []
    for current in torch.tensor(currents, dtype=torch.float64):
        potential, spike = if_step(potential, current, threshold=threshold, reset=reset)
        spikes.append(spike)
    return torch.stack(spikes)


@dataclass(frozen=True)
class _Driven:
    """A current and a start in tenths, which are exact, and how many steps."""

    current: int = 3
    start: int = 0
    steps: int = 10

    def train(self, *, start: float | None = None, reset: Reset = "subtract") -> list[float]:
        first = float(self.start if start is None else start)
        return _spikes([float(self.current)] * self.steps, threshold=10.0, start=first, reset=reset).tolist()

    def potentials(self, *, reset: bool = True) -> list[float]:
        """After each step, in the unit of the threshold."""
        spikes, given = self.train(), [self.start + self.current * t for t in range(1, self.steps + 1)]
        return [round(u / 10 - reset * sum(spikes[:t]), 6) for t, u in enumerate(given, start=1)]

    @property
    def exact(self) -> int:
        """The first step that reaches the threshold exactly, 0 if none does."""
        return next((t for t, u in enumerate(self.potentials(), start=1) if u == 0 and self.train()[t - 1]), 0)

    @property
    def first(self) -> int:
        """The first step with a spike."""
        return self.train().index(1.0) + 1


def _drives(generator: torch.Generator) -> _Driven:
    return _Driven(integer(generator, 2, 7), integer(generator, 0, 6), one_of(generator, (8, 10, 12)))


def _spike_train(d: _Driven) -> Exercise:
    count, spikes = COUNTS[d.steps], int(sum(d.train()))
    before = "" if d.first == 1 else f"After {_steps(d.first - 1)} it is {d.potentials()[d.first - 2]:g}, after "
    at = "After step 1 it is" if d.first == 1 else f"the {_which(d.first)}"
    reached = d.potentials()[d.first - 1]
    return Exercise(
        id="binarized.spike_train",
        prompt=f"A neuron with threshold 1 and subtracting reset starts at {d.start / 10:g} and gets the current "
        f"{d.current / 10:g} in each of {count} steps. When does it spike? Answer: {count} numbers, 1 in steps with a "
        "spike and 0 in the others.",
        given=NEURON,
        nudge="Write down the potential after each step; when it has reached 1, mark a spike and subtract 1.",
        hint=f"{before}{at} {reached + 1:g}, which is a spike and leaves {reached:g}.",
        right=_rate(d, spikes),
        reference=d.train,
        diagnoses=(*_met(d), *_mistimed(d)),
    )


def _steps(count: int) -> str:
    return "one step" if count == 1 else f"{COUNTS[count]} steps"


def _which(step: int) -> str:
    return {2: "second", 3: "third", 4: "fourth", 5: "fifth"}[step]


def _rate(d: _Driven, spikes: int) -> str:
    if d == _Driven():
        return "Three spikes in ten steps: the rate is 0.3 exactly, because 10 times 0.3 is a whole number."
    return (
        f"{spikes} spikes in {d.steps} steps: the rate is {spikes / d.steps:.3g}, and what is missing to the current, "
        f"{d.current / 10:g}, is in the potential: it began at {d.start / 10:g} and ends at {d.potentials()[-1]:g}."
    )


def _met(d: _Driven) -> tuple[Diagnosis, ...]:
    """Only where the threshold is reached exactly."""
    if not d.exact:
        return ()
    computer = "" if d != _Driven() else (
        " (A computer that adds 0.3 up misses it by a rounding error; in tenths it does not.)"
    )  # fmt: skip
    says = f"At step {d.exact} the potential is exactly 1, and reaching the threshold is enough.{computer}"

    def missed() -> list[float]:
        return _spikes([float(d.current)] * d.steps, threshold=10.0 + 1e-6, start=float(d.start)).tolist()

    return (Diagnosis("at the threshold", says, missed),)


def _mistimed(d: _Driven) -> tuple[Diagnosis, ...]:
    start, other, shown = ("0", 5.0, "1/2") if d.start == 0 else (f"{d.start / 10:g}", 0.0, "0")
    return (
        Diagnosis("reset", "You set the potential to 0; subtracting 1 keeps the rest.",
                  lambda: d.train(reset="zero")),
        Diagnosis("start", f"This neuron starts at {start} and not at {shown}.", lambda: d.train(start=other)),
        Diagnosis("delay", "Each spike is one step late; it comes in the step that reaches 1.",
                  lambda: [0.0, *d.train()[:-1]]),
        Diagnosis("potential", "These are the potentials after each step; where are the spikes?", d.potentials),
        Diagnosis("no reset", "You never subtract the threshold, so that the neuron fires forever.",
                  lambda: [float(u >= 1) for u in d.potentials(reset=False)]),
    )  # fmt: skip


@functools.cache
def _fewest(start: float, allowed: float) -> int:
    """The first number of steps from which on no rate is off by more than allowed, tried on a fine grid of currents."""
    currents = torch.arange(GRID + 1, dtype=torch.float64)  # in units of threshold / GRID, which are exact
    potential, count, fewest = torch.full_like(currents, start * GRID), torch.zeros_like(currents), 1
    for t in range(1, MOST + 1):
        potential, spikes = if_step(potential, currents, threshold=float(GRID))
        count += spikes
        if float((count / t - currents / GRID).abs().max()) > allowed + 1e-9:
            fewest = t + 1
    return fewest


def _fewest_steps(n: int) -> Exercise:
    """So that the error is at most 1/n, for an even n."""
    half, allowed, use = (
        n // 2,
        "0.01" if n == 100 else f"1/{n}",
        "; the next notebook makes use of it" if n == 100 else "",
    )
    return Exercise(
        id="binarized.fewest_steps",
        prompt=f"How many steps does it take until the rate is within {allowed} of the current z, whatever z from 0 to "
        "1 it is, with subtracting reset: starting from 0, and starting from 1/2? Answer: two numbers of steps.",
        given=NEURON + " The threshold is 1; the rate after T steps is the number of spikes over T.",
        nudge="The rate is a whole number over T. How far from such a fraction can z be, above it, and to either side?",
        hint="Starting from 0 the error is below 1/T, starting from 1/2 at most 1/(2T).",
        right=f"Half a threshold at the start is worth half of the steps{use}.",
        reference=lambda: [_fewest(0.0, 1 / n), _fewest(0.5, 1 / n)],
        diagnoses=(
            Diagnosis("start", "Starting from 1/2 rounds to the nearest fraction and not down.", lambda: [n, n]),
            Diagnosis("factor", "Each is half of what is needed: from 0, the error comes close to 1/T.",
                      lambda: [half, half / 2]),
            *_off_by_one(n, half),
            Diagnosis("factor", "Each is twice what is needed.", lambda: [2 * n, n]),
        ),
    )  # fmt: skip


def _off_by_one(n: int, half: int) -> tuple[Diagnosis, ...]:
    near, exact = f"with {n - 1} some currents are off by nearly 1/{n - 1}", f"with {half - 1} some currents are off by"
    return (
        Diagnosis("one more", "One step less is enough: the error stays within its bound.",
                  lambda: [n + 1, half + 1]),
        Diagnosis("one less", f"One step more: {near}.", lambda: [n - 1, half - 1]),
        Diagnosis("one more", "From 0, one step less is enough: the error stays below 1/T.",
                  lambda: [n + 1, half]),
        Diagnosis("one more", "From 1/2, one step less is enough: it may be off by 1/(2T) exactly.",
                  lambda: [n, half + 1]),
        Diagnosis("one less", f"From 0, one step more: {near}.", lambda: [n - 1, half]),
        Diagnosis("one less", f"From 1/2, one step more: {exact} 1/{n - 2}.", lambda: [n, half - 1]),
    )  # fmt: skip


@functools.cache
def _hard(z: float, threshold: float) -> float:
    """The rate over whole periods, of which eighty steps hold at least one."""
    spikes = _spikes([z] * 80, threshold=threshold, reset="zero")
    return float(spikes[: int(spikes.nonzero()[-1]) + 1].mean())


def _hard_rate(threshold: float) -> Exercise:
    top = f"{threshold:g}"
    two = f"from {threshold / 2:g} up to just below {top}" if threshold != 1 else "from 1/2 up to just below 1"
    neuron = "A neuron" if threshold == 1 else f"A neuron with the threshold {top}"
    ratio = "1/z" if threshold == 1 else f"{top}/z"
    mistakes = (
        Diagnosis("other reset", f"That is the subtracting reset; here what exceeds {top} is lost.",
                  lambda z: z / threshold),
        Diagnosis("rounding", f"After {ratio} rounded down the threshold is not reached yet.",
                  lambda z: 1 / (threshold // z)),
        Diagnosis("rounding", "Steps are counted up to the next whole number.", lambda z: 1 / round(threshold / z)),
        Diagnosis("inverse", "This is the number of steps for one spike.", lambda z: math.ceil(threshold / z)),
        Diagnosis("one more", f"The spike comes in the very step that reaches {top}.",
                  lambda z: 1 / (math.ceil(threshold / z) + 1)),
        Diagnosis("threshold", f"The threshold is {top} and not 1.", lambda z: 1 / math.ceil(1 / z)),
    )  # fmt: skip
    return Exercise(
        id="binarized.hard_rate",
        prompt=f"{neuron} that is set to 0 after each spike gets a constant current z with "
        f"0 < z < {top}. Which rate has it in the long run? Answer: a function of z that returns the rate.",
        given="In each step the current is added to the potential. A neuron that has reached its threshold spikes.",
        nudge=f"From 0, how many steps does it take to reach {top}? Then everything begins again.",
        hint=f"It reaches {top} after the smallest whole number k of steps with k z >= {top}; then one spike in k "
        "steps.",
        right=f"All currents {two} need two steps, so all of them end at the rate 1/2.",
        reference=lambda z: _hard(z, threshold),
        inputs=lambda: [(threshold * z,) for z in (0.625, 0.375, 0.1875, 0.5, 0.875)],
        diagnoses=mistakes[:-1] if threshold == 1 else mistakes,
    )


@dataclass(frozen=True)
class _Currents:
    """How many, their mean, and the threshold that is to be reached."""

    count: int = 4
    mean: float = 0.0
    threshold: float = 1.0

    @property
    def one_way(self) -> list[float]:
        """Twice the threshold at first, then what is too much is taken away."""
        rest = (self.count * self.mean - 2 * self.threshold) / (self.count - 2)
        return [self.threshold] * 2 + [rest] * (self.count - 2)

    def fires(self, answer: object) -> bool:
        return bool(_spikes(torch.as_tensor(answer).tolist(), threshold=self.threshold).any())

    def backwards(self, answer: object) -> bool:
        return self.fires(torch.as_tensor(answer).flip(0))

    def balanced(self, answer: object) -> bool:
        return abs(float(torch.as_tensor(answer, dtype=torch.float64).mean()) - self.mean) < 1e-9


def _zero_mean(d: _Currents) -> Exercise:
    top, mean = f"{d.threshold:g}", f"{d.mean:g}"
    others = "two that take away as much" if d == _Currents() else f"others that bring the sum to {d.count * d.mean:g}"
    activation = "The activation is 0" if d.mean == 0 else f"The activation at a mean of {mean} is 0"
    return Exercise(
        id="binarized.zero_mean",
        prompt=f"Find {COUNTS[d.count]} currents with mean {mean} that make a neuron spike, though it starts at 0, has "
        f"threshold {top} and subtracts. Answer: {COUNTS[d.count]} numbers, in the order in which they arrive.",
        given=NEURON,
        nudge="A spike cannot be taken back. What has to come first?",
        hint=f"Two positive currents that reach the threshold, then {others}.",
        right=f"{activation} and the rate is not: a spike that came too early cannot be taken back.",
        reference=lambda: d.one_way,
        accept=lambda answer: d.balanced(answer) and d.fires(answer),
        diagnoses=(
            Diagnosis("mean", f"It spikes, but the mean is not {mean}.",
                      matches=lambda answer: not d.balanced(answer) and d.fires(answer)),
            Diagnosis("order", f"The mean is {mean}, but what is taken away comes too early: in the opposite order it "
                      "would spike.", matches=lambda answer: d.balanced(answer) and d.backwards(answer)),
            Diagnosis("too weak", f"It never reaches {top}. Let the first currents be larger.",
                      matches=lambda answer: not d.fires(answer)),
        ),
    )  # fmt: skip


def _currents(generator: torch.Generator) -> _Currents:
    mean, threshold = one_of(generator, (0.0, -0.25, -0.5, -1.0)), one_of(generator, (1.0, 2.0, 3.0))
    return _Currents(integer(generator, 3, 6), mean, threshold)


SPIKE_TRAIN, FEWEST_STEPS = _spike_train(_Driven()), _fewest_steps(100)
HARD_RATE, ZERO_MEAN = _hard_rate(1.0), _zero_mean(_Currents())

VARIANTS = {
    SPIKE_TRAIN.id: Variants(_spike_train, _drives),
    FEWEST_STEPS.id: Variants(_fewest_steps, lambda generator: 2 * integer(generator, 4, 49)),
    HARD_RATE.id: Variants(_hard_rate, lambda generator: integer(generator, 2, 24) / 4),
    ZERO_MEAN.id: Variants(_zero_mean, _currents),
}
