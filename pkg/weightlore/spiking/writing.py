"""Write a simulation down, chunk by chunk, and let go of examples that are decided.

Writer           fills a record; after each chunk it says with which examples to go on
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from weightlore.spiking.exits import Exit, evidence, first_passing
from weightlore.spiking.membranes import RunningLayer, emitted_by, potentials_of
from weightlore.spiking.records import Record

__all__ = ["Writer"]


class Writer:
    """Fills a record of N examples; what it holds of an example ends with the step of its exit.

    Args:
        record: zeros, to be filled.
        exit: when an example is decided, ``None`` for never.

    Source: ours
    """

    def __init__(self, record: Record, exit: Exit | None) -> None:
        self.record, self.exit = record, exit
        self.alive = torch.arange(len(record.steps), device=record.steps.device)

    def write(self, first: int, potential: Tensor, layers: Sequence[RunningLayer], entering: Tensor) -> Tensor | None:
        """Write the steps from ``first`` on.

        Args:
            first: number of the chunk's first step, from 0.
            potential: of the last layer, shape (T, n, ...), for the n examples that are still computed.
            layers: after these steps.
            entering: what has entered, shape (T or 1, n, ...).

        Returns:
            Which of the n examples are not decided, as row numbers; ``None`` if that is all of them.
        """
        if self.exit is None:
            self._put(slice(first, first + len(potential)), potential, layers, entering, None)
            return None
        found = evidence(potential, self.exit.rule, scale=self.exit.scale, first=first + 1)
        steps, decided = first_passing(found, self.exit, first + 1)
        last = torch.where(decided, steps - first - 1, len(potential) - 1)  # of the chunk's steps, from 0
        self._put(slice(first, first + len(potential)), potential, layers, entering, last)
        self.record.steps[self.alive[decided]] = steps[decided]
        if not bool(decided.any()):
            return None
        self._hold(first + len(potential), potential, layers, last, decided)
        kept = (~decided).nonzero().squeeze(1)
        self.alive = self.alive[kept]
        return kept

    def close(self, layers: Sequence[RunningLayer]) -> None:
        """Write the counts that the layers have kept themselves."""
        if self.exit is None:
            spiking = [layer for layer in layers if layer.layer.neuron is not None]
            for total, layer in zip(self.record.spike_counts, spiking, strict=True):
                if layer.counts is not None:
                    total.copy_(layer.counts)

    def _put(
        self, at: slice, potential: Tensor, layers: Sequence[RunningLayer], entering: Tensor, last: Tensor | None
    ) -> None:
        """Write what happened up to the last step of each example."""
        times = torch.arange(len(potential), device=potential.device).reshape(-1, 1)
        lived = None if last is None else times <= last
        _set(self.record.potential, at, self.alive, _until(potential, last))
        for number, potentials in self.record.potentials.items():
            _set(potentials, at, self.alive, _until(potentials_of(layers[number - 1]), last))
        for number, spikes in self.record.spikes.items():
            _set(spikes, at, self.alive, _only(emitted_by(layers[number - 1]) != 0, lived))
        if self.record.input_counts is not None:
            self.record.input_counts[self.alive] += _only(entering != 0, lived).sum(0, dtype=torch.int32)
        if lived is not None:
            spiking = [layer for layer in layers if layer.layer.neuron is not None]
            for counts, layer in zip(self.record.spike_counts, spiking, strict=True):
                counts[self.alive] += _only(emitted_by(layer) != 0, lived).sum(0, dtype=torch.int32)

    def _hold(
        self, after: int, potential: Tensor, layers: Sequence[RunningLayer], last: Tensor, decided: Tensor
    ) -> None:
        """Leave the potentials of decided examples as they are for all later steps."""
        rows, each = self.alive[decided], torch.arange(len(last), device=last.device)
        self.record.potential[after:, rows] = potential[last, each][decided]
        for number, potentials in self.record.potentials.items():
            potentials[after:, rows] = potentials_of(layers[number - 1])[last, each][decided]


def _set(record: Tensor, at: slice, rows: Tensor, values: Tensor) -> None:
    if len(rows) == record.shape[1]:
        record[at] = values
    else:
        record[at, rows] = values


def _until(values: Tensor, last: Tensor | None) -> Tensor:
    """Values over time, shape (T, n, ...), that stay as they are after the last step of each example."""
    if last is None:
        return values
    times = torch.arange(len(values), device=values.device).reshape(-1, 1)
    return values[torch.minimum(times, last), torch.arange(len(last), device=last.device)]


def _only(happened: Tensor, lived: Tensor | None) -> Tensor:
    """What happened, shape (T, n, ...), without what comes after the last step of each example."""
    return happened if lived is None else happened & lived.reshape(*lived.shape, *(1 for _ in happened.shape[2:]))
