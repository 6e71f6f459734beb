"""Integrated gradients: this package, captum as it comes, captum in batches, and a loop over nodes written by hand.

All use Gauss-Legendre nodes and a baseline of zero. *captum* runs all nodes of all examples at once, which is its
default; *captum, batches* is told to take 256 rows at a time. *By hand* takes one node after the other. *Forward and
back* is what cannot be avoided: forward passes and gradients of the input for as many rows, in chunks of the same size,
with nothing added up.

In the race of few nodes ours has 16 and the others 64, on a network without kinks: all are as near to the integral as
float32 allows.
"""

import copy
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from benchmarks.race import Race
from weightlore.attribution import integrated_gradients, quadrature
from weightlore.networks import cnn, resnet20

Found = Callable[[], Tensor]


def races() -> list[Race]:
    if find_spec("captum") is None:
        print("  captum left out: not installed (make peers)", flush=True)
    generator = torch.Generator().manual_seed(0)
    pooled = "two convolutions with 16 and 32 channels and max pooling, 64 images 28x28, float32"
    digits = cnn(generator=generator).eval()
    residual = resnet20(generator=generator).eval()
    return [
        _race("max pooling", pooled, _small(nn.ReLU, nn.MaxPool2d), _images(64, 1, 28, 28), 64, faster=2.8),
        _race(
            "few nodes",
            "the same with softplus and average pooling; ours with 16 nodes, the others with 64",
            _small(nn.Softplus, nn.AvgPool2d),
            _images(64, 1, 28, 28),
            64,
            ours=16,
            faster=4,
        ),
        _race("digits", "the CNN of the digits, 100 images 8x8, float64", digits, _images(100, 1, 8, 8).double(), 32),
        _race("ResNet-20", "8 images 32x32, float32", residual, _images(8, 3, 32, 32), 16),
    ]


def _small(activation: type[nn.Module], pool: type[nn.Module]) -> nn.Sequential:
    """Two convolutions, each with a pooling, and two fully connected layers, drawn from a generator of our own."""
    layers = [nn.Conv2d(1, 16, 3, padding=1), activation(), pool(2), nn.Conv2d(16, 32, 3, padding=1), activation()]
    model = nn.Sequential(*layers, pool(2), nn.Flatten(), nn.Linear(32 * 49, 64), activation(), nn.Linear(64, 10))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.uniform_(-1, 1, generator=generator).mul_((p[0].numel() if p.ndim > 1 else 512) ** -0.5)
    return model.eval()


def _images(*shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1))


def _race(
    name: str, what: str, model: nn.Module, x: Tensor, nodes: int, *, ours: int | None = None, faster: float = 0
) -> Race:
    classes = torch.randint(0, 10, x.shape[:1], generator=torch.Generator().manual_seed(2))
    contestants: dict[str, Found] = {
        "integrated_gradients": lambda: (
            integrated_gradients(model, x, classes, baseline=0.0, nodes=ours or nodes).values
        ),
        "by hand": partial(_by_hand, model, x, classes, nodes),
    }
    if find_spec("captum"):
        contestants["captum"] = _captum(model, x, classes, nodes, None)
        contestants["captum, batches"] = _captum(model, x, classes, nodes, 256)
    right = contestants["by hand"]()
    if ours is None:
        contestants["forward and back"] = _bound(model, x, nodes, right)
    return Race(
        name=name,
        what=f"{what}; {nodes} nodes" + (f"; captum {version('captum')}" if find_spec("captum") else ""),
        contestants=contestants,
        candidate="integrated_gradients",
        reference="by hand",
        tolerance=_tolerance(x, smooth=ours is not None),
        targets={"captum": faster} if faster and "captum" in contestants else {},
    )


def _tolerance(x: Tensor, smooth: bool) -> float:
    """Near a kink the rounding of float32 decides on which side a node lies; captum keeps weights in float32."""
    if x.dtype == torch.float64:
        return 1e-6
    return 1e-4 if smooth else 5e-3


def _by_hand(model: nn.Module, x: Tensor, classes: Tensor, nodes: int) -> Tensor:
    points, total = quadrature("gauss_legendre", nodes), torch.zeros_like(x)
    for a, w in zip(points.nodes.tolist(), points.weights.tolist(), strict=True):
        z = (a * x).requires_grad_()
        score = model(z).gather(1, classes[:, None]).sum()
        total += w * torch.autograd.grad(score, z)[0]
    return x * total


def _captum(model: nn.Module, x: Tensor, classes: Tensor, nodes: int, batch: int | None) -> Found:
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(model)
    return lambda: method.attribute(
        x, torch.zeros_like(x), classes, n_steps=nodes, method="gausslegendre", internal_batch_size=batch
    ).detach()


def _bound(model: nn.Module, x: Tensor, nodes: int, right: Tensor) -> Found:
    """Forward passes and input gradients of as many rows; the result is not looked at."""
    frozen = copy.deepcopy(model).requires_grad_(False)

    def run() -> Tensor:
        for _ in range(nodes):
            z = x.clone().requires_grad_()
            torch.autograd.grad(frozen(z).sum(), z)
        return right

    return run
