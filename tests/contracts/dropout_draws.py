"""Calls of what draws at random in dropout that stays on; small ones."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.uncertainty import CategoricalPrediction, bayesian


def beliefs(generator: torch.Generator) -> Tensor:
    """First means of a small network."""
    one = bayesian.GammaFactor(6.0, 6.0)
    return bayesian.initial_beliefs((2, 3, 1), noise=one, prior=one, generator=generator).means[0]


def dropped(generator: torch.Generator) -> Tensor:
    """What a network says while it drops."""
    network = nn.utils.skip_init(nn.Linear, 4, 3).double()
    for parameter in network.parameters():
        parameter.data = torch.arange(1.0, 1.0 + parameter.numel()).double().reshape(parameter.shape) / 9
    thin, x = nn.Sequential(nn.Dropout(0.5), network), torch.ones(2, 4, dtype=torch.float64)
    found = bayesian.mc_dropout(thin, x, samples=3, generator=generator)
    assert isinstance(found, CategoricalPrediction)
    return found.probs


def normalized(generator: torch.Generator) -> Tensor:
    """What a network says with the statistics of random batches."""
    x = torch.linspace(0, 1, 40, dtype=torch.float64).square().reshape(20, 2)
    data, network = Split(x, torch.zeros(20, dtype=torch.int64)), nn.BatchNorm1d(2).double()
    found = bayesian.mc_batch_norm(network, x[:3], data=data, batch_size=4, samples=3, generator=generator)
    assert isinstance(found, CategoricalPrediction)
    return found.probs


CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    "uncertainty.bayesian.initial_beliefs": beliefs,
    "uncertainty.bayesian.mc_batch_norm": normalized,
    "uncertainty.bayesian.mc_dropout": dropped,
}
UNDRAWN: set[str] = set()
