"""One transfer unit: its price, and what is awake at the start."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import torch

from weightlore.networks import mlp
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.exercises.transferred.given import UNIT
from weightlore.teaching.variants.chance import one_of, several
from weightlore.teaching.variants.families import Variants
from weightlore.transfer import GateKind, PTUNet, gate_names, parameter_count

__all__ = ["AWAKE", "GATE_COST"]


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _costs(channels: int, *, injected: int | None = None, gates: float = 1.0, biases: int = 0) -> list[float]:
    """The three counts with some part of them changed."""
    kinds: tuple[GateKind, ...] = ("channel", "channel-diag", "dense")
    plain = [parameter_count(channels, gate=kind) - channels**2 for kind in kinds]
    matrix = channels**2 if injected is None else injected
    return [matrix + gates * (count - lost) for count, lost in zip(plain, (0, biases, biases), strict=True)]


def _gate_cost(channels: int) -> Exercise:
    return Exercise(
        id="transferred.gate_cost",
        prompt=f"How many numbers does a unit of {channels} channels learn, with a full matrix U, if its gates are "
        "channel, channel-diag, dense? Answer: three numbers.",
        given="A unit has an update gate and a reuse gate for each channel. The logit of a gate is a number of its own "
        "(channel), or linear in p and t of its channel, with a bias (channel-diag), or linear in p and t of all "
        "channels, with a bias (dense).",
        nudge="There are two gates. How many numbers does one channel of one gate need in each of the three cases?",
        hint=f"One channel of one gate needs 1, or 1 + 1 + 1, or {2 * channels} + 1 numbers. And U has {channels} x "
        f"{channels}.",
        right="At 64 channels they are 4,224, 4,480 and 20,608; twenty pictures have 20 labels.",
        reference=lambda: _costs(channels),
        diagnoses=(
            Diagnosis("matrix", "You left out the matrix U.", lambda: _costs(channels, injected=0)),
            Diagnosis("one gate", "This is with one gate; there are two.", lambda: _costs(channels, gates=0.5)),
            Diagnosis(
                "bias",
                "Gates that look at something have a bias, too.",
                lambda: _costs(channels, biases=2 * channels),
            ),
            Diagnosis(
                "half",
                "Dense gates look at all channels of p and at all of t.",
                lambda: [*_costs(channels)[:2], channels**2 + 2 * (channels**2 + channels)],
            ),
            Diagnosis(
                "diagonal",
                f"Here U is a full matrix, with {channels} x {channels} numbers.",
                lambda: _costs(channels, injected=channels),
            ),
        ),
    )


PARTS = ("update gates", "reuse gates", "U", "the target's layers", "the readout")
Mark = TypeVar("Mark")


@dataclass(frozen=True)
class _Start:
    """How the training of a unit begins, and in which order its parts are asked for."""

    copied: bool = True
    silent: bool = True
    order: tuple[int, ...] = (0, 1, 2, 3, 4)

    def says(self) -> str:
        target = "is a copy of the source" if self.copied else "starts afresh"
        return f"The target {target}, {'U = 0' if self.silent else 'U is not zero'}, all gates free."

    def ordered(self, marks: Sequence[Mark]) -> list[Mark]:
        return [marks[i] for i in self.order]

    def awake(self) -> list[int]:
        return self.ordered(_moved(self.copied, self.silent))


def _starts(generator: torch.Generator) -> _Start:
    copied, silent = one_of(generator, ((True, True), (False, True), (True, False)))
    return _Start(copied, silent, several(generator, range(5), 5))


@cache
def _moved(copied: bool, silent: bool) -> list[int]:
    """Which parts of a network have a gradient at the first step, in the order of ``PARTS``."""
    source = mlp((6, 5, 4, 3), generator=_generator())
    fresh = mlp((6, 5, 4, 3), generator=torch.Generator().manual_seed(1))
    x = torch.randn(8, 6, generator=_generator(), dtype=torch.float64)
    net = PTUNet(source, copy.deepcopy(source) if copied else fresh, x, generator=_generator())
    with torch.no_grad():
        for name, p in net.named_parameters():
            if "inject" in name and not silent:
                p.fill_(0.1)
    with torch.enable_grad():
        torch.nn.functional.cross_entropy(net(x), torch.arange(8) % 3).backward()
    moved = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    gates = [moved[name].chunk(2) for name in gate_names(net)]  # rows of the update gate first
    update, reuse = [z for z, _ in gates], [r for _, r in gates]
    others = [[g for name, g in moved.items() if word in name] for word in ("inject", "target.layers", "readout")]
    return [int(any(bool(g.any()) for g in part)) for part in (update, reuse, *others)]


def _awake(d: _Start) -> Exercise:
    parts = d.ordered(PARTS)  # words, as the marks are
    return Exercise(
        id="transferred.awake",
        prompt=f"{d.says()} Which of these get a gradient that is not zero at the first step: {', '.join(parts)}? "
        "Answer: five numbers, 1 for yes and 0 for no.",
        given=UNIT + " Gates are logistic functions of p and phi(a), weighed, and a bias; a readout follows.",
        nudge="Start with update gates and (4). Then ask of each other part: if it moved a little, would h move?",
        hint="If r moved, U (r p) would still be 0. If U moved, it would not."
        if d.silent
        else "If r moved, U (r p) would, and so would c. And where c is not p, (4) is not zero.",
        right=_moral(d),
        reference=d.awake,
        diagnoses=_sleepers(d),
    )


def _moral(d: _Start) -> str:
    if not d.silent:
        return "So a little of U wakes all gates at once; the price is that the start is no exact copy any more."
    if not d.copied:
        return "So a fresh target wakes its update gates at once; the reuse gates wait one step for U."
    return "So the copy is a safe start: it costs the gates one step, not the training."


def _sleepers(d: _Start) -> tuple[Diagnosis, ...]:
    """One part marked wrongly, both gates, all but the readout, and everything the other way round."""
    right = _moved(d.copied, d.silent)
    update, reuse = right[:2]
    told = (
        (
            "reuse",
            (1,),
            "U is not zero: what r lets through reaches the candidate."
            if reuse
            else "The reuse gate acts through U alone, and U is zero.",
        ),
        (
            "U",
            (2,),
            "U is zero, but its gradient is not: if it moved, c would." if d.silent else "If U moved, c would.",
        ),
        (
            "update",
            (0,),
            "Candidate and source differ: by (4) update gates get something."
            if update
            else "Candidate and source are equal: by (4) update gates get nothing.",
        ),
        *([] if update or reuse else [("both", (0, 1), "Neither gate gets anything: c = p, and U = 0.")]),
        ("layers", (3,), "The target's layers get z times what they would get alone."),
        ("inverse", range(5), "You marked those that sleep."),
    )
    found = [Diagnosis(name, says, lambda flip=flip: _flipped(d, flip)) for name, flip, says in told]
    readout = Diagnosis("readout", "More than the readout is awake.", lambda: d.ordered([0, 0, 0, 0, 1]))
    return (*found[:-1], readout, found[-1])


def _flipped(d: _Start, flip: Sequence[int]) -> list[int]:
    return d.ordered([mark ^ (i in flip) for i, mark in enumerate(_moved(d.copied, d.silent))])


GATE_COST, AWAKE = _gate_cost(8), _awake(_Start())

VARIANTS = {
    GATE_COST.id: Variants(
        _gate_cost, lambda generator: one_of(generator, (3, 4, 5, 6, 7, 9, 10, 12, 14, 16, 20, 24, 32))
    ),
    AWAKE.id: Variants(_awake, _starts),
}
