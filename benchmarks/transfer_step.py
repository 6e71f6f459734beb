"""One step of training a transfer network with the source's activations cached, against one step of fine-tuning.

Each contestant takes the same rows out of its data, and steps with AdamW at a rate of zero: the target is a copy of the
source and nothing is let in, so that all have the same loss. *cached* has computed what the source says of all the data
beforehand. There are two candidates for each network: dense gates, which are the default, and gates that are one number
a channel. Each race says how many times the floating point operations of a plain step its candidate's products are,
forward and backward: where that is more than the target itself, as with dense gates, there is none.
"""

import copy
from collections.abc import Callable, Iterable
from functools import partial

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.race import Race
from weightlore.data import Split, digits
from weightlore.networks import cnn, healthy, resnet20
from weightlore.training import cross_entropy
from weightlore.transfer import PTU, GateKind, PTUNet, cached, gate_adam

MADE = torch.Generator


def races() -> list[Race]:
    generator = MADE().manual_seed(2)
    images = Split(torch.rand(128, 3, 32, 32, generator=generator), torch.arange(128) % 10)
    networks: list[tuple[str, str, nn.Module, Split, int]] = [
        ("digits MLP", "MLP 64-64-32-10, float64, batches of 64", healthy("mlp"), digits("train"), 20),
        ("digits CNN", "CNN with 8 and 16 channels, float64, batches of 64", healthy("cnn"), digits("train"), 5),
        ("wider CNN", "CNN with 16 and 32 channels, float64, batches of 64", _wider(), digits("train"), 5),
        ("ResNet-20", "ResNet-20 on images 32x32, float32, batches of 64", _residual(), images, 1),
    ]
    kinds: tuple[GateKind, ...] = ("dense", "channel")
    return [_race(*network, kind) for network in networks for kind in kinds]


def _wider() -> nn.Module:
    return cnn((16, 32), hidden=64, generator=MADE().manual_seed(0))


def _residual() -> nn.Module:
    return resnet20(generator=MADE().manual_seed(0))


def _race(name: str, what: str, source: nn.Module, data: Split, steps: int, kind: GateKind) -> Race:
    made = partial(PTU, gate=kind)
    nets = [PTUNet(source, source, data.x[:4], unit=made, generator=MADE().manual_seed(0)) for _ in range(2)]  # type: ignore[arg-type]
    fast, (packed,) = cached(nets[0], data)
    times = _operations(fast, packed) / _operations(copy.deepcopy(source), data)
    return Race(
        name=f"{name}, {kind}",
        what=f"steps: {steps}, {what}, with AdamW; {times:.2f} times the products of a plain step",
        contestants={
            "plain": _steps(copy.deepcopy(source), data, steps, _plain),
            "cached": _steps(fast, packed, steps, gate_adam(fast, 0.1)),
            "not cached": _steps(nets[1], data, steps, gate_adam(nets[1], 0.1)),
        },
        candidate="cached",
        reference="plain",
        tolerance=0.1,  # equal but for batch normalization, which trains in the target and rests in the source
        targets={"plain": round(1 / 1.6, 3)} if times < 1.6 else {},
    )


def _operations(model: nn.Module, data: Split) -> int:
    """Count the floating point operations of the products in a step."""
    with FlopCounterMode(display=False) as counter:
        cross_entropy(model.train(), data[torch.arange(64)], MADE()).backward()
    for p in model.parameters():
        p.grad = None
    return counter.get_total_flops()


def _plain(parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, fused=True)


def _steps(
    model: nn.Module, data: Split, steps: int, make: Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]
) -> Callable[[], Tensor]:
    """Return a function that takes steps of size zero on the first rows in another order, and gives the loss."""
    model.train()
    tuner, generator = make([p for p in model.parameters() if p.requires_grad]), MADE()
    for group in tuner.param_groups:
        group["lr"] = 0.0
    rows = torch.randperm(64, generator=MADE().manual_seed(1))

    def run() -> Tensor:
        for _ in range(steps):
            tuner.zero_grad()
            loss = cross_entropy(model, data[rows], generator)
            loss.backward()
            tuner.step()
        return loss.detach()

    return run
