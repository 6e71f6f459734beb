"""Integrate, and fire at a threshold: one time step of spiking neurons.

u_t = leak * V_{t-1} + I_t          integrate
s_t = 1 where u_t >= threshold      fire, at most once per step
V_t = u_t - threshold * s_t         reset by subtraction ("subtract"), or 0 where s_t = 1 ("zero")

if_step          one step of integrate-and-fire
lif_step         one step with a leak
leak_for         the leak of a time constant
neuron_step      one step of any kind of neuron
above            where a potential reaches its threshold
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.spiking.neurons import Constants, Neuron, Reset, State

__all__ = ["Fire", "above", "if_step", "leak_for", "lif_step", "neuron_step"]

Fire = Callable[[Tensor, Tensor], Tensor]


def above(potential: Tensor, threshold: Tensor) -> Tensor:
    """Return where a potential reaches its threshold.

        s = 1 where u >= threshold, else 0

    Args:
        potential: u, any shape.
        threshold: broadcasts against it.

    Returns:
        Zeros and ones in the dtype of the potential.

    Source: [lu2020binary], neuron model
    """
    return (potential >= threshold).to(potential.dtype)


def if_step(
    potential: Tensor, current: Tensor, *, threshold: float | Tensor = 1.0, reset: Reset = "subtract"
) -> tuple[Tensor, Tensor]:
    """Let integrate-and-fire neurons take one step.

        u = V + I,   s = 1 where u >= threshold,   V' = u - threshold s   ("zero": V' = 0 where s = 1)

    Args:
        potential: V, any shape.
        current: I, the same shape.
        threshold: > 0, broadcasts against them.
        reset: what a spike leaves behind.

    Returns:
        Potential after the step and spikes, zeros and ones, both of the shape of the potential.

    Raises:
        ParameterError: if the threshold is not > 0.

    Example:
        >>> if_step(torch.tensor([0.5, 0.5]), torch.tensor([0.25, 0.75]))
        (tensor([0.7500, 0.2500]), tensor([0., 1.]))

    Source: [lu2020binary], neuron model
    """
    return lif_step(potential, current, leak=1.0, threshold=threshold, reset=reset)


def lif_step(
    potential: Tensor,
    current: Tensor,
    *,
    leak: float,
    threshold: float | Tensor = 1.0,
    reset: Reset = "subtract",
) -> tuple[Tensor, Tensor]:
    """Let leaky integrate-and-fire neurons take one step.

        u = leak V + I,   s = 1 where u >= threshold,   V' = u - threshold s   ("zero": V' = 0 where s = 1)

    Args:
        potential: V, any shape.
        current: I, the same shape.
        leak: share of the potential that is kept, in (0, 1]; ``leak_for`` gives it for a time constant.
        threshold: > 0, broadcasts against them.
        reset: what a spike leaves behind.

    Returns:
        Potential after the step and spikes, zeros and ones, both of the shape of the potential.

    Raises:
        ParameterError: if leak or threshold are out of range.

    Source: [neftci2019surrogate], leaky integrate-and-fire in discrete time
    """
    neuron = Neuron(threshold=threshold, reset=reset, leak=leak)
    constants = Constants.of(neuron, tuple(potential.shape), potential)
    state, spikes = neuron_step(State(potential), current, neuron, constants=constants)
    return state.potential, spikes


def leak_for(time_constant: float, step: float = 1.0) -> float:
    """Return the share of a potential that is left after one step of exponential decay.

        leak = exp(-step / time_constant)

    Args:
        time_constant: of the membrane, > 0, in any unit of time; ``inf`` for none.
        step: duration of one step, > 0, in the same unit.

    Returns:
        The leak, in (0, 1].

    Raises:
        ParameterError: if an argument is not > 0, or the leak is too small to be told from 0.

    Example:
        >>> round(leak_for(20.0), 3)
        0.951

    Source: [neftci2019surrogate], leaky integrate-and-fire in discrete time
    """
    if not time_constant > 0 or not 0 < step < math.inf:
        raise ParameterError(f"time_constant and step are durations > 0, got {time_constant} and {step}")
    leak = math.exp(-step / time_constant)
    if leak == 0:
        raise ParameterError(f"a step of {step} keeps nothing at a time constant of {time_constant}; make it shorter")
    return leak


def neuron_step(
    state: State,
    current: Tensor,
    neuron: Neuron,
    *,
    constants: Constants,
    fire: Fire = above,
    detach_reset: bool = False,
) -> tuple[State, Tensor]:
    """Let neurons of any kind take one step; differentiable where ``fire`` is.

        I = 0 where a neuron rests
        u = max(leak V + I, lowest),   s = fire(u, threshold), 0 where it rests
        V' = u - threshold s   ("zero": V' = u (1 - s))

    Args:
        state: potential, and rest if the neuron has a refractory period.
        current: I, shape (N, ...).
        neuron: its kind.
        constants: from ``Constants.of``.
        fire: from potential and threshold to spikes; ``firing(surrogate)`` gives them a gradient.
        detach_reset: whether the reset is taken as a constant by that gradient.

    Returns:
        State after the step, and spikes, zeros and ones, in the shape of the current.

    Source: [lu2020binary], neuron model; rest and lower bound are ours
    """
    resting = None if state.wait is None else state.wait > 0
    current = current if resting is None else current.masked_fill(resting, 0.0)
    kept = state.potential if neuron.leak == 1 else state.potential * neuron.leak
    potential = kept + current
    if constants.lowest is not None:
        potential = torch.where(potential > constants.lowest, potential, constants.lowest)
    spikes = fire(potential, constants.threshold)
    spikes = spikes if resting is None else spikes.masked_fill(resting, 0.0)
    told = spikes.detach() if detach_reset else spikes
    left = potential - told * constants.threshold if neuron.reset == "subtract" else potential * (1 - told)
    return State(left, _waiting(state.wait, spikes, neuron.refractory)), spikes


def _waiting(wait: Tensor | None, spikes: Tensor, refractory: int) -> Tensor | None:
    if wait is None:
        return None
    return torch.where(spikes.detach() > 0, refractory, (wait - 1).clamp(min=0)).to(torch.int32)
