"""The compiled engine: a layer's scan over time in one pass, the membranes of a block staying in the fastest memory.

    available        is numba there
    loaded           has it compiled already
    serves           can these tensors be read as flat arrays
    compiled_scan    as ``scan.scan``, bit for bit

Sums and comparisons are those of the reference in the same order, and nothing is fused; that a factor of 1 is
multiplied where the reference leaves it out does not change a bit.
"""

import functools
import importlib
import importlib.util
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightlore.spiking.neurons import Constants, Neuron, State

__all__ = ["available", "compiled_scan", "loaded", "serves"]

Array = NDArray[Any]
BLOCK = 1024  # neurons whose membranes are carried through all steps together


def available() -> bool:
    """Return whether numba is installed.

    Source: ours
    """
    return importlib.util.find_spec("numba") is not None


def loaded() -> bool:
    """Return whether the compiled scan is in memory already.

    Source: ours
    """
    return bool(_kernels.cache_info().currsize)


def serves(*tensors: Tensor) -> bool:
    """Return whether tensors of one shape (N, ...) lie in memory in one and the same order, example after example.

    Source: ours
    """
    orders = {_order(tensor) for tensor in tensors}
    return len(orders) == 1 and None not in orders


def compiled_scan(
    currents: Tensor,
    state: State,
    neuron: Neuron,
    constants: Constants,
    *,
    spikes: Tensor,
    counts: Tensor | None,
    potentials: Tensor | None,
    reached: Tensor | None,
) -> None:
    """Let a layer's neurons take T steps; arguments and result as ``scan.scan``.

    Source: ours
    """
    v, kind = _flat(state.potential), state.potential.numpy().dtype.type
    numbers = (kind(neuron.leak), kind(-math.inf if neuron.lowest is None else neuron.lowest), neuron.reset == "zero")
    threshold = _flat(torch.empty_like(state.potential[:1]).copy_(constants.threshold))  # in the membranes' order
    threshold = threshold[:1] if constants.threshold.numel() == 1 else threshold
    arrays = (
        _flat(currents, 1),
        v,
        _flat(spikes, 1),
        v[:0] if counts is None else _flat(counts),
        *(v.reshape(1, -1)[:0] if room is None else _flat(room, 1) for room in (potentials, reached)),
        threshold,
    )
    free, resting = _kernels()
    if state.wait is None:
        free(*arrays, *numbers)
    else:
        resting(*arrays, *numbers, _flat(state.wait), neuron.refractory)


def scan_free(
    currents: Array,
    potential: Array,
    spikes: Array,
    counts: Array,
    potentials: Array,
    reached: Array,
    threshold: Array,
    leak: float,
    lowest: float,
    hard: bool,
) -> None:
    """Scan neurons without refractory period.

    Args:
        currents: shape (T or 1, N D).
        potential: shape (N D,); changed in place.
        spikes: shape (T, N D); overwritten.
        counts: shape (N D,), added to, or (0,).
        potentials: shape (T, N D), overwritten, or (0, N D).
        reached: before each reset, likewise.
        threshold: shape (1,), or (D,) for each neuron of an example.
        leak: share that is kept.
        lowest: bound of the potential.
        hard: whether a spike resets to zero.
    """
    size = len(threshold) if len(threshold) > 1 else len(potential)
    same = np.full(min(BLOCK, size), threshold[0], threshold.dtype)
    apart = np.empty_like(same)  # overlapping arrays would keep the compiler from vector code
    for first in range(0, len(potential), max(size, 1)):
        for begin in range(first, first + size, BLOCK):
            end = min(begin + BLOCK, first + size)
            least = same[: end - begin]
            if len(threshold) > 1:
                least = threshold[begin - first : end - first]
            for t in range(len(spikes)):
                current = currents[t if len(currents) > 1 else 0, begin:end]
                before = reached[t, begin:end] if len(reached) > 0 else apart[: end - begin]
                one_step(current, potential[begin:end], before, spikes[t, begin:end], least, leak, lowest, hard)
                if len(counts) > 0:
                    add_to(counts[begin:end], spikes[t, begin:end])
                if len(potentials) > 0:
                    potentials[t, begin:end] = potential[begin:end]


def one_step(
    current: Array,
    potential: Array,
    reached: Array,
    spikes: Array,
    threshold: Array,
    leak: float,
    lowest: float,
    hard: bool,
) -> None:
    """Let a block of neurons take one step; a function of its own, so that the compiler makes vector code of it."""
    one, zero = threshold.dtype.type(1), threshold.dtype.type(0)
    if hard:
        for i in range(len(potential)):
            before = potential[i] * leak + current[i]
            before = before if before > lowest else lowest
            reached[i] = before
            spikes[i] = one if before >= threshold[i] else zero
            potential[i] = zero if before >= threshold[i] else before
    else:
        for i in range(len(potential)):
            before = potential[i] * leak + current[i]
            before = before if before > lowest else lowest
            reached[i] = before
            fired = one if before >= threshold[i] else zero
            spikes[i] = fired
            potential[i] = before - fired * threshold[i]


def add_to(counts: Array, spikes: Array) -> None:
    """Count the spikes of one step."""
    for i in range(len(counts)):
        counts[i] += spikes[i]


def scan_resting(
    currents: Array,
    potential: Array,
    spikes: Array,
    counts: Array,
    potentials: Array,
    reached: Array,
    threshold: Array,
    leak: float,
    lowest: float,
    hard: bool,
    wait: Array,
    refractory: int,
) -> None:
    """Scan neurons with a refractory period; ``wait``, shape (N D,), says for how many steps each still rests."""
    one, zero = threshold.dtype.type(1), threshold.dtype.type(0)
    for i in range(len(potential)):
        h, v, rest = threshold[i % len(threshold)], potential[i], wait[i]
        for t in range(len(spikes)):
            current = currents[t if len(currents) > 1 else 0, i] if rest == 0 else zero
            v = max(v * leak + current, lowest)
            if len(reached) > 0:
                reached[t, i] = v
            fired = one if v >= h and rest == 0 else zero
            if fired > 0:
                v, rest = zero if hard else v - h, refractory
            elif rest > 0:
                rest -= 1
            spikes[t, i] = fired
            if len(counts) > 0:
                counts[i] += fired
            if len(potentials) > 0:
                potentials[t, i] = v
        potential[i], wait[i] = v, rest


@functools.cache
def _kernels() -> tuple[Callable[..., None], Callable[..., None]]:
    """Return both scans as compiled code, from the disk where they were compiled before."""
    numba = importlib.import_module("numba")
    for plain in (one_step, add_to):
        numba.extending.register_jitable(plain)
    options = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(scan_free), numba.njit(cache=True, **options)(scan_resting)
    except RuntimeError:  # no folder that can be written to
        return numba.njit(**options)(scan_free), numba.njit(**options)(scan_resting)


def _order(tensor: Tensor) -> tuple[int, ...] | None:
    """Return the dimensions of a dense tensor from outside to inside, those of size 1 left out."""
    strides, expected = tensor.stride(), 1
    dimensions = sorted((d for d in range(tensor.ndim) if tensor.shape[d] != 1), key=lambda d: -strides[d])
    for d in reversed(dimensions):
        if strides[d] != expected:
            return None
        expected *= tensor.shape[d]
    if tensor.numel() == 0 or (dimensions and tensor.shape[0] != 1 and dimensions[0] != 0):
        return None
    return tuple(dimensions)


def _flat(tensor: Tensor, kept: int = 0) -> Array:
    """Return a tensor as an array in the order of its memory, its first dimensions kept; no copy."""
    strides = tensor.stride()
    order = sorted(range(kept, tensor.ndim), key=lambda d: -strides[d] * (tensor.shape[d] != 1))
    moved = tensor.permute(*range(kept), *order)
    return moved.reshape(*tensor.shape[:kept], -1).numpy()
