"""Hamiltonian chains, and the gradients that they cannot do without.

*The gradients alone* are as many evaluations of the same log joint with its gradient, for all chains together; *one
by one* are the same number of chains, each in a batch of its own: what the batch gains.
Neither draws the same numbers as the chains together, so both hand over the right result: they are bounds.
"""

import torch
from torch import Tensor, nn

from benchmarks.race import Race
from weightlore.data import Split, digits
from weightlore.networks import mlp
from weightlore.parameters import layout
from weightlore.uncertainty.mcmc import Target, gaussian_likelihood, hmc, log_joint
from weightlore.uncertainty.mcmc.targets import value_and_gradient

CHAINS, STEPS, SAMPLES = 16, 20, 5


def races() -> list[Race]:
    generator = torch.Generator().manual_seed(0)
    line = torch.linspace(-2, 2, 100, dtype=torch.float64)[:, None]
    small = mlp((1, 20, 20, 1), generator=generator)
    train = digits("train")
    return [
        _race(
            "sine",
            "MLP 1-20-20-1 on 100 points, float64",
            small,
            log_joint(small, Split(line, line.sin()), prior_precision=1.0, likelihood=gaussian_likelihood(0.01)),
        ),
        _race(
            "digits",
            "MLP 64-20-10 on 500 digits, float64",
            mlp((64, 20, 10), generator=generator),
            log_joint(mlp((64, 20, 10), generator=generator), train[:500], prior_precision=1.0),
        ),
    ]


def _race(name: str, what: str, network: nn.Module, target: Target) -> Race:
    generator = torch.Generator().manual_seed(1)
    start = 0.1 * torch.randn(CHAINS, layout(network).size, generator=generator, dtype=torch.float64)
    right = _chains(target, start)

    def gradients() -> Tensor:
        place = start
        for _ in range(SAMPLES * STEPS):
            gradient = value_and_gradient(target, place)[1]
            place = place + 1e-9 * gradient
        return right  # a bound on what chains cost, not a contestant

    def alone() -> Tensor:
        for row in start:
            _chains(target, row[None])
        return right

    return Race(
        name=name,
        what=f"{what}; {CHAINS} chains, {SAMPLES} proposals of {STEPS} steps",
        contestants={"hmc": lambda: _chains(target, start), "the gradients alone": gradients, "one by one": alone},
        candidate="hmc",
        reference="hmc",
        tolerance=1e-9,
        targets={"the gradients alone": 1 / 1.3},
    )


def _chains(target: Target, start: Tensor) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return hmc(target, start, samples=SAMPLES, steps=STEPS, step_size=1e-3, warmup=0, generator=generator).draws[-1]
