"""An ensemble of near-isotonic fits: the path from the data themselves to the isotonic regression, weighted by BIC.

Near-isotonic regression allows falling, at a price:

    z(lambda) = argmin of 1/2 sum_i n_i (z_i - t_i)^2 + lambda sum_i max(z_i - z_(i+1), 0)      near_isotonic_path

At lambda = 0 it is the data; as lambda grows, neighbors that fall move toward each other, meet, and stay together,
until nothing falls any more: then it is the isotonic regression. Every meeting is a model with as many parameters as
groups. Those models are averaged:

    w proportional to exp(-BIC / 2),   BIC = -2 log likelihood + groups * ln N                 NearIsotonicEnsemble
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import xlog1py, xlogy
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.calibration.one_vs_rest import BinaryMap, OneVsRest
from weightlore.uncertainty.calibration.piecewise import Steps

__all__ = ["NearIsotonic", "NearIsotonicEnsemble", "near_isotonic_path"]

Numbers = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class NearIsotonic:
    """One point of the path.

    Args:
        penalty: lambda, >= 0.
        values: z, one for each of the B points, shape (B,), float64.
        groups: how many groups of neighbors have met, or were equal from the start.

    Source: [naeini2016enir], near-isotonic regression
    """

    penalty: float
    values: Tensor
    groups: int


class NearIsotonicEnsemble(OneVsRest):
    """Average the near-isotonic fits of a whole path, weighted by BIC, for each class.

    Attributes:
        maps: stairs, one for each class, a single one for two classes.

    Example:
        >>> z = torch.tensor([[0.0, -1.0], [0.0, 0.0], [0.0, 1.0], [0.0, 2.0]])
        >>> NearIsotonicEnsemble().fit(z, torch.tensor([0, 0, 1, 1])).predict_proba(z[:1])
        tensor([[1., 0.]])

    Source: [naeini2016enir]; many classes as in [zadrozny2002transforming]
    """

    def fit_map(self, scores: Tensor, hit: Tensor) -> BinaryMap:
        """Return the stairs of one class, fitted on its probabilities (N,) and on where it is right (N,), bool."""
        places, number, counts = scores.unique(return_inverse=True, return_counts=True)
        n = counts.double()
        hits = torch.bincount(number, hit.double(), len(places))
        best, total, values = -math.inf, 0.0, torch.zeros_like(n)
        for model in near_isotonic_path(hits / n, n):  # weights relative to the best so far, so that none overflows
            score = _log_likelihood(model.values, hits, n) - 0.5 * model.groups * math.log(len(scores))
            if score > best:
                shrink = math.exp(best - score)
                best, total, values = score, total * shrink, values * shrink
            weight = math.exp(score - best)
            total, values = total + weight, values + weight * model.values
        return Steps((places[:-1] + places[1:]) / 2, values / total)


def near_isotonic_path(t: Tensor, counts: Tensor | None = None) -> Iterator[NearIsotonic]:
    """Yield the near-isotonic regression at lambda = 0 and at every lambda where neighbors meet.

        z(lambda) = argmin of 1/2 sum_i n_i (z_i - t_i)^2 + lambda sum_i max(z_i - z_(i+1), 0)

    Between two meetings every value moves linearly in lambda, by (s_(g-1) - s_g) / n_g for group g, where s_g says
    whether z falls behind it; groups that met stay together.

    Args:
        t: values in order, shape (B,), B >= 1.
        counts: n, how many examples each value stands for, > 0, shape (B,); ones by default.

    Yields:
        The models in the order of lambda; the last is the isotonic regression.

    Raises:
        ParameterError: if the values are not finite, or not one positive count for each.

    Example:
        >>> [model.values.tolist() for model in near_isotonic_path(torch.tensor([1.0, 0.0]))]
        [[1.0, 0.0], [0.5, 0.5]]

    Source: [naeini2016enir], modified pair-adjacent violators
    """
    given = require_finite("values", t.detach()).double().cpu()
    n = torch.ones_like(given) if counts is None else require_finite("counts", counts.detach()).double().cpu()
    if given.ndim != 1 or not len(given) or n.shape != given.shape or not bool((n > 0).all()):
        raise ParameterError(
            f"values (B,) and a positive count for each are needed, got {tuple(given.shape)} and {tuple(n.shape)}"
        )
    return _path(given.numpy(), n.numpy())


def _path(t: Numbers, n: Numbers) -> Iterator[NearIsotonic]:
    groups = _Groups(t.copy(), n.copy(), np.ones(len(t), dtype=np.int64), 0.0)
    groups, same = groups.joined(t[1:] == t[:-1]), 1e-13 * float(np.abs(t).max())
    while True:
        yield groups.model()
        slopes = groups.slopes()
        closing, apart = np.abs(np.diff(slopes)), np.abs(np.diff(groups.value))  # what moves at all, moves together
        waits = np.divide(apart, closing, out=np.full_like(apart, math.inf), where=closing > 0)
        soonest = float(waits.min(initial=math.inf))
        if not math.isfinite(soonest):
            return
        groups = groups.moved(slopes, soonest)
        groups = groups.joined((waits <= soonest) | (np.abs(np.diff(groups.value)) <= same))


@dataclass(frozen=True)
class _Groups:
    """Neighbors that have met: value, weight and number of points of each group, and the penalty so far."""

    value: Numbers
    weight: Numbers
    size: NDArray[np.int64]
    penalty: float

    def model(self) -> NearIsotonic:
        return NearIsotonic(self.penalty, torch.from_numpy(np.repeat(self.value, self.size)), len(self.value))

    def slopes(self) -> Numbers:
        """Return how fast each value moves as the penalty grows."""
        falls = np.concatenate([[0.0], (np.diff(self.value) < 0).astype(np.float64), [0.0]])
        return np.asarray((falls[:-1] - falls[1:]) / self.weight)

    def moved(self, slopes: Numbers, by: float) -> "_Groups":
        return _Groups(self.value + by * slopes, self.weight, self.size, self.penalty + by)

    def joined(self, meets: NDArray[np.bool_]) -> "_Groups":
        """Join groups to the one before where ``meets`` says so; the value is their mean, equal up to rounding."""
        starts = np.flatnonzero(np.concatenate([[True], ~meets]))
        weight = np.add.reduceat(self.weight, starts)
        value = np.add.reduceat(self.weight * self.value, starts) / weight
        return _Groups(value, weight, np.add.reduceat(self.size, starts), self.penalty)


def _log_likelihood(values: Tensor, hits: Tensor, counts: Tensor) -> float:
    z, m, n = values.clamp(0, 1).numpy(), hits.numpy(), counts.numpy()
    return float((xlogy(m, z) + xlog1py(n - m, -z)).sum())
