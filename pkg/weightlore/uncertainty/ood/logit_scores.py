"""Scores that need nothing but the logits of a trained network.

    1 - max_c softmax(z)_c            max_softmax_score    MaxSoftmax(model)
    -max_c z_c                        max_logit_score      MaxLogit(model)
    -T ln sum_c exp(z_c / T)          energy_score         Energy(model)

All are larger for an input that is less like the training data. A constant added to all logits leaves the first as it
is and shifts the two others: energies of two networks cannot be compared, their orders can.
"""

import math
from dataclasses import dataclass

from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.uncertainty.calibration.calibrator import require_logits
from weightlore.uncertainty.ood.reading import logits_at

__all__ = [
    "Energy",
    "MaxLogit",
    "MaxSoftmax",
    "energy_score",
    "max_logit_score",
    "max_softmax_score",
    "require_temperature",
]


def max_softmax_score(logits: Tensor) -> Tensor:
    """Return how much probability the largest class leaves to the others.

        1 - max_c softmax(z)_c,   summed over the other classes, so that certain answers keep their order

    Args:
        logits: z, shape (N, C).

    Returns:
        Shape (N,), from 0 to 1 - 1/C.

    Raises:
        ParameterError: if these are no finite logits.

    Example:
        >>> import torch
        >>> max_softmax_score(torch.tensor([[0.0, 0.0]]))
        tensor([0.5000])

    Source: [hendrycks2017baseline]
    """
    logits = require_logits(logits)
    best = logits.argmax(1, keepdim=True)
    return logits.softmax(1).scatter(1, best, 0.0).sum(1)


def max_logit_score(logits: Tensor) -> Tensor:
    """Return the negative of the largest logit.

        -max_c z_c

    Args:
        logits: z, shape (N, C).

    Returns:
        Shape (N,). A constant added to all logits of an input shifts it.

    Raises:
        ParameterError: if these are no finite logits.

    Example:
        >>> import torch
        >>> max_logit_score(torch.tensor([[1.0, 3.0]]))
        tensor([-3.])

    Source: [hendrycks2022scaling]
    """
    return -require_logits(logits).amax(1)


def energy_score(logits: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Return the free energy of an input.

        E = -T ln sum_c exp(z_c / T)

    Logits are compared with their largest one first, in float64, so that no temperature makes an energy NaN.

    Args:
        logits: z, shape (N, C).
        temperature: T, > 0.

    Returns:
        Shape (N,). A constant added to all logits of an input shifts it by minus that constant.

    Raises:
        ParameterError: if these are no finite logits, or T is not a finite number > 0.

    Example:
        >>> import torch
        >>> energy_score(torch.tensor([[0.0, 0.0]]))
        tensor([-0.6931])

    Source: [liu2020energy]
    """
    logits, temperature = require_logits(logits), require_temperature(temperature)
    best, gaps = logits.amax(1), (logits - logits.amax(1, keepdim=True)).double()
    return -(best + temperature * (gaps / temperature).exp().sum(1).log()).to(logits.dtype)


@dataclass(frozen=True, eq=False)
class MaxSoftmax:
    """The baseline: an input is strange if no class is probable.

    Args:
        model: returns logits; left as it is.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> MaxSoftmax(healthy()).score(digits("test").x[:3]).shape
        torch.Size([3])

    Source: [hendrycks2017baseline]
    """

    model: nn.Module

    def score(self, x: Tensor) -> Tensor:
        """Return ``max_softmax_score`` of the inputs (N, ...), shape (N,)."""
        return max_softmax_score(logits_at(self.model, x))


@dataclass(frozen=True, eq=False)
class MaxLogit:
    """An input is strange if no logit is large.

    Args:
        model: returns logits; left as it is.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> MaxLogit(healthy()).score(digits("test").x[:3]).shape
        torch.Size([3])

    Source: [hendrycks2022scaling]
    """

    model: nn.Module

    def score(self, x: Tensor) -> Tensor:
        """Return ``max_logit_score`` of the inputs (N, ...), shape (N,)."""
        return max_logit_score(logits_at(self.model, x))


@dataclass(frozen=True, eq=False)
class Energy:
    """An input is strange if its energy is high.

    Args:
        model: returns logits; left as it is.
        temperature: T, > 0.

    Raises:
        ParameterError: if T is not a finite number > 0.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> Energy(healthy(), temperature=2.0).score(digits("test").x[:3]).shape
        torch.Size([3])

    Source: [liu2020energy]
    """

    model: nn.Module
    temperature: float = 1.0

    def __post_init__(self) -> None:
        require_temperature(self.temperature)

    def score(self, x: Tensor) -> Tensor:
        """Return ``energy_score`` of the inputs (N, ...), shape (N,)."""
        return energy_score(logits_at(self.model, x), temperature=self.temperature)


def require_temperature(temperature: float) -> float:
    """Return the temperature if it is one.

    Args:
        temperature: T.

    Raises:
        ParameterError: if it is not a finite number > 0.

    Source: ours
    """
    if not (math.isfinite(temperature) and temperature > 0):
        raise ParameterError(
            f"a temperature must be a finite number > 0, got {temperature}; 1 leaves logits as they are"
        )
    return temperature
