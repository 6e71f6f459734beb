"""The gradient of a scan over time, by hand: one pass backward instead of a graph of thousands of nodes.

With h_t the surrogate slope at u_t - threshold, and dV_T = 0:

    du_t = dV_t dV/du + ds_t h_t
           dV/du = 1 - threshold h_t   ("zero": 1 - s_t - u_t h_t);  without the h where the reset counts as a constant
    dI_t = du_t,   dV_{t-1} = leak du_t

    spikes_of        a layer's spikes from its currents, differentiable
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from weightlore.spiking.neurons import Constants, Neuron
from weightlore.spiking.scan import Trace, scan
from weightlore.spiking.surrogates import Surrogate

__all__ = ["Learning", "spikes_of"]


@dataclass(frozen=True, eq=False)
class Learning:
    """How gradients pass a spike.

    Args:
        surrogate: slope in place of the derivative.
        detach_reset: whether resets are taken as constants.
        engine: of the scan.

    Source: ours
    """

    surrogate: Surrogate
    detach_reset: bool = False
    engine: Literal["torch", "numba"] = "torch"


def spikes_of(currents: Tensor, steps: int, neuron: Neuron, learning: Learning) -> Tensor:
    """Return the spikes of T steps from the currents of a layer; the gradient goes back through all of them.

    Args:
        currents: shape (T, N, ...), or (1, N, ...) if they are the same in every step.
        steps: T, >= 1.
        neuron: the layer's kind.
        learning: how gradients pass a spike.

    Returns:
        Zeros and ones, shape (T, N, ...).

    Source: [neftci2019surrogate], back-propagation through time; the scan is ours
    """
    return _Scan.apply(currents, steps, neuron, learning)


class _Scan(torch.autograd.Function):
    """Forward: the scan, which also keeps what was reached before each reset. Backward: the scan in reverse."""

    @staticmethod
    def forward(ctx: Any, currents: Tensor, steps: int, neuron: Neuron, learning: Learning) -> Tensor:
        constants = Constants.of(neuron, tuple(currents.shape[2:]), currents)
        state = constants.state(neuron, tuple(currents.shape[1:]))
        spikes, reached = currents.new_empty(2, steps, *currents.shape[1:])
        trace = Trace(spikes, reached=reached)
        scan(currents, state, neuron, constants, trace=trace, engine=learning.engine)
        ctx.save_for_backward(spikes, reached)
        ctx.neuron, ctx.constants, ctx.learning, ctx.same = neuron, constants, learning, len(currents) == 1
        return spikes

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        spikes, reached = ctx.saved_tensors
        neuron, resting = ctx.neuron, _resting(spikes, ctx.neuron.refractory)
        found = torch.zeros_like(reached[:1]) if ctx.same else torch.empty_like(reached)
        carried = torch.zeros_like(reached[0])  # dV_t
        for t in range(len(spikes) - 1, -1, -1):  # step by step, since what is small stays near the processor
            slope = ctx.learning.surrogate(reached[t] - ctx.constants.threshold)
            slope = slope if resting is None else slope.masked_fill(resting[t], 0.0)
            moved = _before_reset(ctx, gradients[0][t], carried, slope, spikes[t], reached[t])
            if ctx.constants.lowest is not None:  # held up by its bound, a potential does not move with its current
                moved = moved.masked_fill_(reached[t] <= ctx.constants.lowest, 0.0)
            current = moved if resting is None else moved.masked_fill(resting[t], 0.0)
            if ctx.same:
                found[0].add_(current)
            else:
                found[t] = current
            carried = moved if neuron.leak == 1 else moved.mul_(neuron.leak)
        return found, None, None, None


def _before_reset(ctx: Any, given: Tensor, carried: Tensor, slope: Tensor, spikes: Tensor, reached: Tensor) -> Tensor:
    """Return du_t from ds_t (given) and dV_t (carried)."""
    if ctx.neuron.reset == "zero":
        kept = carried.addcmul(carried, spikes, value=-1)
        return kept.addcmul_(slope, given if ctx.learning.detach_reset else given.addcmul(reached, carried, value=-1))
    if ctx.learning.detach_reset:
        return carried.addcmul(slope, given)
    lost = given - carried if ctx.constants.unit else given.addcmul(carried, ctx.constants.threshold, value=-1)
    return carried.addcmul(slope, lost)


def _resting(spikes: Tensor, refractory: int) -> Tensor | None:
    """Where neurons rest: in the steps after a spike."""
    if not refractory:
        return None
    resting = torch.zeros_like(spikes, dtype=torch.bool)
    for later in range(1, min(refractory, len(spikes) - 1) + 1):
        resting[later:] |= spikes[:-later] != 0
    return resting
