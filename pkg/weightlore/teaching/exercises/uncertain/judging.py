"""Whether doubts are where the errors are: one score of intervals, and how much may be answered."""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants
from weightlore.uncertainty import ranking, regression

__all__ = ["INTERVAL_FINE", "MOST_ANSWERS", "VARIANTS"]


def _ends() -> list[tuple[Tensor, Tensor, Tensor, float]]:
    lower = torch.tensor([0.0, -1.0, 2.0, 0.5], dtype=torch.float64)
    upper = torch.tensor([1.0, 1.0, 5.0, 0.75], dtype=torch.float64)
    y = torch.tensor([0.25, 1.5, 1.0, 0.6], dtype=torch.float64)
    return [(lower, upper, y, 0.9), (lower, upper, y + 0.3, 0.6)]


def _below(lower: Tensor, y: Tensor) -> Tensor:
    return (lower - y).clamp(min=0)


@dataclass(frozen=True)
class _Sides:
    """Which share of what the level leaves may lie below an interval; the rest may lie above."""

    below: float = 0.5

    def fine(self, lower: Tensor, upper: Tensor, y: Tensor, a: float) -> Tensor:
        return _below(lower, y) / (self.below * a) + _below(y, upper) / ((1 - self.below) * a)

    def score(self, lower: Tensor, upper: Tensor, y: Tensor, level: float) -> Tensor:
        """Return the score, by what the package says of numbers that miss on one side only."""
        inside = torch.minimum(torch.maximum(y, lower), upper)
        width, under, over = (
            regression.interval_score((lower, upper), one, level=level)
            for one in (inside, torch.minimum(y, inside), torch.maximum(y, inside))
        )
        return width + (under - width) / (2 * self.below) + (over - width) / (2 * (1 - self.below))


def _interval_fine(d: _Sides) -> Exercise:
    even, s = d.below == 0.5, f"{d.below:g}"
    fine = "of 2/a for each unit by which the number lies outside" if even else (
        f"of 1/({s} a) for each unit by which the number lies below and 1/({1 - d.below:g} a) for each above"
    )  # fmt: skip
    low, high = ("a/2", "1 - a/2") if even else (f"{s} a", f"1 - {1 - d.below:g} a")
    return Exercise(
        id="uncertain.interval_fine",
        prompt=f"The interval score is the width of an interval plus a fine {fine}; a is the share that the level "
        "allows to lie there. Answer: a function of (lower, upper, y, level), three tensors of shape (N,) and the "
        "level, such as 0.9, that returns shape (N,).",
        nudge="At the level 0.9, what is a, and what does a number cost that lies one unit outside?",
        hint="a = 1 - level. Outside is max(lower - y, 0) + max(y - upper, 0); at most one of the two is above 0.",
        right=f"The fine is so chosen that the mean score is smallest for the interval from quantile {low} to {high}.",
        reference=d.score,
        inputs=_ends,
        diagnoses=(
            Diagnosis("level", "You divided by the level; a is what the level leaves, 1 - level.",
                      lambda lower, upper, y, level: upper - lower + d.fine(lower, upper, y, level)),
            *_fines(d),
            Diagnosis("one side", "Numbers below the interval go free.",
                      lambda lower, upper, y, level: upper - lower + d.fine(y, upper, y, 1 - level)),
            Diagnosis("one side", "Numbers above the interval go free.",
                      lambda lower, upper, y, level: upper - lower + d.fine(lower, y, y, 1 - level)),
            *_rewards(d),
        ),
    )  # fmt: skip


def _fines(d: _Sides) -> tuple[Diagnosis, ...]:
    even = d.below == 0.5
    half = "Your fine is 1/a; it is 2/a, because only a/2 may lie on each side." if even else (
        "Your fine is half as large as it should be."
    )  # fmt: skip
    return (
        Diagnosis("fine", half,
                  lambda lower, upper, y, level: upper - lower + d.fine(lower, upper, y, 1 - level) / 2),
        Diagnosis("width", "You left out the width.",
                  lambda lower, upper, y, level: d.fine(lower, upper, y, 1 - level)),
        Diagnosis("fine", "You left out the fine.", lambda lower, upper, y, level: upper - lower),
        Diagnosis("fine", "Your fine is the same wherever the number lies outside; it grows with the distance.",
                  lambda lower, upper, y, level: upper - lower + _flat(d, lower, upper, y) / (1 - level)),
    )  # fmt: skip


def _flat(d: _Sides, lower: Tensor, upper: Tensor, y: Tensor) -> Tensor:
    return (y < lower) / d.below + (y > upper) / (1 - d.below)


def _rewards(d: _Sides) -> tuple[Diagnosis, ...]:
    """A fine that pays for numbers inside; with sides that differ, also a fine without sides and one for the other."""
    reward = Diagnosis(
        "reward", "Your fine has a negative part: it pays for numbers inside.",
        lambda lower, upper, y, level:
        upper - lower + torch.maximum((lower - y) / d.below, (y - upper) / (1 - d.below)) / (1 - level),
    )  # fmt: skip
    if d.below == 0.5:
        return (reward,)
    swapped = Diagnosis("sides", "You exchanged the fines for below and above.", _Sides(1 - d.below).score)
    return reward, swapped, Diagnosis("alike", "The fines for below and above differ.", _Sides().score)


def _by_order(scores: Tensor, wrong: Tensor, *, descending: bool = False) -> tuple[Tensor, Tensor]:
    """Coverage and risk if the examples are answered in the order of their scores."""
    counts = torch.arange(1, len(scores) + 1, dtype=torch.float64)
    return counts / len(scores), wrong[scores.argsort(descending=descending)].double().cumsum(0) / counts


@dataclass(frozen=True)
class _Lots:
    """In lots of how many the examples are answered."""

    size: int = 1

    def largest(self, coverage: Tensor, within: Tensor) -> float:
        """The largest coverage within a limit, of those that are whole lots."""
        coverage, within = coverage[self.size - 1 :: self.size], within[self.size - 1 :: self.size]
        return float(coverage[within].max()) if within.any() else 0.0

    def answers(self, scores: Tensor, wrong: Tensor, risk: float) -> float:
        curve = ranking.risk_coverage_curve(scores, wrong)
        return self.largest(curve.coverage, curve.risk <= risk + 1e-12)

    def first_break(self, scores: Tensor, wrong: Tensor, risk: float) -> float:
        coverage, found = _by_order(scores, wrong)
        kept = (found[self.size - 1 :: self.size] <= risk).long().cumprod(0).sum()
        return float(kept) * self.size / len(coverage)

    def doubtful_first(self, scores: Tensor, wrong: Tensor, risk: float) -> float:
        coverage, found = _by_order(scores, wrong, descending=True)
        return self.largest(coverage, found <= risk)

    def of_all(self, scores: Tensor, wrong: Tensor, risk: float) -> float:
        coverage, found = _by_order(scores, wrong)
        return self.largest(coverage, found * coverage <= risk)

    def strictly(self, scores: Tensor, wrong: Tensor, risk: float) -> float:
        coverage, found = _by_order(scores, wrong)
        return self.largest(coverage, found < risk)

    def rankings(self) -> list[tuple[Tensor, Tensor, float]]:
        """Return public cases, and for lots one with a bad start and one in which the limit is just reached."""
        if self.size == 1:
            return _rankings()
        n = 6 * self.size
        rising = torch.arange(n, dtype=torch.float64)
        return [*_rankings(), (rising, rising < 1, 0.3 / self.size), (rising, rising >= 3 * self.size, 0.25)]


def _rankings() -> list[tuple[Tensor, Tensor, float]]:
    scores = torch.tensor([0.1, 0.9, 0.3, 0.7, 0.2, 0.8, 0.5, 0.4, 0.6, 1.0], dtype=torch.float64)
    wrong = torch.tensor([0, 1, 0, 0, 1, 1, 0, 0, 0, 0], dtype=torch.bool)
    drawn = torch.rand(40, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    often = torch.rand(40, generator=torch.Generator().manual_seed(6), dtype=torch.float64) < drawn * 0.6
    return [(scores, wrong, 0.25), (scores, ~wrong, 0.05), (drawn, often, 0.1)]


def _most_answers(d: _Lots) -> Exercise:
    single, k = d.size == 1, d.size
    lots = "" if single else f" Only whole lots of {k} examples are answered."
    one = () if single else (
        Diagnosis("lots", f"Only whole lots of {k} are answered.", _Lots().answers),
    )  # fmt: skip
    return Exercise(
        id="uncertain.most_answers",
        prompt="At most a share `risk` of the answers given may be wrong. The most certain examples are answered "
        f"first, all others are handed to a person.{lots} What is the largest share that can be answered? Answer: a "
        "function of (scores, wrong, risk), scores larger where less certain and all different, wrong of dtype bool, "
        "that returns a number from 0 to 1.",
        nudge="Answer one example, then two, then three: how large is the risk after each?" if single
        else "Answer one lot, then two, then three: how large is the risk after each?",
        hint="Sort by rising score; the risk of the first k is cumsum(wrong) / k. Which is the largest k within the "
        f"limit{'' if single else f', if k must be a multiple of {k}'}?",
        right="The curve may break the limit early and keep it later. Read from the right. And measure the risk on "
        "other data than those the limit was read from.",
        reference=d.answers,
        inputs=d.rankings,
        diagnoses=(
            Diagnosis("first break", "You stopped where the risk first exceeds the limit; later it may be within the "
                      "limit again.", d.first_break),
            Diagnosis("direction", "You answered the least certain examples first.", d.doubtful_first),
            Diagnosis("of what", "You counted wrong answers among all examples, not among those answered.", d.of_all),
            Diagnosis("at most", "A risk equal to the limit is allowed.", d.strictly),
            Diagnosis("handed over", "This is the share that is handed to a person.",
                      lambda s, w, r: 1 - d.answers(s, w, r)),
            Diagnosis("count", "This is a count; divide by the number of examples.",
                      lambda s, w, r: len(s) * d.answers(s, w, r)),
            *one,
        ),
    )  # fmt: skip


INTERVAL_FINE, MOST_ANSWERS = _interval_fine(_Sides()), _most_answers(_Lots())

VARIANTS = {
    INTERVAL_FINE.id: Variants(
        _interval_fine,
        lambda generator: _Sides(one_of(generator, (0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9))),
    ),
    MOST_ANSWERS.id: Variants(_most_answers, lambda generator: _Lots(integer(generator, 2, 20))),
}
