"""Run a spiking network over time.

simulate         T steps of a network on N examples
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.spiking.network import SpikingNetwork, layer_shapes
from weightlore.spiking.records import LIMIT, Record, empty_record, record_bytes, require_record, require_room
from weightlore.spiking.reference import Moment, Order, advance, begin
from weightlore.training import in_mode

__all__ = ["Encode", "simulate"]

Encode = Callable[[Tensor, range, torch.Generator | None], Tensor]


def simulate(
    network: SpikingNetwork,
    x: Tensor,
    steps: int,
    *,
    order: Order = "same_step",
    encode: Encode | None = None,
    record: Sequence[int] = (),
    generator: torch.Generator | None = None,
    limit: int = LIMIT,
) -> Record:
    """Let a network spike for T steps.

    Args:
        network: run in eval mode and without gradients, and left as it is.
        x: input, shape (N, ...), of the network's dtype.
        steps: T, >= 0.
        order: ``"same_step"`` or ``"synchronous"``.
        encode: from (x, steps, generator) to what enters in these steps; ``None`` for constant current x.
        record: numbers of the layers whose spikes and potentials are recorded.
        generator: for ``encode``.
        limit: bytes that the record may take.

    Returns:
        Potentials of the last layer, spike counts, and what was to be recorded.

    Raises:
        ParameterError: if the input is not finite or does not fit the network, or the record would be too large.

    Source: [lu2020binary], spiking simulation
    """
    if not isinstance(network, SpikingNetwork):
        raise ParameterError(f"simulate runs a SpikingNetwork, got {type(network).__name__}; convert the model first")
    network.require_sound()
    numbers = require_record(network, record)
    require_finite("the input x", x)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 0:
        raise ParameterError(f"steps counts time steps and must be a whole number >= 0, got {steps!r}")
    with in_mode(network, training=False), torch.no_grad():
        shapes = layer_shapes(network, x)
        require_room(record_bytes(shapes, steps, len(x), numbers, x.element_size()), limit)
        found = empty_record(network, shapes, steps, x, numbers, encode is not None)
        now = begin(network, x, shapes)
        for t in range(steps):
            entering = x if encode is None else encode(x, range(t, t + 1), generator)[0]
            now = advance(network, now, entering, order=order)
            _write(found, now, t)
    return found


def _write(found: Record, now: Moment, t: int) -> None:
    found.potential[t] = now.potential
    for counts, emitted in zip(found.spike_counts, now.emitted[1:], strict=False):
        counts += emitted.to(torch.int32)
    for number, spikes in found.spikes.items():
        spikes[t] = now.emitted[number] != 0
    for number, potentials in found.potentials.items():
        potentials[t] = now.states[number - 1].potential
    if found.input_counts is not None:
        found.input_counts.add_(now.emitted[0] != 0)
