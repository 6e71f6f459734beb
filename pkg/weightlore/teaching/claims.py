"""The ledger: what a paper claims, what we measured, and whether the two agree.

A *claim* is a statement with a source, a measurement that returns one number per seed, and a rule that turns the
numbers into a verdict. The rule is fixed before the measurement. The ledger of a chapter is a file of rows, written by
``recording.run_claims`` and shown by ``ledgers.ledger``; nothing is decided while it is shown.

    Claim(...)                  what is claimed and how it is measured
    beyond(threshold)           a rule: does the interval of the mean lie beyond a threshold?
    row(claim, values)          one row of the ledger
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from scipy import stats

from weightlore.errors import ParameterError
from weightlore.teaching.versions import version

__all__ = ["VERDICTS", "Claim", "Measurement", "Rule", "Verdict", "beyond", "interval", "rounded", "row"]

Verdict = Literal["reproduced", "same direction", "undecided", "not reproduced", "not tried"]
VERDICTS: tuple[Verdict, ...] = ("reproduced", "same direction", "undecided", "not reproduced", "not tried")
Measurement = Callable[[int], float | Mapping[str, float]]
Rule = Callable[[np.ndarray], Verdict]
DIGITS = 6  # significant digits of a stored number


@dataclass(frozen=True)
class Claim:
    """One statement that can be measured.

    Args:
        id: unique in its chapter, such as ``"random-harmless"``; rows are sorted by it.
        chapter: name of the ledger's file, such as ``"1_corrupted"``.
        statement: what is claimed, one sentence.
        source: BibTeX key of the paper.
        whose: who claims it: the chapter's paper, another author, or this book.
        setting: our model, data and sizes, one sentence.
        measure: seed -> the measured number, or a mapping with the number under ``"value"`` and others beside it.
        seeds: the seeds; one is enough where nothing is random.
        verdict: the rule, from the values (S,) to a verdict; fixed before measuring.
        paper_number: the paper's number as text; ``None`` if we do not know it.
        unit: of the value.
        fast: whether the test suite measures the first seed again.
        needs: names of the fetched data sets it needs.
        tolerance: how far a repeated measurement may lie from the stored value, in its unit.
        comparisons: how many paired comparisons, this one among them, were made side by side; with 2 or more the row
            also holds the effect size and an interval that allows for all of them.

    Raises:
        ParameterError: if there is no seed, a seed appears twice, ``whose`` is none of the three, or there are fewer
            comparisons than this one.

    Source: ours
    """

    id: str
    chapter: str
    statement: str
    source: str
    whose: Literal["paper", "other", "ours"]
    setting: str
    measure: Measurement
    seeds: tuple[int, ...]
    verdict: Rule
    paper_number: str | None = None
    unit: str = ""
    fast: bool = False
    needs: tuple[str, ...] = field(default=())
    tolerance: float = 1e-3
    comparisons: int = 1

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) != len(self.seeds):
            raise ParameterError(f"claim {self.id!r} needs one or more different seeds, got {self.seeds}")
        if self.whose not in ("paper", "other", "ours"):
            raise ParameterError(f"claim {self.id!r}: whose is 'paper', 'other' or 'ours', got {self.whose!r}")
        if self.comparisons < 1:
            raise ParameterError(f"claim {self.id!r} is itself one comparison, got comparisons={self.comparisons}")


def interval(values: np.ndarray, *, confidence: float = 0.95) -> tuple[float, float]:
    """Return the two-sided t interval of the mean over seeds.

        mean -+ t_{S-1} * std / sqrt(S)

    Args:
        values: one number per seed, shape (S,); for a comparison, the paired differences.
        confidence: probability that such an interval covers the mean.

    Returns:
        Lower and upper end. One value, or equal ones, give an interval without width.

    Source: ours, the textbook interval; seeds are few and differences of accuracies are close to normal.
    """
    mean, spread = float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else 0.0
    half = float(stats.t.ppf((1 + confidence) / 2, max(len(values) - 1, 1))) * spread / len(values) ** 0.5
    return mean - half, mean + half


def beyond(
    threshold: float, *, same: float | None = None, below: bool = False, confidence: float = 0.95
) -> Callable[[np.ndarray], Verdict]:
    """Return the rule that asks whether the interval of the mean lies beyond a threshold.

    Args:
        threshold: the claim is reproduced if the whole interval lies above it.
        same: a weaker threshold; an interval above this one only is the same direction.
        below: whether beyond means below instead of above.
        confidence: of the interval.

    Returns:
        values (S,) -> ``"reproduced"``, ``"same direction"``, ``"not reproduced"`` if the whole interval lies on the
        other side of the weakest threshold, and ``"undecided"`` if it holds a threshold and no verdict is certain.

    Raises:
        ParameterError: if ``same`` is stronger than ``threshold``.

    Example:
        >>> beyond(0.0)(np.array([0.01, 0.03, -0.03]))
        'undecided'

    Source: ours
    """
    sign = -1 if below else 1
    if same is not None and sign * same > sign * threshold:
        raise ParameterError(f"same={same} must be weaker than threshold={threshold}")

    def rule(values: np.ndarray) -> Verdict:
        low, high = interval(sign * values, confidence=confidence)
        weakest = sign * (threshold if same is None else same)
        if low > sign * threshold:
            return "reproduced"
        if high <= weakest:
            return "not reproduced"
        return "same direction" if low > weakest and same is not None else "undecided"

    return rule


def row(claim: Claim, values: Mapping[int, Mapping[str, float]], *, measured_by: str | None = None) -> dict[str, Any]:
    """Return the ledger's row: the claim in words, the values and what follows from them.

    Args:
        claim: the claim.
        values: for each seed measured so far, the numbers, the claim's own under ``"value"``.
        measured_by: the version that measured; ``None`` for the claim as its source stands now.

    Returns:
        What is stored as JSON. With no value the verdict is ``"not tried"``, with some seeds missing ``"undecided"``.

    Source: ours
    """
    done = [seed for seed in claim.seeds if seed in values]
    array = np.array([values[seed]["value"] for seed in done])
    verdict: Verdict = "not tried" if not done else "undecided"
    if len(done) == len(claim.seeds):
        verdict = claim.verdict(array)
    words = {name: getattr(claim, name) for name in ("id", "statement", "source", "whose", "setting", "unit", "fast")}
    return (
        words
        | {
            "paper_number": claim.paper_number,
            "needs": list(claim.needs),
            "values": {str(seed): dict(values[seed]) for seed in done},
            "mean": rounded(array.mean()) if done else None,
            "spread": rounded(array.std(ddof=1)) if len(done) > 1 else None,
            "interval": [rounded(x) for x in interval(array)] if len(done) > 1 else None,
            "seeds": len(claim.seeds),
            "verdict": verdict,
            "version": measured_by or version(claim),
        }
        | (_among(claim.comparisons, array) if claim.comparisons > 1 else {})
    )


def _among(comparisons: int, differences: np.ndarray) -> dict[str, Any]:
    """Return what is said of one comparison among many: effect size, and an interval that allows for the others.

    The effect is the mean difference over the spread of the differences. By Bonferroni, all such intervals together
    cover their means with a probability of 95 %.
    """
    several = len(differences) > 1
    spread = float(differences.std(ddof=1)) if several else 0.0
    together = interval(differences, confidence=1 - 0.05 / comparisons) if several else None
    return {
        "comparisons": comparisons,
        "effect": rounded(differences.mean() / spread) if spread > 0 else None,
        "together": together and [rounded(x) for x in together],
    }


def rounded(number: float) -> float:
    """Return a number with as many significant digits as the ledger keeps.

    Args:
        number: finite.

    Source: ours
    """
    return float(f"{number:.{DIGITS}g}")
