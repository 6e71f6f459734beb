"""A threshold for each group: the promise is kept within every group, not only on average (Mondrian).

    Thresholds            groups and their thresholds; of(groups) looks them up
    grouped_thresholds    one conformal quantile for all, or one for each group

A group without calibration examples has an infinite threshold: nothing is known of it, so nothing is excluded.
"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.conformal.quantile import conformal_quantile, rank_of, require_calibration, smallest_set
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["Thresholds", "grouped_thresholds", "require_groups"]


@dataclass(frozen=True, eq=False)
class Thresholds:
    """Conformal quantiles of groups.

    Args:
        groups: numbers of the groups, rising, shape (G,), int64; ``None`` where all examples are one group.
        values: their thresholds, shape (G,), or (1,) for one group; infinite where there are too few scores.

    Source: ours
    """

    groups: Tensor | None
    values: Tensor

    def of(self, groups: Tensor | None, count: int) -> Tensor:
        """Return the threshold of each example, shape (count,); infinite for a group that was not seen.

        Args:
            groups: the group of each example, shape (count,), or ``None`` where there are no groups.
            count: how many examples there are.

        Raises:
            ParameterError: if groups are missing or given in vain.
        """
        if (groups is None) != (self.groups is None):
            raise ParameterError("groups must be given to fit and to predict, or to neither")
        if groups is None or self.groups is None:
            return self.values.expand(count)
        require_groups(groups, count)
        place = torch.searchsorted(self.groups, groups).clamp(max=len(self.groups) - 1)
        return torch.where(self.groups[place] == groups, self.values[place], torch.inf)


def grouped_thresholds(scores: Tensor, groups: Tensor | None, *, level: float) -> Thresholds:
    """Return the conformal quantile of the scores, or of those of each group.

    Args:
        scores: shape (n,); larger = stranger.
        groups: group of each score, shape (n,), int64; ``None`` for one group.
        level: the promised coverage 1 - a, in every group.

    Returns:
        The thresholds; a warning counts the groups with too few scores.

    Raises:
        ParameterError: if these are no scores, groups or level.

    Source: [vovk2005algorithmic], Mondrian conformal prediction
    """
    require_calibration(scores, least=1)
    if groups is None:
        found, parts = None, [scores]
    else:
        require_groups(groups, len(scores))
        found = groups.unique()
        parts = [scores[groups == group] for group in found]
    small = [rank_of(len(part), level) > len(part) for part in parts]
    if any(small):
        warnings.warn(
            f"{sum(small)} of {len(parts)} groups have too few scores for level {level:g}, so that their thresholds "
            f"are infinite; {smallest_set(level)} are needed in each",
            UncertaintyWarning,
            stacklevel=3,
        )
    infinite = scores.new_full((), torch.inf)
    values = [
        infinite if few else conformal_quantile(part, level=level) for few, part in zip(small, parts, strict=True)
    ]
    return Thresholds(found, torch.stack(values))


def require_groups(groups: Tensor, count: int) -> None:
    """Check that there is a group for each example.

    Args:
        groups: shape (count,), int64.
        count: how many examples there are.

    Raises:
        ParameterError: if there is not.

    Source: ours
    """
    if not isinstance(groups, Tensor) or groups.shape != (count,) or groups.dtype != torch.int64:
        came = f"{tuple(groups.shape)}, {groups.dtype}" if isinstance(groups, Tensor) else type(groups).__name__
        raise ParameterError(f"groups must be int64, one number for each of {count} examples, got {came}")
