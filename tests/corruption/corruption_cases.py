"""A small network and a little data, for the tests of corruption."""

import torch
from torch import nn

from weightlore.data import Split


def net(kind="tanh"):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        middle = {
            "tanh": [nn.Tanh()],
            "batchnorm": [nn.BatchNorm1d(5), nn.ReLU()],
            "dropout": [nn.Dropout(0.5), nn.Tanh()],
        }
        return nn.Sequential(nn.Linear(4, 5), *middle[kind], nn.Linear(5, 3)).double()


def data(n=23, seed=2):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(n, 4, generator=generator, dtype=torch.float64)
    return Split(x, torch.randint(3, (n,), generator=generator))
