"""Coverage where nothing is exchangeable: correct the level after every miss.

    AdaptiveConformal    a_{t+1} = a_t + rate (a - miss_t) ,   miss_t = 1 where y_t was not covered

Whatever the sequence, after T steps the share of misses is within (max(a, 1 - a) + rate) / (rate T) of a: that is
arithmetic and needs no assumption. Where it runs after a drift, it says nothing of any single step.
"""

from typing import Self

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.conformal.quantile import (
    conformal_quantile,
    rank_of,
    require_calibration,
    require_level,
)

__all__ = ["AdaptiveConformal"]


class AdaptiveConformal:
    """A level that follows the misses.

    Args:
        level: the promised coverage 1 - a, in the long run.
        rate: how much a miss raises the level, > 0; large follows fast, and swings.

    Raises:
        ParameterError: if a number is out of range.

    Example:
        >>> online = AdaptiveConformal(level=0.9, rate=0.05)
        >>> round(online.update(covered=False).current, 3), round(online.update(covered=True).current, 3)
        (0.945, 0.94)

    Source: [gibbs2021adaptive], adaptive conformal inference
    """

    def __init__(self, *, level: float, rate: float) -> None:
        require_level(level)
        if not 0 < rate < torch.inf:
            raise ParameterError(f"rate is the step of the level and must be a finite number > 0, got {rate}")
        self.level, self.rate, self.current = level, rate, level

    def threshold(self, scores: Tensor) -> Tensor:
        """Return the threshold for the next score at the current level.

        Args:
            scores: of the examples so far, or of the latest, shape (n,); larger = stranger.

        Returns:
            Shape (); infinite where the current level is 1 or more or higher than so few scores can tell, and minus
            infinity, which covers nothing, where it is 0 or less.

        Raises:
            ParameterError: if the scores are no finite vector.
        """
        require_calibration(scores)
        if self.current <= 0:
            return scores.new_full((), -torch.inf)
        if self.current >= 1 or rank_of(len(scores), self.current) > len(scores):
            return scores.new_full((), torch.inf)
        return conformal_quantile(scores, level=self.current)

    def update(self, *, covered: bool) -> Self:
        """Raise the level after a miss, lower it a little otherwise.

        Args:
            covered: whether the last target was in its interval or set.
        """
        a = 1 - self.current
        self.current = 1 - (a + self.rate * ((1 - self.level) - (0.0 if covered else 1.0)))
        return self
