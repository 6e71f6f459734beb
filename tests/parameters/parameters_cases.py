"""Networks with what makes parameters hard to count: ties, buffers, frozen ones, one at the root."""

import torch
from torch import nn


class Tied(nn.Module):
    """Encoder and decoder share one weight; one layer is registered twice."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(4, 4, bias=False).double()
        self.decoder = nn.Linear(4, 4).double()
        self.decoder.weight = self.encoder.weight
        self.again = self.decoder

    def forward(self, x):
        return self.again(torch.tanh(self.decoder(torch.tanh(self.encoder(x)))))


class Scaled(nn.Module):
    """A parameter at the root, a buffer, and a frozen parameter."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
        self.register_buffer("offset", torch.ones(3, dtype=torch.float64))
        self.inner = nn.Linear(3, 2).double()
        self.inner.bias.requires_grad_(False)

    def forward(self, x):
        return self.inner(self.scale * x + self.offset)


def network():
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2)).double()


X = torch.linspace(-1, 1, 15, dtype=torch.float64).reshape(5, 3)


def bits(model):
    """All parameters and buffers, bit by bit: NaN equals NaN, and -0.0 is not 0.0."""
    return {name: tensor.numpy(force=True).tobytes() for name, tensor in model.state_dict().items()}


GROUPS = [
    (None, (0, 1, 2, 3, 4, 5)),
    ("weight", (0, 4)),
    ("bias", (1, 3, 5)),
    ("norm", (2,)),
    ("3", (4, 5)),
    ("3.bias", (5,)),
    (lambda name, parameter: parameter.ndim == 2 and name.startswith("0"), (0,)),
]
