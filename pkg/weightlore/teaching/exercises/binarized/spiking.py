"""One neuron by hand, and where the scales of binary weights go."""

import functools
import math

import torch
from torch import Tensor, nn

from weightlore.binary import absorb_scales
from weightlore.spiking import Cost, Neuron, SpikingLayer, SpikingNetwork, break_even, if_step
from weightlore.spiking.neurons import Reset
from weightlore.teaching.exercises.checker import Diagnosis, Exercise

__all__ = ["ABSORB", "BREAK_EVEN", "FEWEST_STEPS", "HARD_RATE", "SPIKE_TRAIN", "ZERO_MEAN"]

GRID, ALLOWED, MOST = 100_000, 0.01, 100  # currents tried, error, steps


def _spikes(currents: list[float], *, threshold: float = 1.0, start: float = 0.0, reset: Reset = "subtract") -> Tensor:
    """Spikes of one neuron, one for each current, shape (T,)."""
    potential, spikes = torch.tensor(start, dtype=torch.float64), []
    for current in torch.tensor(currents, dtype=torch.float64):
        potential, spike = if_step(potential, current, threshold=threshold, reset=reset)
        spikes.append(spike)
    return torch.stack(spikes)


def _train(start: float = 0.0, reset: Reset = "subtract") -> list[float]:
    """Spikes at a current of 0.3, in tenths, which are exact."""
    return _spikes([3.0] * 10, threshold=10.0, start=start, reset=reset).tolist()


def _potentials() -> list[float]:
    return [round(0.3 * t - sum(_train()[:t]), 6) for t in range(1, 11)]


def _late() -> list[float]:
    return [0.0, *_train()[:9]]


SPIKE_TRAIN = Exercise(
    id="binarized.spike_train",
    prompt="A neuron with threshold 1 and subtracting reset starts at 0 and gets the current 0.3 in each of ten steps. "
    "When does it spike? Answer: ten numbers, 1 in steps with a spike and 0 in the others.",
    nudge="Write down the potential after each step; when it has reached 1, mark a spike and subtract 1.",
    hint="After three steps it is 0.9, after the fourth 1.2, which is a spike and leaves 0.2.",
    right="Three spikes in ten steps: the rate is 0.3 exactly, because 10 times 0.3 is a whole number.",
    reference=_train,
    diagnoses=(
        Diagnosis(
            "at the threshold",
            "At step 10 the potential is exactly 1, and reaching the threshold is enough. (A computer that adds 0.3 up "
            "misses it by a rounding error; in tenths it does not.)",
            lambda: [*_train()[:9], 0.0],
        ),
        Diagnosis("reset", "You set the potential to 0; subtracting 1 keeps the rest.", lambda: _train(reset="zero")),
        Diagnosis("start", "This neuron starts at 0 and not at 1/2.", lambda: _train(start=5.0)),
        Diagnosis("delay", "Each spike is one step late; it comes in the step that reaches 1.", _late),
        Diagnosis("potential", "These are the potentials after each step; where are the spikes?", _potentials),
        Diagnosis(
            "no reset",
            "You never subtract the threshold, so that the neuron fires forever.",
            lambda: [float(3 * t >= 10) for t in range(1, 11)],
        ),
    ),
)


@functools.cache
def _fewest(start: float) -> int:
    """The first number of steps from which on no rate is off by more than allowed, tried on a fine grid of currents."""
    currents = torch.arange(GRID + 1, dtype=torch.float64)  # in units of threshold / GRID, which are exact
    potential, count, fewest = torch.full_like(currents, start * GRID), torch.zeros_like(currents), 1
    for t in range(1, MOST + 1):
        potential, spikes = if_step(potential, currents, threshold=float(GRID))
        count += spikes
        if float((count / t - currents / GRID).abs().max()) > ALLOWED + 1e-9:
            fewest = t + 1
    return fewest


FEWEST_STEPS = Exercise(
    id="binarized.fewest_steps",
    prompt="How many steps does it take until the rate is within 0.01 of the current z, whatever z from 0 to 1 it is, "
    "with subtracting reset: starting from 0, and starting from 1/2? Answer: two numbers of steps.",
    nudge="The rate is a whole number over T. How far from such a fraction can z be, above it, and to either side?",
    hint="Starting from 0 the error is below 1/T, starting from 1/2 at most 1/(2T).",
    right="Half a threshold at the start is worth half of the steps; the next notebook makes use of it.",
    reference=lambda: [_fewest(0.0), _fewest(0.5)],
    diagnoses=(
        Diagnosis("start", "Starting from 1/2 rounds to the nearest fraction and not down.", lambda: [100, 100]),
        Diagnosis("factor", "Each is half of what is needed: from 0, the error comes close to 1/T.", lambda: [50, 25]),
        Diagnosis("one more", "One step less is enough: the error stays within its bound.", lambda: [101, 51]),
        Diagnosis("one less", "One step more: with 99 some currents are off by nearly 1/99.", lambda: [99, 49]),
        Diagnosis("one more", "From 0, one step less is enough: the error stays below 1/T.", lambda: [101, 50]),
        Diagnosis("one more", "From 1/2, one step less is enough: it may be off by 1/(2T) exactly.", lambda: [100, 51]),
        Diagnosis("one less", "From 0, one step more: with 99 some currents are off by nearly 1/99.", lambda: [99, 50]),
        Diagnosis("one less", "From 1/2, one step more: with 49 some currents are off by 1/98.", lambda: [100, 49]),
        Diagnosis("factor", "Each is twice what is needed.", lambda: [200, 100]),
    ),
)


def _hard(z: float) -> float:
    return float(_spikes([z] * 420, reset="zero").mean())  # 420 steps are whole periods of 1 to 7 steps


HARD_RATE = Exercise(
    id="binarized.hard_rate",
    prompt="A neuron that is set to 0 after each spike gets a constant current z with 0 < z < 1. Which rate has it in "
    "the long run? Answer: a function of z that returns the rate.",
    nudge="From 0, how many steps does it take to reach 1? Then everything begins again.",
    hint="It reaches 1 after the smallest whole number k of steps with k z >= 1; then one spike in k steps.",
    right="All currents from 1/2 up to just below 1 need two steps, so all of them end at the rate 1/2.",
    reference=_hard,
    inputs=lambda: [(0.625,), (0.375,), (0.1875,), (0.5,), (0.875,)],
    diagnoses=(
        Diagnosis("other reset", "That is the subtracting reset; here what exceeds 1 is lost.", lambda z: z),
        Diagnosis("rounding", "After 1/z rounded down the threshold is not reached yet.", lambda z: 1 / (1 // z)),
        Diagnosis("rounding", "Steps are counted up to the next whole number.", lambda z: 1 / round(1 / z)),
        Diagnosis("inverse", "This is the number of steps for one spike.", lambda z: math.ceil(1 / z)),
        Diagnosis("one more", "The spike comes in the very step that reaches 1.", lambda z: 1 / (math.ceil(1 / z) + 1)),
    ),
)


def _absorbed(scale: Tensor, threshold: float, start: float) -> Tensor:
    """What the package makes of a layer with these scales: thresholds and initial potentials, (2, C)."""
    layer = nn.Linear(2, len(scale), bias=False, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(scale[:, None] * torch.tensor([1.0, -1.0], dtype=torch.float64))
    found = absorb_scales(SpikingNetwork([SpikingLayer(layer, Neuron(threshold=threshold, initial=start))]))
    neuron = found.layer(1).neuron
    if neuron is None:
        raise RuntimeError("a layer that spikes has a neuron")
    return torch.stack([torch.as_tensor(neuron.threshold), torch.as_tensor(neuron.initial)])


ABSORB = Exercise(
    id="binarized.absorb",
    prompt="A layer has weights alpha_o B with B = +-1, the threshold theta and the potential V_0 at the start. Which "
    "thresholds and which potentials at the start give the same spikes with the weights B? Answer: a function of "
    "(alpha, theta, V_0), alpha of shape (C,), that returns a tensor of shape (2, C).",
    nudge="The neuron fires when V_0 plus the sum of alpha B s reaches theta. Divide by something.",
    hint="Divide by alpha, on both sides: what is added up is B s, and the two other terms change alike.",
    right="And the subtraction changes alike, because it takes away the threshold. Nothing else is measured in alphas.",
    reference=_absorbed,
    inputs=lambda: [
        (torch.tensor([0.5, 0.125, 2.0], dtype=torch.float64), 1.0, 0.5),
        (torch.tensor([0.1, 0.25], dtype=torch.float64), 3.0, 0.75),
    ],
    diagnoses=(
        Diagnosis(
            "start",
            "The thresholds are right; what is there at the start is measured in the old unit, too.",
            lambda a, t, v: torch.stack([t / a, torch.full_like(a, v)]),
        ),
        Diagnosis(
            "inverse",
            "A large weight reaches the threshold sooner; without it the threshold must be lower.",
            lambda a, t, v: torch.stack([t * a, v * a]),
        ),
        Diagnosis(
            "threshold",
            "You changed the start only; without alpha the threshold counts in another unit as well.",
            lambda a, t, v: torch.stack([torch.full_like(a, t), v / a]),
        ),
        Diagnosis(
            "one scale",
            "You used one scale for all outputs. Each has its own, so each gets its own threshold.",
            lambda a, t, v: torch.stack([torch.full_like(a, t), torch.full_like(a, v)]) / a.mean(),
        ),
        Diagnosis(
            "other rows",
            "Thresholds first, then the potentials at the start.",
            lambda a, t, v: torch.stack([v / a, t / a]),
        ),
    ),
)


def _fires(answer: list[float]) -> bool:
    return bool(_spikes(torch.as_tensor(answer).tolist()).any())


def _total(answer: list[float]) -> float:
    return float(torch.as_tensor(answer, dtype=torch.float64).sum())


ZERO_MEAN = Exercise(
    id="binarized.zero_mean",
    prompt="Find four currents with mean 0 that make a neuron spike, though it starts at 0, has threshold 1 and "
    "subtracts. Answer: four numbers, in the order in which they arrive.",
    nudge="A spike cannot be taken back. What has to come first?",
    hint="Two positive currents that reach the threshold, then two that take away as much.",
    right="The activation is 0 and the rate is not: a spike that came too early cannot be taken back.",
    reference=lambda: [1.0, 1.0, -1.0, -1.0],
    accept=lambda answer: abs(_total(answer)) < 1e-9 and _fires(answer),
    diagnoses=(
        Diagnosis(
            "mean",
            "It spikes, but the mean is not 0.",
            matches=lambda answer: abs(_total(answer)) >= 1e-9 and _fires(answer),
        ),
        Diagnosis(
            "order",
            "The mean is 0, but what is taken away comes too early: in the opposite order it would spike.",
            matches=lambda answer: not _fires(answer) and _fires(torch.as_tensor(answer).tolist()[::-1]),
        ),
        Diagnosis(
            "too weak",
            "It never reaches 1. Let the first currents be larger.",
            matches=lambda answer: not _fires(answer),
        ),
    ),
)


def _even(steps: int, cost: Cost | None = None) -> float:
    return break_even(cost) / steps


BREAK_EVEN = Exercise(
    id="binarized.break_even",
    prompt="A multiplication with its addition costs 4.6 pJ, an addition 0.9 pJ. Up to which mean rate do T steps of "
    "spikes cost no more than one pass with numbers, the first layer aside? Answer: a function of T.",
    nudge="A weight is used once with numbers. How often is it used with spikes, in T steps at a mean rate r?",
    hint="T r additions against one multiplication with its addition: 0.9 T r = 4.6.",
    right="So five steps at full rate, or fifty at a rate of 0.1. Against numbers that skip their zeros it is fewer.",
    reference=_even,
    inputs=lambda: [(8,), (16,), (64,)],
    diagnoses=(
        Diagnosis("steps", "This is a number of spikes; a rate is spikes per step.", lambda steps: _even(1)),
        Diagnosis(
            "inverse", "Upside down: the more steps, the lower must the rate be.", lambda steps: 1 / _even(steps)
        ),
        Diagnosis(
            "energies", "You exchanged the energies; an addition is cheaper.", lambda n: _even(n, Cost(mac=0.9, ac=4.6))
        ),
        Diagnosis("addition", "You let an addition cost 1 pJ; it costs 0.9.", lambda steps: _even(steps, Cost(ac=1.0))),
        Diagnosis(
            "multiplication",
            "The multiplication alone costs 3.7; its addition counts, too.",
            lambda n: _even(n, Cost(mac=3.7)),
        ),
    ),
)
