"""Ensembles: what members cost, what their mean gains, and when a snapshot is taken."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from weightlore.networks import mlp
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants
from weightlore.uncertainty.diversity import log_ambiguity
from weightlore.uncertainty.ensembles import batch_ensemble, combine, cyclic_cosine
from weightlore.uncertainty.measures import nll_categorical

__all__ = ["MEAN_GAIN", "OWN_NUMBERS", "RESTARTS", "VARIANTS"]

WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight"}


@dataclass(frozen=True)
class _Shared:
    """The sizes of a network, and how many members share it."""

    sizes: tuple[int, int, int] = (64, 32, 10)
    members: int = 4

    @property
    def vectors(self) -> int:
        """What one member has for itself."""
        inputs, hidden, classes = self.sizes
        return inputs + 2 * hidden + classes

    @property
    def whole(self) -> int:
        return sum(p.numel() for p in mlp(self.sizes, generator=torch.Generator()).parameters())

    def own(self) -> int:
        """Count what the members have beside the network that they share."""
        generator = torch.Generator().manual_seed(0)
        plain = mlp(self.sizes, generator=generator)
        shared = batch_ensemble(plain, members=self.members, generator=generator)
        inside, alone = (sum(p.numel() for p in model.parameters()) for model in (shared, plain))
        return inside - alone


def _shares(generator: torch.Generator) -> _Shared:
    sizes = one_of(generator, (16, 20, 36, 49, 100)), integer(generator, 12, 40), integer(generator, 3, 9)
    return _Shared(sizes, integer(generator, 3, 8))


def _own_numbers(d: _Shared) -> Exercise:
    (inputs, hidden, classes), S, one = d.sizes, d.members, d.vectors
    members, fewer, whole = WORDS[S], WORDS[S - 1], (S - 1) * d.whole
    return Exercise(
        id="uncertain.own_numbers",
        prompt=f"How many parameters do the {members} members of a BatchEnsemble add to a network "
        f"{inputs}-{hidden}-{classes}? Answer: a whole number.",
        given="Layers are fully connected, with biases. Member m of a BatchEnsemble multiplies the shared weights W of "
        "a layer, entry by entry, with r_m s_m^T; biases are shared.",
        nudge="A member has two vectors in each layer. How long are they?",
        hint=f"r is as long as the layer's output, s as its input; two layers, {members} members, and biases are "
        "shared.",
        right=f"{members.capitalize()} whole networks would have added {fewer} times {d.whole:,}.",
        reference=d.own,
        diagnoses=(
            Diagnosis("one member", f"This is what one member adds; there are {members}.", lambda: one),
            Diagnosis(fewer, f"All {members} members have vectors of their own, the first one, too.",
                      lambda: (S - 1) * one),
            Diagnosis("outputs", "You counted r alone; the inputs have factors as well.",
                      lambda: S * (hidden + classes)),
            Diagnosis("inputs", "You counted s alone; the outputs have factors as well.",
                      lambda: S * (inputs + hidden)),
            Diagnosis("hidden once", "The hidden units are outputs of one layer and inputs of the next: count them "
                      "twice.", lambda: S * (one - hidden)),
            Diagnosis("biases", "The members share the biases.", lambda: S * (one + hidden + classes)),
            Diagnosis("whole", f"These are {fewer} more whole networks.", lambda: whole),
        ),
    )  # fmt: skip


def _answers() -> list[tuple[Tensor, Tensor]]:
    drawn = torch.Generator().manual_seed(1)
    found = []
    for members, rows in ((5, 40), (3, 25)):
        z = 2 * torch.randn(members, rows, 10, generator=drawn, dtype=torch.float64)
        found.append((z.softmax(2), torch.randint(10, (rows,), generator=drawn)))
    return found


def _of_true(p: Tensor, y: Tensor) -> Tensor:
    return p[:, torch.arange(len(y)), y]


@dataclass(frozen=True)
class _Weight:
    """How often one of the members counts."""

    member: int = 0
    times: int = 1

    def of(self, score: Callable[[Tensor, Tensor], float]) -> Callable[[Tensor, Tensor], float]:
        """Return a score of all members, one of them repeated."""
        return lambda p, y: score(torch.cat([p, *[p[self.member : self.member + 1]] * (self.times - 1)]), y)


def _gain(p: Tensor, y: Tensor) -> float:
    return log_ambiguity(p, y).gain


def _mean_gain(d: _Weight) -> Exercise:
    counts = "" if d.times == 1 else f" and p[{d.member}] counts {WORDS[d.times]} times"
    repeated = "" if d.times == 1 else f", with p[{d.member}] {WORDS[d.times]} times,"
    gain = d.of(_gain)
    equal = () if d.times == 1 else (
        Diagnosis("equal weights", f"p[{d.member}] counts {WORDS[d.times]} times.", _gain),
    )  # fmt: skip
    return Exercise(
        id="uncertain.mean_gain",
        prompt=f"What do members gain in log loss when their probabilities are averaged{counts}? Answer: a function of "
        "(p, y), p of shape (S, N, C), y of shape (N,), that returns the gain in nats, mean over pictures.",
        given="p are probabilities of S members for N pictures and C classes, y the true classes; who counts more "
        "often in the mean does so in the mean of the losses, too.",
        nudge="One number is the mean of losses, the other the loss of a mean.",
        hint=f"Take the probabilities of the true classes, (S, N). ln of their mean{repeated or ','} less the mean of "
        "their ln.",
        right="It is never negative: the logarithm is concave.",
        reference=gain,
        inputs=_answers,
        diagnoses=(
            Diagnosis("sign", "The gain is what the members lose more: it is positive.", lambda p, y: -gain(p, y)),
            Diagnosis("sum", "You added over the pictures; take their mean.", lambda p, y: len(y) * gain(p, y)),
            *_halves(d),
            Diagnosis("bits", "This is in bits; use the natural logarithm.", lambda p, y: gain(p, y) / math.log(2)),
            *equal,
        ),
    )  # fmt: skip


def _halves(d: _Weight) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("together", "This is the loss of the mean alone; how much smaller is it than that of the members?",
                  d.of(lambda p, y: log_ambiguity(p, y).ensemble)),
        Diagnosis("apart", "This is the loss of the members on average; take off that of the mean.",
                  d.of(lambda p, y: log_ambiguity(p, y).members)),
        Diagnosis("geometric", "You averaged logarithms and normalized; here probabilities are averaged.",
                  d.of(lambda p, y:
                       log_ambiguity(p, y).members - float(nll_categorical(combine(p, rule="geometric"), y)))),
        Diagnosis("best", "Compare with the members on average, not with the best of them.",
                  d.of(lambda p, y: float((-_of_true(p, y).log().mean(1)).min()) - log_ambiguity(p, y).ensemble)),
    )  # fmt: skip


def _steps() -> list[tuple[int, int, int]]:
    return [(1, 100, 5), (7, 100, 5), (20, 100, 5), (21, 100, 5), (50, 60, 3)]


def _cosine(turn: float) -> float:
    return (math.cos(math.pi * turn) + 1) / 2


def _restarts(low: float) -> Exercise:
    floor = "" if low == 0 else f", if each cycle falls to {low:g} and not to 0"
    wave = "half of cos(pi how far) + 1" if low == 0 else (
        f"{low:g} + {1 - low:g} c, with c half of cos(pi how far) + 1"
    )  # fmt: skip
    found = (
        Diagnosis("from zero", "Steps are counted from 1: the first has the full rate.",
                  lambda step, steps, cycles: _cosine(step % (steps // cycles) / (steps // cycles))),
        Diagnosis("no restart", "This falls once in the whole training; it must start again with each cycle.",
                  lambda step, steps, cycles: _cosine((step - 1) / steps)),
        Diagnosis("whole wave", f"A cycle goes from 1 to nearly {low:g}: half a wave, pi and not 2 pi.",
                  lambda step, steps, cycles: _cosine(2 * ((step - 1) % (steps // cycles)) / (steps // cycles))),
        Diagnosis("rises", "It rises within a cycle; snapshots are taken where the rate is low.",
                  lambda step, steps, cycles: 1 - cyclic_cosine(step, steps, cycles)),
        Diagnosis("twice", "The cosine plus one goes up to 2; halve it.",
                  lambda step, steps, cycles: 2 * cyclic_cosine(step, steps, cycles)),
        Diagnosis("cycles", "A cycle has steps / cycles steps, not cycles.",
                  lambda step, steps, cycles: _cosine((step - 1) % cycles / cycles)),
    )  # fmt: skip
    return Exercise(
        id="uncertain.restarts",
        prompt=f"Write the learning rate of snapshots, in units of the largest{floor}. Answer: a function of "
        "(step, steps, cycles), step counted from 1, cycles a divisor of steps, that returns a number.",
        given="The learning rate of snapshots falls in each cycle along half a cosine, from the largest at its first "
        "step; c steps later it would be at its lowest.",
        nudge="How far into its cycle is a step, and what is that at the first step of each?",
        hint=f"c = steps / cycles; how far: ((step - 1) mod c) / c; then {wave}."
        if low == 0 else f"k = steps / cycles; how far: ((step - 1) mod k) / k; then {wave}.",
        right="At step 21 of 100 with five cycles it is 1 again.",
        reference=_above(low, cyclic_cosine),
        inputs=_steps,
        diagnoses=found if low == 0 else (*(_raised(low, one) for one in found), *_floors(low)),
    )  # fmt: skip


def _above(low: float, rate: Callable[..., float]) -> Callable[..., float]:
    return lambda step, steps, cycles: low + (1 - low) * rate(step, steps, cycles)


def _raised(low: float, one: Diagnosis) -> Diagnosis:
    return one if one.wrong is None else replace(one, wrong=_above(low, one.wrong))


def _floors(low: float) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("to zero", f"This falls to 0; it must stay above {low:g}.", cyclic_cosine),
        Diagnosis("shifted", f"You added {low:g}; the first rate is 1, so that what falls is {1 - low:g}.",
                  lambda step, steps, cycles: low + cyclic_cosine(step, steps, cycles)),
        Diagnosis("cut off", "The rate falls evenly to the end of a cycle; it is not cut off before.",
                  lambda step, steps, cycles: max(low, cyclic_cosine(step, steps, cycles))),
    )  # fmt: skip


RESTARTS, MEAN_GAIN, OWN_NUMBERS = _restarts(0.0), _mean_gain(_Weight()), _own_numbers(_Shared())

VARIANTS = {
    OWN_NUMBERS.id: Variants(_own_numbers, _shares),
    MEAN_GAIN.id: Variants(_mean_gain, lambda generator: _Weight(integer(generator, 0, 2), integer(generator, 3, 8))),
    RESTARTS.id: Variants(
        _restarts,
        lambda generator: one_of(
            generator, (0.05, 0.1, 0.12, 0.15, 0.18, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
        ),
    ),
}
