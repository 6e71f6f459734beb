"""What a network should be like to spike well, and everything in which a given one is not.

    design_violations(model)    one entry for each layer that breaks a rule of the design, with what conversion does

A network without a violation has no bias, no normalization and no maximum, pools by average before its non-linearity,
and rectifies: its spiking form has one rounding to a rate for each layer, and weights only.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

from weightlore.binary.parts import AVERAGES, NORMS, RECTIFIERS, SHAPES, SILENT, WEIGHTED, named_parts, unknown
from weightlore.errors import ParameterError
from weightlore.networks.residual import Residual

__all__ = ["Violation", "design_violations", "require_design"]

MOST_DROPOUT = 0.2


@dataclass(frozen=True)
class Violation:
    """One layer that breaks a rule.

    Args:
        layer: its name in the model.
        rule: what the design asks for, and what the layer does instead.
        consequence: what conversion does with it.
        fatal: whether conversion refuses the model because of it.

    Source: ours
    """

    layer: str
    rule: str
    consequence: str
    fatal: bool = False

    def __str__(self) -> str:
        return f"{self.layer}: {self.rule}; {self.consequence}"


def design_violations(model: nn.Module) -> tuple[Violation, ...]:
    """Return everything in which a model departs from the design for conversion.

    The rules: no bias, no normalization, no maximum; average pooling before the non-linearity and not after; ReLU (or
    its clipped form) and nothing else; dropout of at most 0.2; no shortcut around layers.

    Args:
        model: as for ``staged``; nothing is computed.

    Returns:
        One entry for each breach, in the order of the layers; empty for a network such as ``vgg15``.

    Raises:
        ParameterError: if the model is no ``Chain``, ``Residual`` or ``nn.Sequential``.

    Example:
        >>> from weightlore.networks import healthy
        >>> design_violations(healthy("biasless"))
        ()

    Source: [lu2020binary], architecture constraints; the bound on dropout is ours
    """
    if isinstance(model, Residual):
        return tuple(_residual(model))
    found: list[Violation] = []
    rectified = False
    for name, module in named_parts(model):
        if isinstance(module, WEIGHTED):
            rectified = False
        elif isinstance(module, RECTIFIERS):
            rectified = True
        found += _of_layer(name, module, rectified)
    return tuple(found)


def _residual(model: Residual) -> Iterator[Violation]:
    for name, module in model.named_modules():
        if name.endswith("shortcut"):
            yield Violation(
                name, "no shortcut around layers, but there is one", "its currents add to those of the layers it skips"
            )
        if not any(True for _ in module.children()):
            yield from _of_layer(name, module, False)
    yield _pooled_late("readout")


def _of_layer(name: str, module: nn.Module, rectified: bool) -> Iterator[Violation]:
    """What one layer breaks, given whether what it reads is rectified already."""
    if isinstance(module, WEIGHTED):
        if module.bias is not None:
            yield Violation(name, "no bias, but it has one", "it becomes a constant current")
    elif isinstance(module, NORMS):
        what = "it cannot be folded behind a non-linearity" if rectified else "it is folded into the layer before it"
        yield Violation(name, "no batch normalization, but this is one", what, fatal=rectified)
    elif isinstance(module, nn.MaxPool2d):
        yield Violation(
            name, "average pooling, but this takes maxima", "the spikes of the most active neuron of a window pass"
        )
    elif isinstance(module, AVERAGES):
        if rectified:
            yield _pooled_late(name)
    elif isinstance(module, nn.Dropout | nn.Dropout1d | nn.Dropout2d):
        if module.p > MOST_DROPOUT:
            yield Violation(
                name,
                f"dropout of at most {MOST_DROPOUT}, but this drops {module.p:g}",
                "it is left out, as in eval mode",
            )
    elif not isinstance(module, (*RECTIFIERS, *SHAPES, *SILENT)):
        yield Violation(name, "only layers that can spike, but this cannot", str(unknown(name, module)), fatal=True)


def _pooled_late(name: str) -> Violation:
    return Violation(
        name,
        "average pooling before the non-linearity, but this stands after it",
        "spikes are averaged in the next layer's synapse, or by neurons of their own",
    )


def require_design(model: nn.Module) -> None:
    """Check that a model keeps to the whole design for conversion.

    Args:
        model: as for ``staged``.

    Raises:
        ParameterError: if it does not; the message lists every violation.

    Source: [lu2020binary], architecture constraints
    """
    found = design_violations(model)
    if found:
        listed = "\n".join(f"  {violation}" for violation in found)
        raise ParameterError(
            f"the network departs from the design for spiking networks in {len(found)} places; change it, or convert "
            f"it as it is:\n{listed}"
        )
