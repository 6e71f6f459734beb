"""How a Hamiltonian chain finds its step size and its masses while it warms up.

    DualAveraging(start, target)     .update(acceptance) moves ln e until the mean acceptance is the target
    DrawnVariance(old)               .add(draws), .estimate(): variances, drawn toward the old ones while draws are few

Neither is touched after the warm-up: a chain that goes on adapting does not keep its density.
"""

import math

import torch
from torch import Tensor

__all__ = ["DrawnVariance", "DualAveraging"]


class DualAveraging:
    """Search for the step size at which the mean acceptance is a given one.

        h <- (1 - 1/(t + 10)) h + (target - a)/(t + 10)
        ln e = ln(10 e_1) - sqrt(t)/0.05 h,   mean ln e <- t^-0.75 ln e + (1 - t^-0.75) mean ln e

    Args:
        start: e_1, the first step size, > 0.
        target: acceptance to reach, in (0, 1).

    Source: [hoffman2014nuts], dual averaging with its recommended constants
    """

    def __init__(self, start: float, target: float) -> None:
        self.target, self._center = target, math.log(10 * start)
        self._updates, self._error, self._mean_log = 0, 0.0, 0.0
        self.step_size = start  # the one to try next

    def update(self, acceptance: float) -> None:
        """Take in the acceptance that the last step size had.

        Args:
            acceptance: in [0, 1].
        """
        self._updates += 1
        t = self._updates
        self._error += (self.target - acceptance - self._error) / (t + 10)
        log_step = self._center - math.sqrt(t) / 0.05 * self._error
        self._mean_log += t**-0.75 * (log_step - self._mean_log)
        self.step_size = math.exp(max(-50.0, min(50.0, log_step)))

    @property
    def averaged(self) -> float:
        """The step size to keep; the first one before any update."""
        return math.exp(max(-50.0, min(50.0, self._mean_log))) if self._updates else self.step_size


class DrawnVariance:
    """Variance of each parameter over draws of all chains.

        (n var + 5 old) / (n + 5)

    Args:
        old: what is believed so far, shape (P,).

    Source: ours, because five draws' worth of the old belief keeps a short warm-up from masses of zero
    """

    def __init__(self, old: Tensor) -> None:
        self._old, self._draws = old, list[Tensor]()

    def add(self, draws: Tensor) -> None:
        """Take in a draw of each chain.

        Args:
            draws: shape (C, P).
        """
        self._draws.append(draws)

    def estimate(self) -> Tensor:
        """Return the variances, shape (P,); the old ones before the second draw."""
        if not self._draws:
            return self._old
        draws = torch.cat(self._draws)
        return (len(draws) * draws.var(0, correction=0) + 5 * self._old) / (len(draws) + 5)
