"""Calls of what draws at random in Laplace approximations; small ones."""

from collections.abc import Callable

import torch
from torch import Tensor

from weightlore.uncertainty import laplace

CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    "uncertainty.laplace.sampled_probs": lambda g: laplace.sampled_probs(
        torch.zeros(2, 3), torch.ones(2, 3), samples=4, generator=g
    ),
}
UNDRAWN: set[str] = set()
