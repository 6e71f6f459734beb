"""The step that resists corruption, and a size that rescaling does not change."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.corruption import Budget, closed_form
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.exercises.corrupted.given import HARDENED
from weightlore.teaching.variants.chance import one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["IS_SAM", "NORMALIZED"]

Slope = Callable[[Tensor], Tensor]


def _slopes() -> list[tuple[Slope, Tensor, float]]:
    hessian = torch.diag(torch.tensor([4.0, 1.0, 0.5], dtype=torch.float64))
    start = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    return [(lambda theta: hessian @ theta, start, 0.3), (lambda theta: theta**3, start, 0.1)]


@dataclass(frozen=True)
class _Step:
    """How much the second gradient counts, and the norm of the step inside."""

    alpha: float = 1.0
    p: float = 2.0

    def gradient(self, slope: Slope, theta: Tensor, epsilon: float) -> Tensor:
        return self.mixed(slope, theta, epsilon, self.alpha)

    def mixed(self, slope: Slope, theta: Tensor, epsilon: float, alpha: float, up: float = 1.0) -> Tensor:
        there = slope(theta + up * closed_form(slope(theta), Budget(epsilon, p=self.p)).vector)
        return (1 - alpha) * slope(theta) + alpha * there

    def inside(self) -> str:
        return {2.0: "epsilon g / ||g||_2", math.inf: "epsilon sign(g)"}[self.p]


def _steps(generator: torch.Generator) -> _Step:
    return _Step(one_of(generator, (0.2, 0.25, 0.4, 0.6, 0.75, 0.8)), one_of(generator, (2.0, math.inf)))


def _is_sam(d: _Step) -> Exercise:
    whole, other = d.alpha == 1, _Step(d.alpha, math.inf if d.p == 2 else 2.0)
    ending = "The first serves no other end." if whole else f"They count {1 - d.alpha:g} and {d.alpha:g}."
    said = f"alpha = {d.alpha:g}, p = {d.p:g}, n = P" + (", which is SAM's" if whole and d.p == 2 else "")
    return Exercise(
        id="corrupted.is_sam",
        prompt=f"Write the direction of the resistant step for {said}. Answer: a function of (gradient, theta, "
        "epsilon), where gradient(theta) is the gradient of the loss, that returns the gradient used.",
        given=HARDENED,
        nudge="Two gradients are needed, and the second is not taken at theta.",
        hint=f"g = gradient(theta), then gradient(theta + {d.inside()}). {ending}",
        right=f"With p = {other.p:g} the step inside is {other.inside()}. At equal epsilon it goes much "
        f"{'further' if other.p > 2 else 'less far'}.",
        reference=d.gradient,
        inputs=_slopes,
        diagnoses=(*_tries(d, other), *_shares(d)),
    )


def _tries(d: _Step, other: _Step) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("plain", "This is the gradient at theta: plain training.", lambda f, t, e: f(t)),
        Diagnosis(
            "descent",
            "You stepped down before looking; the corruption goes up, along +g.",
            lambda f, t, e: d.mixed(f, t, e, d.alpha, up=-1.0),
        ),
        Diagnosis(
            "other p",
            "This is the sign step of p = inf." if d.p == 2 else "This is the step of p = 2, along g.",
            other.gradient,
        ),
        Diagnosis(
            "norm",
            "The corruption is epsilon g; it must be as long as epsilon.",
            lambda f, t, e: (1 - d.alpha) * f(t) + d.alpha * f(t + e * f(t)),
        ),
    )


def _shares(d: _Step) -> tuple[Diagnosis, ...]:
    half = Diagnosis("alpha", "This is the mean of both gradients, alpha = 1/2.", lambda f, t, e: d.mixed(f, t, e, 0.5))
    others = (
        Diagnosis("alpha", "This is alpha = 1, the second gradient alone.", lambda f, t, e: d.mixed(f, t, e, 1.0)),
        Diagnosis(
            "alpha",
            "You exchanged the shares: alpha belongs to the second gradient.",
            lambda f, t, e: d.mixed(f, t, e, 1 - d.alpha),
        ),
    )
    corruption = Diagnosis(
        "corruption",
        "This is the corruption itself; the step takes the gradient there.",
        lambda f, t, e: closed_form(f(t), Budget(e, p=d.p)).vector,
    )
    return (half, *(() if d.alpha == 1 else others), corruption)


Size = Callable[[Tensor, Tensor], Tensor]
THETA = torch.tensor([0.5, -2.0, 1.5, 3.0, -0.25, 0.8], dtype=torch.float64)  # two layers of three
A = torch.tensor([0.1, 0.2, -0.3, 0.05, 0.0, -0.1], dtype=torch.float64)


def _scaled(size: Size, first: float, second: float) -> float:
    """Return the size of the same corruption after each layer was multiplied by a number."""
    by = torch.tensor([first] * 3 + [second] * 3, dtype=torch.float64)
    return float(size(A * by, THETA * by))


def _same(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=1e-6)


def _constant(size: Size) -> bool:
    return all(_same(float(size(A, THETA)), float(size(a, THETA))) for a in (2 * A, A.roll(2) + 1))


def _degree(size: Size) -> float:
    return math.log2(float(size(2 * A, THETA)) / float(size(A, THETA)))


def _invariant(size: Size, grows: float) -> bool:
    whole = float(size(A, THETA))
    return (
        all(_same(_scaled(size, c, 1 / c), whole) for c in (4.0, 0.3))
        and not _constant(size)
        and _same(_degree(size), math.log2(grows))
    )


def _normalized(grows: float) -> Exercise:
    """The size that grows so many times when a is doubled."""
    doubles = "doubles when a does" if grows == 2 else f"becomes {grows:g} times as large when a is doubled"
    twice = "twice" if grows == 2 else f"{grows:g} times"
    power = "" if grows == 2 else f" Then a power of it: 2^k = {grows:g}."
    return Exercise(
        id="corrupted.normalized",
        prompt="Multiply the first ReLU layer by c and the second by 1/c: the function stays, the indicator does not. "
        "Propose a size of a corruption a at theta that stays. Answer: a function of (a, theta), two tensors of six "
        f"numbers, the first three of the first layer; it returns one number that {doubles}.",
        given="The indicator is the loss that the worst corruption of a given size adds.",
        nudge="The same corruption of the rescaled network is (c a_1, a_2 / c). Which size is the same for both?",
        hint="Measure each entry of a in units of its own parameter: a / |theta|, or each layer in units of its norm."
        + power,
        right="With that size, the worst corruption no longer depends on how layers are scaled: the idea of ASAM.",
        reference=lambda a, theta: (a / theta.abs()).norm() ** math.log2(grows),
        inputs=lambda: [(A, THETA)],
        accept=lambda size: _invariant(size, grows),
        diagnoses=(
            Diagnosis("constant", "This does not depend on a as a size should.", matches=_constant),
            *_scalings(),
            Diagnosis(
                "degree",
                f"It stays, but is no size: twice the corruption must be {twice} as large."
                if grows == 2
                else f"It stays, but twice the corruption must be {twice} as large.",
                matches=lambda s: not _same(_degree(s), math.log2(grows)),
            ),
        ),
    )


def _scalings() -> tuple[Diagnosis, ...]:
    return (
        Diagnosis(
            "not normalized",
            "This does not look at theta, so rescaling changes it.",
            matches=lambda s: (
                _same(float(s(A, THETA)), float(s(A, THETA + 1))) and not _same(_scaled(s, 4, 0.25), _scaled(s, 1, 1))
            ),
        ),
        Diagnosis(
            "whole norm",
            "This divides by one norm of the whole theta: it forgives one c for all layers, not c here and 1/c there.",
            matches=lambda s: (
                _same(_scaled(s, 3, 3), _scaled(s, 1, 1)) and not _same(_scaled(s, 4, 0.25), _scaled(s, 1, 1))
            ),
        ),
        Diagnosis(
            "inverse",
            "You multiplied by theta; a large parameter then makes its corruption larger instead of smaller.",
            matches=lambda s: _same(_scaled(s, 3, 3), 9 ** _degree(s) * _scaled(s, 1, 1)),
        ),
    )


IS_SAM, NORMALIZED = _is_sam(_Step()), _normalized(2)

VARIANTS = {
    IS_SAM.id: Variants(_is_sam, _steps),
    NORMALIZED.id: Variants(
        _normalized, lambda generator: one_of(generator, (3, 4, 5, 6, 7, 8, 9, 10, 12, 16, 20, 25, 32))
    ),
}
