"""Areas over the ranking of 10^6 scores, against the sort that each of them needs, scikit-learn and plain torch."""

from collections.abc import Callable

import numpy as np
import torch
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score
from torch import Tensor

from benchmarks.race import Race
from weightlore.uncertainty.ranking import aurc, auroc

SIZE = 10**6
TARGETS = {"torch.sort": round(1 / 3, 3), "np.argsort": round(1 / 3, 3)}


def races() -> list[Race]:
    found = []
    for name, dtype, decimals in (
        ("float32", torch.float32, None),
        ("float64", torch.float64, None),
        ("ties", torch.float64, 3),
    ):
        scores, wrong = _data(dtype, decimals)
        found += [_detection(name, scores, wrong), _selection(name, scores, wrong)]
    return found


def _data(dtype: torch.dtype, decimals: int | None) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(SIZE, generator=generator, dtype=dtype)
    wrong = torch.rand(SIZE, generator=generator, dtype=dtype) < scores**2
    return (scores if decimals is None else scores.round(decimals=decimals)), wrong


def _detection(name: str, scores: Tensor, wrong: Tensor) -> Race:
    values, marks = scores.numpy(), wrong.numpy()
    return Race(
        name=f"AUROC, {name}",
        what=f"area under true over false positives of 10^6 {scores.dtype} scores, {len(scores.unique())} different",
        contestants={
            "auroc": lambda: auroc(scores, wrong),
            **_sorts(scores),
            "scikit-learn": lambda: roc_auc_score(marks, values),
        },
        compared=lambda found: _area(found, scores, wrong),
        candidate="auroc",
        reference="scikit-learn",
        tolerance=1e-6,
        targets=TARGETS,
    )


def _selection(name: str, scores: Tensor, wrong: Tensor) -> Race:
    return Race(
        name=f"AURC, {name}",
        what=f"area under risk over coverage of 10^6 {scores.dtype} scores and mistakes, ties on average",
        contestants={
            "aurc": lambda: aurc(scores, wrong),
            **_sorts(scores),
            "plain torch": lambda: _plain(scores, wrong),
        },
        compared=lambda found: found if torch.as_tensor(found).ndim == 0 else _risk(wrong[found]),
        candidate="aurc",
        reference="plain torch",
        tolerance=1e-4,
        targets=TARGETS,
    )


def _sorts(scores: Tensor) -> dict[str, Callable[[], Tensor]]:
    return {
        "torch.sort": lambda: scores.sort().indices,
        "np.argsort": lambda: torch.from_numpy(np.argsort(scores.numpy())),
    }


def _area(found: Tensor | float, scores: Tensor, wrong: Tensor) -> Tensor:
    """Return an area as it is, or that of an order, by mid-ranks."""
    value = torch.as_tensor(found)
    if value.ndim == 0:
        return value
    ranks = torch.from_numpy(rankdata(scores[value].numpy()))
    positives = int(wrong.sum())
    return (ranks[wrong[value]].sum() - positives * (positives + 1) / 2) / (positives * (SIZE - positives))


def _plain(scores: Tensor, wrong: Tensor) -> Tensor:
    """The usual three lines, which take ties as they come."""
    return _risk(wrong[scores.sort().indices])


def _risk(wrong: Tensor) -> Tensor:
    return (wrong.double().cumsum(0) / torch.arange(1, SIZE + 1)).mean()
