"""Networks and inputs that the tests of attributions share."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from weightlore.networks import cnn, mlp, resnet20, vgg11, vgg15


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=seeded(seed), dtype=torch.float64)


def drawn(model: nn.Module, seed: int = 0) -> nn.Module:
    """The model in float64 and eval mode, with parameters and statistics from a generator of its own."""
    generator = seeded(seed)
    with torch.no_grad():
        for parameter in model.double().parameters():
            parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        for name, buffer in model.named_buffers():
            if "running" in name:
                buffer.copy_(0.5 + torch.rand(buffer.shape, generator=generator, dtype=torch.float64))
    return model.eval()


def convolutional(
    pool: type[nn.Module] = nn.AvgPool2d, activation: type[nn.Module] = nn.ReLU, **how: bool
) -> nn.Module:
    """Two convolutions for images (N, 2, 8, 8), with batch normalization and dropout, and a readout of 5 classes."""
    body = [nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), activation(**how), pool(2), nn.Dropout(0.3)]
    more = [nn.Conv2d(4, 6, 3, padding=1), activation(**how), pool(2), nn.Flatten(), nn.Linear(24, 5)]
    return drawn(nn.Sequential(*body, *more))


class Reused(nn.Module):
    """One ReLU object at two places."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(6, 8), nn.Linear(8, 7), nn.Linear(7, 3)
        self.relu = nn.ReLU(inplace=inplace)

    def forward(self, x: Tensor) -> Tensor:
        return self.three(self.relu(self.two(self.relu(self.one(x)))))


class Functional(nn.Module):
    """The same layers, with ReLU as a function of three spellings."""

    def __init__(self, spelling: str = "F") -> None:
        super().__init__()
        self.one, self.two, self.three = nn.Linear(6, 8), nn.Linear(8, 7), nn.Linear(7, 3)
        self.spelling = spelling

    def forward(self, x: Tensor) -> Tensor:
        a = {"F": functional.relu, "torch": torch.relu, "in place": torch.relu_, "method": Tensor.relu}[self.spelling]
        return self.three(a(self.two(a(self.one(x)))))


def ours() -> dict[str, tuple[nn.Module, Tensor]]:
    """Small versions of the package's own networks, in eval mode, with inputs."""
    images = uniform(3, 3, 32, 32)
    return {
        "mlp": (mlp((64, 16, 12, 10), generator=seeded(1)).eval(), uniform(3, 64)),
        "cnn": (cnn((4, 6), hidden=12, generator=seeded(2)).eval(), uniform(3, 1, 8, 8)),
        "vgg11": (vgg11(width=2, generator=seeded(3), dtype=torch.float64).eval(), images),
        "vgg15": (vgg15(width=2, generator=seeded(4), dtype=torch.float64).eval(), images),
        "resnet20": (resnet20(width=2, generator=seeded(5), dtype=torch.float64).eval(), images[..., :16, :16]),
    }


OURS = tuple(ours())
TARGET = torch.tensor([0, 2, 1])
