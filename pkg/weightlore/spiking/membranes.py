"""One layer that has run so far: its membranes, and room for what it does in a chunk of steps.

RunningLayer     state, counts, and what was emitted; ``advance`` takes some steps
emitted_by       what a layer has emitted in the present chunk
potentials_of    its potentials in the present chunk
rows_of          some examples, in the same order of memory
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from weightlore.spiking.network import SpikingLayer
from weightlore.spiking.neurons import Constants, State
from weightlore.spiking.scan import Trace, accumulate, gate_over_time, scan

__all__ = ["RunningLayer", "emitted_by", "potentials_of", "rows_of"]


@dataclass(eq=False)
class RunningLayer:
    """A layer that has run so far: its membranes, and room for what it does in the steps of a chunk.

    Args:
        layer: neurons, or a read-out.
        recording: whether potentials are wanted.
        counting: whether spikes are counted on the way.
        engine: of the scan.
        steps: of the present chunk.

    Source: ours
    """

    layer: SpikingLayer
    recording: bool
    counting: bool
    engine: Literal["torch", "numba"]
    steps: int = 0
    constants: Constants | None = None
    state: State | None = None
    active: Tensor | None = None
    counts: Tensor | None = None
    spikes: Tensor | None = None
    emitted: Tensor | None = None
    potentials: Tensor | None = None

    def open(self, steps: int) -> None:
        """Make ready for a chunk of steps; room of the same size is used again."""
        if steps != self.steps:
            self.spikes = self.emitted = self.potentials = None
        self.steps = steps

    def advance(self, currents: Tensor, first: int, last: int) -> None:
        """Take the steps from first to last of the chunk, with currents of shape (last - first or 1, N, ...)."""
        state = self._state(currents[0])
        if self.spikes is None:
            self.spikes = _room(self.steps, state.potential)
        if self.layer.neuron is None or self.constants is None:
            accumulate(currents, state.potential, self.spikes[first:last])
            self.emitted = self.potentials = self.spikes
            return
        if self.recording and self.potentials is None:
            self.potentials = _room(self.steps, state.potential)
        if self.counting and self.counts is None and self.layer.gate is None:
            self.counts = torch.zeros_like(state.potential)
        spikes = self.spikes[first:last]
        potentials = None if self.potentials is None else self.potentials[first:last]
        trace = Trace(spikes, self.counts if self.layer.gate is None else None, potentials)
        scan(currents, state, self.layer.neuron, self.constants, trace=trace, engine=self.engine)
        self._emit(spikes, first, last)

    def keep(self, rows: Tensor) -> None:
        """Go on with some of the examples only."""
        if self.state is not None:
            wait = None if self.state.wait is None else rows_of(self.state.wait, rows)
            self.state = State(rows_of(self.state.potential, rows), wait)
        self.active = None if self.active is None else rows_of(self.active, rows)
        self.counts = None if self.counts is None else rows_of(self.counts, rows)
        self.steps, self.spikes, self.emitted, self.potentials = 0, None, None, None

    def _state(self, current: Tensor) -> State:
        """The membranes, in the order of memory in which the currents come."""
        if self.state is None:
            potential, wait, neuron = torch.zeros_like(current), None, self.layer.neuron
            if neuron is not None:
                self.constants = Constants.of(neuron, tuple(current.shape[1:]), current)
                potential.copy_(self.constants.initial.expand_as(current))
                wait = torch.zeros_like(potential, dtype=torch.int32) if neuron.refractory else None
            self.state = State(potential, wait)
        return self.state

    def _emit(self, spikes: Tensor, first: int, last: int) -> None:
        """Let spikes pass the gate, if there is one, and count what passes."""
        if self.layer.gate is None:
            self.emitted = self.spikes
            return
        if self.active is None:
            self.active = torch.zeros_like(spikes[0])
        passed = gate_over_time(self.layer, spikes, self.active)
        if self.emitted is None:
            self.emitted = _room(self.steps, passed[0])
        self.emitted[first:last] = passed
        if self.counting:
            self.counts = passed.sum(0) + (0 if self.counts is None else self.counts)


def emitted_by(layer: RunningLayer) -> Tensor:
    """Return what a layer has emitted in the steps of the present chunk, shape (T, N, ...).

    Source: ours
    """
    return _known(layer.emitted)


def potentials_of(layer: RunningLayer) -> Tensor:
    """Return the potentials of a recorded layer after each step of the present chunk, shape (T, N, ...).

    Source: ours
    """
    return _known(layer.potentials)


def rows_of(tensor: Tensor, rows: Tensor) -> Tensor:
    """Return some rows of a tensor, in the same order of memory.

    Source: ours
    """
    found = tensor[rows]
    last = tensor.ndim == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last)
    return found.contiguous(memory_format=torch.channels_last) if last else found


def _room(steps: int, like: Tensor) -> Tensor:
    """Room for what each step gives, in the order of memory of one step."""
    one = torch.empty_like(like)
    return torch.empty_strided((steps, *one.shape), (one.numel(), *one.stride()), dtype=one.dtype, device=one.device)


def _known(tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise RuntimeError("a layer has not run yet")
    return tensor
