"""Many steps of a whole network at once: layer by layer, each with one product for all steps of a chunk.

Layers that feed back on each other or on themselves cannot be told apart in time: they step together, while what enters
them from before is still one product.

    together         which layers have to step together
    over_time        the currents of all steps by one call of a synapse
    RunningNetwork   a network that has run so far; ``advance`` runs it further
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from weightlore.spiking.membranes import RunningLayer, emitted_by, rows_of
from weightlore.spiking.network import Shape, SpikingNetwork
from weightlore.spiking.reference import Order, layers_of, total

__all__ = ["RunningNetwork", "over_time", "together"]


def together(network: SpikingNetwork) -> list[range]:
    """Return the layers' numbers in groups: those of one group have to step together.

    A recurrent synapse from layer k to layer j <= k ties all layers from j to k to each other.

    Args:
        network: L layers.

    Returns:
        Ranges that cover 1 to L, in order.

    Source: ours
    """
    reach = [max(number, *network.synapses(number)) for number in range(1, len(network.layers) + 1)]
    groups, first = [], 1
    while first <= len(reach):
        last = first
        while (further := max(reach[first - 1 : last])) > last:
            last = further
        groups.append(range(first, last + 1))
        first = last + 1
    return groups


class RunningNetwork:
    """A network that has run so far, for N examples.

    Args:
        network: in eval mode.
        shapes: from ``layer_shapes``.
        x: the examples, shape (N, ...).
        order: which spikes a layer sees.
        constant: whether x itself enters in every step.
        record: numbers of the layers whose potentials are wanted.
        counting: whether spikes are counted on the way.
        engine: of the scans.

    Source: ours
    """

    def __init__(
        self,
        network: SpikingNetwork,
        x: Tensor,
        *,
        shapes: Sequence[tuple[Shape, Shape]],
        order: Order,
        constant: bool,
        record: Sequence[int],
        counting: bool,
        engine: Literal["torch", "numba"],
    ) -> None:
        self.network, self.order, self.constant = network, order, constant
        self.groups = together(network)
        recurrent = any(max(network.synapses(n)) >= n for n in range(1, len(shapes) + 1))
        self.delayed = order == "synchronous" or recurrent
        self.layers = [
            RunningLayer(layer, n in record, counting, engine) for n, layer in enumerate(layers_of(network), start=1)
        ]
        self.last = [x, *(x.new_zeros(len(x), *after) for _, after in shapes)]  # what was emitted one step before
        self.cached: dict[int, Tensor] = {}
        self.potential = x.new_zeros(len(x), *shapes[-1][1])

    def advance(self, entering: Tensor, steps: int) -> Tensor:
        """Run for some more steps; ``layers`` then hold what happened in them.

        Args:
            entering: what the input emits, shape (T, N, ...), or (1, N, ...) if it is constant.
            steps: T, >= 1.

        Returns:
            What the last layer has accumulated after each step, shape (T, N, ...).
        """
        for layer in self.layers:
            layer.open(steps)
        for group in self.groups:
            outside = {
                number: {
                    source: self._currents(number, source, synapse, entering)
                    for source, synapse in self.network.synapses(number).items()
                    if source < group[0]
                }
                for number in group
            }
            if len(group) == 1 and len(outside[group[0]]) == len(self.network.synapses(group[0])):
                self.layers[group[0] - 1].advance(total(outside[group[0]].values()), 0, steps)
            else:
                self._step_through(outside, steps)
        if self.delayed:
            self.last[1:] = [emitted_by(layer)[-1].clone() for layer in self.layers]
        return self._accumulated()

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the examples only."""
        for layer in self.layers:
            layer.keep(rows)
        self.last = [rows_of(one, rows) for one in self.last]
        self.cached = {number: rows_of(one[0], rows)[None] for number, one in self.cached.items()}
        self.potential = rows_of(self.potential, rows)

    def _currents(self, number: int, source: int, synapse: nn.Module, entering: Tensor) -> Tensor:
        """What a source that is known for the whole chunk sends to a layer; constant current is computed once."""
        if source == 0 and self.constant:
            if number not in self.cached:
                self.cached[number] = _channels_last(over_time(synapse, entering))
            return self.cached[number]
        if source == 0:
            return _channels_last(over_time(synapse, entering))
        emitted = emitted_by(self.layers[source - 1])
        if self.order == "synchronous":
            emitted = torch.cat([self.last[source][None], emitted[:-1]])
        return over_time(synapse, emitted)

    def _step_through(self, outside: dict[int, dict[int, Tensor]], steps: int) -> None:
        """Let the layers of a group take steps one by one."""
        for t in range(steps):
            for number, known in outside.items():
                currents = []
                for source, synapse in self.network.synapses(number).items():
                    if source in known:
                        currents.append(known[source][t if len(known[source]) > 1 else 0])
                    else:
                        currents.append(synapse(self._seen(source, number, t)))
                self.layers[number - 1].advance(total(currents)[None], t, t + 1)

    def _seen(self, source: int, number: int, t: int) -> Tensor:
        """What a layer sees of another of its group in step t."""
        if self.order == "same_step" and source < number:
            return emitted_by(self.layers[source - 1])[t]
        return self.last[source] if t == 0 else emitted_by(self.layers[source - 1])[t - 1]

    def _accumulated(self) -> Tensor:
        end = self.layers[-1]
        if end.layer.neuron is None:
            return emitted_by(end)
        counted = emitted_by(end).cumsum(0).add_(self.potential)  # whole numbers: exact in any order
        self.potential = counted[-1].clone()
        return counted


def over_time(synapse: nn.Module, emitted: Tensor) -> Tensor:
    """Return the currents of all steps by one call of the synapse.

    Args:
        synapse: reads (N, ...).
        emitted: shape (T, N, ...).

    Returns:
        Shape (T, N, ...).

    Source: ours
    """
    return synapse(emitted.flatten(0, 1)).unflatten(0, emitted.shape[:2])


def _channels_last(currents: Tensor) -> Tensor:
    """Images in float32 with their channels last in memory: all later layers follow, and convolutions are faster."""
    if currents.ndim != 5 or currents.dtype != torch.float32:
        return currents
    return currents.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, currents.shape[:2])
