"""The step that resists corruption, and a size that rescaling does not change."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from weightlore.corruption import Budget, closed_form
from weightlore.teaching.exercises.checker import Diagnosis, Exercise

__all__ = ["IS_SAM", "NORMALIZED"]

Slope = Callable[[Tensor], Tensor]


def _slopes() -> list[tuple[Slope, Tensor, float]]:
    hessian = torch.diag(torch.tensor([4.0, 1.0, 0.5], dtype=torch.float64))
    start = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    return [(lambda theta: hessian @ theta, start, 0.3), (lambda theta: theta**3, start, 0.1)]


def _resistant(slope: Slope, theta: Tensor, epsilon: float, *, p: float = 2.0) -> Tensor:
    return slope(theta + closed_form(slope(theta), Budget(epsilon, p=p)).vector)


IS_SAM = Exercise(
    id="corrupted.is_sam",
    prompt="Write the direction of the resistant step for alpha = 1, p = 2, n = P, which is SAM's. Answer: a function "
    "of (gradient, theta, epsilon), where gradient(theta) is the gradient of the loss, that returns the gradient used.",
    nudge="Two gradients are needed, and the second is not taken at theta.",
    hint="g = gradient(theta), then gradient(theta + epsilon g / ||g||_2). The first serves no other end.",
    right="With p = inf the step inside is epsilon sign(g). At equal epsilon it goes much further.",
    reference=_resistant,
    inputs=_slopes,
    diagnoses=(
        Diagnosis("plain", "This is the gradient at theta: plain training.", lambda f, t, e: f(t)),
        Diagnosis(
            "descent",
            "You stepped down before looking; the corruption goes up, along +g.",
            lambda f, t, e: f(t - e * f(t) / f(t).norm()),
        ),
        Diagnosis("other p", "This is the sign step of p = inf.", lambda f, t, e: _resistant(f, t, e, p=math.inf)),
        Diagnosis(
            "norm", "The corruption is epsilon g; it must be as long as epsilon.", lambda f, t, e: f(t + e * f(t))
        ),
        Diagnosis(
            "alpha",
            "This is the mean of both gradients, alpha = 1/2.",
            lambda f, t, e: (f(t) + _resistant(f, t, e)) / 2,
        ),
        Diagnosis(
            "corruption",
            "This is the corruption itself; the step takes the gradient there.",
            lambda f, t, e: e * f(t) / f(t).norm(),
        ),
    ),
)

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


def _invariant(size: Size) -> bool:
    whole = float(size(A, THETA))
    return (
        all(_same(_scaled(size, c, 1 / c), whole) for c in (4.0, 0.3))
        and not _constant(size)
        and _same(_degree(size), 1.0)
    )


NORMALIZED = Exercise(
    id="corrupted.normalized",
    prompt="Multiply the first ReLU layer by c and the second by 1/c: the function stays, the indicator does not. "
    "Propose a size of a corruption a at theta that stays. Answer: a function of (a, theta), two tensors of six "
    "numbers, the first three of the first layer; it returns one number that doubles when a does.",
    nudge="The same corruption of the rescaled network is (c a_1, a_2 / c). Which size is the same for both?",
    hint="Measure each entry of a in units of its own parameter: a / |theta|, or each layer in units of its norm.",
    right="With that size, the worst corruption no longer depends on how layers are scaled: the idea of ASAM.",
    reference=lambda a, theta: (a / theta.abs()).norm(),
    inputs=lambda: [(A, THETA)],
    accept=_invariant,
    diagnoses=(
        Diagnosis("constant", "This does not depend on a as a size should.", matches=_constant),
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
            matches=lambda s: _same(_scaled(s, 3, 3), 9 * _scaled(s, 1, 1)),
        ),
        Diagnosis(
            "degree",
            "It stays, but is no size: twice the corruption must be twice as large.",
            matches=lambda s: not _same(_degree(s), 1.0),
        ),
    ),
)
