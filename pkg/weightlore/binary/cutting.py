"""Cut a trained network at its non-linearities.

    staged(model)    the stages of a Chain, a Residual or an nn.Sequential, batch normalization folded, dropout gone

What cannot spike is an error that names the layer and says what to do instead.
"""

import copy
from collections.abc import Iterable

from torch import nn

from weightlore.binary.currents import parts_of, sequence
from weightlore.binary.folding import fold_norm, pair
from weightlore.binary.parts import (
    AVERAGES,
    NORMS,
    RECTIFIERS,
    SHAPES,
    SILENT,
    WEIGHTED,
    Named,
    named_parts,
    unknown,
)
from weightlore.binary.stages import Stage, Staged
from weightlore.errors import ParameterError
from weightlore.networks.residual import Block, Residual

__all__ = ["staged"]


def staged(model: nn.Module) -> Staged:
    """Return a network as a list of stages, in eval mode; the parameters are copies.

    Args:
        model: a ``Chain`` (``mlp``, ``cnn``, ``vgg11``, ``vgg15``), a ``Residual`` (``resnet20``), or an
            ``nn.Sequential`` of fully connected and convolutional layers, batch normalization, pooling, ``nn.ReLU``
            or ``ClipFloorShift``, dropout and shapes; or stages, which are copied. It stays as it is.

    Returns:
        The stages. Their logits are the model's, up to rounding.

    Raises:
        ParameterError: if the model is of another kind, or holds a layer that has no place there; the message names
            the layer.

    Source: [lu2020binary], conversion; folding after [rueckauer2017conversion]
    """
    if isinstance(model, Staged):
        return copy.deepcopy(model).eval()
    if isinstance(model, Residual):
        return Staged(_residual(model)).eval()
    return Staged(_Cut().through(named_parts(model))).eval()


class _Cut:
    """Stages under way: those that are finished, and the parts of the next one's map."""

    def __init__(self) -> None:
        self.stages: list[Stage] = []
        self.parts: list[nn.Module] = []
        self.gate: nn.MaxPool2d | None = None
        self.name = "readout"

    def through(self, parts: Iterable[Named]) -> list[Stage]:
        """Take all parts and return the stages."""
        for name, module in parts:
            self.name = name
            self._take(module)
        if not self._weighted():
            raise ParameterError(
                f"the network ends in {self.name!r} without a layer of weights after its last non-linearity; "
                "its outputs must be logits: end it in nn.Linear"
            )
        self._no_gate("the readout")
        return [*self.stages, Stage(self.name, self._synapses(), None)]

    def _take(self, module: nn.Module) -> None:
        if isinstance(module, RECTIFIERS):
            self._rectify(module)
        elif isinstance(module, nn.MaxPool2d):
            self._maximum(module)
        elif isinstance(module, NORMS):
            self._fold(module)
        elif isinstance(module, (*WEIGHTED, *AVERAGES)):
            self._no_gate(repr(self.name))
            self.parts.append(copy.deepcopy(module))
        elif isinstance(module, SHAPES):
            self._shape(module)
        elif not isinstance(module, SILENT):
            raise unknown(self.name, module)

    def _rectify(self, module: nn.Module) -> None:
        if isinstance(module, nn.ReLU) and not self._weighted():
            if not self.stages:
                self.parts.append(module)  # of the input, which is no rate: done once, before the first layer
            return  # what is rectified already stays as it is
        gate, self.gate = self.gate, None
        first = gate is not None
        self.stages.append(Stage(self.name, self._synapses(), copy.deepcopy(module), gate=gate, gate_first=first))
        self.parts = []

    def _maximum(self, module: nn.MaxPool2d) -> None:
        self._no_gate(repr(self.name))
        if self._weighted():
            self.gate = copy.deepcopy(module)
        elif self.stages and not self.parts and self.stages[-1].gate is None:
            self.stages[-1].gate = copy.deepcopy(module)
        elif not self.stages:
            self.parts.append(copy.deepcopy(module))  # of the input, which is no spikes
        else:
            raise ParameterError(
                f"the maximum {self.name!r} stands behind another pooling, where no spikes arrive that could be "
                "compared; put it directly behind a layer or its ReLU"
            )

    def _fold(self, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        behind = [k for k, part in enumerate(self.parts) if isinstance(part, WEIGHTED)]
        kept = bool(behind) and all(_keeps_constants(part) for part in self.parts[behind[-1] + 1 :])
        if not kept or self.gate is not None:
            raise ParameterError(
                f"the normalization {self.name!r} has no layer of weights directly before it into which it could be "
                "folded; put it between a layer and its pooling or ReLU"
            )
        self.parts[behind[-1]] = fold_norm(self.parts[behind[-1]], norm)  # type: ignore[arg-type]

    def _shape(self, module: nn.Module) -> None:
        flat = isinstance(self._last(), nn.Linear | nn.Flatten)
        if not (flat and isinstance(module, nn.Flatten)):
            self.parts.append(module)

    def _last(self) -> nn.Module | None:
        """The layer that gave what the next one gets its shape."""
        made = [*parts_of(sequence(*self.stages[-1].synapses.values()))] if self.stages else []
        return next((p for p in reversed([*made, *self.parts]) if isinstance(p, (*WEIGHTED, *SHAPES))), None)

    def _weighted(self) -> bool:
        return any(isinstance(part, WEIGHTED) for part in self.parts)

    def _synapses(self) -> dict[int, nn.Module]:
        return {len(self.stages): sequence(*self.parts)}

    def _no_gate(self, after: str) -> None:
        if self.gate is not None:
            raise ParameterError(
                f"between a maximum over windows and {after} there is no ReLU, so that no spikes could be compared; "
                "put the maximum directly before or behind a ReLU"
            )


def _keeps_constants(module: nn.Module) -> bool:
    """Whether a part hands a constant image on as it is, so that a normalization can be moved before it."""
    if isinstance(module, nn.AvgPool2d):
        padded = pair(module.padding) != (0, 0) and module.count_include_pad
        return not padded and module.divisor_override is None
    return isinstance(module, nn.AdaptiveAvgPool2d)


def _residual(model: Residual) -> list[Stage]:
    """The stem, two stages for each block, and the readout of the mean over the image."""
    _require_rectifier("nonlinear.0", model.nonlinear[0])
    stages = [Stage("nonlinear.0", {0: fold_norm(model.stem, model.stem_norm)}, copy.deepcopy(model.nonlinear[0]))]
    for number, block in enumerate(model.blocks):
        if not isinstance(block, Block):
            raise unknown(f"blocks.{number}", block)
        source = len(stages)
        _require_rectifier(f"blocks.{number}.relu", block.relu)
        inner = {source: fold_norm(block.conv1, block.norm1)}
        stages.append(Stage(f"blocks.{number}.relu", inner, copy.deepcopy(block.relu)))
        outer = {source + 1: fold_norm(block.conv2, block.norm2), source: _shortcut(block)}
        name = f"nonlinear.{number + 1}"
        _require_rectifier(name, model.nonlinear[number + 1])
        stages.append(Stage(name, outer, copy.deepcopy(model.nonlinear[number + 1])))
    readout = sequence(nn.AdaptiveAvgPool2d(1), nn.Flatten(), copy.deepcopy(model.readout))
    return [*stages, Stage("readout", {len(stages): readout}, None)]


def _shortcut(block: Block) -> nn.Module:
    if isinstance(block.shortcut, nn.Identity):
        return nn.Identity()
    convolution, norm = block.shortcut.children()
    return fold_norm(convolution, norm)  # type: ignore[arg-type]


def _require_rectifier(name: str, module: nn.Module) -> None:
    if not isinstance(module, RECTIFIERS):
        raise unknown(name, module)
