"""Run a spiking network over time, in chunks of steps and blocks of examples, so that memory does not grow with T.

    simulate         T steps of a network on N examples
    chunk_sizes      how many examples and steps are computed at once

What is computed does not depend on the sizes: membranes are carried from one chunk to the next. Products of many rows
may round differently from products of few, so that a potential within rounding of its threshold may fall on either
side; where currents are exact, as with weights in whole multiples of a power of two, spikes are the same to the last.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal, get_args

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.spiking.encoding import Encode
from weightlore.spiking.exits import Exit
from weightlore.spiking.network import Shape, SpikingNetwork, layer_shapes
from weightlore.spiking.records import (
    LIMIT,
    Record,
    empty_record,
    part_of,
    record_bytes,
    require_record,
    require_room,
)
from weightlore.spiking.reference import Order
from weightlore.spiking.running import RunningNetwork
from weightlore.spiking.scan import Engine, choose_engine
from weightlore.spiking.writing import Writer
from weightlore.training import in_mode

__all__ = ["chunk_sizes", "require_input", "simulate"]

ROOM = 2**22  # bytes of a layer's spikes that are worked on at once: what a processor keeps near
EXIT_STEPS = 8  # at most between two looks at who is finished


def simulate(
    network: SpikingNetwork,
    x: Tensor,
    steps: int,
    *,
    order: Order = "same_step",
    encode: Encode | None = None,
    exit: Exit | None = None,
    record: Sequence[int] = (),
    chunk: int | None = None,
    generator: torch.Generator | None = None,
    engine: Engine = "auto",
    limit: int = LIMIT,
) -> Record:
    """Let a network spike for T steps.

        for t = 1..T, for each layer: I = synapses(spikes),   V <- neuron(V + I),   spikes = 1 where V reached threshold

    Args:
        network: runs in eval mode and without gradients, and is left as it is.
        x: input, shape (N, ...), of the network's dtype.
        steps: T, from 0 to 2**24.
        order: ``"same_step"``: a layer sees what the layers before it emit in the same step; ``"synchronous"``: all
            layers move at once and see what was emitted one step before, so that L layers need L - 1 steps until the
            last sees anything. The input is seen in its own step.
        encode: from (x, steps, generator) to what enters in these steps, shape (len(steps), N, ...); steps count from
            0. ``None`` is constant current x in every step.
        exit: when an example is decided; it is not computed any further after the chunk of steps in which that happens,
            and what is recorded ends with the very step. ``None`` computes all T steps.
        record: numbers, from 1, of the layers whose spikes and membrane potentials are recorded.
        chunk: how many steps are computed at once; ``None`` for a number that suits the processor.
        generator: for ``encode``; it advances.
        engine: ``"torch"``, ``"numba"`` (extra ``fast``), or ``"auto"`` for the faster that is there; with the same
            result.
        limit: bytes that the record may take.

    Returns:
        Potentials of the last layer, spike counts, and what was to be recorded.

    Raises:
        ParameterError: if an argument is out of range, the input is not finite or does not fit the network, or the
            record would exceed the limit; the message holds the estimate.
        MissingExtra: if numba is asked for and not installed.

    Source: [lu2020binary], spiking simulation; all steps of a layer at once is ours
    """
    require_input(network, x, steps, order)
    numbers = require_record(network, record)
    if chunk is not None and (isinstance(chunk, bool) or not isinstance(chunk, int) or chunk < 1):
        raise ParameterError(f"chunk counts steps and must be a whole number >= 1, or None, got {chunk!r}")
    with in_mode(network, training=False), torch.no_grad():
        shapes = layer_shapes(network, x)
        require_room(record_bytes(shapes, steps, len(x), numbers, x.element_size()), limit)
        found = empty_record(network, shapes, steps, x, numbers, encode is not None)
        chosen = choose_engine(engine, steps * len(x) * sum(prod(shape) for shape, _ in shapes), x)
        if exit is not None and len(shapes[-1][1]) != 1:
            raise ParameterError(
                f"an early exit needs one value per class, got shape {shapes[-1][1]} of the last layer"
            )
        if steps and len(x):
            rows, size = chunk_sizes(shapes, x, steps, chunk=chunk, whole=encode is not None, watched=exit is not None)
            job = _Job(network, shapes, order, steps, encode, generator, exit, numbers, size, chosen)
            for first in range(0, len(x), rows):
                job.run(x[first : first + rows], part_of(found, slice(first, first + rows)))
    _require_finite("the potential of the last layer", found.potential)
    return found


def chunk_sizes(
    shapes: Sequence[tuple[Shape, Shape]],
    x: Tensor,
    steps: int,
    *,
    chunk: int | None = None,
    whole: bool = False,
    watched: bool = False,
) -> tuple[int, int]:
    """Return how many examples and steps are computed at once, such that the largest layer stays near the processor.

    Args:
        shapes: of one example's potential and spikes, for each layer.
        x: input, shape (N, ...), N >= 1.
        steps: T, >= 1.
        chunk: steps, if the caller has chosen.
        whole: whether examples have to stay together, because their input is drawn step by step.
        watched: whether finished examples leave, which pays only if it is looked at often.

    Source: ours
    """
    largest = max(prod(shape) for pair in (*shapes, (tuple(x.shape[1:]),)) for shape in pair)
    each = max(largest, 1) * x.element_size()
    rows = len(x) if whole else min(len(x), max(ROOM // each, 1))
    most = min(steps, max(ROOM // (rows * each), 1))
    return rows, min(steps, chunk) if chunk else min(most, EXIT_STEPS) if watched else most


def require_input(network: SpikingNetwork, x: Tensor, steps: int, order: Order) -> None:
    """Check what a simulation is asked to do.

    Raises:
        ParameterError: if network, input, steps or order cannot be used; the message says what to do.

    Source: ours
    """
    if not isinstance(network, SpikingNetwork):
        raise ParameterError(
            f"only a SpikingNetwork is simulated, got {type(network).__name__}; convert the model first"
        )
    network.require_sound()
    if not isinstance(x, Tensor) or not x.is_floating_point() or x.ndim < 2:
        came = f"{x.dtype} of shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
        raise ParameterError(f"the input x must be a floating tensor of shape (N, ...), got {came}")
    _require_finite("the input x", x)
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if tensor.is_floating_point():
            if tensor.dtype != x.dtype or tensor.device != x.device:
                raise ParameterError(
                    f"{name} is {tensor.dtype} on {tensor.device}, but the input is {x.dtype} on {x.device}; "
                    "move one of them with .to(...)"
                )
            _require_finite(f"{name} of the network", tensor)
    if isinstance(steps, bool) or not isinstance(steps, int) or not 0 <= steps <= 2**24:
        raise ParameterError(f"steps must be a whole number from 0 to 2**24, got {steps!r}")
    if order not in get_args(Order):
        raise ParameterError(f"order must be one of {get_args(Order)}, got {order!r}")


@dataclass(frozen=True, eq=False)
class _Job:
    """What is to be simulated, for any block of examples."""

    network: SpikingNetwork
    shapes: list[tuple[Shape, Shape]]
    order: Order
    steps: int
    encode: Encode | None
    generator: torch.Generator | None
    exit: Exit | None
    record: tuple[int, ...]
    size: int
    engine: Literal["torch", "numba"]

    def run(self, x: Tensor, found: Record) -> None:
        """Simulate a block of examples and write into its part of the record."""
        running = RunningNetwork(
            self.network,
            x,
            shapes=self.shapes,
            order=self.order,
            constant=self.encode is None,
            record=self.record,
            counting=self.exit is None,
            engine=self.engine,
        )
        writer = Writer(found, self.exit)
        for first in range(0, self.steps, self.size):
            if len(writer.alive) == 0:
                break
            count = min(self.size, self.steps - first)
            entering = self._entering(x, first, count, writer.alive)
            potential = running.advance(entering, count)
            kept = writer.write(first, potential, running.layers, entering)
            if kept is not None:
                running.keep(kept)
        writer.close(running.layers)

    def _entering(self, x: Tensor, first: int, count: int, alive: Tensor) -> Tensor:
        """What enters in some steps: drawn for all examples, so that who is finished changes nothing."""
        if self.encode is None:
            return (x if len(alive) == len(x) else x[alive])[None]
        drawn = self.encode(x, range(first, first + count), self.generator)
        if not isinstance(drawn, Tensor) or drawn.shape != (count, *x.shape) or drawn.dtype != x.dtype:
            came = f"{tuple(drawn.shape)} {drawn.dtype}" if isinstance(drawn, Tensor) else type(drawn).__name__
            raise ParameterError(
                f"encode must return what enters in {count} steps, shape {(count, *x.shape)} and {x.dtype}, got {came}"
            )
        _require_finite("what encode returns", drawn)
        return drawn if len(alive) == len(x) else drawn[:, alive]


def _require_finite(what: str, tensor: Tensor) -> None:
    """As ``require_finite``, in one fast pass: a sum is finite only if all its terms are."""
    if not math.isfinite(float(tensor.detach().sum())):
        require_finite(what, tensor)
