"""Corrupted copies of convolutional networks: a small one with max pooling, the one for digits, and ResNet-20."""

from dataclasses import replace

import torch
from torch import nn

from benchmarks import copies
from benchmarks.race import Race
from weightlore.data import Split, digits
from weightlore.networks import cnn, resnet20
from weightlore.parameters import flatten

LOOP, OURS = "copies and data loader", "evaluate_thetas"


def races() -> list[Race]:
    return [_pooled(12), _pooled(50), _digits(torch.float32), _digits(torch.float64), _residual()]


def pooled_network() -> tuple[nn.Module, Split]:
    """Two convolutions with max pooling and a linear layer, and 1000 images of 28x28."""
    torch.manual_seed(0)
    first = nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    second = nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)
    model = nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(16 * 49, 10)).eval()
    return model, Split(torch.rand(1000, 1, 28, 28), torch.randint(0, 10, (1000,)))


def noise(model: nn.Module, count: int, group: str | None = None) -> torch.Tensor:
    theta, generator = flatten(model, group), torch.Generator().manual_seed(1)
    size = 0.1 * theta.abs().mean()
    return size * torch.randn(count, len(theta), generator=generator, dtype=theta.dtype)


def _race(name: str, what: str, model: nn.Module, data: Split, count: int, target: float | None) -> Race:
    offsets = noise(model, count)
    return Race(
        name=name,
        what=what,
        contestants={
            LOOP: copies.data_loader(model, offsets, data, None),
            "in place, batches of 125": copies.in_place(model, offsets, data, None, rows=125),
            "vmap, batches of 125": copies.vectorized(model, offsets, data, None, rows=125, copies=4),
            OURS: copies.stacked(model, offsets, data, None),
        },
        candidate=OURS,
        reference=LOOP,
        tolerance=1e-4,
        targets={} if target is None else {LOOP: target},
    )


def _pooled(count: int) -> Race:
    """All contestants for few copies; the work is linear in the copies, so two of them show the rest."""
    model, data = pooled_network()
    what = (
        f"{count} copies of a CNN (3x3 convolutions with 8 and 16 channels, max pooling) on 1000 images 28x28, float32"
    )
    race = _race(f"max pooling, {count} copies", what, model, data, count, 2.0)
    return race if count < 50 else replace(race, contestants={n: race.contestants[n] for n in (LOOP, OURS)})


def _digits(dtype: torch.dtype) -> Race:
    model = cnn(generator=torch.Generator().manual_seed(0), dtype=dtype).eval()
    data, kind = digits("test", images=True, dtype=dtype), str(dtype).removeprefix("torch.")
    what = f"50 copies of the digits CNN (average pooling) on {len(data)} images 8x8, {kind}"
    return _race(f"digits {kind}", what, model, data, 50, None)


def _residual() -> Race:
    model = resnet20(generator=torch.Generator().manual_seed(0)).eval()
    generator = torch.Generator().manual_seed(2)
    data = Split(torch.rand(128, 3, 32, 32, generator=generator), torch.randint(0, 10, (128,), generator=generator))
    return _race("ResNet-20", "4 copies of ResNet-20 on 128 images 32x32, float32", model, data, 4, None)
