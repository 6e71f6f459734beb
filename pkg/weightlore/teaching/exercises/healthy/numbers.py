"""How many numbers theta is, and how far one can walk before it is harmed."""

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from weightlore.corruption import Budget, random_trials
from weightlore.data import digits
from weightlore.networks import healthy, mlp
from weightlore.parameters import flatten, layout
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["COUNT", "HALF"]

Sizes = tuple[int, int, int, int]


def _network(sizes: Sizes) -> nn.Module:
    return mlp(sizes, generator=torch.Generator().manual_seed(0))


def _sizes(generator: torch.Generator) -> Sizes:
    return 64, one_of(generator, (40, 48, 50, 80, 96, 100)), one_of(generator, (16, 20, 24, 30, 50)), 10


def _count(sizes: Sizes) -> Exercise:
    network = _network(sizes)
    count = layout(network).size

    def part(kind: str) -> int:
        return layout(network, kind).size

    return Exercise(
        id="healthy.count",
        prompt=f"How many parameters has the network {'-'.join(map(str, sizes))}? Answer: a whole number.",
        given="The network is fully connected, with two hidden layers, and every unit has a bias.",
        nudge="A layer from D to M units has a weight for each pair. What else has each unit?",
        hint="Add (D + 1) M over the three layers: D weights and one bias for each of M units.",
        right=f"So theta is a point in a space of {count:,} dimensions. Only {part('bias')} of its entries are biases.",
        reference=lambda: count,
        diagnoses=(
            Diagnosis("biases", "The biases are missing, one for each unit.", lambda: part("weight")),
            Diagnosis("weights", "These are the biases alone.", lambda: part("bias")),
            Diagnosis(
                "layers",
                f"The layer from {sizes[2]} units to the 10 digits has parameters, too.",
                lambda: count - part("readout"),
            ),
            Diagnosis(
                "units", "You counted units; between two layers there is a weight for each pair.", lambda: sum(sizes)
            ),
            Diagnosis("tensors", "These are tensors; count their entries.", lambda: len(layout(network).slots)),
        ),
        tolerance=1e-9,
    )


GONE = {0.1: ("a tenth", "nine tenths"), 0.25: ("a quarter", "three quarters"), 0.5: ("half", "half")}
GONE[0.75] = "three quarters", "a quarter"


@dataclass(frozen=True)
class _Walk:
    """Which parameters move, ``None`` for all, and which share of the accuracy is to be lost."""

    group: str | None = None
    lost: float = 0.5


def _walks(generator: torch.Generator) -> _Walk:
    return _Walk(one_of(generator, (None, "layers.0", "layers.1", "readout")), one_of(generator, tuple(GONE)))


@cache
def _distance(d: _Walk) -> float:
    """Return the distance at which random directions leave so much of the accuracy, on average over twenty."""
    low, high = 1.0, 1000.0
    for _ in range(12):
        middle = math.sqrt(low * high)
        generator = torch.Generator().manual_seed(0)
        trials = random_trials(healthy(), digits(), Budget(middle), trials=20, generator=generator, group=d.group)
        enough = float(trials.accuracy.mean()) > trials.base_accuracy * (1 - d.lost)
        low, high = (middle, high) if enough else (low, middle)
    return math.sqrt(low * high)


def _about(answer: object, value: float, factor: float) -> bool:
    number = float(answer)  # type: ignore[arg-type]
    return number > 0 and abs(math.log(number / value)) <= math.log(factor)


def _half(d: _Walk) -> Exercise:
    the = "the " if d.group == "readout" else ""
    where, group = (f" of {the}{d.group}", f', group="{d.group}"') if d.group else ("", "")
    return Exercise(
        id="healthy.half",
        prompt=f"How far along a random direction{where} until {GONE[d.lost][0]} of the accuracy is gone, on average? "
        "Answer: the L2 distance.",
        nudge="Guess first, as a share of the length of theta. Then walk: try distances of 1, 3, 10, 30.",
        hint=f"random_trials(healthy(), digits(), Budget(distance), trials=20, generator=...{group}) gives accuracies "
        "there.",
        right="Chance finds nothing bad for a long time. The next chapter finds a direction that does harm much "
        "sooner.",
        reference=lambda: _distance(d),
        accept=lambda answer: _about(answer, _distance(d), 1.25),
        diagnoses=(*_units(d), *_sides(d, GONE[d.lost][1])),
    )


def _units(d: _Walk) -> tuple[Diagnosis, ...]:
    """The right distance in another unit."""
    return (
        Diagnosis("sign", "A distance is positive.", matches=lambda a: float(a) <= 0),
        Diagnosis(
            "share",
            f"This looks like a share of the length of {d.group or 'theta'}; multiply by that length.",
            matches=lambda a: _about(float(a) * float(flatten(healthy(), d.group).norm()), _distance(d), 1.4),
        ),
        Diagnosis(
            "per parameter",
            "This looks like the typical change of one parameter; the distance is sqrt(P) times as large.",
            matches=lambda a: _about(float(a) * math.sqrt(layout(healthy(), d.group).size), _distance(d), 1.4),
        ),
        Diagnosis(
            "squared",
            "This looks like the square of the distance.",
            matches=lambda a: _about(float(a) ** 0.5, _distance(d), 1.2),
        ),
    )


def _sides(d: _Walk, left: str) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis(
            "too near", f"There, more than {left} of the accuracy is left.", matches=lambda a: float(a) < _distance(d)
        ),
        Diagnosis(
            "too far", f"There, less than {left} of the accuracy is left.", matches=lambda a: float(a) > _distance(d)
        ),
    )


COUNT, HALF = _count((64, 64, 32, 10)), _half(_Walk())

VARIANTS = {COUNT.id: Variants(_count, _sizes), HALF.id: Variants(_half, _walks, on_paper=False)}
