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
        slope = ctx.learning.surrogate(reached - ctx.constants.threshold)
        slope = slope if resting is None else slope.masked_fill(resting, 0.0)
        kept = _kept(spikes, reached, slope, ctx)
        given = slope * gradients[0]
        if ctx.constants.lowest is not None:
            free = reached > ctx.constants.lowest  # a potential held up by its bound does not move with its current
            given, kept = given.mul_(free), kept.mul_(free)
        found = _backward_scan(given, kept, neuron.leak)
        found = found if resting is None else found.masked_fill(resting, 0.0)
        return found.sum(0, keepdim=True) if ctx.same and len(found) > 1 else found, None, None, None


def _kept(spikes: Tensor, reached: Tensor, slope: Tensor, ctx: Any) -> Tensor:
    """How much the potential after the reset moves with the one before, dV/du."""
    if ctx.neuron.reset == "zero":
        kept = 1 - spikes
        return kept if ctx.learning.detach_reset else kept.addcmul_(reached, slope, value=-1)
    if ctx.learning.detach_reset:
        return torch.ones_like(slope)
    return (slope if ctx.constants.unit else slope * ctx.constants.threshold).neg().add_(1)


def _backward_scan(given: Tensor, kept: Tensor, leak: float) -> Tensor:
    """Return du_t = given_t + kept_t leak du_{t+1}, in place of what was given."""
    for t in range(len(given) - 2, -1, -1):
        given[t].addcmul_(kept[t], given[t + 1], value=leak)
    return given


def _resting(spikes: Tensor, refractory: int) -> Tensor | None:
    """Where neurons rest: in the steps after a spike."""
    if not refractory:
        return None
    resting = torch.zeros_like(spikes, dtype=torch.bool)
    for later in range(1, min(refractory, len(spikes) - 1) + 1):
        resting[later:] |= spikes[:-later] != 0
    return resting
