"""Layers of neurons and what connects them: a spiking network as plain data.

A layer is a set of synapses, modules from what a source emits to currents, and one kind of neuron that adds them up.
Layers are numbered from 1; number 0 is the network's input.

    I^l_t = sum over sources k of synapse_{l,k}(s^k_t)        currents of layer l
    source k < l: forward, k = l - 1 is the usual chain, others are residual connections
    source k >= l: recurrent, the spikes of the step before

    SpikingLayer     synapses, neuron and gate
    SpikingNetwork   the layers in order; ``simulate`` runs them
    layer_shapes     the shapes of all potentials and spikes, or what does not fit
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.spiking.neurons import Neuron

__all__ = ["Shape", "SpikingLayer", "SpikingNetwork", "layer_shapes"]

Shape = tuple[int, ...]
BEFORE = "before"  # the name of a synapse whose source is the layer before, whatever its number


class SpikingLayer(nn.Module):
    """Synapses, and the neurons that add up their currents.

    Args:
        synapses: a module that maps what the layer before emits, shape (N, ...), to currents, shape (N, ...); or
            several by their source, 0 for the network's input and k >= 1 for layer k. A source that is this layer or a
            later one is recurrent: its spikes arrive one step later.
        neuron: the kind of neuron; ``None`` for a read-out that adds up its currents and never spikes (only the last
            layer can be one). It may be replaced: ``layer.neuron = dataclasses.replace(layer.neuron, ...)``.
        gate: lets from each window of the layer's own spikes only those of the neuron pass that has spiked most so far
            (the first of equals), as max pooling keeps only the largest activation.

    Raises:
        ParameterError: if a source is no layer number, there is no synapse, or a read-out has a gate.

    Source: [lu2020binary], spiking simulation; the gate is [rueckauer2017conversion]
    """

    def __init__(
        self,
        synapses: nn.Module | Mapping[int, nn.Module],
        neuron: Neuron | None = Neuron(),  # noqa: B008 - frozen
        *,
        gate: nn.MaxPool2d | None = None,
    ) -> None:
        super().__init__()
        named = {BEFORE: synapses} if isinstance(synapses, nn.Module) else dict(synapses)
        if not named:
            raise ParameterError("a layer needs at least one synapse, got none; without input it would never spike")
        for source, module in named.items():
            _require_synapse(source, module)
        if neuron is not None and not isinstance(neuron, Neuron):
            raise ParameterError(f"neuron must be a Neuron, or None for a read-out, got {type(neuron).__name__}")
        if gate is not None and (neuron is None or not isinstance(gate, nn.MaxPool2d)):
            raise ParameterError(f"a gate is an nn.MaxPool2d over spikes, and a read-out has none, got {gate!r}")
        self.synapses = nn.ModuleDict({str(source): module for source, module in named.items()})
        self.neuron, self.gate = neuron, gate

    def sources(self, number: int) -> dict[int, nn.Module]:
        """Return the synapses by their source, for a layer that stands at this place, counted from 1."""
        return {number - 1 if name == BEFORE else int(name): synapse for name, synapse in self.synapses.items()}


class SpikingNetwork(nn.Module):
    """Layers of spiking neurons; ``simulate`` runs them over time.

    Args:
        layers: the first has number 1.

    Raises:
        ParameterError: if there is no layer, a source does not exist, a layer has no source before it, another than the
            last layer is a read-out, or a synapse works in place.

    Source: [lu2020binary], spiking simulation
    """

    def __init__(self, layers: Sequence[SpikingLayer]) -> None:
        super().__init__()
        layers = tuple(layers)
        if not layers or not all(isinstance(layer, SpikingLayer) for layer in layers):
            raise ParameterError(
                f"a network is made of at least one SpikingLayer, got {[type(v).__name__ for v in layers]}"
            )
        self.layers = nn.ModuleList(layers)
        self.require_sound()

    def synapses(self, number: int) -> dict[int, nn.Module]:
        """Return the synapses of the layer of a number from 1 to L, by their source."""
        return self.layer(number).sources(number)

    def layer(self, number: int) -> SpikingLayer:
        """Return the layer of a number from 1 to L."""
        found = self.layers[number - 1]
        if not isinstance(found, SpikingLayer):
            raise ParameterError(f"layer {number} must be a SpikingLayer, got {type(found).__name__}")
        return found

    def require_sound(self) -> None:
        """Check what connects the layers; they may have been changed since the network was made.

        Raises:
            ParameterError: as the class.
        """
        count = len(self.layers)
        for number in range(1, count + 1):
            layer, sources = self.layer(number), sorted(self.synapses(number))
            if layer.neuron is None and number < count:
                raise ParameterError(
                    f"only the last layer can be a read-out, but layer {number} of {count} has no neuron"
                )
            if sources[-1] > count:
                raise ParameterError(f"layer {number} has the source {sources[-1]}, but the network has {count} layers")
            if sources[0] >= number:
                raise ParameterError(f"layer {number} needs a source below {number}, got {sources}; 0 is the input")
            changing = [
                type(module).__name__ for module in layer.synapses.modules() if getattr(module, "inplace", False)
            ]
            if changing:
                raise ParameterError(
                    f"synapses must leave spikes as they are, but {changing} of layer {number} work in place"
                )
            if sources[-1] == count and self.layer(count).neuron is None:
                raise ParameterError(
                    f"layer {number} has the read-out for a source, which never spikes; give it a neuron"
                )


def layer_shapes(network: SpikingNetwork, x: Tensor) -> list[tuple[Shape, Shape]]:
    """Return the shapes of one example's potential and spikes in each layer, found with one example.

    Args:
        network: any; call it in eval mode and without gradients.
        x: input, shape (N, ...); N may be 0.

    Returns:
        L pairs: shape of the potential, and of what the layer emits (another one behind a gate).

    Raises:
        ParameterError: if a module cannot read what its source emits, or the currents of a layer differ in shape.

    Source: ours
    """
    emitted: list[Tensor] = [x.new_zeros(1, *x.shape[1:])]
    shapes: list[tuple[Shape, Shape]] = []
    for number in range(1, len(network.layers) + 1):
        sources = {source: synapse for source, synapse in network.synapses(number).items() if source < number}
        found = {source: _current(synapse, emitted[source], number, source) for source, synapse in sources.items()}
        current = _one_shape(found, number)
        gate = network.layer(number).gate
        emitted.append(current if gate is None else gate(current))
        shapes.append((tuple(current.shape[1:]), tuple(emitted[-1].shape[1:])))
    for number in range(1, len(network.layers) + 1):
        later = {source: synapse for source, synapse in network.synapses(number).items() if source >= number}
        found = {source: _current(synapse, emitted[source], number, source) for source, synapse in later.items()}
        _one_shape({0: emitted[0].new_zeros(1, *shapes[number - 1][0]), **found}, number)
    return shapes


def _current(synapse: nn.Module, emitted: Tensor, number: int, source: int) -> Tensor:
    try:
        current = synapse(emitted)
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        raise ParameterError(
            f"the synapse from {source} to layer {number} cannot read what {source} emits, shape "
            f"{('N', *emitted.shape[1:])} of {emitted.dtype}; check the module: {error}"
        ) from error
    if not isinstance(current, Tensor) or len(current) != 1 or current.ndim < 2 or current.dtype != emitted.dtype:
        came = f"{tuple(current.shape)} {current.dtype}" if isinstance(current, Tensor) else type(current).__name__
        raise ParameterError(
            f"the synapse from {source} to layer {number} must return currents of shape (N, ...) and "
            f"{emitted.dtype}, got {came} for one example"
        )
    return current


def _one_shape(currents: dict[int, Tensor], number: int) -> Tensor:
    shapes = {source: tuple(current.shape[1:]) for source, current in currents.items()}
    if len(set(shapes.values())) > 1:
        raise ParameterError(
            f"the currents of layer {number} differ in shape by their source: {shapes}; make them equal"
        )
    return torch.stack(list(currents.values())).sum(0)


def _require_synapse(source: object, module: object) -> None:
    if source != BEFORE and (isinstance(source, bool) or not isinstance(source, int) or source < 0):
        raise ParameterError(f"a synapse's source is a layer's number, 0 for the input, got {source!r}")
    if not isinstance(module, nn.Module):
        raise ParameterError(f"a synapse is a module from spikes to currents, got {type(module).__name__}")
