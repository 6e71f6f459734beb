"""How a latent weight becomes a binary one, and how the gradient finds back: one rule for each method.

    ScaledSign   alpha sign(W) of the centered and clamped weight       [lu2020binary]
    PlainSign    unit sign(W), or a sign by chance, of the clamped one  [courbariaux2015binaryconnect]

A rule is what ``BinaryTraining`` asks; another one needs the four methods of ``Rule``.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from weightlore.binary.layers import require_channels
from weightlore.binary.weights import closest_, mapped
from weightlore.errors import ParameterError

__all__ = ["PlainSign", "Rule", "ScaledSign"]


class Rule(Protocol):
    """What a way of binarizing offers to the training around it.

    Source: ours
    """

    def check(self, weight: Tensor, what: str) -> None:
        """Raise ``ParameterError`` if a weight cannot be binarized; ``what`` names it in the message."""
        ...

    def project_(self, weight: Tensor) -> Tensor:
        """Turn a latent weight into the one that a step begins with, in place."""
        ...

    def binarize_(self, weight: Tensor, generator: torch.Generator | None) -> Tensor:
        """Turn a projected weight into the binary one, in place; without generator nothing is left to chance."""
        ...

    def gradient(self, weight: Tensor, gradient: Tensor) -> Tensor:
        """Return the gradient in a projected weight, given that in the binary one."""
        ...


@dataclass(frozen=True)
class ScaledSign:
    """Signs times a scale for each output, of a weight that was centered and clamped: the paper's rule.

        W <- clip(W - mean, -limit, limit),   W~ = alpha sign(W),   alpha = mean |W|

    Args:
        center: whether the mean over input channels is taken away.
        limit: largest magnitude of a latent weight, > 0; ``None`` for none.
        rescale: factor of the gradient besides (1 - 1/I) n, > 0: 1 as in the authors' code for small images, 1e9 as in
            that for ImageNet; ``None`` for the derivative as it is, without any factor.

    Raises:
        ParameterError: if a number is out of range.

    Source: [lu2020binary], binary-weight training
    """

    center: bool = True
    limit: float | None = 1.0
    rescale: float | None = 1.0

    def __post_init__(self) -> None:
        _require_positive(limit=self.limit, rescale=self.rescale)

    def check(self, weight: Tensor, what: str) -> None:
        """Refuse a weight with one input channel, which centering would set to zero."""
        if self.center:
            require_channels(weight, what)

    def project_(self, weight: Tensor) -> Tensor:
        """Center and clamp."""
        if self.center:
            weight.sub_(weight.mean(1, keepdim=True))
        return weight if self.limit is None else weight.clamp_(-self.limit, self.limit)

    def binarize_(self, weight: Tensor, generator: torch.Generator | None) -> Tensor:
        """Set alpha sign(W); nothing is drawn."""
        return closest_(weight)

    def gradient(self, weight: Tensor, gradient: Tensor) -> Tensor:
        """Return the mapped gradient; a projected weight lies within the limit, where the sign lets it through."""
        return mapped(weight, gradient, center=self.center, rescale=self.rescale, limit=None)


@dataclass(frozen=True)
class PlainSign:
    """Signs times one fixed number, of a clamped weight: BinaryConnect.

        W <- clip(W, -unit, unit),   W~ = unit sign(W),   dC/dW = dC/dW~
        by chance: W~ = unit with probability (W/unit + 1) / 2, else -unit

    Args:
        unit: magnitude of all binary weights, > 0; ``None`` for sqrt(2/n) in each layer, with n inputs of an output,
            which keeps the size of a signal through ReLU layers without normalization. The paper has 1, and batch
            normalization.
        stochastic: whether training draws the signs; at evaluation they are those of the weight.

    Raises:
        ParameterError: if the unit is not positive.

    Source: [courbariaux2015binaryconnect], Algorithm 1; units other than 1 are ours
    """

    unit: float | None = None
    stochastic: bool = False

    def __post_init__(self) -> None:
        _require_positive(unit=self.unit)

    def check(self, weight: Tensor, what: str) -> None:
        """Accept every weight."""

    def project_(self, weight: Tensor) -> Tensor:
        """Clamp."""
        unit = self._unit(weight)
        return weight.clamp_(-unit, unit)

    def binarize_(self, weight: Tensor, generator: torch.Generator | None) -> Tensor:
        """Set signs, drawn where a generator is given and the rule is stochastic."""
        unit = self._unit(weight)
        if self.stochastic and generator is not None:
            drawn = torch.rand(weight.shape, generator=generator, dtype=weight.dtype, device=generator.device)
            weight.div_(unit).add_(1).sub_(drawn.to(weight.device), alpha=2)
        return weight.ge_(0).mul_(2 * unit).sub_(unit)

    def gradient(self, weight: Tensor, gradient: Tensor) -> Tensor:
        """Return the gradient as it is."""
        return gradient

    def _unit(self, weight: Tensor) -> float:
        return math.sqrt(2 / weight[0].numel()) if self.unit is None else self.unit


def _require_positive(**numbers: float | None) -> None:
    for name, number in numbers.items():
        if number is not None and not 0 < number < math.inf:
            raise ParameterError(f"{name} must be a finite number > 0, or None, got {number}")
