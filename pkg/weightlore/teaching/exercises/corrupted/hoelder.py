"""When Hölder's inequality is an equality, and what the norms are worth at equal length."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from weightlore.corruption import Budget, closed_form
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of, several
from weightlore.teaching.variants.families import Variants

__all__ = ["HOELDER", "WORST_NORM"]

INF = math.inf
G = (3.0, -1.0, 2.0)
GRADIENTS = ((G, 2.0), (G, 1.5), ((-0.2, 0.7, 0.1, -0.4), 3.0), ((1.0, -2.0), 10.0))

Answer = Callable[[Tensor, float], Tensor]


def _tensor(numbers: tuple[float, ...]) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def _equal(size: float) -> Answer:
    return lambda g, p: closed_form(torch.as_tensor(g), Budget(size, p=p)).vector


def _powers(size: float, power: Callable[[float], float], norm: Callable[[float], float]) -> Answer:
    def wrong(gradient: Tensor, p: float) -> Tensor:
        a = gradient.sign() * gradient.abs() ** power(p)
        return size * a / torch.linalg.vector_norm(a, norm(p))

    return wrong


def _unscaled(gradient: Tensor, p: float) -> Tensor:
    return gradient.sign() * gradient.abs() ** (1 / (p - 1))


def _dual(p: float) -> float:
    return p / (p - 1)


def _inverse(p: float) -> float:
    return 1 / (p - 1)


def _hoelder(size: float) -> Exercise:
    divide = "divide by the Lp norm of a" if size == 1 else f"make its Lp norm {size:g}"
    return Exercise(
        id="corrupted.hoelder",
        prompt="When is Hölder's inequality a . g <= ||a||_p ||g||_q an equality? Answer: a function of (g, p) that "
        f"returns such an a with ||a||_p = {size:g}, for 1 < p < inf; g is a tensor of shape (P,).",
        given="Here 1/p + 1/q = 1.",
        nudge="Equality needs |a_i|^p in proportion to |g_i|^q, and matching signs. Solve for a_i.",
        hint=f"|a_i| goes with |g_i|^(q/p), and q/p = 1/(p-1). Then {divide}.",
        right="So p near 1 gives everything to the largest entry, p = 2 follows g, and p = inf keeps only its signs.",
        reference=_equal(size),
        inputs=lambda: [(_tensor(g), p) for g, p in GRADIENTS],
        diagnoses=(
            *_exponents(size),
            Diagnosis(
                "norm", "The direction is right, but divided by its L2 norm.", _powers(size, _inverse, lambda p: 2.0)
            ),
            Diagnosis("norm", "The direction is right, but divided by the dual norm.", _powers(size, _inverse, _dual)),
            Diagnosis("norm", f"The direction is right; ||a||_p is not {size:g} yet.", _unscaled),
            Diagnosis(
                "sign",
                "All entries are positive; a must point along g, also where g < 0.",
                lambda g, p: _equal(size)(g, p).abs(),
            ),
        ),
    )


def _exponents(size: float) -> tuple[Diagnosis, ...]:
    told: dict[str, Callable[[float], float]] = {
        "You took |g|^(p-1); solved for a_i the exponent is 1/(p-1).": lambda p: p - 1,
        "You took a in proportion to g, which is right for p = 2 only.": lambda p: 1.0,
        "You took |g|^q; that is |a_i|^p. Take the p-th root.": _dual,
    }
    return tuple(Diagnosis("exponent", says, _powers(size, power, lambda p: p)) for says, power in told.items())


def _at_equal_length(g: tuple[float, ...], length: float = 1.0) -> dict[float, float]:
    """Return the gain for p = 1, 2 and inf when the worst corruption is made that long."""
    worst = {p: closed_form(_tensor(g), Budget(1.0, p=p)).vector for p in (1.0, 2.0, INF)}
    return {p: length * float(a @ _tensor(g) / a.norm()) for p, a in worst.items()}


def _worst() -> float:
    gains = _at_equal_length(G)
    return max(gains, key=lambda p: gains[p])


NUDGE = "At equal L2 length the gain a . g depends on one thing: the angle between a and g."
RIGHT = "Equal epsilon says otherwise: there p = inf wins, because its vectors are longer. Compare at equal energy."

WORST_NORM = Exercise(
    id="corrupted.worst_norm",
    prompt="The worst corruptions for p = 1, 2 and inf are all scaled to the same L2 length. Which p now hurts most, "
    "to first order? Answer: 1, 2 or float('inf').",
    nudge=NUDGE,
    hint="Cauchy and Schwarz: a . g <= ||a||_2 ||g||_2, with equality for a along g. Which p points along g?",
    right=RIGHT,
    reference=_worst,
    diagnoses=(
        Diagnosis("equal epsilon", "At equal epsilon, yes; but its L2 length is then epsilon sqrt(n).", lambda: INF),
        Diagnosis(
            "one entry", "One entry alone gains |g_1|; the whole of g gains ||g||_2, which is more.", lambda: 1.0
        ),
    ),
)


def _lengths(generator: torch.Generator) -> tuple[tuple[float, ...], float]:
    sizes = several(generator, range(1, 10), integer(generator, 3, 4))
    g = tuple(one_of(generator, (-1.0, 1.0)) * size for size in sizes)
    return g, one_of(generator, (1.0, 2.0, 3.0, 5.0))


def _unrooted(g: Tensor) -> tuple[Tensor, ...]:
    """The gains of worst corruptions divided by their squared lengths, 1 for p = 1 and 2, P for p = inf."""
    return g.abs().max(), g.norm(), g.abs().mean()


def _gains(drawn: tuple[tuple[float, ...], float]) -> Exercise:
    g, length = drawn
    written = ", ".join(f"{x:g}" for x in g)
    return Exercise(
        id="corrupted.worst_norm",
        prompt=f"For g = ({written}), the worst corruptions for p = 1, 2 and inf are all scaled to the L2 length "
        f"{length:g}. What does each of them gain, to first order? Answer: three numbers.",
        given="For each p the worst corruption makes a . g largest with ||a||_p <= 1, before it is scaled; g is the "
        "gradient of the loss, and every entry may move.",
        nudge=NUDGE,
        hint="The directions are one unit vector, g itself and the signs of g. Divide each by its L2 length first.",
        right=RIGHT,
        reference=lambda: list(_at_equal_length(g, length).values()),
        diagnoses=(
            Diagnosis(
                "equal epsilon",
                f"These are the gains at epsilon = {length:g}; the L2 lengths then differ.",
                lambda: [length * float(_tensor(g).norm(q)) for q in (INF, 2.0, 1.0)],
            ),
            Diagnosis(
                "no root",
                "You divided by the squared L2 length; take the root.",
                lambda: [length * float(x) for x in _unrooted(_tensor(g))],
            ),
            Diagnosis(
                "order", "p = 1 comes first, and inf last.", lambda: list(_at_equal_length(g, length).values())[::-1]
            ),
        ),
    )


HOELDER = _hoelder(1.0)

VARIANTS = {
    HOELDER.id: Variants(
        _hoelder,
        lambda generator: one_of(generator, (0.1, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1.5, 2.0, 3.0, 4.0, 5.0, 10.0)),
    ),
    WORST_NORM.id: Variants(_gains, _lengths, "with three possible answers everybody would soon be right"),
}
