"""When a network may decide: exits, levels, pipelines, and an activation that needs few steps."""

import functools
import math

import torch
from torch import Tensor, nn

from weightlore.binary import clip_floor_shift
from weightlore.spiking import Neuron, SpikingLayer, SpikingNetwork, choose_level, early_exit, simulate
from weightlore.teaching.exercises.checker import Diagnosis, Exercise

__all__ = ["CHOSEN_LEVEL", "EXIT_STEP", "PIPELINE", "STEPPED"]

LOSSES = (0.0, 0.02, 0.06)  # of 60 examples: none, one, three, and never a whole number, which rounding would decide


def _exit(potential: Tensor, level: float) -> int:
    return int(early_exit(potential[:, None], "potential", level).steps)


def _passing(potential: Tensor, level: float) -> list[int]:
    """Numbers of the steps at which the level is passed, from 0."""
    return (potential.amax(1) >= level).nonzero().flatten().tolist()


def _courses() -> list[tuple[Tensor, float]]:
    """Potentials of three classes over six steps, and levels: passed, met exactly, left again, never passed."""
    course = torch.tensor([[0, 0, 0], [1, 0, 2], [1, 3, 4], [5, 2, 3], [2, 4, 3], [6, 4, 3]], dtype=torch.float64)
    return [(course, 3.5), (course, 5.0), (course, 1.0), (course, 9.0)]


EXIT_STEP = Exercise(
    id="binarized.exit_step",
    prompt="At which step is an example decided by the rule *potential*? Answer: a function of (potential, level), a "
    "tensor of shape (T, C) and a number, that returns a number of steps, T where the level is never reached.",
    nudge="Look at the largest class potential after each step. Steps are counted from 1.",
    hint="The first step with a maximum over classes of at least the level; if there is none, all T steps were used.",
    right="And once it has passed, a potential may fall below the level again: the first time counts.",
    reference=_exit,
    inputs=_courses,
    diagnoses=(
        Diagnosis(
            "counting",
            "You count from 0; after the first step one step has been used.",
            lambda u, level: (_passing(u, level) or [len(u)])[0],
        ),
        Diagnosis(
            "reaching", "To reach the level is enough: greater or equal.", lambda u, level: _exit(u, level + 1e-9)
        ),
        Diagnosis(
            "first time",
            "You took the last step that passes; nobody waits for it.",
            lambda u, level: (_passing(u, level) or [len(u) - 1])[-1] + 1,
        ),
        Diagnosis(
            "margin",
            "That is the rule *margin*; here only the largest potential counts.",
            lambda u, level: int(early_exit(u[:, None], "margin", level).steps),
        ),
        Diagnosis(
            "never",
            "Where the level is never reached, all T steps have been used.",
            lambda u, level: (_passing(u, level) or [-1])[0] + 1,
        ),
    ),
)


@functools.cache
def _arrival(layers: int) -> int:
    """The first step in which the output of a chain of neurons is not zero, all updated at once."""

    def copied() -> nn.Linear:
        link = nn.Linear(1, 1, bias=False, dtype=torch.float64)
        nn.init.ones_(link.weight)
        return link

    chain = SpikingNetwork(
        [*(SpikingLayer(copied(), Neuron()) for _ in range(layers - 1)), SpikingLayer(copied(), None)]
    )
    seen = simulate(chain, torch.ones(1, 1, dtype=torch.float64), 2 * layers, order="synchronous").potential
    return int((seen[:, 0, 0] > 0).nonzero()[0]) + 1


PIPELINE = Exercise(
    id="binarized.pipeline",
    prompt="All layers are updated at once, each sees what the one before emitted a step ago, and the input is seen in "
    "its own step. What is the smallest sensible t_min for 15 layers, and for 20? Answer: two numbers.",
    nudge="Follow the first spike. In which step does it leave the first layer, and the second?",
    hint="Layer l sees something in step l at the earliest; the read-out is the last layer.",
    right="The authors' program takes 20 such steps for 15 layers of weights: five poolings have steps of their own. "
    "An exit before that is an exit on nothing.",
    reference=lambda: [_arrival(15), _arrival(20)],
    diagnoses=(
        Diagnosis("read-out", "The read-out is a layer, too.", lambda: [14, 19]),
        Diagnosis("input", "The input is seen in its own step, by the first layer.", lambda: [16, 21]),
        Diagnosis("order", "That is the other order, in which a step passes through all layers.", lambda: [1, 1]),
    ),
)


@functools.cache
def _races() -> tuple[tuple[Tensor, Tensor], ...]:
    """Made-up potentials on held-out data, shape (T, N, C), and targets: the truth grows fastest, amid noise."""
    made = []
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        targets = torch.randint(4, (60,), generator=generator)
        drift = 0.5 * nn.functional.one_hot(targets, 4) + torch.randn(
            20, 60, 4, generator=generator, dtype=torch.float64
        )
        made.append((drift.cumsum(0), targets))
    return tuple(made)


def _kept(potential: Tensor, targets: Tensor, level: float) -> tuple[float, float]:
    """Accuracy lost against all steps, and mean steps."""
    found = early_exit(potential, "potential", level)
    full = (potential[-1].argmax(1) == targets).double().mean()
    return float(full - (found.prediction == targets).double().mean()), float(found.steps.double().mean())


def _chooses_well(answer: object) -> bool:
    """Whether a function keeps the promise, and does not wait much longer than needed."""
    if not callable(answer):
        return False
    for potential, targets in _races():
        for loss in LOSSES:
            level = float(answer(potential.clone(), targets.clone(), loss))
            lost, steps = _kept(potential, targets, level)
            if lost > loss + 1e-9 or steps > 1.02 * choose_level(potential, targets, loss=loss).mean_steps:
                return False
    return True


def _promise(answer: object) -> float:
    """By how much a function breaks the promise, at worst."""
    if not callable(answer):
        return math.nan
    return max(_kept(u, y, float(answer(u.clone(), y.clone(), loss)))[0] - loss for u, y in _races() for loss in LOSSES)


CHOSEN_LEVEL = Exercise(
    id="binarized.chosen_level",
    prompt="Choose the level of an early exit on held-out data, so that at most a share `loss` of the examples is lost "
    "against all T steps, and stop as early as you can. Answer: a function of (potential, targets, loss), with shapes "
    "(T, N, C) and (N,), that returns a level for the rule *potential*.",
    nudge="Which levels make a difference at all? Try them, from high to low.",
    hint="Candidates are the values of the largest potential. `early_exit(potential, 'potential', level)` says what a "
    "level does; keep the lowest one whose accuracy is good enough.",
    right="On these data the promise is kept by construction; on others it is a hope, which test data judge.",
    reference=lambda potential, targets, loss: choose_level(potential, targets, loss=loss).exit.level,
    inputs=lambda: [(*race, loss) for race in _races() for loss in LOSSES],
    accept=_chooses_well,
    diagnoses=(
        Diagnosis(
            "promise",
            "More is lost than allowed. Compare with the accuracy after all T steps.",
            matches=lambda a: _promise(a) > 1e-9,
        ),
        Diagnosis(
            "patience",
            "The promise is kept, but a lower level keeps it, too, and stops earlier.",
            matches=lambda a: _promise(a) <= 1e-9,
        ),
    ),
)


def _stepped(z: Tensor, levels: int) -> Tensor:
    return clip_floor_shift(z, 1.0, levels)


STEPPED = Exercise(
    id="binarized.stepped",
    prompt="Write the activation of equation (4) with the ceiling 1: what a neuron that starts at half its threshold "
    "gives as its rate after L steps of the current z. Answer: a function of (z, levels), a tensor and L.",
    nudge="It is a staircase with L steps from 0 to 1. Where does the first step begin?",
    hint="floor(z L + 1/2) counts the spikes; divide by L, and cut off below 0 and above 1.",
    right="Train with this function, and nothing changes when time steps take its place.",
    reference=_stepped,
    inputs=lambda: [(torch.linspace(-0.6, 1.6, 23, dtype=torch.float64) + 0.013, levels) for levels in (1, 2, 4, 8)],
    diagnoses=(
        Diagnosis(
            "shift",
            "Without the shift each rate is rounded down; half a threshold at the start rounds to the nearest.",
            lambda z, levels: ((z * levels).floor() / levels).clamp(0, 1),
        ),
        Diagnosis(
            "clipping",
            "A neuron cannot spike more than once a step, nor less than not at all: clip to [0, 1].",
            lambda z, levels: (z * levels + 0.5).floor() / levels,
        ),
        Diagnosis(
            "count",
            "This counts spikes; a rate is spikes over steps.",
            lambda z, levels: (z * levels + 0.5).floor().clamp(0, levels),
        ),
        Diagnosis(
            "half",
            "You added half of the threshold to z L and not half a step: 1/2, not L/2.",
            lambda z, levels: ((z + 0.5) * levels).floor().clamp(0, levels) / levels,
        ),
        Diagnosis(
            "up",
            "You rounded up; a spike needs the whole threshold.",
            lambda z, levels: ((z * levels).ceil() / levels).clamp(0, 1),
        ),
    ),
)
