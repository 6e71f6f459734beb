"""Predictions that a method would rather not make: what is left when the least certain ones are put aside.

selective_benchmark    one row for every method and every score of uncertainty
uncertainties          the scores that any class probabilities of members have
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor

from weightlore.data import Split
from weightlore.data.split import require_labels
from weightlore.errors import ParameterError
from weightlore.uncertainty.measures import predictive_entropy
from weightlore.uncertainty.predictions import CategoricalPrediction
from weightlore.uncertainty.ranking import aurc, auroc, excess_aurc, mistakes, risk_coverage_curve
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["Predictor", "SelectiveRow", "Uncertainty", "selective_benchmark", "uncertainties"]

Predictor = Callable[[Tensor], CategoricalPrediction]
Uncertainty = Callable[[CategoricalPrediction], Tensor]


@dataclass(frozen=True)
class SelectiveRow:
    """How well one uncertainty finds the mistakes of one method.

    Args:
        method: its name.
        score: the name of the uncertainty.
        accuracy: share of right predictions, with none put aside.
        auroc: of finding mistakes; NaN where there is none, or nothing else.
        aurc: mean error rate over all shares that are kept.
        excess: the same less what the best ranking of these mistakes would have.
        kept_error: error rate among the share that is kept.

    Source: [geifman2017selective], [hendrycks2017baseline]
    """

    method: str
    score: str
    accuracy: float
    auroc: float
    aurc: float
    excess: float
    kept_error: float


def uncertainties() -> dict[str, Uncertainty]:
    """Return the scores that class probabilities of members have: 1 - max, entropy, mutual information.

    Example:
        >>> list(uncertainties())
        ['1 - max', 'entropy', 'mutual information']

    Source: [gawlikowski2023uncertainty], section 4
    """
    return {
        "1 - max": lambda p: 1 - p.mean.amax(1),
        "entropy": lambda p: predictive_entropy(p),
        "mutual information": lambda p: p.mutual_information(),
    }


def selective_benchmark(
    methods: Mapping[str, Predictor],
    data: Split,
    *,
    scores: Mapping[str, Uncertainty] | None = None,
    keep: float = 0.8,
) -> tuple[SelectiveRow, ...]:
    """Return how well each uncertainty of each method finds the mistakes of that method.

    Methods make different mistakes: compare their AURC, which counts accuracy too, rather than the AUROC.

    Args:
        methods: name -> function from inputs (N, ...) to class probabilities of members.
        data: N labeled test examples.
        scores: name -> function from a prediction to uncertainties (N,); ``None`` for ``uncertainties()``. Where a
            method has one member, a score that is the same for all examples is left out.
        keep: share of the examples kept for ``kept_error``, in (0, 1].

    Returns:
        One row for each pair that is.

    Raises:
        ParameterError: if there is no method, the data have no class numbers, or keep is out of range.

    Example:
        >>> import torch
        >>> said = CategoricalPrediction(torch.tensor([[[0.9, 0.1], [0.6, 0.4], [0.8, 0.2]]]))
        >>> data = Split(torch.zeros(3, 1), torch.tensor([0, 1, 0]))
        >>> row = selective_benchmark({"mine": lambda x: said}, data, keep=0.6)[0]
        >>> row.score, row.auroc, row.kept_error
        ('1 - max', 1.0, 0.0)

    Source: [geifman2017selective]; [hendrycks2017baseline]
    """
    if not methods or len(data) == 0:
        raise ParameterError(f"a table needs a method and an example, got {len(methods)} and {len(data)}")
    if not 0 < keep <= 1:
        raise ParameterError(f"keep is a share of the examples in (0, 1], got {keep}")
    asked = uncertainties() if scores is None else scores
    rows = []
    for name, method in methods.items():
        said = method(data.x)
        require_labels(data.y, said.mean.shape[1])
        wrong = mistakes(said, data.y)
        for score, uncertainty in asked.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UncertaintyWarning)  # that one member has no disagreement: left out
                found = uncertainty(said).detach().double()
            if said.members > 1 or not bool((found == found[0]).all()):
                rows.append(_row(name, score, found, wrong, keep))
    return tuple(rows)


def _row(method: str, score: str, found: Tensor, wrong: Tensor, keep: float) -> SelectiveRow:
    losses, curve = wrong.double(), risk_coverage_curve(found, wrong.double())
    both = bool(wrong.any()) and not bool(wrong.all())
    fewer = int((curve.coverage < keep).sum())  # shares too small, so that the next one is the first that is enough
    return SelectiveRow(
        method,
        score,
        1 - float(losses.mean()),
        float(auroc(found, wrong)) if both else float("nan"),
        float(aurc(found, losses)),
        float(excess_aurc(found, losses)),
        float(curve.risk[fewer]),
    )
