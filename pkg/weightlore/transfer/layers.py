"""Which parameters and which modules belong to which layer of a network.

A network can be taken apart into layers, but does not say which of its parameters a layer owns. It is found out by
following the gradient: a parameter belongs to the layer whose output depends on it.

    layers(network, example)   one Layer(parameters, modules) for each layer, and the readout as the last
    trainable(model)           how many numbers training moves
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks import Layered

__all__ = ["Layer", "layers", "private", "require_layered", "trainable"]


@dataclass(frozen=True)
class Layer:
    """What one layer is made of.

    Args:
        parameters: their names in the network.
        modules: names of the modules that are called for it or that hold its parameters.

    Source: ours
    """

    parameters: tuple[str, ...]
    modules: tuple[str, ...]


def layers(network: Layered, example: Tensor) -> tuple[Layer, ...]:
    """Return what each layer of a network is made of; the network is left as it is.

    A parameter is of layer l if the output of ``phi(l)(pre(l, h))`` depends on it, with h held fixed.

    Args:
        network: with L layers and a readout.
        example: at least one input of the network, shape (N, ...).

    Returns:
        L + 1 entries, the readout's last. Parameters that nothing depends on are in none of them.

    Raises:
        ParameterError: if the network cannot be taken apart, or two layers share a parameter.

    Source: ours, because networks of every kind can then be joined without a list of their parameters
    """
    probe = copy.deepcopy(require_layered(network)).eval()
    named = dict(probe.requires_grad_().named_parameters())
    found, h = [], example
    for l in range(network.num_layers + 1):  # noqa: E741
        with _called(probe) as called, torch.enable_grad():
            out = _through(probe, l, h)  # type: ignore[arg-type]
        owned = _moving(out, named)
        holders = [name.rpartition(".")[0] for name in owned]
        found.append(Layer(tuple(owned), tuple(dict.fromkeys(name for name in [*called, *holders] if name))))
        h = out.detach()
    _require_apart(found)
    return tuple(found)


def trainable(model: nn.Module) -> int:
    """Return the number of parameters that training moves, P: those that require a gradient.

    Args:
        model: any module.

    Source: ours
    """
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def private(network: Layered, *, frozen: bool) -> nn.Module:
    """Return a copy of a network that shares nothing with it.

    Args:
        network: left as it is.
        frozen: whether no parameter of the copy requires a gradient, or every one.

    Source: ours
    """
    twin = copy.deepcopy(require_layered(network))
    twin.zero_grad()
    for p in twin.parameters():
        p.requires_grad_(p.is_floating_point() and not frozen)
    return twin


def require_layered(network: Layered | nn.Module) -> nn.Module:
    """Return the network if it is a module that can be taken apart into layers.

    Args:
        network: what should be one.

    Raises:
        ParameterError: if it is not.

    Source: ours
    """
    if not isinstance(network, nn.Module) or not isinstance(network, Layered):
        raise ParameterError(
            "transfer mixes networks layer by layer: they need num_layers, pre, phi, activations and head, as those of "
            f"weightlore.networks have, got a {type(network).__name__}"
        )
    return network


def _through(network: Layered, l: int, h: Tensor) -> Tensor:  # noqa: E741
    if l == network.num_layers:
        return network.head(h)
    step: Callable[[Tensor], Tensor] = network.phi(l)
    return step(network.pre(l, h))


def _moving(out: Tensor, named: dict[str, nn.Parameter]) -> list[str]:
    """Return the names of the parameters on which an output depends."""
    if not named or not out.requires_grad:
        return []
    gradients = torch.autograd.grad(out.sum(), list(named.values()), allow_unused=True)
    return [name for name, gradient in zip(named, gradients, strict=True) if gradient is not None]


@contextmanager
def _called(network: nn.Module) -> Iterator[list[str]]:
    """Keep the names of the modules that are called meanwhile."""
    called: list[str] = []
    hooks = [
        module.register_forward_pre_hook(lambda *_, name=name: called.append(name))
        for name, module in network.named_modules()
    ]
    try:
        yield called
    finally:
        for hook in hooks:
            hook.remove()


def _require_apart(found: list[Layer]) -> None:
    seen: dict[str, int] = {}
    for place, layer in enumerate(found):
        for name in layer.parameters:
            if name in seen:
                raise ParameterError(
                    f"layers {seen[name]} and {place} share the parameter {name}; each layer must have its own, "
                    "because one may be frozen and the other trained"
                )
            seen[name] = place
