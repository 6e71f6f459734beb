"""What time steps bring: layers that wait for each other, and an activation that needs few steps."""

import functools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.binary import clip_floor_shift
from weightlore.spiking import Neuron, SpikingLayer, SpikingNetwork, simulate
from weightlore.teaching.exercises.binarized.given import NEURON
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import one_of, several
from weightlore.teaching.variants.families import Variants

__all__ = ["PIPELINE", "STEPPED", "VARIANTS"]

Depths = tuple[int, ...]


@functools.cache
def _arrival(layers: int) -> int:
    """The first step in which the output of a chain of neurons is not zero, all updated at once."""

    def copied() -> nn.Linear:
        link = nn.utils.skip_init(nn.Linear, 1, 1, bias=False, dtype=torch.float64)
        nn.init.ones_(link.weight)
        return link

    chain = SpikingNetwork(
        [*(SpikingLayer(copied(), Neuron()) for _ in range(layers - 1)), SpikingLayer(copied(), None)]
    )
    seen = simulate(chain, torch.ones(1, 1, dtype=torch.float64), 2 * layers, order="synchronous").potential
    return int((seen[:, 0, 0] > 0).nonzero()[0]) + 1


def _pipeline(depths: Depths) -> Exercise:
    """For networks of two depths."""
    one, other = depths
    authors = (
        "The authors' program takes 20 such steps for 15 layers of weights: five poolings have steps of their own. "
        if depths == (15, 20)
        else ""
    )
    return Exercise(
        id="binarized.pipeline",
        prompt="All layers are updated at once, each sees what the one before emitted a step ago, and the input is "
        f"seen in its own step. What is the smallest sensible t_min for {one} layers, and for {other}? Answer: two "
        "numbers.",
        given="The step t_min is the first at which an exit may be taken; the last layer is the readout.",
        nudge="Follow the first spike. In which step does it leave the first layer, and the second?",
        hint="Layer l sees something in step l at the earliest; the read-out is the last layer.",
        right=f"{authors}An exit before that is an exit on nothing.",
        reference=lambda: [_arrival(depth) for depth in depths],
        diagnoses=(
            Diagnosis("read-out", "The read-out is a layer, too.", lambda: [depth - 1 for depth in depths]),
            Diagnosis("input", "The input is seen in its own step, by the first layer.",
                      lambda: [depth + 1 for depth in depths]),
            Diagnosis("order", "That is the other order, in which a step passes through all layers.", lambda: [1, 1]),
        ),
    )  # fmt: skip


@dataclass(frozen=True)
class _Stairs:
    """The ceiling of an activation, and at which share of its threshold the neuron starts."""

    ceiling: float = 1.0
    start: float = 0.5

    def rate(self, z: Tensor, levels: int) -> Tensor:
        """Return the ceiling times the rate; the package knows a start at one half, others move z."""
        return clip_floor_shift(z + (self.start - 0.5) * self.ceiling / levels, self.ceiling, levels)

    def counted(self, z: Tensor, levels: int) -> Tensor:
        """Return spikes, without an end below or above."""
        return (z * levels / self.ceiling + self.start).floor()

    @property
    def share(self) -> str:
        return {0.25: "1/4", 0.5: "1/2", 0.75: "3/4"}[self.start]

    @property
    def part(self) -> str:
        return "half" if self.start == 0.5 else self.share

    @property
    def of_a(self) -> str:
        return " a" if self.start == 0.5 else " of a"

    @property
    def spoken(self) -> str:
        return {0.25: "a quarter of", 0.5: "half", 0.75: "three quarters of"}[self.start]


def _stairs(generator: torch.Generator) -> _Stairs:
    return _Stairs(
        one_of(generator, (0.25, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)), one_of(generator, (0.25, 0.5, 0.75))
    )


def _stepped(d: _Stairs) -> Exercise:
    top, half = f"{d.ceiling:g}", d.start == 0.5
    neuron, gives = f"that starts at {d.spoken} its threshold", "its rate"
    if d.ceiling != 1:
        neuron, gives = f"with the threshold {top} that starts at {d.share} of it", f"{top} times its rate"
    inside = "z L" if d.ceiling == 1 else f"z L / {top}"
    currents = torch.linspace(-0.6, 1.6, 23, dtype=torch.float64) + 0.013  # of the ceiling
    divide = "divide by L" if d.ceiling == 1 else f"multiply by {top} / L"
    return Exercise(
        id="binarized.stepped",
        prompt=f"Write the activation with the ceiling {top}: what a neuron {neuron} gives as "
        f"{gives} after L steps of the current z. Answer: a function of (z, levels), a tensor and L.",
        given=NEURON + " Its threshold is the ceiling.",
        nudge=f"It is a staircase with L steps from 0 to {top}. Where does the first step begin?",
        hint=f"floor({inside} + {d.share}) counts the spikes; {divide}, and cut off below 0 and above {top}.",
        right="Train with this function, and nothing changes when time steps take its place."
        if half
        else "A start at one half rounds to the nearest step; this one leans to one side.",
        reference=d.rate,
        inputs=lambda: [(d.ceiling * currents, levels) for levels in (1, 2, 4, 8)],
        diagnoses=(*_missteps(d, inside), *_other_start(d)),
    )


def _missteps(d: _Stairs, inside: str) -> tuple[Diagnosis, ...]:
    top = d.ceiling
    rounds = "half a threshold at the start rounds to the nearest" if d.start == 0.5 else "the start adds to it"
    return (
        Diagnosis("shift", f"Without the shift each rate is rounded down; {rounds}.",
                  lambda z, levels: top * ((z * levels / top).floor() / levels).clamp(0, 1)),
        Diagnosis("clipping", "A neuron cannot spike more than once a step, nor less than not at all: clip to "
                  f"[0, {top:g}].", lambda z, levels: top * d.counted(z, levels) / levels),
        Diagnosis("count", "This counts spikes; a rate is spikes over steps.",
                  lambda z, levels: d.counted(z, levels).clamp(0, levels)),
        Diagnosis("half", f"You added {d.part} of the threshold to {inside} and not {d.part}{d.of_a} step: {d.share}, "
                  f"not {d.share.replace('1', 'L').replace('3', '3 L')}.",
                  lambda z, levels: top * ((z / top + d.start) * levels).floor().clamp(0, levels) / levels),
        Diagnosis("up", "You rounded up; a spike needs the whole threshold.",
                  lambda z, levels: top * ((z * levels / top).ceil() / levels).clamp(0, 1)),
    )  # fmt: skip


def _other_start(d: _Stairs) -> tuple[Diagnosis, ...]:
    half = Diagnosis("start", f"That is a start at one half; this neuron starts at {d.share} of its threshold.",
                     _Stairs(d.ceiling).rate)  # fmt: skip
    one = Diagnosis("ceiling", f"This is the rate; the activation is {d.ceiling:g} times as much.",
                    lambda z, levels: d.rate(z, levels) / d.ceiling)  # fmt: skip
    return (() if d.start == 0.5 else (half,)) + (() if d.ceiling == 1 else (one,))


PIPELINE, STEPPED = _pipeline((15, 20)), _stepped(_Stairs())

VARIANTS = {
    PIPELINE.id: Variants(_pipeline, lambda generator: several(generator, range(5, 25), 2)),
    STEPPED.id: Variants(_stepped, _stairs),
}
