"""The simulation step by step, written to be read.

In every step each layer adds up what its sources emit, its neurons take one step, and what they emit goes on. Engines
that compute many steps at once are held against this loop, spike for spike.

    step_by_step     T steps, and the record of them
    begin            a network before its first step
    advance          one step
    emit             what a layer sends on: its spikes, or behind a gate those of the most active neuron of each window
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Literal

import torch
from torch import Tensor, nn

from weightlore.spiking.network import Shape, SpikingLayer, SpikingNetwork, layer_shapes
from weightlore.spiking.neurons import Constants, State
from weightlore.spiking.records import Record, empty_record
from weightlore.spiking.stepping import Fire, above, neuron_step

__all__ = ["Moment", "Order", "advance", "begin", "emit", "gated", "layers_of", "step_by_step", "total"]

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


def step_by_step(
    network: SpikingNetwork,
    x: Tensor,
    steps: int,
    *,
    order: Order = "same_step",
    entering: Callable[[int], Tensor] | None = None,
    record: Sequence[int] = (),
) -> Record:
    """Let a network spike for T steps, one after the other; ``simulate`` gives the same, faster.

    Args:
        network: in eval mode.
        x: input, shape (N, ...).
        steps: T.
        order: which spikes a layer sees.
        entering: from t = 0, 1, ... to what enters in this step, shape (N, ...); ``None`` for x in every step.
        record: numbers of the layers whose spikes and potentials are recorded.

    Source: [lu2020binary], spiking simulation
    """
    with torch.no_grad():
        shapes = layer_shapes(network, x)
        found = empty_record(network, shapes, steps, x, record, entering is not None)
        now = begin(network, x, shapes)
        for t in range(steps):
            now = advance(network, now, x if entering is None else entering(t), order=order)
            _write(found, now, t)
    return found


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
    network: SpikingNetwork,
    before: Moment,
    entering: Tensor,
    *,
    order: Order = "same_step",
    fire: Fire = above,
    detach_reset: bool = False,
    numbers: range | None = None,
    known: Mapping[int, Mapping[int, Tensor]] | None = None,
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
        detach_reset: whether a gradient takes resets as constants.
        numbers: of the layers that move, ``None`` for all.
        known: currents that are known already, by layer and source, shape (N, ...).

    Source: [lu2020binary], spiking simulation and its two orders of update
    """
    states, active = list(before.states), list(before.active)
    emitted, layers = [entering, *before.emitted[1:]], layers_of(network)
    seen = emitted if order == "same_step" else list(emitted)
    for number in numbers or range(1, len(layers) + 1):
        i, layer, told = number - 1, layers[number - 1], (known or {}).get(number, {})
        current = total(
            told[source] if source in told else synapse(seen[source])
            for source, synapse in network.synapses(number).items()
        )
        constants = before.constants[i]
        if layer.neuron is None or constants is None:
            states[i] = State(states[i].potential + current)
            continue
        states[i], spikes = neuron_step(
            states[i], current, layer.neuron, constants=constants, fire=fire, detach_reset=detach_reset
        )
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


def _write(found: Record, now: Moment, t: int) -> None:
    found.potential[t] = now.potential
    for counts, emitted in zip(found.spike_counts, now.emitted[1:], strict=False):
        counts.add_(emitted != 0)
    for number, spikes in found.spikes.items():
        spikes[t] = now.emitted[number] != 0
    for number, potentials in found.potentials.items():
        potentials[t] = now.states[number - 1].potential
    if found.input_counts is not None:
        found.input_counts.add_(now.emitted[0] != 0)
