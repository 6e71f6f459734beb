"""Calls of what draws at random in samplers; small ones."""

from collections.abc import Callable

import torch
from torch import Tensor

from weightlore.uncertainty import mcmc


def normal(q: Tensor) -> Tensor:
    return -q.square().sum(1) / 2


START = torch.ones(2, 3, dtype=torch.float64)

CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    "uncertainty.mcmc.hmc": lambda g: mcmc.hmc(normal, START, samples=3, warmup=20, generator=g).draws,
    "uncertainty.mcmc.random_walk_metropolis": lambda g: (
        mcmc.random_walk_metropolis(normal, START, samples=9, scale=1.0, generator=g).draws
    ),
}
UNDRAWN: set[str] = set()
