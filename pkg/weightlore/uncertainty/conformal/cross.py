"""Intervals without a set apart: every example is left out once, and its residual is honest.

    CrossConformalRegressor    CV+ with K folds, jackknife+ with as many folds as examples

With mu_{-i} learned without the fold of example i and R_i = |y_i - mu_{-i}(x_i)|, the interval at x reaches from the
floor(a (n + 1))-th smallest mu_{-i}(x) - R_i to the ceil((1 - a) (n + 1))-th smallest mu_{-i}(x) + R_i. It holds
about a share 1 - a of the targets; proven are 1 - 2 a for jackknife+, and a little less for CV+.
"""

import warnings
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from weightlore.data.split import Split
from weightlore.errors import ParameterError
from weightlore.uncertainty.conformal.quantile import rank_of, require_level, smallest_set
from weightlore.uncertainty.conformal.regressors import require_numbers, uncrossed
from weightlore.uncertainty.predictions import IntervalPrediction
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["CrossConformalRegressor", "Learn"]

Learn = Callable[[Split, torch.Generator], Callable[[Tensor], Tensor]]
CHUNK = 2**22  # numbers that are sorted at once


class CrossConformalRegressor:
    """CV+ and jackknife+ around any way of learning a regression.

    Args:
        learn: takes examples and a generator, and returns the learned function of inputs (N, ...) to numbers (N,).
        level: 1 - a, what is aimed at.
        folds: K >= 2; ``None`` for as many as there are examples, which is jackknife+.

    Raises:
        ParameterError: if the level or the number of folds is out of range.

    Example:
        >>> def learn(data, generator):
        ...     return lambda x: data.y.mean().expand(len(x))
        >>> data = Split(torch.zeros(40, 1), torch.arange(40.0))
        >>> found = CrossConformalRegressor(learn, level=0.8, folds=10)
        >>> interval = found.fit(data, generator=torch.Generator().manual_seed(0)).predict(torch.zeros(2, 1))
        >>> interval.width > 30
        tensor([True, True])

    Source: [barber2021jackknife], jackknife+ and CV+
    """

    def __init__(self, learn: Learn, *, level: float, folds: int | None = None) -> None:
        require_level(level)
        if folds is not None and folds < 2:
            raise ParameterError(f"folds must be >= 2, or None for one for each example, got {folds}")
        self.learn, self.level, self.folds = learn, level, folds
        self.learned: list[Callable[[Tensor], Tensor]] = []
        self.residuals: list[Tensor] = []

    def fit(self, data: Split, *, generator: torch.Generator) -> Self:
        """Learn once without each fold, and keep the residuals of those left out.

        Args:
            data: n examples, x (n, ...) and y (n,).
            generator: source of randomness: for the folds first, then for learning, fold by fold.

        Raises:
            ParameterError: if there are fewer examples than folds, or y is no finite vector.
        """
        count = len(require_numbers("y", data.y))
        folds = count if self.folds is None else self.folds
        if count < max(folds, 2):
            raise ParameterError(f"{count} examples cannot be cut into {folds} folds; give more, or fewer folds")
        order = torch.randperm(count, generator=generator, device=generator.device).to(data.y.device)
        learned, residuals = [], []
        for out in order.tensor_split(folds):
            kept = torch.ones(count, dtype=torch.bool, device=data.y.device)
            kept[out] = False
            learned.append(self.learn(data[kept], generator))
            residuals.append((data.y[out] - _predicted(learned[-1], data.x[out])).abs())
        self.learned, self.residuals = learned, residuals
        return self

    def predict(self, x: Tensor) -> IntervalPrediction:
        """Return an interval for each input; infinite, with a warning, if there are too few examples for the level.

        Args:
            x: inputs, shape (N, ...).

        Raises:
            ParameterError: if nothing was fitted, or the learned functions return something else than N numbers.
        """
        if not self.learned:
            raise ParameterError("nothing was fitted yet; call fit with the examples to learn from")
        means = torch.stack([_predicted(function, x) for function in self.learned], dim=1)  # (N, K)
        size = torch.cat(self.residuals)
        rank, count = rank_of(len(size), self.level), len(size)
        if rank > count:
            warnings.warn(
                f"{count} examples promise nothing at level {self.level:g}: intervals are infinite; "
                f"{smallest_set(self.level)} are needed at least",
                UncertaintyWarning,
                stacklevel=2,
            )
            ends = means.new_full((len(x),), torch.inf)
            return IntervalPrediction(-ends, ends, self.level)
        fold = torch.cat([torch.full((len(r),), k, device=x.device) for k, r in enumerate(self.residuals)])
        found = []
        for some in means.split(max(1, CHUNK // count)):
            low = (size - some[:, fold]).kthvalue(rank, dim=1).values.neg()
            found.append(torch.stack([low, (size + some[:, fold]).kthvalue(rank, dim=1).values]))
        lower, upper, _ = uncrossed(*torch.cat(found, dim=1))  # crossed only where less than half is asked for
        return IntervalPrediction(lower, upper, self.level)


def _predicted(function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Return the numbers that a learned function says, checked."""
    with torch.no_grad():
        mean = require_numbers("the learned function's predictions", function(x))
    if len(mean) != len(x):
        raise ParameterError(f"a learned function must return one number for each of {len(x)} inputs, got {len(mean)}")
    return mean
