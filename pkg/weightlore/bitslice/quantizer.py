"""Write a tensor as signed integers times a power of two.

A *dynamic fixed-point* tensor shares one scale, which follows its largest entry [zhang2019bitslice]:

    m = max(max |W|, 1e-5)      S = ceil(log2 m)      step = 2^(S - B)
    q = sign(W) min(round(|W| / step), 2^B - 1)       value = q step

    exponent_of(w)              S, exactly
    quantize(w, bits)           value, signed code q, exponent S and step
    straight_through(w, ...)    the value alone, with the gradient of a clamp

Sign and magnitude are apart: B bits are those of the magnitude. Since the step is a power of two, value and code are
the same numbers, bit for bit.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from weightlore.crossbar.scales import power_above
from weightlore.errors import ParameterError, require_finite

__all__ = [
    "Overflow",
    "Quantized",
    "Rounding",
    "exponent_of",
    "largest_code",
    "measured",
    "quantize",
    "require_widths",
    "rounded",
    "straight_through",
]

Rounding = Literal["round", "floor"]
Overflow = Literal["saturate", "reference"]

SMALLEST = 1e-5
WIDEST = 16


@dataclass(frozen=True)
class Quantized:
    """A tensor on the grid of a fixed-point number.

    Args:
        value: code times step, in the shape and dtype of the tensor; carries the straight-through gradient.
        code: signed integers, int64, same shape; the sign is extra, so that ``code.abs()`` has B bits.
        exponent: S, the power of two that bounds the tensor.
        step: 2^(S - B), the distance of two neighbors, in the unit of the tensor.

    Source: [zhang2019bitslice], dynamic fixed point
    """

    value: Tensor
    code: Tensor
    exponent: int
    step: float


def exponent_of(w: Tensor) -> int:
    """Return the exponent S of the smallest power of two that no entry exceeds.

        S = ceil(log2 max(max |W|, 1e-5))

    The exponent is read off the floating-point number: a rounded logarithm is wrong next to powers of two.

    Args:
        w: any shape, real; an empty or all-zero tensor counts as 1e-5.

    Returns:
        S, at least -16.

    Raises:
        ParameterError: if an entry is NaN or infinite.

    Example:
        >>> exponent_of(torch.tensor([0.3, -0.5])), exponent_of(torch.tensor([0.3, -0.51])), exponent_of(torch.zeros(2))
        (-1, 0, -16)

    Source: [zhang2019bitslice], dynamic fixed point; reading the exponent exactly is ours
    """
    return measured(w)[1]


def measured(w: Tensor) -> tuple[float, int]:
    """Return max |W|, at least 1e-5, and the exponent S that belongs to it; the inner loop of training.

    Args:
        w: any shape, real.

    Returns:
        The magnitude, and S as ``exponent_of`` returns it.

    Raises:
        ParameterError: if an entry is NaN or infinite.

    Source: [zhang2019bitslice], dynamic fixed point
    """
    largest = _largest(w)
    return largest, power_above(largest)


def quantize(
    w: Tensor,
    bits: int = 8,
    exponent: int | None = None,
    rounding: Rounding = "round",
    overflow: Overflow = "saturate",
) -> Quantized:
    """Return a tensor rounded to a fixed-point grid, and the integers that it consists of.

        q = sign(W) min(round(|W| / step), 2^B - 1),   value = q step,   step = 2^(S - B)

    The gradient goes straight through the rounding, and is zero for entries beyond 2^S.

    Args:
        w: any shape, floating; left as it is.
        bits: B, bits of the magnitude, 1 to 16; the sign is extra.
        exponent: S; ``None`` for ``exponent_of(w)``. Entries beyond 2^S are clipped.
        rounding: ``"round"`` to the nearest code, half to even, or ``"floor"`` towards zero.
        overflow: ``"saturate"`` ends the codes at 2^B - 1; ``"reference"`` at 2^B, as the authors' code does, which
            needs one bit more than a cell array has.

    Returns:
        Value, signed code, exponent and step.

    Raises:
        ParameterError: if the tensor is not floating or not finite, or an argument is out of range.

    Example:
        >>> quantize(torch.tensor([0.0, 0.26, -1.0]), bits=2).code
        tensor([ 0,  1, -3])

    Source: [zhang2019bitslice], dynamic fixed point; the end of the codes is ours, because 2^B does not fit B bits
    """
    require_widths(bits)
    _require_rounding(rounding)
    most = largest_code(bits, overflow)
    if not w.is_floating_point():
        raise ParameterError(f"a tensor to be quantized must be floating, got {w.dtype}; convert it with w.double()")
    if exponent is None:
        exponent = exponent_of(w)
    else:
        _require_exponent(exponent)
        require_finite("the tensor to be quantized", w)
    step = math.ldexp(1.0, exponent - bits)
    with torch.no_grad():
        code = rounded(w, step, most, rounding)
    value = _StraightThrough.apply(w, code * step, math.ldexp(1.0, exponent))
    return Quantized(value, code.to(torch.int64), exponent, step)


def straight_through(
    w: Tensor, bits: int = 8, exponent: int | None = None, *, overflow: Overflow = "saturate"
) -> Tensor:
    """Return the quantized value alone, differentiable as a clamp is.

        dQ/dW = 1 where |W| <= 2^S, else 0

    Args:
        w: any shape, floating.
        bits: B, bits of the magnitude.
        exponent: S, or ``None`` for that of the tensor.
        overflow: where the codes end, as for ``quantize``.

    Returns:
        The value, as ``quantize`` returns it.

    Raises:
        ParameterError: as ``quantize``.

    Source: [bengio2013estimating], straight-through estimator; its use here: [zhang2019bitslice]
    """
    return quantize(w, bits, exponent, overflow=overflow).value


def rounded(w: Tensor, step: float, most: int | None, rounding: Rounding = "round") -> Tensor:
    """Return the signed codes of a tensor, as floating numbers; the inner loop of training.

    Args:
        w: any shape, floating, finite.
        step: distance of two neighbors, a power of two.
        most: the largest magnitude of a code; ``None`` where none can be larger.
        rounding: as for ``quantize``.

    Returns:
        Integers between -most and most, in the dtype of the tensor.

    Source: ours
    """
    code = w * (1.0 / step)
    code = code.round_() if rounding == "round" else code.trunc_()
    return code if most is None else code.clamp_(-most, most)


def largest_code(bits: int, overflow: Overflow = "saturate") -> int:
    """Return where the magnitudes of the codes end.

    Args:
        bits: B.
        overflow: ``"saturate"`` for 2^B - 1, ``"reference"`` for 2^B.

    Raises:
        ParameterError: if it is neither.

    Source: ours
    """
    if overflow not in ("saturate", "reference"):
        raise ParameterError(f"overflow must be 'saturate' (at 2^B - 1) or 'reference' (at 2^B), got {overflow!r}")
    return 2**bits - (overflow == "saturate")


def require_widths(bits: int, cell_bits: int | None = None) -> int:
    """Return the number of slices K = B / c, or say why there is none.

    Args:
        bits: B, bits of the magnitude, 1 to 16.
        cell_bits: c, bits of a cell, a divisor of B; ``None`` for a single slice.

    Raises:
        ParameterError: if B or c are out of range, or c does not divide B.

    Source: ours
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 1 <= bits <= WIDEST:
        raise ParameterError(f"bits counts those of the magnitude, a whole number from 1 to {WIDEST}, got {bits!r}")
    cell = bits if cell_bits is None else cell_bits
    if isinstance(cell, bool) or not isinstance(cell, int) or not 1 <= cell <= bits or bits % cell:
        raise ParameterError(f"cell_bits must divide the {bits} bits of the magnitude, got {cell_bits!r}")
    return bits // cell


class _StraightThrough(torch.autograd.Function):
    """The value goes forward; the gradient goes back where the tensor lies within its bound."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, value: Tensor, bound: float) -> Tensor:
        """Return the value, and remember which entries lie beyond the bound, if any."""
        inside = w.abs() <= bound
        ctx.inside = None if bool(inside.all()) else inside
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradient of the loss where it passes."""
        gradient = gradients[0]
        return (gradient if ctx.inside is None else gradient * ctx.inside), None, None


def _largest(w: Tensor) -> float:
    """Return max |W|, at least 1e-5; NaN and infinity are errors."""
    if w.numel() == 0:
        return SMALLEST
    low, high = torch.aminmax(w.detach())
    largest = max(-low.item(), high.item())  # NaN propagates through aminmax
    if not math.isfinite(largest):
        require_finite("the tensor to be quantized", w)
    return max(largest, SMALLEST)


def _require_rounding(rounding: str) -> None:
    if rounding not in ("round", "floor"):
        raise ParameterError(f"rounding must be 'round' (nearest) or 'floor' (towards zero), got {rounding!r}")


def _require_exponent(exponent: int) -> None:
    if isinstance(exponent, bool) or not isinstance(exponent, int) or not -100 <= exponent <= 100:
        raise ParameterError(f"exponent is a whole number, the S of the bound 2^S, from -100 to 100, got {exponent!r}")
