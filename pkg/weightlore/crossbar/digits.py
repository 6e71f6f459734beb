"""Numbers as digits: weights for cells, inputs for converters.

A memory cell holds a few bits and an input line carries a few bits, so integers are cut before they meet.

    slice_digits    magnitude = sum over k of base**k * digit[k],  base = 2**cell_bits
    join_digits     the way back
    integer_codes   what everything here takes: whole numbers within a range
"""

import torch
from torch import Tensor

from weightlore.errors import ParameterError

__all__ = ["integer_codes", "join_digits", "slice_digits"]


def slice_digits(magnitude: Tensor, cell_bits: int = 2, *, bits: int = 8) -> Tensor:
    """Cut magnitudes into digits, the least significant first.

        digit[k] = floor(magnitude / base**k) mod base,   base = 2**cell_bits

    Args:
        magnitude: whole numbers in 0 ... 2**bits - 1, any shape (...), of an integer or floating dtype.
        cell_bits: bits of a digit, 1 to 8.
        bits: bits of a magnitude, 1 to 16; there are K = ceil(bits / cell_bits) digits.

    Returns:
        The digits, shape (K, ...), int64, each in 0 ... base - 1.

    Raises:
        ParameterError: if a magnitude is no whole number in range, or a number of bits is out of range.

    Example:
        >>> slice_digits(torch.tensor([65, 3])).T
        tensor([[1, 0, 0, 1],
                [3, 0, 0, 0]])

    Source: [zhang2019bitslice], bit slices
    """
    if not 1 <= cell_bits <= 8 or not 1 <= bits <= 16:
        raise ParameterError(f"cell_bits must lie in 1 to 8 and bits in 1 to 16, got {cell_bits} and {bits}")
    codes = integer_codes(magnitude, 0, 2**bits - 1, "magnitudes")
    shifts = torch.arange(0, bits, cell_bits, device=codes.device).reshape(-1, *[1] * codes.dim())
    return (codes >> shifts) & (2**cell_bits - 1)


def join_digits(digits: Tensor, cell_bits: int = 2) -> Tensor:
    """Put digits together again: the inverse of ``slice_digits``.

        magnitude = sum over k of base**k * digit[k],   base = 2**cell_bits

    Args:
        digits: shape (K, ...), the least significant first; digits with a sign or above the base are allowed.
        cell_bits: bits of a digit.

    Returns:
        The numbers, shape (...), int64.

    Raises:
        ParameterError: if a digit is no whole number.

    Source: [zhang2019bitslice], bit slices
    """
    codes = integer_codes(digits, -(2**31), 2**31, "digits")
    return sum((codes[k] << cell_bits * k for k in range(len(codes))), torch.zeros_like(codes[0]))


def integer_codes(codes: Tensor, low: int, high: int, what: str) -> Tensor:
    """Return codes as int64 after a look at each of them.

    Args:
        codes: whole numbers, any shape, of an integer or floating dtype.
        low: the least allowed.
        high: the greatest allowed.
        what: their name in the message.

    Returns:
        The same numbers, same shape, int64.

    Raises:
        ParameterError: if one of them is no whole number, or lies outside of the range.

    Source: ours
    """
    if codes.is_floating_point():
        if not bool((codes == codes.round()).all()):
            raise ParameterError(f"{what} must be whole numbers; quantize first, for example (x / step).round()")
    elif codes.is_complex():
        raise ParameterError(f"{what} must be whole numbers, got {codes.dtype}")
    if codes.numel():
        least, most = codes.min().item(), codes.max().item()
        if not low <= least <= most <= high:
            raise ParameterError(
                f"{what} must lie in {low} to {high}, got {least:g} to {most:g}; clamp them, or allow more bits"
            )
    return codes.to(torch.int64)
