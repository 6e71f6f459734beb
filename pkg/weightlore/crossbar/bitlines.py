"""What happens on the bit lines of one tile: add up, convert, shift and add.

    sums    P[i, b, k, s, o] = sum over the rows r of  digit_i[b, r] * level[k, s, o, r]      tile_sums
    value   y[b, o] = sum over i, k, s of  base**i * scale[k] * sign[s] * Adc(P)              shift_and_add

Written to be read; engines that skip work or pack numbers are held against it, bit for bit. A dimension of chips may
stand before all others.
"""

import torch
from torch import Tensor

from weightlore.crossbar.digits import slice_digits

__all__ = ["input_planes", "shift_and_add", "tile_sums"]


def input_planes(codes: Tensor, *, bits: int, dac_bits: int, accumulated: bool = False) -> tuple[Tensor, Tensor]:
    """Return the digits in which inputs are applied, and what each digit counts.

    Args:
        codes: whole numbers from 0 to 2**bits - 1, shape (B, R).
        bits: of an input.
        dac_bits: of a digit.
        accumulated: the digits meet as charge before the converter, which is one digit with all bits.

    Returns:
        Digits, shape (I, B, R), float64; and I factors, float64.

    Raises:
        ParameterError: if a code is no whole number in range.

    Source: [shafiee2016isaac], bit-serial input
    """
    if accumulated:
        return codes.to(torch.float64).unsqueeze(0), torch.ones(1, dtype=torch.float64, device=codes.device)
    planes = slice_digits(codes, dac_bits, bits=bits)
    count = 2.0 ** (dac_bits * torch.arange(len(planes), dtype=torch.float64, device=codes.device))
    return planes.to(torch.float64), count


def tile_sums(
    planes: Tensor,
    levels: Tensor,
    *,
    variance: Tensor | None = None,
    subtract: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Return the sums of currents on every bit line of a tile, in cell levels.

    Cells that fluctuate from reading to reading are not drawn one by one: a sum of independent normal numbers is
    normal, with the sum of their variances, so one number is drawn for each bit line.

    Args:
        planes: input digits, shape (I, B, R).
        levels: of the cells, shape (..., K, S, O, R).
        variance: of the levels from reading to reading, the shape of ``levels``; ``None`` for cells that hold still.
        subtract: take the second array from the first before anything is converted; S becomes 1.
        generator: needed with a variance; it advances.

    Returns:
        Sums, shape (..., I, B, K, S, O).

    Source: [zhang2019bitslice], accumulation on a bit line; the aggregated read noise: ours
    """
    shape = levels.shape[-4:-1]
    sums = torch.matmul(planes, levels.flatten(-4, -2).transpose(-1, -2).unsqueeze(-3))  # (..., I, B, KSO)
    if variance is not None:
        spread = torch.matmul(planes.square(), variance.flatten(-4, -2).transpose(-1, -2).unsqueeze(-3)).sqrt()
        sums = sums + spread * torch.randn(sums.shape, generator=generator, dtype=sums.dtype, device=sums.device)
    sums = sums.unflatten(-1, shape)
    return sums[..., :1, :] - sums[..., 1:, :] if subtract else sums


def shift_and_add(values: Tensor, count: Tensor, factors: Tensor) -> Tensor:
    """Add up what the converters returned, each with its weight.

        y[b, o] = sum over i, k, s of count[i] * factor[k, s] * value[i, b, k, s, o]

    Args:
        values: shape (..., I, B, K, S, O).
        count: what each of the I input digits counts.
        factors: what each of the K slices counts on each of the S arrays, shape (..., K, S).

    Returns:
        The tile's share of the product, shape (..., B, O), float64.

    Source: [zhang2019bitslice], shift and add
    """
    return torch.einsum("...ibkso,i,...ks->...bo", values.to(torch.float64), count, factors)
