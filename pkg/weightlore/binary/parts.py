"""What a network does to its input, one part after the other, and which parts a spiking network can have.

    named_parts(model)       layers, pooling, normalization and non-linearities of a chain, in order, with their names
    unknown(name, module)    the error for a part that has no spiking form

The kinds of parts are constants: ``RECTIFIERS`` are the non-linearities whose value a firing rate can follow.
"""

from collections.abc import Iterator

from torch import nn

from weightlore.binary.rectifiers import ClipFloorShift
from weightlore.errors import ParameterError
from weightlore.networks import Chain

__all__ = ["AVERAGES", "NORMS", "RECTIFIERS", "SHAPES", "SILENT", "WEIGHTED", "Named", "named_parts", "unknown"]

RECTIFIERS = (nn.ReLU, ClipFloorShift)
AVERAGES = (nn.AvgPool2d, nn.AdaptiveAvgPool2d)
WEIGHTED = (nn.Linear, nn.Conv2d)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
SHAPES = (nn.Flatten, nn.Unflatten)
SILENT = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d)

Named = tuple[str, nn.Module]


def named_parts(model: nn.Module) -> Iterator[Named]:
    """Go through what a chain of layers does to its input, with the names that the layers have in it.

    Args:
        model: a ``Chain`` or an ``nn.Sequential``.

    Raises:
        ParameterError: if it is neither.

    Source: ours
    """
    if isinstance(model, Chain):
        yield from _chain(model)
    elif isinstance(model, nn.Sequential):
        yield from (part for name, module in _children(model) for part in _flat(name, module))
    else:
        raise ParameterError(
            f"a Chain, a Residual or an nn.Sequential can be made to spike, got a {type(model).__name__}; "
            "write the model as a sequence of layers"
        )


def _chain(model: Chain) -> Iterator[Named]:
    yield "input", nn.Flatten()
    if len(model.inputs) > 1:
        yield "input", nn.Unflatten(1, model.inputs)
    for l in range(model.num_layers):  # noqa: E741
        yield from _flat(f"entries.{l}", model.entries[l])
        if model.flattens[l]:
            yield f"layers.{l}", nn.Flatten()
        yield from _flat(f"layers.{l}", model.layers[l])
        yield from _flat(f"norms.{l}", model.norms[l])
        yield from _flat(f"pools.{l}", model.pools[l])
        yield from _flat(f"nonlinear.{l}", model.nonlinear[l])
    yield "readout", nn.Flatten()
    yield from _flat("readout", model.readout)


def _flat(name: str, module: nn.Module) -> Iterator[Named]:
    if not isinstance(module, nn.Sequential):
        yield name, module
        return
    for local, child in _children(module):
        yield from _flat(f"{name}.{local}", child)


def _children(module: nn.Sequential) -> Iterator[Named]:
    """All of them, where ``named_children`` leaves out a module that stands at two places."""
    return ((name, child) for name, child in module._modules.items() if child is not None)


def unknown(name: str, module: nn.Module) -> ParameterError:
    """Return the error for a layer that has no spiking form, with the remedy for its kind.

    Args:
        name: of the layer.
        module: the layer.

    Source: ours
    """
    kind = type(module).__name__
    advice = "train the network without it"
    if "Norm" in kind:
        advice = "it depends on the example and is no fixed map: train without it, or with batch normalization"
    elif not any(True for _ in module.parameters()):
        advice = "a firing rate follows a ReLU only: train with nn.ReLU"
    return ParameterError(f"layer {name!r} is a {kind}, which has no spiking form here; {advice}")
