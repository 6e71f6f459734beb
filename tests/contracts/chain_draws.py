"""Calls of what draws at random in samplers; small ones."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.networks import mlp
from weightlore.parameters import flatten
from weightlore.uncertainty import mcmc


def normal(q: Tensor) -> Tensor:
    return -q.square().sum(1) / 2


def sampled(generator: torch.Generator) -> Tensor:
    model = mlp((3, 2), generator=torch.Generator().manual_seed(5))
    data = Split(torch.eye(3, dtype=torch.float64), torch.tensor([0, 1, 0]))

    def make(parameters: Iterable[nn.Parameter]) -> mcmc.SGLD:
        return mcmc.SGLD(parameters, 0.1, num_data=3, prior_precision=1.0, generator=generator)

    found = mcmc.sample_network(
        model, data, make, schedule=mcmc.ConstantSchedule(0.1), epochs=3, generator=generator, batch_size=2
    )
    return torch.stack([flatten(member) for member in found.members])


START = torch.ones(2, 3, dtype=torch.float64)

CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    "uncertainty.mcmc.hmc": lambda g: mcmc.hmc(normal, START, samples=3, warmup=20, generator=g).draws,
    "uncertainty.mcmc.random_walk_metropolis": lambda g: (
        mcmc.random_walk_metropolis(normal, START, samples=9, scale=1.0, generator=g).draws
    ),
    "uncertainty.mcmc.sample_network": sampled,
}
UNDRAWN: set[str] = set()
