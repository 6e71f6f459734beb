"""Promises: how many examples they need, thresholds, adaptive scores, and quantiles that are moved."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants
from weightlore.uncertainty.conformal import aps_scores, conformal_quantile, smallest_set

__all__ = ["ADDED_UP", "HOW_MANY", "MOVE_ENDS", "THRESHOLD", "VARIANTS"]

CONFORMAL = (
    "Conformal promise: scores of n held-out examples and of the new one can be exchanged, the threshold is "
    "one of the n, and the set holds the new truth with probability 1 - a or more."
)


def _how_many(level: float) -> Exercise:
    n = smallest_set(level)
    other = 0.95 if level == 0.9 else 0.9
    return Exercise(
        id="uncertain.how_many",
        prompt=f"How many held-out examples does a promise of {100 * level:g} % need at least? Answer: a whole number.",
        given=CONFORMAL,
        nudge="The rank of the threshold must not be larger than the number of scores.",
        hint=f"ceil((n + 1) {level:g}) <= n. Which is the smallest n?",
        right=f"With {n - 1} of them every set would be full.",
        reference=lambda: n,
        diagnoses=(
            Diagnosis("new one", "The new example is one of the n + 1; you need one fewer.", lambda: n + 1),
            Diagnosis("too few", f"With {n - 1}, the rank ceil({n} x {level:g}) = {n} is larger than n.",
                      lambda: n - 1),
            Diagnosis("percent", f"This is for a promise of {100 * other:g} %.", lambda: smallest_set(other)),
        ),
    )  # fmt: skip


def _scores() -> list[tuple[Tensor, float]]:
    drawn = torch.Generator().manual_seed(0)
    sizes = ((19, 0.1), (50, 0.1), (8, 0.1), (30, 0.25), (13, 0.3), (9, 0.1), (80, 0.1), (83, 0.3), (200, 0.1))
    return [(torch.rand(n, generator=drawn, dtype=torch.float64), a) for n, a in sizes]


def _quantile(scores: Tensor, a: float) -> float:
    if smallest_set(1 - a) > len(scores):
        return math.inf  # known beforehand, so that nobody is warned
    return float(conformal_quantile(scores, level=1 - a))


def _ranked(scores: Tensor, rank: int) -> float:
    return float(scores.sort().values[rank - 1]) if 1 <= rank <= len(scores) else math.inf


def _exact(number: float) -> float:
    return round(number, 9)


@dataclass(frozen=True)
class _Careful:
    """How many of the scores may be worth nothing, so that the threshold is as many places higher."""

    spoiled: int = 0

    def threshold(self, scores: Tensor, a: float) -> float:
        """Return the threshold if the smallest scores were in truth larger than all others."""
        ordered, most = scores.sort().values, float(scores.max())
        found = _quantile(torch.cat([ordered[self.spoiled :], ordered.new_full((self.spoiled,), most + 1)]), a)
        return found if found <= most else math.inf

    def place(self, rank: Callable[[int, float], float]) -> Callable[[Tensor, float], float]:
        """Return the answer that has another rank, which n and a tell."""
        return lambda scores, a: _ranked(scores, int(rank(len(scores), a)) + self.spoiled)


def _rank(n: int, a: float) -> int:
    return math.ceil(_exact((n + 1) * (1 - a)))


def _some(count: int) -> str:
    return "one" if count == 1 else f"up to {count}"


def _threshold(d: _Careful) -> Exercise:
    j = d.spoiled
    more, first = (f" + {j}" if j else ""), 10 * (1 + j) - 1
    doubt = f" if {_some(j)} of the scores, nobody knows which, may in truth be much larger" if j else ""
    return Exercise(
        id="uncertain.threshold",
        prompt=f"Write the smallest threshold q that keeps a conformal promise{doubt}. Answer: a function of "
        '(scores, a), scores (n,), that returns q, and float("inf") where n is too small for the promise.',
        given=CONFORMAL + " Scores are larger where an answer is stranger.",
        nudge="Among how many examples is the new one, itself included?",
        hint=f"Sort; take place {f'r{more} with ' if j else ''}r = ceil((n + 1)(1 - a)), counted from 1; if r{more} > "
        "n there is no such score.",
        right=f"With {first - 1} scores and a = 0.1 it is infinite, with {first} it is the largest.",
        reference=d.threshold,
        inputs=_scores,
        diagnoses=_other_places(d, more),
    )


def _other_places(d: _Careful, more: str) -> tuple[Diagnosis, ...]:
    trusted = Diagnosis(
        "trusted", f"{_some(d.spoiled).capitalize()} of the scores may belong above all others.", _quantile
    )
    found = (
        Diagnosis("n", "The new example counts, too: (n + 1)(1 - a), not n (1 - a).",
                  d.place(lambda n, a: math.ceil(_exact(n * (1 - a))))),
        Diagnosis("clamped", f"Where r{more} > n you took the largest score; that does not keep the promise.",
                  lambda scores, a: d.place(lambda n, a: min(n - d.spoiled, _rank(n, a)))(scores, a)),
        Diagnosis("from zero", "Places are counted from 1, Python counts from 0: you are one place too high.",
                  d.place(lambda n, a: _rank(n, a) + 1)),
        Diagnosis("rounded down", "Rounding down promises a little less; take ceil.",
                  d.place(lambda n, a: math.floor(_exact((n + 1) * (1 - a))))),
        Diagnosis("interpolated", "torch.quantile interpolates between scores; a rank does not.",
                  lambda scores, a: float(scores.quantile(1 - a))),
        Diagnosis("side", "This is the threshold of the share a; the promise is 1 - a.",
                  d.place(lambda n, a: math.ceil(_exact((n + 1) * a)))),
    )  # fmt: skip
    return (*found, trusted) if d.spoiled else found


def _pictures() -> list[tuple[Tensor]]:
    drawn = torch.Generator().manual_seed(1)
    return [(torch.randn(10, generator=drawn, dtype=torch.float64).mul(2).softmax(0),) for _ in range(3)]


def _above(p: Tensor, share: float, *, sure: bool = True) -> Tensor:
    """The probability of all classes more probable than each, or less, and a share of its own."""
    order = p.sort(descending=sure)
    before = order.values.cumsum(0) - order.values
    return torch.zeros_like(p).scatter(0, order.indices, before + share * order.values)


def _added_up(share: float) -> Exercise:
    whole = share == 1
    own = "itself included" if whole else f"and {share:g} of its own"
    counted = "" if whole else f", in which a class counts itself with {share:g} of its probability"
    full = () if whole else (
        Diagnosis("whole", f"The class itself counts with {share:g} of its probability.",
                  lambda p: aps_scores(p[None])[0]),
    )  # fmt: skip
    return Exercise(
        id="uncertain.added_up",
        prompt=f"Write adaptive scores{counted}. Answer: a function of p, probabilities of one picture (C,), that "
        "returns the score of each class, shape (C,).",
        given="The adaptive score of a class adds up the probabilities of all classes that are more probable, and its "
        "own.",
        nudge="Which classes come into the set before this one, and which last?",
        hint=f"Add up the probabilities of all classes at least as probable as this one, {own}." if whole
        else f"Add up the probabilities of all classes more probable than this one, {own}.",
        right="The least probable class always has the score 1." if whole
        else f"The most probable class has {share:g} of its probability as its score, less than before: sets get "
        "smaller.",
        reference=lambda p: aps_scores(p[None])[0] - (1 - share) * p,
        inputs=_pictures,
        diagnoses=(
            Diagnosis("without", "The class itself counts, too.", lambda p: _above(p, 0)),
            Diagnosis("order", "You added from the least probable class; sets begin with the most probable.",
                      lambda p: _above(p, share, sure=False)),
            Diagnosis("places", "These are the sums in sorted order; bring them back to their classes.",
                      lambda p: _above(p, share).gather(0, p.argsort(descending=True))),
            Diagnosis("unsorted", "You added in the order of the class numbers; sort by probability first.",
                      lambda p: p.cumsum(0) - (1 - share) * p),
            Diagnosis("ambiguous", "These are the scores of the least ambiguous sets, 1 - p.", lambda p: 1 - p),
            *full,
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


def _move_ends(k: float) -> Exercise:
    even = k == 1
    question = "By how much must both ends of a learned interval move outward for a promise of 1 - a?" if even else (
        f"Of a learned interval, the lower end moves outward {k:g} times as far as the upper one. By how much must the "
        "upper one move for a promise of 1 - a?"
    )  # fmt: skip
    below = "lower - y" if even else f"(lower - y) / {k:g}"
    alike = () if even else (Diagnosis("alike", f"The lower end moves {k:g} times as far.", _moved),)

    def score(lower: Tensor, upper: Tensor, y: Tensor) -> Tensor:
        return torch.maximum((lower - y) / k, y - upper)

    return Exercise(
        id="uncertain.move_ends",
        prompt=f"{question} Answer: a function of (lower, upper, y, a), the first three of shape (n,), that returns a "
        "number.",
        given=CONFORMAL + " The interval from lower to upper was learned from other data, y are held-out targets.",
        nudge="How far outside its interval is a held-out target, and how is that said of one inside?",
        hint=f"The score is max({below}, y - upper), negative inside; its threshold is that of equation (1).",
        right="In the second case it is negative: the interval was too wide.",
        reference=lambda lower, upper, y, a: _quantile(score(lower, upper, y), a),
        inputs=_ends,
        diagnoses=(
            Diagnosis("clamped", "Inside the interval the score is negative; at 0 an interval could never shrink.",
                      lambda lower, upper, y, a: _quantile(score(lower, upper, y).clamp(min=0), a)),
            Diagnosis("minimum", "Outside is where either end is passed: take the larger of the two.",
                      lambda lower, upper, y, a: _quantile(torch.minimum((lower - y) / k, y - upper), a)),
            Diagnosis("sign", "You measured inward; the ends would move the wrong way.",
                      lambda lower, upper, y, a: -_quantile(score(lower, upper, y), a)),
            Diagnosis("middle", "This is the width around the middle; the learned ends are not used.",
                      lambda lower, upper, y, a: _quantile((y - (lower + upper) / 2).abs(), a)),
            Diagnosis("one side", "Only the upper end is looked at.",
                      lambda lower, upper, y, a: _quantile(y - upper, a)),
            *alike,
        ),
    )  # fmt: skip


HOW_MANY, THRESHOLD, ADDED_UP, MOVE_ENDS = _how_many(0.99), _threshold(_Careful()), _added_up(1.0), _move_ends(1.0)

PROMISES = (0.75, 0.8, 0.85, 0.9, 0.92, 0.94, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.995, 0.996)
TIMES = (0.2, 0.25, 0.4, 0.5, 0.6, 0.75, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)

VARIANTS = {
    HOW_MANY.id: Variants(_how_many, lambda generator: one_of(generator, PROMISES)),
    THRESHOLD.id: Variants(_threshold, lambda generator: _Careful(integer(generator, 1, 14))),
    ADDED_UP.id: Variants(_added_up, lambda generator: integer(generator, 1, 19) / 20),
    MOVE_ENDS.id: Variants(_move_ends, lambda generator: one_of(generator, TIMES)),
}
