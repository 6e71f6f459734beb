"""Activations of one bit, for comparison: the paper's networks keep theirs real.

binary_activation(x)   sign(x), with the gradient of a clipped identity
BinaryActivation()     the same as a module
"""

from typing import Any

import torch
from torch import Tensor, nn

from weightlore.binary.weights import sign

__all__ = ["BinaryActivation", "binary_activation"]


def binary_activation(x: Tensor) -> Tensor:
    """Return sign(x), through which gradients pass where |x| <= 1.

        y = sign(x),   dC/dx = dC/dy [|x| <= 1]

    Args:
        x: any shape, floating.

    Returns:
        +1 and -1, in the shape of x; sign(0) = +1.

    Source: [rastegari2016xnor], section 3.2; the gradient of [courbariaux2015binaryconnect] for weights, at activations
    """
    return _Sign.apply(x)


class BinaryActivation(nn.Module):
    """``binary_activation`` as a module; it has no parameters.

    Source: [rastegari2016xnor], section 3.2
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return +1 and -1 in the shape of x."""
        return binary_activation(x)


class _Sign(torch.autograd.Function):
    """The sign forward, a clipped identity backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return sign(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        return gradients[0] * (x.abs() <= 1)
