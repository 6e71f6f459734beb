"""Promises: how many examples they need, thresholds, adaptive scores, and quantiles that are moved."""

import math
from functools import partial

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.uncertainty.conformal import aps_scores, conformal_quantile, smallest_set

__all__ = ["ADDED_UP", "HOW_MANY", "MOVE_ENDS", "THRESHOLD"]

HOW_MANY = Exercise(
    id="uncertain.how_many",
    prompt="How many held-out examples does a promise of 99 % need at least? Answer: a whole number.",
    nudge="The rank of the threshold must not be larger than the number of scores.",
    hint="ceil((n + 1) 0.99) <= n. Which is the smallest n?",
    right="With 98 of them every set would be full.",
    reference=lambda: smallest_set(0.99),
    diagnoses=(
        Diagnosis("new one", "The new example is one of the n + 1; you need one fewer.", lambda: 100),
        Diagnosis("too few", "With 98, the rank ceil(99 x 0.99) = 99 is larger than n.", lambda: 98),
        Diagnosis("percent", "This is for a promise of 90 %.", lambda: 9),
    ),
)


def _scores() -> list[tuple[Tensor, float]]:
    drawn = torch.Generator().manual_seed(0)
    sizes = ((19, 0.1), (50, 0.1), (8, 0.1), (30, 0.25), (13, 0.3), (9, 0.1))
    return [(torch.rand(n, generator=drawn, dtype=torch.float64), a) for n, a in sizes]


def _quantile(scores: Tensor, a: float) -> float:
    if smallest_set(1 - a) > len(scores):
        return math.inf  # known beforehand, so that nobody is warned
    return float(conformal_quantile(scores, level=1 - a))


def _ranked(scores: Tensor, rank: int) -> float:
    return float(scores.sort().values[rank - 1]) if 1 <= rank <= len(scores) else math.inf


def _exact(number: float) -> float:
    return round(number, 9)


THRESHOLD = Exercise(
    id="uncertain.threshold",
    prompt="Write the threshold of equation (1). Answer: a function of (scores, a), scores (n,), that returns q, and "
    'float("inf") where n is too small for the promise.',
    nudge="Among how many examples is the new one, itself included?",
    hint="Sort; take place r = ceil((n + 1)(1 - a)), counted from 1; if r > n there is no such score.",
    right="With 8 scores and a = 0.1 it is infinite, with 9 it is the largest.",
    reference=_quantile,
    inputs=_scores,
    diagnoses=(
        Diagnosis("n", "The new example counts, too: (n + 1)(1 - a), not n (1 - a).",
                  lambda scores, a: _ranked(scores, math.ceil(_exact(len(scores) * (1 - a))))),
        Diagnosis("clamped", "Where r > n you took the largest score; that does not keep the promise.",
                  lambda scores, a: _ranked(scores, min(len(scores), math.ceil(_exact((len(scores) + 1) * (1 - a)))))),
        Diagnosis("from zero", "Places are counted from 1, Python counts from 0: you are one place too high.",
                  lambda scores, a: _ranked(scores, math.ceil(_exact((len(scores) + 1) * (1 - a))) + 1)),
        Diagnosis("rounded down", "Rounding down promises a little less; take ceil.",
                  lambda scores, a: _ranked(scores, math.floor(_exact((len(scores) + 1) * (1 - a))))),
        Diagnosis("interpolated", "torch.quantile interpolates between scores; a rank does not.",
                  lambda scores, a: float(scores.quantile(1 - a))),
        Diagnosis("side", "This is the threshold of the share a; the promise is 1 - a.",
                  lambda scores, a: _ranked(scores, math.ceil(_exact((len(scores) + 1) * a)))),
    ),
)  # fmt: skip


def _pictures() -> list[tuple[Tensor]]:
    drawn = torch.Generator().manual_seed(1)
    return [(torch.randn(10, generator=drawn, dtype=torch.float64).mul(2).softmax(0),) for _ in range(3)]


def _above(p: Tensor, *, itself: bool, sure: bool = True) -> Tensor:
    """The probability of all classes more probable than each, or less."""
    order = p.sort(descending=sure)
    summed = order.values.cumsum(0)
    return torch.zeros_like(p).scatter(0, order.indices, summed if itself else summed - order.values)


ADDED_UP = Exercise(
    id="uncertain.added_up",
    prompt="Write adaptive scores. Answer: a function of p, probabilities of one picture (C,), that returns the score "
    "of each class, shape (C,).",
    nudge="Which classes come into the set before this one, and which last?",
    hint="Add up the probabilities of all classes at least as probable as this one, itself included.",
    right="The least probable class always has the score 1.",
    reference=lambda p: aps_scores(p[None])[0],
    inputs=_pictures,
    diagnoses=(
        Diagnosis("without", "The class itself counts, too.", partial(_above, itself=False)),
        Diagnosis("order", "You added from the least probable class; sets begin with the most probable.",
                  partial(_above, itself=True, sure=False)),
        Diagnosis("places", "These are the sums in sorted order; bring them back to their classes.",
                  lambda p: p.sort(descending=True).values.cumsum(0)),
        Diagnosis("unsorted", "You added in the order of the class numbers; sort by probability first.",
                  lambda p: p.cumsum(0)),
        Diagnosis("ambiguous", "These are the scores of the least ambiguous sets, 1 - p.", lambda p: 1 - p),
    ),
)  # fmt: skip


def _ends() -> list[tuple[Tensor, Tensor, Tensor, float]]:
    drawn = torch.Generator().manual_seed(2)
    found = []
    for n, width, a in ((40, 0.5, 0.1), (40, 3.0, 0.1), (25, 1.0, 0.2)):
        middle, y = (torch.randn(n, generator=drawn, dtype=torch.float64) for _ in range(2))
        found.append((0.3 * middle - width, 0.3 * middle + 1.5 * width, y, a))
    return found


def _moved(lower: Tensor, upper: Tensor, y: Tensor, a: float) -> float:
    return _quantile(torch.maximum(lower - y, y - upper), a)


MOVE_ENDS = Exercise(
    id="uncertain.move_ends",
    prompt="By how much must both ends of a learned interval move outward for a promise of 1 - a? Answer: a function "
    "of (lower, upper, y, a), the first three of shape (n,), that returns a number.",
    nudge="How far outside its interval is a held-out target, and how is that said of one inside?",
    hint="The score is max(lower - y, y - upper), negative inside; its threshold is that of equation (1).",
    right="In the second case it is negative: the interval was too wide.",
    reference=_moved,
    inputs=_ends,
    diagnoses=(
        Diagnosis("clamped", "Inside the interval the score is negative; at 0 an interval could never shrink.",
                  lambda lower, upper, y, a: _quantile(torch.maximum(lower - y, y - upper).clamp(min=0), a)),
        Diagnosis("minimum", "Outside is where either end is passed: take the larger of the two.",
                  lambda lower, upper, y, a: _quantile(torch.minimum(lower - y, y - upper), a)),
        Diagnosis("sign", "You measured inward; the ends would move the wrong way.",
                  lambda lower, upper, y, a: -_moved(lower, upper, y, a)),
        Diagnosis("middle", "This is the width around the middle; the learned ends are not used.",
                  lambda lower, upper, y, a: _quantile((y - (lower + upper) / 2).abs(), a)),
        Diagnosis("one side", "Only the upper end is looked at.",
                  lambda lower, upper, y, a: _quantile(y - upper, a)),
    ),
)  # fmt: skip
