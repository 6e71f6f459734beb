"""Integrate, and fire at a threshold: what a spiking neuron does in one time step.

    u_t = leak * V_{t-1} + I_t          integrate
    s_t = 1 where u_t >= threshold      fire, at most once per step
    V_t = u_t - threshold * s_t         reset by subtraction ("subtract"), or 0 where s_t = 1 ("zero")

Potential, current and threshold have one unit, which is the caller's: a current is what one step adds to the potential.

    Neuron           what kind of neuron a layer is made of
    State            potential and rest of the neurons of a layer
    if_step          one step of integrate-and-fire
    lif_step         one step with a leak
    neuron_step      one step of any Neuron
    leak_for         the leak of a time constant
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from weightlore.errors import ParameterError

__all__ = ["Constants", "Fire", "Neuron", "Reset", "State", "above", "if_step", "leak_for", "lif_step", "neuron_step"]

Reset = Literal["subtract", "zero"]
Fire = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Neuron:
    """What kind of neuron a layer is made of.

    Args:
        threshold: from which potential on a neuron fires, > 0; a tensor broadcasts against one example's potential,
            for example (C,) or (C, 1, 1).
        reset: what a spike leaves behind: ``"subtract"`` what exceeds the threshold, ``"zero"`` nothing.
        initial: potential before the first step, with the same unit and broadcasting.
        leak: share of the potential that one step keeps, in (0, 1]; 1 is integrate-and-fire.
        refractory: for how many steps after a spike current is ignored and no spike is possible, >= 0.
        lowest: below which the potential never falls, <= 0; ``None`` for no bound.

    Raises:
        ParameterError: if a value is outside its range.

    Example:
        >>> Neuron(threshold=0.5, reset="zero").leak
        1.0

    Source: [lu2020binary], neuron model; leak, refractory period and lower bound are ours
    """

    threshold: float | Tensor = 1.0
    reset: Reset = "subtract"
    initial: float | Tensor = 0.0
    leak: float = 1.0
    refractory: int = 0
    lowest: float | None = None

    def __post_init__(self) -> None:
        threshold, initial = (_finite(name, getattr(self, name)) for name in ("threshold", "initial"))
        if not bool((threshold > 0).all()):
            least = float(threshold.min())
            raise ParameterError(f"a threshold must be > 0, got {least:g}; a neuron at or below 0 would fire forever")
        if self.reset not in get_args(Reset):
            raise ParameterError(f"reset must be one of {get_args(Reset)}, got {self.reset!r}")
        if not 0 < _number("leak", self.leak) <= 1:
            raise ParameterError(f"leak is the share of the potential that is kept, in (0, 1], got {self.leak}")
        if isinstance(self.refractory, bool) or not isinstance(self.refractory, int) or self.refractory < 0:
            raise ParameterError(f"refractory counts steps and must be a whole number >= 0, got {self.refractory!r}")
        if self.lowest is None:
            return
        if not -math.inf < _number("lowest", self.lowest) <= 0:
            raise ParameterError(f"lowest must be finite and <= 0, which is where a reset may end, got {self.lowest}")
        if not bool((initial >= self.lowest).all()):
            raise ParameterError(f"initial must not be below lowest = {self.lowest}, got {float(initial.min()):g}")


@dataclass(frozen=True, eq=False)
class State:
    """Where the neurons of a layer stand after a step.

    Args:
        potential: V, shape (N, ...).
        wait: for how many more steps each neuron rests, the same shape, int32; ``None`` without refractory period.

    Source: ours
    """

    potential: Tensor
    wait: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Constants:
    """A neuron's numbers as tensors of the dtype and device of its currents; computed once for many steps.

    Args:
        threshold: broadcasts against (N, ...).
        initial: likewise.
        lowest: shape (), or ``None``.
        unit: whether all thresholds are 1.

    Source: ours
    """

    threshold: Tensor
    initial: Tensor
    lowest: Tensor | None
    unit: bool

    @staticmethod
    def of(neuron: Neuron, shape: tuple[int, ...], like: Tensor) -> "Constants":
        """Return the numbers of a neuron for examples of a shape, or say which of them does not fit.

        Raises:
            ParameterError: if a tensor does not broadcast against one example, or a threshold vanishes in this dtype.
        """
        found = {}
        for name in ("threshold", "initial"):
            value = torch.as_tensor(getattr(neuron, name), dtype=like.dtype, device=like.device)
            if not _fits(tuple(value.shape), shape):
                raise ParameterError(
                    f"{name} of shape {tuple(value.shape)} does not broadcast against one example's potential of shape "
                    f"{shape}; give one number, or for example one per channel, shape (C, 1, 1)"
                )
            found[name] = value
        if not bool((found["threshold"] > 0).all()):
            raise ParameterError(f"a threshold must be > 0 also in {like.dtype}, where it became 0; scale the layer up")
        lowest = None if neuron.lowest is None else torch.as_tensor(neuron.lowest, dtype=like.dtype, device=like.device)
        return Constants(found["threshold"], found["initial"], lowest, bool((found["threshold"] == 1).all()))

    def state(self, neuron: Neuron, shape: tuple[int, ...]) -> State:
        """Return how neurons of shape (N, ...) stand before the first step."""
        potential = self.initial.expand(shape).clone()
        return State(potential, torch.zeros_like(potential, dtype=torch.int32) if neuron.refractory else None)


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


def _waiting(wait: Tensor | None, spikes: Tensor, refractory: int) -> Tensor | None:
    if wait is None:
        return None
    return torch.where(spikes.detach() > 0, refractory, (wait - 1).clamp(min=0)).to(torch.int32)


def _fits(shape: tuple[int, ...], example: tuple[int, ...]) -> bool:
    if len(shape) > len(example):
        return False
    return all(one in (1, other) for one, other in zip(reversed(shape), reversed(example), strict=False))


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParameterError(f"{name} must be a number, got {type(value).__name__}; only thresholds differ by neuron")
    return float(value)


def _finite(name: str, value: float | Tensor) -> Tensor:
    """Return a number or a tensor as a tensor without NaN, infinities and gradient."""
    if isinstance(value, Tensor):
        if value.requires_grad:
            raise ParameterError(f"{name} is a constant here, got a tensor that requires a gradient; detach it first")
        found = value
    else:
        found = torch.tensor(_number(name, value), dtype=torch.float64)
    if found.is_complex() or found.dtype == torch.bool or not bool(torch.isfinite(found).all()):
        raise ParameterError(f"{name} must be a finite real number or a tensor of such, got {value}")
    return found
