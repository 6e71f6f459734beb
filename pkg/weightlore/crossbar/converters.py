"""The converters at the end of the bit lines: what they can tell apart, and what they get wrong.

A converter turns a sum of currents, in units of one cell level, into a code, and the code stands for ``code * step``.

    required_bits   bits that lose nothing, from the greatest sum
    Adc             what kind of converter is asked for
    Converter       what became of it in an array: bits, step and greatest code of each slice
    resolve         the one from the other; the range never comes from the batch that is being read
    draw_mismatch   capacitors that are not quite what they should be
    convert_sums    sums to code * step
"""

from dataclasses import dataclass
from math import ceil, frexp, isfinite, ldexp, log2
from typing import Literal

import torch
from torch import Tensor

from weightlore.errors import ParameterError

__all__ = ["Adc", "Converter", "Rounding", "convert_sums", "draw_mismatch", "required_bits", "resolve"]


Rounding = Literal["nearest", "floor", "stochastic"]


def required_bits(greatest: float) -> int:
    """Return how many bits tell apart all whole numbers from 0 to the greatest sum.

        bits = ceil(log2(1 + greatest)), at least 1

    Args:
        greatest: the greatest sum, >= 0, in cell levels; 128 rows of 2-bit cells give 384.

    Returns:
        The number of bits.

    Raises:
        ParameterError: if the sum is negative or not finite.

    Example:
        >>> required_bits(384)
        9

    Source: [shafiee2016isaac], resolution of the converter; [zhang2019bitslice], required resolution
    """
    if not (isfinite(greatest) and greatest >= 0):
        raise ParameterError(f"the greatest sum must be finite and >= 0, got {greatest}")
    return max(1, ceil(greatest).bit_length())


@dataclass(frozen=True)
class Adc:
    """The kind of converter that reads every bit line.

    Args:
        bits: of all slices, or one number for each, least significant first; ``None`` for as many as lose nothing.
        step: ``"lsb"`` makes every step one cell level, and sums above 2**bits - 1 saturate; ``"full_scale"`` spreads
            the codes over the range; ``"power_of_two"`` likewise, the step rounded up so that adding stays a shift.
        range: the greatest sum to expect: ``"worst_case"`` for any weight and input, ``"static"`` for these weights and
            any input, ``"calibrated"`` on data given when the array is programmed, ``"user"`` for ``full_scale``. It
            matters where the step follows from it.
        full_scale: the user's range, in cell levels, for all slices or one for each.
        calibration: share of the sums that the calibrated range holds, in (0, 1], or ``"mse"`` for the range with the
            least squared error.
        rounding: ``"nearest"`` (halves go up), ``"floor"`` or ``"stochastic"``.
        offset: error added to each sum, in steps.
        gain: factor of each sum; 1 is right.
        noise: standard deviation of the converter's noise, in steps.
        mismatch: relative standard deviation of a unit capacitor, of which bit b has 2**b.
        placement: ``"digit"`` converts after every input digit; ``"accumulated"`` adds the input digits up as charge
            and converts once, with a range that grows accordingly.
        subtraction: of the negative array, ``"digital"`` after conversion or ``"analog"`` before; the converter then
            has a sign, and one bit less for the size.

    Source: [zhang2019bitslice], converters; [shafiee2016isaac]; the error model: ours
    """

    bits: int | tuple[int, ...] | None = None
    step: Literal["lsb", "full_scale", "power_of_two"] = "lsb"
    range: Literal["worst_case", "static", "calibrated", "user"] = "worst_case"
    full_scale: float | tuple[float, ...] | None = None
    calibration: float | Literal["mse"] = 1.0
    rounding: Rounding = "nearest"
    offset: float = 0.0
    gain: float = 1.0
    noise: float = 0.0
    mismatch: float = 0.0
    placement: Literal["digit", "accumulated"] = "digit"
    subtraction: Literal["digital", "analog"] = "digital"

    def __post_init__(self) -> None:
        for field, allowed in _CHOICES.items():
            if getattr(self, field) not in allowed:
                raise ParameterError(f"{field} must be one of {', '.join(allowed)}; got {getattr(self, field)!r}")
        least = 2 if self.subtraction == "analog" else 1
        if any(isinstance(b, bool) or not (isinstance(b, int) and least <= b <= 24) for b in _each(self.bits)):
            raise ParameterError(
                f"converter bits must be whole numbers from {least} to 24, got {self.bits!r}; "
                "give one, or a tuple with one for each slice"
            )
        if (self.range == "user") != (self.full_scale is not None):
            raise ParameterError('give full_scale with range="user", and only with it')
        if any(not (isfinite(s) and s > 0) for s in _each(self.full_scale)):
            raise ParameterError(f"full_scale must be positive and finite, got {self.full_scale}")
        if self.calibration != "mse" and not 0 < self.calibration <= 1:
            raise ParameterError(f'calibration must be a share in (0, 1] or "mse", got {self.calibration}')
        if not all(isfinite(v) and v >= 0 for v in (self.noise, self.mismatch)) or self.mismatch >= 0.5:
            raise ParameterError(f"noise and mismatch are deviations >= 0, mismatch below 0.5; got {self}")
        if not (isfinite(self.offset) and isfinite(self.gain) and self.gain > 0):
            raise ParameterError(f"offset must be finite and gain positive, got {self.offset} and {self.gain}")

    @property
    def random(self) -> bool:
        """Whether two readings of one sum may differ."""
        return self.noise > 0 or self.rounding == "stochastic"

    @property
    def exact(self) -> bool:
        """Whether whole sums within the range come out unchanged."""
        errors = self.offset or self.gain != 1 or self.mismatch or self.random
        return self.step == "lsb" and not errors


_CHOICES = {
    "step": ("lsb", "full_scale", "power_of_two"),
    "range": ("worst_case", "static", "calibrated", "user"),
    "rounding": ("nearest", "floor", "stochastic"),
    "placement": ("digit", "accumulated"),
    "subtraction": ("digital", "analog"),
}


@dataclass(frozen=True)
class Converter:
    """The converters of an array.

    Args:
        bits: of each of the K slices.
        step: what one code is worth in each slice, in cell levels.
        top: the greatest code of each slice.
        signed: whether codes run from -top to top instead of from 0.

    Source: ours
    """

    bits: tuple[int, ...]
    step: tuple[float, ...]
    top: tuple[int, ...]
    signed: bool

    @property
    def ceiling(self) -> tuple[float, ...]:
        """The greatest sum of each slice that does not saturate, in cell levels."""
        return tuple(top * step for top, step in zip(self.top, self.step, strict=True))


def resolve(adc: Adc, greatest: tuple[float, ...], worst_case: tuple[float, ...]) -> Converter:
    """Return the converters that an ``Adc`` asks for, given the greatest sums to expect.

    Args:
        adc: the kind of converter.
        greatest: the range of each of the K slices by the rule of ``adc.range``, in cell levels.
        worst_case: the greatest sum that can come at all, which decides the bits where ``adc.bits`` is ``None``.

    Returns:
        Bits, step and greatest code of each slice.

    Raises:
        ParameterError: if the number of bits or ranges does not match the slices.

    Source: [zhang2019bitslice], converters; steps over the full scale: ours
    """
    slices, signed = len(worst_case), adc.subtraction == "analog"
    bits = _per_slice("bits", adc.bits, slices) or tuple(required_bits(w) + signed for w in worst_case)
    scale = _per_slice("full_scale", adc.full_scale, slices) or greatest
    tops = tuple(2 ** (b - signed) - 1 for b in bits)
    if adc.step == "lsb" or adc.bits is None:
        return Converter(bits, (1.0,) * slices, tops, signed)
    steps = tuple((full or 1.0) / top for full, top in zip(scale, tops, strict=True))
    if adc.step == "power_of_two":
        steps = tuple(2.0 ** max(0, ceil(log2(step))) for step in steps)
    return Converter(bits, tuple(map(_short, steps)), tops, signed)


def draw_mismatch(
    converter: Converter,
    adc: Adc,
    tiles: int,
    signs: int,
    *,
    generator: torch.Generator | None,
    n_chips: int | None = None,
) -> Tensor:
    """Draw the weights of the bits of every converter, one converter for each tile, slice and sign.

        weight[b] = 2**b * (1 + mismatch / sqrt(2**b) * xi),   xi ~ N(0, 1)

    Args:
        converter: of the K slices.
        adc: with its mismatch.
        tiles: number of row tiles T.
        signs: converters S in each tile and slice.
        generator: it advances, chip by chip.
        n_chips: draw for so many chips.

    Returns:
        Weights, shape (T, K, S, B) or (n_chips, T, K, S, B), B the greatest number of bits, float64.

    Raises:
        ParameterError: if there is no generator.

    Source: ours: a bit is made of 2**b unit capacitors that err independently
    """
    bits = max(top.bit_length() for top in converter.top)
    nominal = 2.0 ** torch.arange(bits, dtype=torch.float64)
    if generator is None:
        raise ParameterError("mismatch is drawn: pass generator=torch.Generator().manual_seed(0)")
    shape = (tiles, len(converter.top), signs, bits)
    drawn = [torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(n_chips or 1)]
    return nominal + adc.mismatch * nominal.sqrt() * (drawn[0] if n_chips is None else torch.stack(drawn))


def convert_sums(
    sums: Tensor, converter: Converter, adc: Adc, *, weights: Tensor | None = None, generator: torch.Generator | None
) -> Tensor:
    """Return what the converters make of sums: ``code * step``, in cell levels.

        code = clamp(round(gain * sum / step + offset + noise), 0, top)

    Args:
        sums: shape (..., K, S, O), in cell levels.
        converter: of the K slices.
        adc: rounding and errors.
        weights: of the bits, shape (K, S, B) or (n_chips, K, S, B), from ``draw_mismatch``; ``None`` for powers of two.
        generator: needed where the converter is random; it advances.

    Returns:
        The same shape and dtype.

    Raises:
        ParameterError: if the converter is random and no generator is given.

    Source: [zhang2019bitslice], saturating converters; errors: ours
    """
    step = sums.new_tensor(converter.step).reshape(-1, 1, 1)
    top = sums.new_tensor(converter.top).reshape(-1, 1, 1)
    value = sums / step if adc.gain == 1 and adc.offset == 0 else sums * (adc.gain / step) + adc.offset
    if adc.random and generator is None:
        raise ParameterError("this converter is random: pass generator=torch.Generator().manual_seed(0)")
    if adc.noise:
        value = value + adc.noise * torch.randn(value.shape, generator=generator, dtype=sums.dtype, device=sums.device)
    if adc.rounding == "nearest":
        value = value + 0.5
    elif adc.rounding == "stochastic":
        value = value + torch.rand(value.shape, generator=generator, dtype=sums.dtype, device=sums.device)
    low = -top if converter.signed else torch.zeros_like(top)
    if weights is None:
        return torch.minimum(torch.maximum(value.floor(), low), top) * step
    if not converter.signed:
        return _successive(value, weights, converter) * step
    # The magnitude is converted; shifting by one half keeps the rounding of the other branch.
    lift = 0.5 if adc.rounding == "nearest" else 0.0
    size = (value - lift).abs() + lift
    return (value - lift).sign() * _successive(size, weights, converter) * step


def _successive(value: Tensor, weights: Tensor, converter: Converter) -> Tensor:
    """Successive approximation: try each bit, from the greatest, and keep it while its weight is not too much."""
    code, reached = torch.zeros_like(value), torch.zeros_like(value)
    bits = torch.tensor([top.bit_length() for top in converter.top], device=value.device).reshape(-1, 1, 1)
    for b in range(weights.shape[-1] - 1, -1, -1):
        trial = reached + weights[..., b].to(value)[..., None, None, :, :, None]  # (..., I, B, K, S, O)
        keep = (value >= trial) & (b < bits)
        reached, code = torch.where(keep, trial, reached), code + keep * 2.0**b
    return code


def _short(step: float) -> float:
    """The step with 20 significant bits: then sums of many codes are exact, and the same in every order."""
    fraction, exponent = frexp(step)
    return ldexp(round(fraction * 2**20), exponent - 20)


def _each(values: float | tuple[float, ...] | None) -> tuple[float, ...]:
    return () if values is None else values if isinstance(values, tuple) else (values,)


def _per_slice(what: str, values: float | tuple | None, slices: int) -> tuple | None:
    """One value for each slice, or an error that counts them."""
    if values is None:
        return None
    if not isinstance(values, tuple):
        return (values,) * slices
    if len(values) != slices:
        raise ParameterError(
            f"{what} of the converter has {len(values)} entries, but there are {slices} slices; give one number, or "
            f"{slices}, the least significant slice first"
        )
    return values
