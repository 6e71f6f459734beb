"""One transfer unit: its corners, its price, and what is awake at the start."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import torch

from weightlore.networks import mlp
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of, several
from weightlore.teaching.variants.families import Variants
from weightlore.transfer import PTU, GateKind, PTUNet, gate_names, parameter_count

__all__ = ["AWAKE", "CORNERS", "GATE_COST", "OUTSIDE", "VARIANTS"]

PLACES = ((0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0))


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _blended(p: float, a: float, u: float, z: float, r: float) -> float:
    """What a unit of one neuron passes on."""
    unit = PTU(1, torch.relu, gate="scalar", generator=_generator(), dtype=torch.float64)
    unit.force(z, r)
    with torch.no_grad():
        dict(unit.named_parameters())["inject"].fill_(u)
        return float(unit(torch.tensor([[p]], dtype=torch.float64), torch.tensor([[a]], dtype=torch.float64)))


@dataclass(frozen=True)
class _Neuron:
    """One neuron: what comes from the source, its own activation, and the weight between them."""

    p: float = 2.0
    a: float = -1.0
    u: float = 3.0

    def corners(self) -> list[float]:
        return [_blended(self.p, self.a, self.u, z, r) for z, r in PLACES]


def _neurons(generator: torch.Generator) -> _Neuron:
    return _Neuron(*(float(integer(generator, low, high)) for low, high in ((2, 9), (-5, -1), (2, 5))))


def _corners(d: _Neuron) -> Exercise:
    own, with_p = max(0.0, d.a), max(0.0, d.a + d.p)
    return Exercise(
        id="transferred.corners",
        prompt=f"One neuron with phi = ReLU, p = {d.p:g}, a = {d.a:g}, U = {d.u:g}. What is h at (z, r) = (0, 0), "
        "(0, 1), (1, 0), (1, 1)? Answer: four numbers.",
        nudge="Put the gates into (2), then into (3). Which corners can you write down without any arithmetic?",
        hint="At z = 0 the output is p. At z = 1 it is the candidate max(0, a + U r p).",
        right="Two corners are one habit: where nothing of the candidate is passed on, r has nothing to do.",
        reference=d.corners,
        diagnoses=(
            Diagnosis(
                "gate",
                "You exchanged the ends of z: z = 0 is the source, z = 1 the target.",
                lambda: [d.corners()[i] for i in (2, 3, 0, 1)],
            ),
            Diagnosis(
                "ReLU",
                "You left out the ReLU: no candidate is negative.",
                lambda: [d.p, d.p, d.a, d.a + d.u * d.p],
            ),
            Diagnosis("matrix", "You added p without the matrix U.", lambda: [d.p, d.p, own, with_p]),
            Diagnosis(
                "where",
                "You added U p after the ReLU; in (2) it comes in before. That makes r = 0 exact for every phi.",
                lambda: [d.p, d.p, own, own + d.u * d.p],
            ),
            Diagnosis(
                "order",
                "This is (z, r) = (0, 0), (1, 0), (0, 1), (1, 1); z comes first.",
                lambda: [d.corners()[i] for i in (0, 2, 1, 3)],
            ),
        ),
    )


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


@dataclass(frozen=True)
class _Wish:
    """What a unit is to say, and from which two streams; ``None`` for anything that neither of them says."""

    given: tuple[float, float, float] | None = None  # p, a and h

    def right(self, answer: list[float]) -> bool:
        p, a, u, z, r = (float(number) for number in answer)
        if p < 0 or not 0 <= z <= 1 or not 0 <= r <= 1:
            return False
        ends, h = sorted((p, max(a, 0.0))), _blended(p, a, u, z, r)
        if self.given is not None:
            return (p, a) == self.given[:2] and math.isclose(h, self.given[2], rel_tol=1e-3)
        return not ends[0] - 1e-9 <= h <= ends[1] + 1e-9

    def one(self) -> list[float]:
        p, a, h = self.given or (2.0, -1.0, 5.0)
        return [p, a, (h - a) / p, 1.0, 1.0]


def _wishes(generator: torch.Generator) -> _Wish:
    p, a = integer(generator, 1, 6), integer(generator, -4, 3)
    return _Wish((float(p), float(a), float(max(p, a) + integer(generator, 2, 9))))


def _outside(d: _Wish) -> Exercise:
    p, a, h = d.given or (0, 0, 0)
    asked = (
        f"p = {p:g}, a = {a:g} and gates in [0, 1], so that h = {h:g}, which lies beyond p and"
        if d.given
        else "p >= 0 and gates in [0, 1], so that h is not between p and"
    )
    choose = f"Choose U and r so that c is {h:g}" if d.given else "Choose U and r so that c is far above both p and t"
    return Exercise(
        id="transferred.outside",
        prompt=f"Find one neuron with ReLU, {asked} the target's own t = phi(a). Answer: five numbers, "
        "[p, a, U, z, r].",
        nudge="h is a mean of p and c. When is c the same as t?",
        hint=f"{choose}, and let z pass it on.",
        right="So a unit can say what neither stream said: it does more than choose.",
        reference=d.one,
        accept=d.right,
        diagnoses=(
            Diagnosis(
                "gates", "Gates are between 0 and 1.", matches=lambda n: not all(0 <= float(g) <= 1 for g in n[3:])
            ),
            Diagnosis("source", "p comes out of a ReLU: it is not negative.", matches=lambda n: float(n[0]) < 0),
            *_given(d),
            Diagnosis("shut", "With z = 0 nothing but p is passed on.", matches=lambda n: float(n[3]) == 0),
            Diagnosis(
                "nothing let in",
                "With U r p = 0 the candidate is t itself, and h a mean of p and t.",
                matches=lambda n: float(n[0]) * float(n[2]) * float(n[4]) == 0,
            ),
            Diagnosis(
                "inside" if d.given is None else "h",
                "The source comes in, but h stays between p and t; go further, or let more of it pass."
                if d.given is None
                else f"The source comes in, but h is not {h:g}.",
                matches=lambda n: not d.right(n),
            ),
        ),
    )


def _given(d: _Wish) -> tuple[Diagnosis, ...]:
    if d.given is None:
        return ()
    p, a, _ = d.given
    says = f"p = {p:g} and a = {a:g} are given; U, z and r are yours."
    return (Diagnosis("given", says, matches=lambda n: [float(x) for x in n[:2]] != [p, a]),)


CORNERS, GATE_COST, AWAKE, OUTSIDE = _corners(_Neuron()), _gate_cost(8), _awake(_Start()), _outside(_Wish())

VARIANTS = {
    CORNERS.id: Variants(_corners, _neurons),
    GATE_COST.id: Variants(_gate_cost, lambda generator: one_of(generator, (3, 4, 5, 6, 10, 12, 16, 20, 24, 32))),
    AWAKE.id: Variants(_awake, _starts),
    OUTSIDE.id: Variants(_outside, _wishes, "a neuron that is right once is right for everybody, unless h is given"),
}
