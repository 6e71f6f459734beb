"""Inputs that belong to no class: how well each score tells them from test data.

ood_benchmark    one row for every score and every set of outside inputs

The positive class is the outside one, as everywhere in this package: a good score is larger there. No score is the best
on all sets; a table over several, with near ones among them, says more than an average.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.ranking import detection_report

__all__ = ["OutsideRow", "Score", "ood_benchmark"]

Score = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class OutsideRow:
    """How well one score finds one set of outside inputs.

    Args:
        score: its name.
        outside: the name of the set.
        auroc: area under the ROC curve, 1/2 by chance.
        auprc: area under precision over recall with the outside inputs as positives; by chance their share.
        share: of outside inputs among all that were scored.
        false_alarms: share of inside inputs rejected where 95 % of the outside ones are.

    Source: [hendrycks2017baseline], the protocol; [liang2018odin], false positives at 95 %
    """

    score: str
    outside: str
    auroc: float
    auprc: float
    share: float
    false_alarms: float


def ood_benchmark(scores: Mapping[str, Score], inside: Tensor, outside: Mapping[str, Tensor]) -> tuple[OutsideRow, ...]:
    """Return how well each score tells outside inputs from inside ones.

    Every score sees the inside inputs once, and each outside set once. Settings of a score (a temperature, a step, a
    number of neighbors) belong on other outside sets than those of the table.

    Args:
        scores: name -> function from inputs (N, ...) to scores (N,), larger = more outside.
        inside: test inputs of the training's kind, shape (N, ...).
        outside: name -> inputs of another kind, shape (M, ...).

    Returns:
        One row for each pair, scores in their order and sets within.

    Raises:
        ParameterError: if there is no score or no outside set, a set is empty, or a score returns another shape or
            a number that is not finite; the message names score and set.

    Example:
        >>> rows = ood_benchmark({"size": lambda x: x.abs().amax(1)}, torch.rand(9, 2), {"far": 3 + torch.rand(9, 2)})
        >>> rows[0].auroc
        1.0

    Source: [hendrycks2017baseline]
    """
    if not scores or not outside:
        raise ParameterError(
            f"a table needs at least one score and one outside set, got {len(scores)} and {len(outside)}; without "
            "outside inputs nothing can be said of detection: natural_patches() and permuted images need no download"
        )
    for name, inputs in (("inside", inside), *outside.items()):
        if len(inputs) == 0:
            raise ParameterError(f"the set {name!r} holds no inputs")
    rows = []
    for name, score in scores.items():
        home = _scored(name, "inside", score, inside)
        rows += [_row(name, where, home, _scored(name, where, score, x)) for where, x in outside.items()]
    return tuple(rows)


def _row(name: str, where: str, home: Tensor, away: Tensor) -> OutsideRow:
    positive = torch.arange(len(home) + len(away), device=home.device) >= len(home)
    report = detection_report(torch.cat([home, away]), positive)
    return OutsideRow(name, where, report.auroc, report.auprc_positive, report.prevalence, report.fpr_at_95_tpr)


def _scored(name: str, where: str, score: Score, x: Tensor) -> Tensor:
    """Return the scores of a set, checked."""
    found = score(x)
    if not isinstance(found, Tensor) or found.shape != (len(x),):
        came = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ParameterError(f"the score {name!r} must give one number for each of {len(x)} inputs, got {came}")
    bad = int((~found.isfinite()).sum())
    if bad:
        raise ParameterError(f"the score {name!r} is not finite for {bad} of {len(x)} inputs of {where!r}")
    return found.detach().double()
