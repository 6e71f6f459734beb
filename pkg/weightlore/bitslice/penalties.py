"""What training is charged for: the size of the weights, or the sum of their digits.

A code of B bits is cut into K = B / c digits of c bits, base 4 for c = 2, least significant first. Full-weight L1 pulls
at every weight alike; slice L1 charges the digits, and its force is stronger where low digits are left
[zhang2019bitslice]:

    l1(w)             alpha / P sum |W|                    alpha / P sign(W)
    slice_l1(w)       alpha / (K P) sum_k sum b_k          alpha / (K P) sign(W) C(q) / step
                      C(q) = sum_k 4^-k [b_k != 0]

    l1_gradient, slice_l1_gradient     the right-hand sides
    slice_l1_by_autograd               the same by autograd, through floors whose higher digits are held constant

Both sides are looked up in a table of 2^(B+1) + 1 codes, so that training pays one pass over the weights.
"""

from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor

from weightlore.bitslice.quantizer import Overflow, quantize, require_widths
from weightlore.errors import ParameterError, require_finite

__all__ = [
    "digit_sum",
    "digits_of",
    "force",
    "l1",
    "l1_gradient",
    "looked_up",
    "slice_l1",
    "slice_l1_by_autograd",
    "slice_l1_gradient",
]


def l1(w: Tensor, strength: float = 1.0, *, size: int | None = None) -> Tensor:
    """Return the full-weight L1 penalty, differentiable.

        R = alpha / P sum |W|

    Args:
        w: any shape.
        strength: alpha, >= 0, in loss units per parameter unit.
        size: P, the entries of all tensors that are charged; ``None`` for those of this one.

    Returns:
        R, shape ().

    Raises:
        ParameterError: if the tensor is not finite, or a number is out of range.

    Source: [zhang2019bitslice], the baseline
    """
    return require_finite("the tensor to be charged", w).abs().sum() * (_strength(strength) / _size(w, size))


def l1_gradient(w: Tensor, strength: float = 1.0, *, size: int | None = None) -> Tensor:
    """Return the gradient of the full-weight L1 penalty, zero at zero.

        dR/dW = alpha / P sign(W)

    Args:
        w: any shape.
        strength: alpha.
        size: P.

    Returns:
        The gradient, in the shape of the tensor.

    Raises:
        ParameterError: as ``l1``.

    Source: [zhang2019bitslice], the baseline
    """
    return require_finite("the tensor to be charged", w.detach()).sign() * (_strength(strength) / _size(w, size))


def slice_l1(
    w: Tensor,
    strength: float = 1.0,
    *,
    size: int | None = None,
    bits: int = 8,
    cell_bits: int = 2,
    exponent: int | None = None,
    overflow: Overflow = "saturate",
    slice_weights: Sequence[float] | None = None,
) -> Tensor:
    """Return the bit-slice L1 penalty; its gradient is ``slice_l1_gradient``.

        R = alpha / (K P) sum over entries and slices of lambda_k b_k

    Args:
        w: any shape, floating.
        strength: alpha, >= 0, in loss units.
        size: P, the entries of all tensors that are charged; ``None`` for those of this one.
        bits: B, bits of the magnitude.
        cell_bits: c, bits of a digit.
        exponent: S of the grid, ``None`` for that of the tensor; it counts as a constant.
        overflow: where the codes end, as for ``quantize``.
        slice_weights: lambda, one for each slice, least significant first; ``None`` for ones.

    Returns:
        R, shape ().

    Raises:
        ParameterError: if the tensor is not finite, or a number is out of range.

    Example:
        >>> codes = torch.tensor([0.0, 1.0, 5.0, 64.0, 255.0])
        >>> float(slice_l1(codes, 20.0, exponent=8))
        16.0

    Source: [zhang2019bitslice], bit-slice L1; weights for slices are ours
    """
    lambdas = _weights(slice_weights, require_widths(bits, cell_bits))
    found = quantize(w.detach(), bits, exponent, overflow=overflow)
    index = (found.code + 2**bits).to(torch.int32)
    share = _strength(strength) / (len(lambdas) * _size(w, size))
    return looked_up(w, index, found.step, bits, cell_bits, lambdas) * share


def slice_l1_gradient(
    w: Tensor,
    strength: float = 1.0,
    *,
    size: int | None = None,
    bits: int = 8,
    cell_bits: int = 2,
    exponent: int | None = None,
    overflow: Overflow = "saturate",
    slice_weights: Sequence[float] | None = None,
    clip_step: float | None = None,
) -> Tensor:
    """Return the gradient of the bit-slice L1 penalty in closed form.

        dR/dW = alpha / (K P) sign(W) C(q) / step ,   C(q) = sum_k lambda_k beta^-k [b_k != 0]

    It is what autograd makes of the digits if rounding and floors count as identities and the higher digits are held
    constant while a lower one is formed. It is zero exactly where the code is, and never points away from zero.

    Args:
        w: any shape, floating.
        strength: alpha.
        size: P.
        bits: B.
        cell_bits: c; beta = 2^c.
        exponent: S of the grid, ``None`` for that of the tensor.
        overflow: where the codes end.
        slice_weights: lambda.
        clip_step: a learning rate; no step of that rate then carries an entry past zero. ``None`` for no guard.

    Returns:
        The gradient, in the shape of the tensor.

    Raises:
        ParameterError: as ``slice_l1``.

    Source: [zhang2019bitslice], bit-slice L1; the closed form and the guard are ours
    """
    lambdas = _weights(slice_weights, require_widths(bits, cell_bits))
    found = quantize(w.detach(), bits, exponent, overflow=overflow)
    share = _strength(strength) / (len(lambdas) * _size(w, size))
    table = force(bits, cell_bits, lambdas).to(w.device, w.dtype) * (share / found.step)
    gradient = table[found.code.abs()] * found.code.sign()
    if clip_step is None:
        return gradient
    if not clip_step > 0:
        raise ParameterError(f"clip_step is a learning rate and must be > 0, or None for no guard, got {clip_step}")
    bound = w.detach().abs() / clip_step
    return gradient.clamp(-bound, bound)


def slice_l1_by_autograd(
    w: Tensor,
    strength: float = 1.0,
    *,
    size: int | None = None,
    bits: int = 8,
    cell_bits: int = 2,
    exponent: int | None = None,
    overflow: Overflow = "saturate",
    detach: bool = True,
) -> Tensor:
    """Return the bit-slice L1 penalty formed digit by digit, with a gradient by autograd: to teach and to test.

        b_k = floor((x - sum_{j>k} beta^j b_j) / beta^k),   x = round(|W| / step),   k = K-1 ... 0

    Rounding and floor let the gradient through. Without ``detach`` the terms telescope: only entries with a top digit
    are pushed, by beta^-(K-1).

    Args:
        w: any shape, floating.
        strength: alpha.
        size: P.
        bits: B.
        cell_bits: c.
        exponent: S of the grid, ``None`` for that of the tensor.
        overflow: where the codes end.
        detach: whether the higher digits are held constant while a lower one is formed.

    Returns:
        R, shape (), the same as ``slice_l1`` to rounding.

    Raises:
        ParameterError: as ``slice_l1``.

    Source: [zhang2019bitslice], bit-slice L1
    """
    slices = require_widths(bits, cell_bits)
    found = quantize(w.detach(), bits, exponent, overflow=overflow)
    exact = w.abs() / found.step
    x = exact + (found.code.abs().to(w.dtype) - exact).detach()
    total, rest = torch.zeros_like(x), x
    for k in reversed(range(slices)):
        digit = rest / 2 ** (cell_bits * k)
        digit = digit + (digit.floor() - digit).detach()
        total = total + digit.abs()
        rest = rest - (digit.detach() if detach else digit) * 2 ** (cell_bits * k)
    return total.sum() * (_strength(strength) / (slices * _size(w, size)))


@cache
def digits_of(bits: int = 8, cell_bits: int = 2) -> Tensor:
    """Return the digits of every code from 0 to 2^B, the overflow of the authors' code included.

    Args:
        bits: B.
        cell_bits: c.

    Returns:
        Digits, shape (K, 2^B + 1), int64, least significant slice first; the top digit of 2^B is 2^c, which no cell
        holds.

    Raises:
        ParameterError: if c does not divide B.

    Source: [zhang2019bitslice], slices; the authors' overflow is kept for comparison
    """
    slices = require_widths(bits, cell_bits)
    shifted = torch.arange(2**bits + 1) >> (cell_bits * torch.arange(slices)[:, None])
    shifted[:-1] &= 2**cell_bits - 1
    return shifted


def digit_sum(bits: int = 8, cell_bits: int = 2, weights: tuple[float, ...] | None = None) -> Tensor:
    """Return s(q) = sum_k lambda_k b_k for every code from 0 to 2^B, float64.

    Args:
        bits: B.
        cell_bits: c.
        weights: lambda, ``None`` for ones.

    Source: [zhang2019bitslice], bit-slice L1
    """
    digits = digits_of(bits, cell_bits).double()
    return _weights(weights, len(digits), tensor=True) @ digits


def force(bits: int = 8, cell_bits: int = 2, weights: tuple[float, ...] | None = None) -> Tensor:
    """Return C(q) = sum_k lambda_k beta^-k [b_k != 0] for every code from 0 to 2^B, float64.

    Args:
        bits: B.
        cell_bits: c; beta = 2^c.
        weights: lambda, ``None`` for ones.

    Example:
        >>> force()[[0, 1, 4, 5, 64]].tolist()
        [0.0, 1.0, 0.25, 1.25, 0.015625]

    Source: ours, because the authors leave it to autograd
    """
    digits = digits_of(bits, cell_bits)
    scale = 0.5 ** (cell_bits * torch.arange(len(digits), dtype=torch.float64))
    return (_weights(weights, len(digits), tensor=True) * scale) @ (digits != 0).double()


def looked_up(
    w: Tensor, index: Tensor, step: float, bits: int, cell_bits: int, weights: tuple[float, ...] | None = None
) -> Tensor:
    """Return the sum of all digits of a tensor whose codes are known; the inner loop of training.

    Args:
        w: the tensor that gets the gradient sign(W) C(q) / step.
        index: q + 2^B for each entry, int32, same shape.
        step: of the grid.
        bits: B.
        cell_bits: c.
        weights: lambda, ``None`` for ones.

    Returns:
        The sum of lambda_k b_k, shape ().

    Source: ours
    """
    values, forces = _tables(bits, cell_bits, weights, w.dtype, w.device)
    return _Lookup.apply(w, index, values, forces, step)


class _Lookup(torch.autograd.Function):
    """Digit sum forward, force backward, both from a table of the signed codes."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, index: Tensor, values: Tensor, forces: Tensor, step: float) -> Tensor:
        """Return the sum of the digits, and remember the codes."""
        ctx.save_for_backward(index, forces)
        ctx.step = step
        return values.index_select(0, index.reshape(-1)).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Return the force on each entry; the table is scaled, not the entries."""
        index, forces = ctx.saved_tensors
        scaled = forces * (gradients[0] / ctx.step)
        found = torch.empty(index.shape, dtype=scaled.dtype, device=scaled.device)  # no view: autograd adds in place
        torch.index_select(scaled, 0, index.reshape(-1), out=found.view(-1))
        return found, None, None, None, None


@lru_cache(maxsize=32)
def _tables(
    bits: int, cell_bits: int, weights: tuple[float, ...] | None, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return digit sum and signed force for the codes -2^B ... 2^B."""
    values, forces = digit_sum(bits, cell_bits, weights), force(bits, cell_bits, weights)
    both = torch.cat([values.flip(0)[:-1], values]), torch.cat([-forces.flip(0)[:-1], forces])
    return both[0].to(device, dtype), both[1].to(device, dtype)


def _weights(weights: Sequence[float] | None, slices: int, *, tensor: bool = False) -> Any:
    """Return one lambda for each slice, as a tuple or a float64 tensor."""
    chosen = (1.0,) * slices if weights is None else tuple(float(one) for one in weights)
    if len(chosen) != slices or not all(0 <= one < float("inf") for one in chosen):
        raise ParameterError(f"slice_weights needs {slices} finite numbers >= 0, one a slice, got {weights!r}")
    return torch.tensor(chosen, dtype=torch.float64) if tensor else chosen


def _strength(strength: float) -> float:
    if not 0 <= strength < float("inf"):
        raise ParameterError(f"strength is alpha, a finite number >= 0, got {strength}")
    return float(strength)


def _size(w: Tensor, size: int | None) -> int:
    if size is not None and size < 1:
        raise ParameterError(f"size counts the entries that are charged and must be >= 1, got {size}")
    return max(w.numel(), 1) if size is None else size
