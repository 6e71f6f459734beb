"""The long way round: every tile, slice, array and input digit through its converter.

This is the simulator, in the order of the hardware. Whatever else there is (bit lines folded away, packed numbers, a
compiled loop) only does the same faster, and is held against it bit for bit.

    for each tile of rows
        sums    currents on the bit lines, one for each input digit, slice and array     read_tile
        codes   through the converters
        value   pedestal and flips undone, shifted and added
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from weightlore.crossbar.bitlines import input_planes, shift_and_add, tile_sums
from weightlore.crossbar.config import CrossbarConfig
from weightlore.crossbar.converters import Converter, Rounding, convert_sums
from weightlore.errors import ParameterError

__all__ = ["Programmed", "Reading", "read_tiles", "reference_product"]

NOISY_ROWS = 256  # rows for which noise is drawn together, whatever the memory at hand: results cannot depend on it
SUMS_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Programmed:
    """All that a reading depends on.

    Args:
        config: of the crossbar.
        levels: of the cells, shape (..., K, S, O, D).
        factors: what a level counts, shape (..., K, S), float64.
        largest: the greatest level meant for each of the K slices.
        converter: of the K slices.
        variance: of the levels from reading to reading, or ``None``.
        flipped: which bit lines hold complements, shape (T, K, S, O), or ``None``.
        mismatch: weights of the converters' bits, shape (..., T, K, S, B), or ``None``.
        pedestal: levels that every cell shows too much and that are taken off after conversion.
        n_chips: how many chips there are, ``None`` for one without a dimension of its own.

    Source: ours
    """

    config: CrossbarConfig
    levels: Tensor
    factors: Tensor
    largest: tuple[int, ...]
    converter: Converter
    variance: Tensor | None = None
    flipped: Tensor | None = None
    mismatch: Tensor | None = None
    pedestal: float = 0.0
    n_chips: int | None = None

    @property
    def leading(self) -> tuple[int, ...]:
        """The dimension of chips, if there is one."""
        return () if self.n_chips is None else (self.n_chips,)

    @property
    def fluctuates(self) -> bool:
        """Whether two readings may differ."""
        return self.variance is not None or self.config.adc.random

    def rows_at_once(self, chunk: int | None) -> int:
        """How many rows of a batch to read together."""
        if self.fluctuates:
            return NOISY_ROWS
        lines = self.config.input_digits * self.levels.shape[:-1].numel()
        return chunk or max(1, SUMS_AT_ONCE // lines)


@dataclass(frozen=True)
class Reading:
    """One tile, read for some rows of a batch.

    Args:
        tile: its number.
        rows: start of these rows in the batch.
        sums: what arrives at the converters, in cell levels, shape (..., I, B, K, S, O).
        count: what each of the I input digits counts.
        driven: sum of the inputs of each digit, shape (I, B).

    Source: ours
    """

    tile: int
    rows: int
    sums: Tensor
    count: Tensor
    driven: Tensor


def read_tiles(
    array: Programmed, codes: Tensor, *, generator: torch.Generator | None = None, chunk: int | None = None
) -> Iterator[Reading]:
    """Yield what arrives at the converters, for some rows of the batch and one tile after the other.

    Args:
        array: as it was programmed.
        codes: inputs from zero up, shape (B, D), int64.
        generator: needed where readings fluctuate; it advances.
        chunk: rows of the batch at once; the sums do not depend on it.

    Yields:
        The readings.

    Raises:
        ParameterError: if readings fluctuate and no generator is given.

    Source: [zhang2019bitslice], product on a crossbar; [shafiee2016isaac]
    """
    config, size = array.config, array.rows_at_once(chunk)
    if array.fluctuates and generator is None:
        raise ParameterError("readings fluctuate: pass generator=torch.Generator().manual_seed(0)")
    bits = config.input_bits + (config.signed_input == "offset")
    accumulated = config.adc.placement == "accumulated"
    for start in range(0, len(codes), size):
        for tile, first in enumerate(range(0, codes.shape[1], config.rows)):
            span = slice(first, first + config.rows)
            part = codes[start : start + size, span]
            planes, count = input_planes(part, bits=bits, dac_bits=config.dac_bits, accumulated=accumulated)
            variance = None if array.variance is None else array.variance[..., span]
            levels = array.levels[..., span].to(torch.float64)
            subtract = config.adc.subtraction == "analog"
            sums = tile_sums(planes, levels, variance=variance, subtract=subtract, generator=generator)
            yield Reading(tile, start, sums, count, planes.sum(-1))


def reference_product(
    array: Programmed, codes: Tensor, *, generator: torch.Generator | None = None, chunk: int | None = None
) -> Tensor:
    """Return the product of inputs and stored levels, as the converters see it.

        y[b, o] = sum over t, i, k, s of  base**i * scale[k] * sign[s] * Adc(P[t, i, b, k, s, o])

    Args:
        array: as it was programmed.
        codes: inputs from zero up, shape (B, D), int64.
        generator: needed where readings fluctuate; it advances.
        chunk: rows of the batch at once; the result does not depend on it.

    Returns:
        Shape (..., B, O), float64; the dimension of chips stands first where there is one.

    Raises:
        ParameterError: if readings fluctuate and no generator is given.

    Source: [zhang2019bitslice], product on a crossbar; [shafiee2016isaac]
    """
    shape = (*array.leading, len(codes), array.levels.shape[-2])
    product = torch.zeros(shape, dtype=torch.float64, device=codes.device)
    for reading in read_tiles(array, codes, generator=generator, chunk=chunk):
        weights = None if array.mismatch is None else array.mismatch[..., reading.tile, :, :, :]
        adc = array.config.adc
        values = convert_sums(reading.sums, array.converter, adc, weights=weights, generator=generator)
        values = _restored(values, array, reading)
        rows = slice(reading.rows, reading.rows + values.shape[-4])
        factors = array.factors[..., : values.shape[-2]]  # after analog subtraction the first array stands for both
        product[..., rows, :] += shift_and_add(values, reading.count, factors)
    return product


def _restored(values: Tensor, array: Programmed, reading: Reading) -> Tensor:
    """Take the pedestal off again, and turn flipped bit lines back."""
    driven = reading.driven[..., None, None, None]  # (I, B, 1, 1, 1)
    if array.pedestal:
        # The count of inputs is exact: the correction knows the converter's steps, not its errors.
        rule = replace(array.config.adc, offset=0.0, gain=1.0, noise=0.0, rounding=_steady(array.config.adc.rounding))
        unbounded = replace(array.converter, top=(2**52,) * len(array.largest))
        lifted = (array.pedestal * driven).expand(*driven.shape[:2], len(array.largest), 1, 1)
        values = values - convert_sums(lifted, unbounded, rule, generator=None)
    if array.flipped is not None:
        full = values.new_tensor(array.largest).reshape(-1, 1, 1) * driven
        values = torch.where(array.flipped[reading.tile], full - values, values)
    return values


def _steady(rounding: Rounding) -> Rounding:
    return "nearest" if rounding == "stochastic" else rounding
