"""Whether doubts are where the errors are: one score of intervals, and how much may be answered."""

import torch
from torch import Tensor

from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.uncertainty import ranking, regression

__all__ = ["INTERVAL_FINE", "MOST_ANSWERS"]


def _ends() -> list[tuple[Tensor, Tensor, Tensor, float]]:
    lower = torch.tensor([0.0, -1.0, 2.0, 0.5], dtype=torch.float64)
    upper = torch.tensor([1.0, 1.0, 5.0, 0.75], dtype=torch.float64)
    y = torch.tensor([0.25, 1.5, 1.0, 0.6], dtype=torch.float64)
    return [(lower, upper, y, 0.9), (lower, upper, y + 0.3, 0.6)]


def _outside(lower: Tensor, upper: Tensor, y: Tensor) -> Tensor:
    return (lower - y).clamp(min=0) + (y - upper).clamp(min=0)


INTERVAL_FINE = Exercise(
    id="uncertain.interval_fine",
    prompt="The interval score is the width of an interval plus a fine of 2/a for each unit by which the number lies "
    "outside; a is the share that the level allows to lie there. Answer: a function of (lower, upper, y, level), three "
    "tensors of shape (N,) and the level, such as 0.9, that returns shape (N,).",
    nudge="At the level 0.9, what is a, and what does a number cost that lies one unit outside?",
    hint="a = 1 - level. Outside is max(lower - y, 0) + max(y - upper, 0); at most one of the two is above 0.",
    right="The fine is so chosen that the mean score is smallest for the interval from quantile a/2 to 1 - a/2.",
    reference=lambda lower, upper, y, level: regression.interval_score((lower, upper), y, level=level),
    inputs=_ends,
    diagnoses=(
        Diagnosis(
            "level",
            "You divided by the level; a is what the level leaves, 1 - level.",
            lambda lower, upper, y, level: upper - lower + 2 / level * _outside(lower, upper, y),
        ),
        Diagnosis(
            "fine",
            "Your fine is 1/a; it is 2/a, because only a/2 may lie on each side.",
            lambda lower, upper, y, level: upper - lower + _outside(lower, upper, y) / (1 - level),
        ),
        Diagnosis(
            "width",
            "You left out the width.",
            lambda lower, upper, y, level: 2 / (1 - level) * _outside(lower, upper, y),
        ),
        Diagnosis("fine", "You left out the fine.", lambda lower, upper, y, level: upper - lower),
        Diagnosis(
            "fine",
            "Your fine is the same wherever the number lies outside; it grows with the distance.",
            lambda lower, upper, y, level: upper - lower + 2 / (1 - level) * (_outside(lower, upper, y) > 0),
        ),
        Diagnosis(
            "one side",
            "Numbers below the interval go free.",
            lambda lower, upper, y, level: upper - lower + 2 / (1 - level) * (y - upper).clamp(min=0),
        ),
        Diagnosis(
            "one side",
            "Numbers above the interval go free.",
            lambda lower, upper, y, level: upper - lower + 2 / (1 - level) * (lower - y).clamp(min=0),
        ),
        Diagnosis(
            "reward",
            "Your fine has a negative part: it pays for numbers inside.",
            lambda lower, upper, y, level: upper - lower + 2 / (1 - level) * torch.maximum(lower - y, y - upper),
        ),
    ),
)


def _answers(scores: Tensor, wrong: Tensor, risk: float) -> float:
    curve = ranking.risk_coverage_curve(scores, wrong)
    kept = curve.risk <= risk + 1e-12
    return float(curve.coverage[kept].max()) if kept.any() else 0.0


def _by_order(scores: Tensor, wrong: Tensor, *, descending: bool = False) -> tuple[Tensor, Tensor]:
    """Coverage and risk if the examples are answered in the order of their scores."""
    counts = torch.arange(1, len(scores) + 1, dtype=torch.float64)
    return counts / len(scores), wrong[scores.argsort(descending=descending)].double().cumsum(0) / counts


def _largest(coverage: Tensor, within: Tensor) -> float:
    return float(coverage[within].max()) if within.any() else 0.0


def _first_break(scores: Tensor, wrong: Tensor, risk: float) -> float:
    coverage, found = _by_order(scores, wrong)
    return float((found <= risk).long().cumprod(0).sum()) / len(coverage)


def _doubtful_first(scores: Tensor, wrong: Tensor, risk: float) -> float:
    coverage, found = _by_order(scores, wrong, descending=True)
    return _largest(coverage, found <= risk)


def _of_all(scores: Tensor, wrong: Tensor, risk: float) -> float:
    coverage, found = _by_order(scores, wrong)
    return _largest(coverage, found * coverage <= risk)


def _strictly(scores: Tensor, wrong: Tensor, risk: float) -> float:
    coverage, found = _by_order(scores, wrong)
    return _largest(coverage, found < risk)


def _rankings() -> list[tuple[Tensor, Tensor, float]]:
    scores = torch.tensor([0.1, 0.9, 0.3, 0.7, 0.2, 0.8, 0.5, 0.4, 0.6, 1.0], dtype=torch.float64)
    wrong = torch.tensor([0, 1, 0, 0, 1, 1, 0, 0, 0, 0], dtype=torch.bool)
    drawn = torch.rand(40, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    often = torch.rand(40, generator=torch.Generator().manual_seed(6), dtype=torch.float64) < drawn * 0.6
    return [(scores, wrong, 0.25), (scores, ~wrong, 0.05), (drawn, often, 0.1)]


MOST_ANSWERS = Exercise(
    id="uncertain.most_answers",
    prompt="At most a share `risk` of the answers given may be wrong. The most certain examples are answered first, "
    "all others are handed to a person. What is the largest share that can be answered? Answer: a function of (scores, "
    "wrong, risk), scores larger where less certain and all different, wrong of dtype bool, that returns a number from "
    "0 to 1.",
    nudge="Answer one example, then two, then three: how large is the risk after each?",
    hint="Sort by rising score; the risk of the first k is cumsum(wrong) / k. Which is the largest k within the limit?",
    right="The curve may break the limit early and keep it later. Read from the right. And measure the risk on other "
    "data than those the limit was read from.",
    reference=_answers,
    inputs=_rankings,
    diagnoses=(
        Diagnosis(
            "first break",
            "You stopped where the risk first exceeds the limit; later it may be within the limit again.",
            _first_break,
        ),
        Diagnosis("direction", "You answered the least certain examples first.", _doubtful_first),
        Diagnosis("of what", "You counted wrong answers among all examples, not among those answered.", _of_all),
        Diagnosis("at most", "A risk equal to the limit is allowed.", _strictly),
        Diagnosis(
            "handed over", "This is the share that is handed to a person.", lambda s, w, r: 1 - _answers(s, w, r)
        ),
        Diagnosis(
            "count", "This is a count; divide by the number of examples.", lambda s, w, r: len(s) * _answers(s, w, r)
        ),
    ),
)
