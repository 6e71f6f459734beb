"""The worst corruption of 10^7 parameters against one torch.topk of the same size."""

import math

import torch

from benchmarks.race import Race
from weightlore.corruption import Budget, closed_form

SIZE = 10**7


def races() -> list[Race]:
    return [
        _race("p=2, n=1%", Budget(1.0, n=SIZE // 100)),
        _race("p=inf, n=1%", Budget(1.0, p=math.inf, n=SIZE // 100)),
        _race("p=1.5, n=10%", Budget(1.0, p=1.5, n=SIZE // 10)),
        _race("p=2, n=1000", Budget(1.0, n=1000)),
        _race("ties, n=1%", Budget(1.0, n=SIZE // 100), decimals=2),
    ]


def _race(name: str, budget: Budget, decimals: int | None = None) -> Race:
    gradient = torch.randn(SIZE, generator=torch.Generator().manual_seed(0))
    gradient = gradient if decimals is None else gradient.round(decimals=decimals)
    count = budget.count(SIZE)
    return Race(
        name=name,
        what=f"closed form for {budget} on 10^7 float32 parameters, finiteness checked and ties stable",
        contestants={
            "closed_form": lambda: closed_form(gradient, budget).vector,
            "torch.topk": lambda: torch.topk(gradient.abs(), count).indices,
        },
        compared=lambda found: _touched(gradient, found),
        candidate="closed_form",
        reference="torch.topk",
        tolerance=1e-12,
        targets={"torch.topk": round(1 / 3, 3)},
    )


def _touched(gradient: torch.Tensor, found: torch.Tensor) -> torch.Tensor:
    """Return how many entries a corruption, or indices, touch, and how much of the gradient that is."""
    indices = found.nonzero().squeeze(1) if found.is_floating_point() else found
    return torch.stack([torch.tensor(len(indices)).double(), gradient[indices].double().abs().sum()])
