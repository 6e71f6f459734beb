"""The simulation step by step, written to be read.

In every step each layer adds up what its sources emit, its neurons take one step, and what they emit goes on. Engines
that compute many steps at once are held against this loop, spike for spike.

    begin            a network before its first step
    advance          one step
    emit             what a layer sends on: its spikes, or behind a gate those of the most active neuron of each window
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import torch
from torch import Tensor, nn

from weightlore.spiking.network import Shape, SpikingLayer, SpikingNetwork
from weightlore.spiking.neurons import Constants, Fire, State, above, neuron_step

__all__ = ["Moment", "Order", "advance", "begin", "emit", "gated", "layers_of", "total"]

Order = Literal["same_step", "synchronous"]


@dataclass(frozen=True, eq=False)
class Moment:
    """Where a whole network stands after a step.

    Args:
        potential: what the last layer has accumulated so far, shape (N, ...).
        constants: of each layer's neurons, ``None`` for a read-out.
        states: of each layer's neurons; of a read-out its accumulated current.
        emitted: what each source sent on in this step, L + 1 tensors, the input first.
        active: how often the neurons in front of a gate have spiked so far, ``None`` where there is no gate.

    Source: ours
    """

    potential: Tensor
    constants: tuple[Constants | None, ...]
    states: tuple[State, ...]
    emitted: tuple[Tensor, ...]
    active: tuple[Tensor | None, ...]


def begin(network: SpikingNetwork, x: Tensor, shapes: list[tuple[Shape, Shape]]) -> Moment:
    """Return a network before its first step: initial potentials, no spikes.

    Args:
        network: L layers.
        x: input, shape (N, ...).
        shapes: from ``layer_shapes``.

    Source: [lu2020binary], spiking simulation
    """
    constants: list[Constants | None] = []
    states, active = [], []
    for layer, (shape, _) in zip(layers_of(network), shapes, strict=True):
        zero, known = x.new_zeros(len(x), *shape), None
        if layer.neuron is not None:
            known = Constants.of(layer.neuron, shape, x)
        constants.append(known)
        states.append(State(zero) if known is None or layer.neuron is None else known.state(layer.neuron, zero.shape))
        active.append(None if layer.gate is None else zero)
    quiet = [x.new_zeros(len(x), *after) for _, after in shapes]
    return Moment(quiet[-1], tuple(constants), tuple(states), (x, *quiet), tuple(active))


def advance(
    network: SpikingNetwork, before: Moment, entering: Tensor, *, order: Order = "same_step", fire: Fire = above
) -> Moment:
    """Return a network one step later; differentiable where ``fire`` is.

        I^l_t = sum over sources k of synapse_{l,k}(s^k)

    where s^k is of this step if ``order`` is ``"same_step"`` and k < l, and of the step before otherwise; the input is
    always seen in its own step.

    Args:
        network: L layers, as in ``begin``.
        before: one step earlier.
        entering: what the input emits in this step, shape (N, ...).
        order: which spikes a layer sees.
        fire: from potential and threshold to spikes.

    Source: [lu2020binary], spiking simulation and its two orders of update
    """
    states, active = list(before.states), list(before.active)
    emitted, layers = [entering, *before.emitted[1:]], layers_of(network)
    seen = emitted if order == "same_step" else list(emitted)
    for i, layer in enumerate(layers):
        current = total(synapse(seen[source]) for source, synapse in network.synapses(i + 1).items())
        constants = before.constants[i]
        if layer.neuron is None or constants is None:
            states[i] = State(states[i].potential + current)
            continue
        states[i], spikes = neuron_step(states[i], current, layer.neuron, constants=constants, fire=fire)
        emitted[i + 1], active[i] = emit(layer, spikes, active[i])
    potential = states[-1].potential if layers[-1].neuron is None else before.potential + emitted[-1]
    return Moment(potential, before.constants, tuple(states), tuple(emitted), tuple(active))


def emit(layer: SpikingLayer, spikes: Tensor, active: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Return what a layer sends on in one step, and how often its neurons have spiked so far if there is a gate.

    Args:
        layer: with or without gate.
        spikes: of its neurons in this step, shape (N, ...).
        active: how often they had spiked before, ``None`` without gate.

    Source: [rueckauer2017conversion], spiking max-pooling; a count as estimate of the rate is ours
    """
    if layer.gate is None or active is None:
        return spikes, active
    active = active + spikes.detach()
    return gated(layer, spikes, active), active


def gated(layer: SpikingLayer, spikes: Tensor, active: Tensor) -> Tensor:
    """Return from each window the spike of the neuron that has spiked most, the first of equals.

    Args:
        layer: with a gate.
        spikes: shape (M, channels, rows, columns).
        active: the same shape: how often each neuron has spiked up to and with this step.

    Source: [rueckauer2017conversion], spiking max-pooling
    """
    gate = layer.gate
    if gate is None:
        return spikes
    _, chosen = nn.functional.max_pool2d(
        active, gate.kernel_size, gate.stride, gate.padding, gate.dilation, gate.ceil_mode, return_indices=True
    )
    return spikes.flatten(2).gather(2, chosen.flatten(2)).view(chosen.shape)


def total(currents: Iterable[Tensor]) -> Tensor:
    """Return the sum of currents, added one after the other.

    Source: ours, because the order of a sum decides its last bit
    """
    return reduce(torch.add, currents)


def layers_of(network: SpikingNetwork) -> list[SpikingLayer]:
    """Return the layers in order.

    Source: ours
    """
    return [network.layer(number) for number in range(1, len(network.layers) + 1)]
