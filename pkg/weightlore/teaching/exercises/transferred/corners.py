"""One neuron of a transfer unit: what it says at the corners of its gates, and what neither of its streams says."""

import math
from dataclasses import dataclass

import torch

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.exercises.transferred.given import UNIT
from weightlore.teaching.variants.chance import integer
from weightlore.teaching.variants.families import Variants
from weightlore.transfer import PTU

__all__ = ["CORNERS", "OUTSIDE"]

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
        given=UNIT,
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
        given=UNIT,
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
            *_short(d),
        ),
    )


def _given(d: _Wish) -> tuple[Diagnosis, ...]:
    if d.given is None:
        return ()
    p, a, _ = d.given
    says = f"p = {p:g} and a = {a:g} are given; U, z and r are yours."
    return (Diagnosis("given", says, matches=lambda n: [float(x) for x in n[:2]] != [p, a]),)


def _short(d: _Wish) -> tuple[Diagnosis, ...]:
    """Too little of the source, or none."""
    h = d.given[2] if d.given else 0.0
    return (
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
    )


CORNERS, OUTSIDE = _corners(_Neuron()), _outside(_Wish())

VARIANTS = {
    CORNERS.id: Variants(_corners, _neurons),
    OUTSIDE.id: Variants(_outside, _wishes, "a neuron that is right once is right for everybody, unless h is given"),
}
