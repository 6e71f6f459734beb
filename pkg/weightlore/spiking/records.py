"""What a simulation writes down, and how much memory that may take.

Potentials of the last layer and spike counts are always kept; spike trains and membrane potentials only of the layers
asked for, since they grow with every step. What would be larger than the limit is refused before anything is computed.

    Record           what a simulation returns
    record_bytes     the estimate
    require_room     the refusal
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.spiking.network import Shape, SpikingNetwork

__all__ = ["LIMIT", "Record", "record_bytes", "require_record", "require_room"]

LIMIT = 2**30  # bytes that a record may take unless the caller says otherwise


@dataclass(frozen=True, eq=False)
class Record:
    """What happened in a simulation of T steps and N examples.

    Args:
        potential: what the last layer has accumulated after each step, shape (T, N, ...), for classes (T, N, C): the
            currents of a read-out, else its spikes. The prediction after t steps is ``potential[t - 1].argmax(1)``.
        spike_counts: how often each neuron has spiked, one tensor of shape (N, ...) and int32 per spiking layer.
        spikes: of the recorded layers by their number, shape (T, N, ...), bool.
        potentials: membrane potentials of the recorded layers after each step and its reset, shape (T, N, ...).
        steps: after how many steps each example was decided, shape (N,), int64: T, or its early exit.
        input_counts: how many steps each input was not zero in, shape (N, ...), int32; ``None`` for constant current.

    Spikes and counts are those that leave the layer: behind its gate if it has one. After an example's early exit its
    potentials stay as they are and nothing spikes.

    Source: ours
    """

    potential: Tensor
    spike_counts: tuple[Tensor, ...]
    spikes: dict[int, Tensor]
    potentials: dict[int, Tensor]
    steps: Tensor
    input_counts: Tensor | None = None


def record_bytes(
    shapes: Sequence[tuple[Shape, Shape]], steps: int, examples: int, record: Sequence[int], item: int
) -> int:
    """Return how much memory a record takes.

        bytes = T N (item |C| + sum over recorded layers of (item |potential| + |spikes|)) + 4 N sum |spikes|

    Args:
        shapes: of one example's potential and spikes, for each layer.
        steps: T.
        examples: N.
        record: numbers of the recorded layers.
        item: bytes of a floating-point number.

    Source: ours
    """
    grows = item * prod(shapes[-1][1])
    for number in record:
        potential, emitted = shapes[number - 1]
        grows += item * prod(potential) + prod(emitted)
    return steps * examples * grows + 4 * examples * sum(prod(emitted) for _, emitted in shapes)


def require_record(network: SpikingNetwork, record: Sequence[int]) -> tuple[int, ...]:
    """Return the numbers of the layers to be recorded, sorted and each once.

    Raises:
        ParameterError: if one is no layer of the network.

    Source: ours
    """
    count = len(network.layers)
    for number in record:
        if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= count:
            raise ParameterError(f"record takes numbers of layers from 1 to {count}, got {number!r}")
    return tuple(sorted(set(record)))


def require_room(needed: int, limit: int) -> None:
    """Refuse a record that would not fit.

    Args:
        needed: bytes, from ``record_bytes``.
        limit: bytes that are allowed.

    Raises:
        ParameterError: if it does not fit; the message holds the estimate.

    Source: ours
    """
    if needed > limit:
        raise ParameterError(
            f"the record would take {_size(needed)}, more than the limit of {_size(limit)}; record fewer layers, "
            f"examples or steps, or allow it with limit={needed}"
        )


def empty_record(
    network: SpikingNetwork,
    shapes: Sequence[tuple[Shape, Shape]],
    steps: int,
    x: Tensor,
    record: Sequence[int],
    encoded: bool,
) -> Record:
    """Return a record of zeros, to be filled."""
    examples, spiking = len(x), [n for n in range(1, len(shapes) + 1) if network.layer(n).neuron is not None]
    return Record(
        potential=x.new_zeros(steps, examples, *shapes[-1][1]),
        spike_counts=tuple(
            torch.zeros(examples, *shapes[n - 1][1], dtype=torch.int32, device=x.device) for n in spiking
        ),
        spikes={
            n: torch.zeros(steps, examples, *shapes[n - 1][1], dtype=torch.bool, device=x.device)
            for n in record
            if n in spiking
        },
        potentials={n: x.new_zeros(steps, examples, *shapes[n - 1][0]) for n in record},
        steps=torch.full((examples,), steps, dtype=torch.int64, device=x.device),
        input_counts=torch.zeros(x.shape, dtype=torch.int32, device=x.device) if encoded else None,
    )


def part_of(record: Record, rows: slice) -> Record:
    """Return the part of a record that belongs to some examples; what is written there is written in the record.

    Source: ours
    """
    return Record(
        potential=record.potential[:, rows],
        spike_counts=tuple(counts[rows] for counts in record.spike_counts),
        spikes={number: spikes[:, rows] for number, spikes in record.spikes.items()},
        potentials={number: potentials[:, rows] for number, potentials in record.potentials.items()},
        steps=record.steps[rows],
        input_counts=None if record.input_counts is None else record.input_counts[rows],
    )


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
