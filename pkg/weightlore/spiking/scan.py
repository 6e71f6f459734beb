"""One scan over time for all steps of a layer, in place.

A layer's currents of many steps are one product, since the layer before has already said all that it will say. What is
left step by step is the membrane:

    for t: V += I[t];  S[t] = V >= threshold;  V -= threshold S[t]

The engine in plain torch is here; ``compiled`` does the same in one pass with numba, bit for bit.

    scan             spikes of one layer from its currents
    accumulate       a read-out's potential after each step
    gate_over_time   what passes a layer's gate in each step
    choose_engine    which engine serves a request
"""

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from weightlore.errors import MissingExtra, ParameterError
from weightlore.spiking import compiled
from weightlore.spiking.network import SpikingLayer
from weightlore.spiking.neurons import Constants, Neuron, State
from weightlore.spiking.reference import gated

__all__ = ["Engine", "Trace", "accumulate", "choose_engine", "gate_over_time", "scan"]

Engine = Literal["auto", "torch", "numba"]
WORTH_COMPILING = 2**27  # membrane updates from which on half a second for the compiler is well spent


@dataclass(frozen=True, eq=False)
class Trace:
    """Room for what a scan of T steps writes.

    Args:
        spikes: zeros and ones, shape (T, N, ...), of the currents' dtype; overwritten.
        counts: spikes so far, shape (N, ...), of the same dtype; added to. ``None`` where nobody counts.
        potentials: after each step, shape (T, N, ...); overwritten. ``None`` where nobody records.
        reached: potentials before the reset, shape (T, N, ...); overwritten. ``None`` where nobody learns.

    Source: ours
    """

    spikes: Tensor
    counts: Tensor | None = None
    potentials: Tensor | None = None
    reached: Tensor | None = None


def choose_engine(engine: Engine, updates: int, like: Tensor) -> Literal["torch", "numba"]:
    """Return which engine serves a request.

    Args:
        engine: ``"torch"``, ``"numba"``, or ``"auto"``: numba where it is installed and either loaded already or worth
            the time that it takes to start.
        updates: of membranes that are asked for.
        like: a tensor of the dtype and device.

    Raises:
        ParameterError: if the engine is unknown, or numba is asked for on another device or dtype.
        MissingExtra: if numba is asked for and not installed.

    Source: ours
    """
    if engine not in get_args(Engine):
        raise ParameterError(f"engine must be one of {get_args(Engine)}, got {engine!r}")
    fits = like.device.type == "cpu" and like.dtype in (torch.float32, torch.float64)
    if engine == "numba" and not compiled.available():
        raise MissingExtra("numba", "fast")
    if engine == "numba" and not fits:
        raise ParameterError(
            f"the engine numba computes in float32 and float64 on the CPU, got {like.dtype} on {like.device}; "
            'use engine="torch"'
        )
    if engine == "auto" and fits and compiled.available() and (compiled.loaded() or updates >= WORTH_COMPILING):
        return "numba"
    return "numba" if engine == "numba" else "torch"


def scan(
    currents: Tensor,
    state: State,
    neuron: Neuron,
    constants: Constants,
    *,
    trace: Trace,
    engine: Literal["torch", "numba"] = "torch",
) -> None:
    """Let a layer's neurons take T steps.

    Args:
        currents: shape (T, N, ...), or (1, N, ...) if they are the same in every step.
        state: potentials and rest, changed in place to what they are after the last step.
        neuron: their kind.
        constants: its numbers.
        trace: what is written.
        engine: which computes; the result does not depend on it.

    Source: [lu2020binary], neuron model; all steps of a layer at once is ours
    """
    if engine == "numba" and _served(currents, state, trace):
        compiled.compiled_scan(
            currents,
            state,
            neuron,
            constants,
            spikes=trace.spikes,
            counts=trace.counts,
            potentials=trace.potentials,
            reached=trace.reached,
        )
        return
    for t, spikes in enumerate(trace.spikes):
        reached = state.potential if trace.reached is None else trace.reached[t]
        _step(currents[t if len(currents) > 1 else 0], state, neuron, constants, spikes, reached)
        if trace.counts is not None:
            trace.counts.add_(spikes)
        if trace.potentials is not None:
            trace.potentials[t] = state.potential


def _served(currents: Tensor, state: State, trace: Trace) -> bool:
    """Whether the compiled engine can read and write all tensors as flat arrays."""
    if len(trace.spikes) == 0 or state.potential.numel() == 0:
        return False
    through = [one for one in (currents, trace.spikes, trace.potentials, trace.reached) if one is not None]
    rows = all(len(one) == 1 or one.stride(0) == state.potential.numel() for one in through)
    return rows and compiled.serves(
        state.potential,
        *(one[0] for one in through),
        *(one for one in (trace.counts, state.wait) if one is not None),
    )


def _step(current: Tensor, state: State, neuron: Neuron, constants: Constants, spikes: Tensor, reached: Tensor) -> None:
    """As ``neuron_step``, in place; what was reached before the reset may lie where the potential does."""
    v, resting = state.potential, None if state.wait is None else state.wait > 0
    if neuron.leak != 1:
        v.mul_(neuron.leak)
    torch.add(v, current if resting is None else current.masked_fill(resting, 0.0), out=reached)
    if constants.lowest is not None:
        torch.maximum(reached, constants.lowest, out=reached)
    torch.ge(reached, constants.threshold, out=spikes)
    if resting is not None:
        spikes.masked_fill_(resting, 0.0)
    if neuron.reset == "zero":
        v.copy_(reached).masked_fill_(spikes != 0, 0.0)
    elif constants.unit:
        torch.sub(reached, spikes, out=v)
    else:
        torch.addcmul(reached, spikes, constants.threshold, value=-1, out=v)  # 0 or 1 times: exact, fused or not
    if state.wait is not None:
        state.wait.sub_(1).clamp_(min=0).masked_fill_(spikes != 0, neuron.refractory)


def accumulate(currents: Tensor, potential: Tensor, out: Tensor) -> None:
    """Write a read-out's potential after each step, U_t = U_{t-1} + I_t.

    Args:
        currents: shape (T, N, ...), or (1, N, ...) if they are the same in every step.
        potential: before the first step, shape (N, ...); changed in place to that after the last.
        out: shape (T, N, ...); overwritten.

    Source: [lu2020binary], output layer
    """
    for t, after in enumerate(out):
        after.copy_(potential.add_(currents[t if len(currents) > 1 else 0]))


def gate_over_time(layer: SpikingLayer, spikes: Tensor, active: Tensor) -> Tensor:
    """Return what passes a layer's gate in each step.

    Args:
        layer: with a gate.
        spikes: of its neurons, shape (T, N, channels, rows, columns).
        active: how often they have spiked before, shape (N, ...); changed in place to the count after the last step.

    Source: [rueckauer2017conversion], spiking max-pooling
    """
    so_far = spikes.cumsum(0).add_(active)  # whole numbers: exact in any order
    if len(spikes):
        active.copy_(so_far[-1])
    return gated(layer, spikes.flatten(0, 1), so_far.flatten(0, 1)).unflatten(0, spikes.shape[:2])
