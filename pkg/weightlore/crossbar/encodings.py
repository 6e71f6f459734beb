"""How a signed weight is held by cells that know only levels from zero up.

Each encoding stores unsigned digits, and says with which factors they are to be added:

    w[o, d] = sum over k, s of scale[k] * sign[s] * digit[k, s, o, d]  -  shift

    differential      digits of |w|, in an array for positive or one for negative weights
    offset            digits of w + 2**bits; the shift is subtracted digitally
    twos_complement   digits of the low bits, and a slice of its own for the sign bit, which counts -2**bits
    signed_digit      digits from -base/2 to base/2, each on a pair of arrays; their sizes add up to less
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from weightlore.crossbar.digits import integer_codes, slice_digits
from weightlore.errors import ParameterError

__all__ = ["Encoded", "Encoding", "decode", "encode", "signed_digits"]

Encoding = Literal["differential", "offset", "twos_complement", "signed_digit"]


@dataclass(frozen=True)
class Encoded:
    """Weights as unsigned digits, and how to add them up again.

    Args:
        digits: K slices, the least significant first, on S = 1 or 2 arrays: shape (K, S, O, D), int64.
        scale: factor of each slice, K integers.
        sign: +1 or -1 for each array, S integers.
        largest: the greatest digit that each slice can hold, K integers.
        shift: what the sum has too much, for every weight alike.

    Source: ours
    """

    digits: Tensor
    scale: tuple[int, ...]
    sign: tuple[int, ...]
    largest: tuple[int, ...]
    shift: int


def encode(codes: Tensor, encoding: Encoding = "differential", *, bits: int = 8, cell_bits: int = 2) -> Encoded:
    """Turn signed integer weights into what the cells hold.

    Args:
        codes: whole numbers, |code| < 2**bits, shape (O, D): O outputs, D inputs.
        encoding: ``"differential"``, ``"offset"``, ``"twos_complement"`` or ``"signed_digit"``.
        bits: magnitude bits of a weight; the sign is one more.
        cell_bits: bits that a cell can hold.

    Returns:
        Digits with the factors that decode them.

    Raises:
        ParameterError: if a code is no whole number in range, or the encoding has another name.

    Example:
        >>> encode(torch.tensor([[65, -3]]), "differential").digits[:, :, 0].tolist()
        [[[1, 0], [0, 3]], [[0, 0], [0, 0]], [[0, 0], [0, 0]], [[1, 0], [0, 0]]]

    Source: [zhang2019bitslice], bit slices; [shafiee2016isaac], weight encoding; the last two encodings: ours
    """
    most = 2**bits - 1
    whole = integer_codes(codes, -most, most, "weight codes")
    if encoding == "differential":
        digits = slice_digits(whole.abs(), cell_bits, bits=bits)
        pair = _on_pair(digits * whole.sign())
        return Encoded(pair, _powers(len(digits), cell_bits), (1, -1), _largest(bits, cell_bits), 0)
    if encoding == "signed_digit":
        digits = signed_digits(whole, cell_bits, bits=bits)
        largest = (2 ** (cell_bits - 1),) * len(digits)
        return Encoded(_on_pair(digits), _powers(len(digits), cell_bits), (1, -1), largest, 0)
    if encoding == "offset":
        digits = slice_digits(whole + 2**bits, cell_bits, bits=bits + 1)
        scale = _powers(len(digits), cell_bits)
        return Encoded(digits.unsqueeze(1), scale, (1,), _largest(bits + 1, cell_bits), 2**bits)
    if encoding == "twos_complement":
        low = slice_digits(whole & most, cell_bits, bits=bits)
        digits = torch.cat([low, (whole < 0).to(torch.int64).unsqueeze(0)])
        scale = (*_powers(len(low), cell_bits), -(2**bits))
        return Encoded(digits.unsqueeze(1), scale, (1,), (*_largest(bits, cell_bits), 1), 0)
    raise ParameterError(
        f"the encoding must be 'differential', 'offset', 'twos_complement' or 'signed_digit', got {encoding!r}"
    )


def decode(encoded: Encoded) -> Tensor:
    """Return the weights that digits stand for.

    Args:
        encoded: from ``encode``.

    Returns:
        Codes, shape (O, D), int64.

    Source: ours
    """
    scale = torch.tensor(encoded.scale).reshape(-1, 1, 1, 1)
    sign = torch.tensor(encoded.sign).reshape(1, -1, 1, 1)
    return (encoded.digits * scale * sign).sum((0, 1)) - encoded.shift


def signed_digits(codes: Tensor, cell_bits: int = 2, *, bits: int = 8) -> Tensor:
    """Recode whole numbers into digits from -base/2 to base/2.

    A digit above base/2 becomes negative and carries one to the next. At exactly base/2 both would do; the one is taken
    that makes the next digit smaller. With one bit this is the non-adjacent form, the recoding with fewest digits.

    Args:
        codes: whole numbers, |code| < 2**bits, any shape (...).
        cell_bits: bits of a digit.
        bits: magnitude bits; there are ceil(bits / cell_bits) + 1 digits.

    Returns:
        Digits, shape (K, ...), int64, the least significant first.

    Raises:
        ParameterError: if a code is no whole number in range.

    Example:
        >>> signed_digits(torch.tensor([255, 7])).T.tolist()
        [[-1, 0, 0, 0, 1], [-1, 2, 0, 0, 0]]

    Source: ours, after the non-adjacent form of computer arithmetic
    """
    base, half = 2**cell_bits, 2 ** (cell_bits - 1)
    whole = integer_codes(codes, 1 - 2**bits, 2**bits - 1, "codes")
    rest, digits = whole.abs(), []
    for _ in range(-(-bits // cell_bits) + 1):
        digit, above = rest % base, rest // base
        carries = (digit > half) | ((digit == half) & (above % base >= half))
        digits.append(digit - base * carries)
        rest = above + carries.to(torch.int64)
    return torch.stack(digits) * whole.sign()


def _on_pair(signed: Tensor) -> Tensor:
    """Signed digits (K, O, D) as unsigned ones on a positive and a negative array, (K, 2, O, D)."""
    return torch.stack([signed.clamp(min=0), (-signed).clamp(min=0)], dim=1)


def _largest(bits: int, cell_bits: int) -> tuple[int, ...]:
    """The greatest digit of each slice; the top slice may have fewer bits than the others."""
    return tuple(2 ** min(cell_bits, bits - low) - 1 for low in range(0, bits, cell_bits))


def _powers(slices: int, cell_bits: int) -> tuple[int, ...]:
    return tuple(2 ** (cell_bits * k) for k in range(slices))
