"""Calls of what draws at random in dropout that stays on; small ones."""

from collections.abc import Callable

import torch
from torch import Tensor

from weightlore.uncertainty import bayesian


def beliefs(generator: torch.Generator) -> Tensor:
    """First means of a small network."""
    one = bayesian.GammaFactor(6.0, 6.0)
    return bayesian.initial_beliefs((2, 3, 1), noise=one, prior=one, generator=generator).means[0]


CASES: dict[str, Callable[[torch.Generator], Tensor]] = {"uncertainty.bayesian.initial_beliefs": beliefs}
UNDRAWN: set[str] = set()
