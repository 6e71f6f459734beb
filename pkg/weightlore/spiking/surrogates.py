"""Slopes to learn by, where a spike has none.

A spike is a step of the potential: its derivative is zero but where it is infinite. In the backward pass a *surrogate*
takes its place; the forward pass keeps its spikes. Every surrogate is a function of x = u - threshold.

    fast_sigmoid     1 / (1 + slope |x|)^2
    sigmoid          slope sigma(slope x) (1 - sigma(slope x))
    arctan           slope / 2 / (1 + (pi/2 slope x)^2)
    triangle         height max(0, 1 - |x| / width)
    rectangle        1 / width where |x| < width / 2

    surrogate_gradient   spikes that have such a slope
    firing               the same for ``neuron_step`` and ``advance``
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.spiking.stepping import Fire

__all__ = [
    "Surrogate",
    "arctan",
    "fast_sigmoid",
    "firing",
    "rectangle",
    "sigmoid",
    "surrogate_gradient",
    "triangle",
]

Surrogate = Callable[[Tensor], Tensor]


def fast_sigmoid(slope: float = 25.0) -> Surrogate:
    """Return the slope of a fast sigmoid, 1 at the threshold whatever the steepness.

        1 / (1 + slope |x|)^2

    Args:
        slope: steepness, > 0, in spikes per unit of the potential.

    Raises:
        ParameterError: if the slope is not finite and > 0.

    Source: [zenke2018superspike], surrogate derivative
    """
    _require_positive(slope=slope)
    return lambda x: x.abs().mul_(slope).add_(1).square_().reciprocal_()


def sigmoid(slope: float = 4.0) -> Surrogate:
    """Return the slope of a logistic function.

        slope s (1 - s),   s = 1 / (1 + exp(-slope x))

    Args:
        slope: steepness, > 0, in spikes per unit of the potential.

    Raises:
        ParameterError: if the slope is not finite and > 0.

    Source: [neftci2019surrogate], surrogate derivatives
    """
    _require_positive(slope=slope)

    def derivative(x: Tensor) -> Tensor:
        s = x.mul(slope).sigmoid_()
        return s.addcmul(s, s, value=-1).mul_(slope)

    return derivative


def arctan(slope: float = 2.0) -> Surrogate:
    """Return the slope of an arc tangent.

        slope / 2 / (1 + (pi/2 slope x)^2)

    Args:
        slope: steepness, > 0, in spikes per unit of the potential.

    Raises:
        ParameterError: if the slope is not finite and > 0.

    Source: [fang2021membrane], surrogate function
    """
    _require_positive(slope=slope)
    return lambda x: x.mul(math.pi / 2 * slope).square_().add_(1).reciprocal_().mul_(slope / 2)


def triangle(width: float = 1.0, height: float = 0.3) -> Surrogate:
    """Return a triangle, zero where the potential is further than its width from the threshold.

        height max(0, 1 - |x| / width)

    Args:
        width: > 0, in the unit of the potential.
        height: > 0, in spikes per unit of the potential; less than 1 dampens what travels back through many steps.

    Raises:
        ParameterError: if an argument is not finite and > 0.

    Source: [bellec2018lsnn], pseudo-derivative
    """
    _require_positive(width=width, height=height)
    return lambda x: x.abs().mul_(-height / width).add_(height).clamp_(min=0)


def rectangle(width: float = 1.0) -> Surrogate:
    """Return a rectangle of area 1 around the threshold.

        1 / width where |x| < width / 2, else 0

    Args:
        width: > 0, in the unit of the potential.

    Raises:
        ParameterError: if the width is not finite and > 0.

    Source: [wu2018stbp], derivative approximation
    """
    _require_positive(width=width)
    return lambda x: (x.abs() < width / 2).to(x.dtype).div_(width)


def surrogate_gradient(potential: Tensor, threshold: Tensor | float, surrogate: Surrogate) -> Tensor:
    """Return where a potential reaches its threshold, with a surrogate for the derivative.

        s = 1 where u >= threshold, else 0;   ds/du := surrogate(u - threshold)

    Args:
        potential: u, any shape.
        threshold: broadcasts against it; no gradient goes there.
        surrogate: from u - threshold to the slope.

    Returns:
        Zeros and ones in the dtype of the potential.

    Example:
        >>> u = torch.tensor([0.9, 1.0], requires_grad=True)
        >>> surrogate_gradient(u, 1.0, triangle(height=1.0)).sum().backward()
        >>> u.grad
        tensor([0.9000, 1.0000])

    Source: [neftci2019surrogate], surrogate gradients
    """
    return _Spike.apply(potential, torch.as_tensor(threshold, dtype=potential.dtype), surrogate)


def firing(surrogate: Surrogate) -> Fire:
    """Return spikes with a slope as a function of potential and threshold.

    Args:
        surrogate: the slope.

    Source: [neftci2019surrogate], surrogate gradients
    """
    return lambda potential, threshold: surrogate_gradient(potential, threshold, surrogate)


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, potential: Tensor, threshold: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(potential, threshold)
        ctx.surrogate = surrogate
        return (potential >= threshold).to(potential.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        potential, threshold = ctx.saved_tensors
        return gradients[0] * ctx.surrogate(potential - threshold), None, None


def _require_positive(**sizes: float) -> None:
    for name, size in sizes.items():
        if isinstance(size, bool) or not isinstance(size, int | float) or not 0 < size < math.inf:
            raise ParameterError(f"{name} of a surrogate must be a finite number > 0, got {size!r}")
