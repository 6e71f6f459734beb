"""One step of training with weights of one bit, against one plain step of the same network.

The middle layers compute with ``alpha sign(W)``, first and last stay real; every step ends with Adam. *By autograd* is
what one writes from the formulas: project, take the sign with a straight-through gradient, and let autograd find the
derivative of the scale. brevitas does the same with its own layers, where it is installed (``make peers``), except
that it does not center, does not restore and passes the gradient on as it is; it starts from weights that are centered.
"""

import copy
from collections.abc import Callable
from importlib.util import find_spec
from itertools import pairwise

import torch
from torch import Tensor, nn

from benchmarks.race import Race
from benchmarks.spiking_peers import versions
from weightlore.binary import BinaryTraining, ScaledSign, project_
from weightlore.data import Split
from weightlore.training import Step, cross_entropy

Stepped = Callable[[], tuple[Tensor, Tensor]]


def races() -> list[Race]:
    if find_spec("brevitas") is None:
        print("  brevitas left out: not installed (make peers)", flush=True)
    return [
        _race("MLP", "784-1024-1024-10, batches of 256", _mlp(), _batch(256, 784)),
        _race("convolution", "three of 64 channels on 16x16, batches of 32", _convolution(), _batch(32, 3, 16, 16)),
        _race("digits MLP", "64-128-128-128-10, batches of 64", _mlp(64, 128, 128, 128), _batch(64, 64)),
    ]


def _mlp(*widths: int) -> nn.Sequential:
    widths = widths or (784, 1024, 1024)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs, bias=False), nn.ReLU()]
    return _settled(nn.Sequential(*layers, nn.Linear(widths[-1], 10, bias=False)))


def _convolution() -> nn.Sequential:
    layers: list[nn.Module] = []
    for inputs in (3, 64, 64):
        layers += [nn.Conv2d(inputs, 64, 3, padding=1, bias=False), nn.ReLU()]
    return _settled(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10, bias=False)))


def _settled(model: nn.Sequential) -> nn.Sequential:
    """Draw the weights from a generator of our own, as large as ReLU layers want them, and project the middle ones."""
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        with torch.no_grad():
            weight.normal_(generator=generator).mul_((2 / weight[0].numel()) ** 0.5)
    for weight in list(model.parameters())[1:-1]:
        project_(weight.detach())
    return model


def _batch(*shape: int) -> Split:
    generator = torch.Generator().manual_seed(1)
    return Split(torch.rand(shape, generator=generator), torch.randint(0, 10, shape[:1], generator=generator))


def _race(name: str, what: str, model: nn.Sequential, batch: Split) -> Race:
    ours = copy.deepcopy(model)
    stepped = {
        "plain": _stepper(copy.deepcopy(model), cross_entropy, batch),
        "BinaryTraining": _stepper(ours, BinaryTraining(ours, rule=ScaledSign(rescale=None)).step, batch),
        "by autograd": _stepper(copy.deepcopy(model), _by_autograd, batch),
    }
    agreed = [stepped[contestant]()[1] for contestant in ("BinaryTraining", "by autograd")]
    torch.testing.assert_close(*agreed, rtol=1e-3, atol=1e-6)  # gradients, of which the race compares the loss alone
    if find_spec("brevitas"):
        stepped["brevitas"] = _stepper(_in_brevitas(model), cross_entropy, batch)
    right = stepped["by autograd"]()[0]

    def compared(result: tuple[Tensor, Tensor, bool]) -> Tensor:
        return right if result[2] else result[0]  # the plain network is another one

    marked = {one: _marked(run, one == "plain") for one, run in stepped.items()}
    return Race(
        name=name,
        what=f"{what}, float32, with Adam{versions(one for one in stepped if one == 'brevitas')}",
        contestants=marked,
        candidate="BinaryTraining",
        reference="by autograd",
        tolerance=1e-4,
        compared=compared,
        targets={"plain": round(1 / 1.3, 3)},
    )


def _marked(run: Stepped, plain: bool) -> Callable[[], tuple[Tensor, Tensor, bool]]:
    return lambda: (*run(), plain)


def _stepper(model: nn.Module, step: Step, batch: Split) -> Stepped:
    """Return a function that takes one step of size zero and gives the loss and the gradient of the second weight."""
    model.train()
    generator = torch.Generator()
    tuner = torch.optim.Adam(model.parameters(), lr=0.0)
    second = list(model.parameters())[1]

    def run() -> tuple[Tensor, Tensor]:
        tuner.zero_grad()
        loss = step(model, batch, generator)
        loss.backward()
        tuner.step()
        return loss.detach(), torch.zeros(0) if second.grad is None else second.grad.clone()

    return run


def _by_autograd(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
    named = dict(model.named_parameters())
    values = dict(named)
    for name in list(named)[1:-1]:
        weight = named[name]
        with torch.no_grad():
            weight.sub_(weight.mean(1, keepdim=True)).clamp_(-1, 1)
        alpha = weight.abs().flatten(1).mean(1).view(-1, *[1] * (weight.ndim - 1))
        sign = weight + (torch.where(weight >= 0, 1.0, -1.0) - weight).detach()
        values[name] = alpha * sign
    return nn.functional.cross_entropy(torch.func.functional_call(model, values, (batch.x,)), batch.y)


def _in_brevitas(model: nn.Sequential) -> nn.Sequential:
    """The network with its middle layers in brevitas: signs, and the mean magnitude of each output as scale."""
    import brevitas.nn as layers
    from brevitas.core.function_wrapper import TensorClampSte
    from brevitas.inject.enum import ScalingImplType, StatsOp
    from brevitas.quant import SignedBinaryWeightPerTensorConst

    class Scaled(SignedBinaryWeightPerTensorConst):
        scaling_impl_type = ScalingImplType.STATS
        scaling_stats_op = StatsOp.AVE
        scaling_per_output_channel = True
        tensor_clamp_impl = TensorClampSte  # the default clamps latent weights in place, down to their own mean

    found, weighted = list(copy.deepcopy(model)), [i for i, layer in enumerate(model) if hasattr(layer, "weight")]
    for i in weighted[1:-1]:
        old = found[i]
        if isinstance(old, nn.Conv2d):
            found[i] = layers.QuantConv2d(64, 64, 3, padding=1, bias=False, weight_quant=Scaled)
        else:
            found[i] = layers.QuantLinear(old.in_features, old.out_features, bias=False, weight_quant=Scaled)
        found[i].weight.data.copy_(old.weight.data)
    return nn.Sequential(*found)
