"""What kind of neuron a layer is made of, and where its neurons stand.

Potential, current and threshold have one unit, which is the caller's: a current is what one step adds to the potential.
``stepping`` lets neurons take a step.

    Neuron           threshold, reset, leak, rest and bounds
    State            potential and rest of the neurons of a layer
    Constants        a neuron's numbers as tensors, for many steps
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from weightlore.errors import ParameterError

__all__ = ["Constants", "Neuron", "Reset", "State"]

Reset = Literal["subtract", "zero"]


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
