"""One step of training with 8-bit weights and the bit-slice penalty, against one plain step."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmarks.race import Race
from weightlore.bitslice import FixedPoint, charged_step, slice_l1_by_autograd, slice_l1_penalty, straight_through
from weightlore.data import Split
from weightlore.training import Step, cross_entropy

STRENGTH = 0.01


def races() -> list[Race]:
    return [
        _race("MLP", "784-512-512-10, batches of 128", *_mlp(), most=1.45),
        _race("convolution", "two of 64 channels on 16x16, batches of 32", *_convolution(), most=1.1),
    ]


def _mlp() -> tuple[nn.Sequential, Split]:
    layers = nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)
    return _settled(nn.Sequential(*layers)), _batch(128, 784)


def _convolution() -> tuple[nn.Sequential, Split]:
    layers = nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU()
    return _settled(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))), _batch(
        32, 64, 16, 16
    )


def _race(name: str, what: str, model: nn.Sequential, batch: Split, most: float) -> Race:
    ours = FixedPoint(model, activation_bits=None, group="weight")  # as the other contestants: weights alone
    stepped = {
        "plain": _stepper(model, cross_entropy, batch),
        "slice L1": _stepper(ours, charged_step(slice_l1_penalty(STRENGTH)), batch),
        "quantized, no penalty": _stepper(copy.deepcopy(ours), cross_entropy, batch),
        "by autograd": _stepper(copy.deepcopy(model), _by_autograd, batch),
    }
    agreed = [stepped[contestant]()[1] for contestant in ("slice L1", "by autograd")]
    torch.testing.assert_close(*agreed, rtol=1e-3, atol=1e-6)  # the gradient, of which the race compares the loss alone
    return Race(
        name=name,
        what=f"{what}, float32",
        contestants=stepped,
        candidate="slice L1",
        reference="by autograd",
        tolerance=0.01,  # the plain loss lacks the small penalty; gradients are compared above
        compared=lambda result: result[0],
        targets={"plain": round(1 / most, 3)},
    )


def _stepper(model: nn.Module, step: Step, batch: Split) -> Callable[[], tuple[Tensor, Tensor]]:
    """Return a function that takes one step of size zero and gives the loss and the gradient of the first weight."""
    model, generator = copy.deepcopy(model).train(), torch.Generator()
    tuner = torch.optim.SGD(model.parameters(), lr=0.0)

    def run() -> tuple[Tensor, Tensor]:
        tuner.zero_grad()
        loss = step(model, batch, generator)
        loss.backward()
        tuner.step()
        gradient = next(model.parameters()).grad
        return loss.detach(), torch.zeros(0) if gradient is None else gradient

    return run


def _by_autograd(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
    """What one writes from the formulas: quantize, run, and form the digits one by one."""
    weights = {name: p for name, p in model.named_parameters() if p.ndim > 1}
    size = sum(p.numel() for p in weights.values())
    values = {name: straight_through(p) for name, p in weights.items()}
    loss = nn.functional.cross_entropy(torch.func.functional_call(model, values, (batch.x,)), batch.y)
    return loss + torch.stack([slice_l1_by_autograd(p, STRENGTH, size=size) for p in weights.values()]).sum()


def _settled(model: nn.Sequential) -> nn.Sequential:
    """Draw the parameters from a generator of our own, as wide as torch draws them."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.uniform_(-1, 1, generator=generator).mul_((p[0].numel() if p.ndim > 1 else 512) ** -0.5)
    return model


def _batch(*shape: int) -> Split:
    generator = torch.Generator().manual_seed(1)
    return Split(torch.rand(shape, generator=generator), torch.randint(0, 10, shape[:1], generator=generator))
