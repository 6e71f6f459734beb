"""Worst corruptions by hand: three numbers, a norm, and what n, p and epsilon do to them."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from weightlore.corruption import Budget, closed_form, first_order_gain
from weightlore.teaching.exercises.checker import Diagnosis, Exercise

__all__ = ["BY_HAND", "BY_HAND_INF", "HOELDER", "N_FREE", "WORST_NORM"]

G = torch.tensor([3.0, -1.0, 2.0], dtype=torch.float64)
H = torch.tensor([3.0, 0.0, 2.0], dtype=torch.float64)  # its two largest entries
INF = math.inf


def _best(p: float, n: int) -> Tensor:
    return closed_form(G, Budget(1.0, p=p, n=n)).vector


BY_HAND = Exercise(
    id="corrupted.by_hand",
    prompt="Compute the worst corruption for g = (3, -1, 2), n = 2, p = 2 and epsilon = 1. Answer: three numbers.",
    nudge="Which two entries of g matter most? Only those may move; the third stays where it is.",
    hint="Keep the two entries of g that are largest in size, then make the vector as long as epsilon.",
    right="And its gain, the length of (3, 0, 2), is 96 % of what all three parameters could do: sparse harm is cheap.",
    reference=lambda: _best(2, 2),
    diagnoses=(
        Diagnosis("support", "All three entries move, but n = 2 allows two.", lambda: _best(2, 3)),
        Diagnosis("norm", "This is h itself; its length is sqrt(13) and not epsilon = 1.", lambda: H),
        Diagnosis(
            "norm", "You divided by the sum of the sizes, the L1 norm; p = 2 asks for the L2 norm.", lambda: H / 5
        ),
        Diagnosis("norm", "You divided by the largest entry, the norm for p = inf.", lambda: H / 3),
        Diagnosis("norm", "You divided by the length of g, with the entry that does not move.", lambda: H / G.norm()),
        Diagnosis("norm", "You divided by the squared length; take the root.", lambda: H / 13),
        Diagnosis(
            "other p", "Equal sizes are the answer for p = inf; p = 2 shares in proportion to g.", lambda: _best(INF, 2)
        ),
        Diagnosis("other p", "All on one entry is the answer for p = 1; p = 2 shares.", lambda: _best(1, 2)),
    ),
)

BY_HAND_INF = Exercise(
    id="corrupted.by_hand_inf",
    prompt="The same with p = inf: g = (3, -1, 2), n = 2, epsilon = 1. Answer: three numbers.",
    nudge="With p = inf every chosen parameter may move by epsilon, whatever the others do. Why move one less far?",
    hint="Each of the two entries moves by the full epsilon, in the direction of its gradient.",
    right="The gain is the sum of sizes, 5, against 3.6 for p = 2: at equal epsilon a larger p allows longer vectors.",
    reference=lambda: _best(INF, 2),
    diagnoses=(
        Diagnosis("support", "All three entries move, but n = 2 allows two.", lambda: _best(INF, 3)),
        Diagnosis(
            "other p", "This is the answer for p = 2; here no entry need share with another.", lambda: _best(2, 2)
        ),
        Diagnosis("other p", "This is the answer for p = 1.", lambda: _best(1, 2)),
        Diagnosis("norm", "These are entries of g; only their signs matter here.", lambda: H),
        Diagnosis("norm", "You scaled h until its largest entry is 1; each entry may be 1.", lambda: H / 3),
        Diagnosis(
            "norm",
            "You gave each entry 1/sqrt(2), so that the L2 length is 1; the largest entry has to be 1.",
            lambda: _best(INF, 2) / math.sqrt(2),
        ),
    ),
)


def _gains(p: float) -> list[float]:
    return [float(first_order_gain(G, Budget(1.0, p=p, n=n))) for n in (1, 2, 3)]


N_FREE = Exercise(
    id="corrupted.n_free",
    prompt="Why does n not matter for p = 1? Give the gain epsilon ||top_n(g)||_q for g = (3, -1, 2), epsilon = 1, "
    "p = 1 and n = 1, 2, 3. Answer: three numbers.",
    nudge="What is the dual exponent q of p = 1, from 1/p + 1/q = 1?",
    hint="q is infinite: the dual norm is the largest entry, whether one, two or three entries are kept.",
    right="A unit of L1 size buys most where the slope is steepest, so all of it goes there, whatever n allows.",
    reference=lambda: _gains(1.0),
    diagnoses=(
        Diagnosis(
            "dual norm",
            "These are L1 norms of g, the gains for p = inf. Norm and dual norm are exchanged.",
            lambda: _gains(INF),
        ),
        Diagnosis("dual norm", "These are the gains for p = 2.", lambda: _gains(2.0)),
        Diagnosis(
            "shared", "You shared epsilon equally among n entries; nothing asks for that.", lambda: [3.0, 2.5, 2.0]
        ),
    ),
)


def _hoelder(gradient: Tensor, p: float) -> Tensor:
    return closed_form(torch.as_tensor(gradient), Budget(1.0, p=p)).vector


def _powers(power: Callable[[float], float], norm: Callable[[float], float]) -> Callable[[Tensor, float], Tensor]:
    def wrong(gradient: Tensor, p: float) -> Tensor:
        a = gradient.sign() * gradient.abs() ** power(p)
        return a / torch.linalg.vector_norm(a, norm(p))

    return wrong


def _unscaled(gradient: Tensor, p: float) -> Tensor:
    return gradient.sign() * gradient.abs() ** (1 / (p - 1))


HOELDER = Exercise(
    id="corrupted.hoelder",
    prompt="When is Hölder's inequality a . g <= ||a||_p ||g||_q an equality? Answer: a function of (g, p) that "
    "returns such an a with ||a||_p = 1, for 1 < p < inf; g is a tensor of shape (P,).",
    nudge="Equality needs |a_i|^p in proportion to |g_i|^q, and matching signs. Solve for a_i.",
    hint="|a_i| goes with |g_i|^(q/p), and q/p = 1/(p-1). Then divide by the Lp norm of a.",
    right="So p near 1 gives everything to the largest entry, p = 2 follows g, and p = inf keeps only its signs.",
    reference=_hoelder,
    inputs=lambda: [
        (torch.tensor(g, dtype=torch.float64), p)
        for g, p in (
            ([3.0, -1.0, 2.0], 2.0),
            ([3.0, -1.0, 2.0], 1.5),
            ([-0.2, 0.7, 0.1, -0.4], 3.0),
            ([1.0, -2.0], 10.0),
        )
    ],
    diagnoses=(
        Diagnosis(
            "exponent",
            "You took |g|^(p-1); solved for a_i the exponent is 1/(p-1).",
            _powers(lambda p: p - 1, lambda p: p),
        ),
        Diagnosis(
            "exponent",
            "You took a in proportion to g, which is right for p = 2 only.",
            _powers(lambda p: 1.0, lambda p: p),
        ),
        Diagnosis(
            "exponent",
            "You took |g|^q; that is |a_i|^p. Take the p-th root.",
            _powers(lambda p: p / (p - 1), lambda p: p),
        ),
        Diagnosis(
            "norm", "The direction is right, but divided by its L2 norm.", _powers(lambda p: 1 / (p - 1), lambda p: 2.0)
        ),
        Diagnosis(
            "norm",
            "The direction is right, but divided by the dual norm.",
            _powers(lambda p: 1 / (p - 1), lambda p: p / (p - 1)),
        ),
        Diagnosis("norm", "The direction is right; ||a||_p is not 1 yet.", _unscaled),
        Diagnosis(
            "sign",
            "All entries are positive; a must point along g, also where g < 0.",
            lambda g, p: _hoelder(g, p).abs(),
        ),
    ),
)


def _gain_at_equal_length(p: float) -> float:
    vector = _best(p, 3)
    return float(vector @ G / vector.norm())


def _worst_norm() -> float:
    return max((1.0, 2.0, INF), key=_gain_at_equal_length)


WORST_NORM = Exercise(
    id="corrupted.worst_norm",
    prompt="The worst corruptions for p = 1, 2 and inf are all scaled to the same L2 length. Which p now hurts most, "
    "to first order? Answer: 1, 2 or float('inf').",
    nudge="At equal L2 length the gain a . g depends on one thing: the angle between a and g.",
    hint="Cauchy and Schwarz: a . g <= ||a||_2 ||g||_2, with equality for a along g. Which p points along g?",
    right="Equal epsilon says otherwise: there p = inf wins, because its vectors are longer. Compare at equal energy.",
    reference=_worst_norm,
    diagnoses=(
        Diagnosis("equal epsilon", "At equal epsilon, yes; but its L2 length is then epsilon sqrt(n).", lambda: INF),
        Diagnosis(
            "one entry", "One entry alone gains |g_1|; the whole of g gains ||g||_2, which is more.", lambda: 1.0
        ),
    ),
)
