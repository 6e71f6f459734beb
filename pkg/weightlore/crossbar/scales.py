"""Real numbers as whole numbers of steps, where a step is a power of two.

    S = ceil(log2 max |x|)      step = 2**(S - bits)      code = clamp(round(x / step), -(2**bits - 1), 2**bits - 1)

A power of two costs the hardware a shift, and keeps value and code the same number, bit for bit.
"""

import math

import torch
from torch import Tensor

from weightlore.errors import ParameterError

__all__ = ["codes_of", "power_above", "step_for"]

SMALLEST = 1e-5  # an all-zero tensor counts as this large


def power_above(largest: float) -> int:
    """Return the exponent S of the smallest power of two that is not below a magnitude.

        S = ceil(log2 max(largest, 1e-5))

    It is read off the floating-point number: a rounded logarithm is wrong next to powers of two.

    Args:
        largest: magnitude, >= 0, finite.

    Returns:
        S, at least -16.

    Raises:
        ParameterError: if the magnitude is negative, NaN or infinite.

    Example:
        >>> power_above(0.5), power_above(0.51), power_above(0.0)
        (-1, 0, -16)

    Source: [zhang2019bitslice], dynamic fixed point; reading the exponent exactly is ours
    """
    if not (math.isfinite(largest) and largest >= 0):
        raise ParameterError(f"a largest magnitude must be finite and >= 0, got {largest}; check the tensor for NaN")
    mantissa, exponent = math.frexp(max(largest, SMALLEST))
    return exponent - 1 if mantissa == 0.5 else exponent


def step_for(largest: float, bits: int) -> float:
    """Return the step with which codes of so many bits reach a magnitude.

        step = 2**(S - bits)

    Args:
        largest: magnitude that is to be held, >= 0.
        bits: magnitude bits.

    Raises:
        ParameterError: if the magnitude is negative, NaN or infinite.

    Source: [zhang2019bitslice], dynamic fixed point
    """
    return math.ldexp(1.0, power_above(largest) - bits)


def codes_of(x: Tensor, step: float, bits: int, *, signed: bool = True) -> Tensor:
    """Return real numbers as whole numbers of steps; what lies outside saturates.

    Args:
        x: any shape, floating.
        step: > 0.
        bits: magnitude bits.
        signed: whether negative codes exist.

    Returns:
        Codes, the same shape and dtype, rounded half to even.

    Source: [zhang2019bitslice], dynamic fixed point; the end of the codes at 2**bits - 1 is ours
    """
    most = 2**bits - 1
    return torch.round(x.detach() / step).clamp(-most if signed else 0, most)
