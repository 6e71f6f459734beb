"""How empty the slices are, and what a bitline must be able to count.

    nonzero_ratios(model)           share of non-zero digits for each slice, in percent
    bitline_loads(code, rows)       sum of the digits on each bitline, all inputs on
    required_bits(load)             resolution that loses nothing
    predicted_bits(density, ...)    the same from the density of digits, to first order
    saving(bits)                    what a converter of fewer bits saves, by the model 2^N / (N + 1)

A weight matrix (N, D) stands on tiles of R rows; each slice and each sign has bitlines of its own, one for each of the
N outputs.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.bitslice.fixed_point import FixedPoint
from weightlore.bitslice.penalties import digits_of
from weightlore.bitslice.quantizer import Quantized, require_widths
from weightlore.crossbar.digits import slice_digits
from weightlore.errors import ParameterError

__all__ = [
    "NonzeroRatios",
    "Prediction",
    "Saving",
    "bitline_loads",
    "nonzero_ratios",
    "predicted_bits",
    "required_bits",
    "saving",
]


@dataclass(frozen=True)
class NonzeroRatios:
    """How many digits are not zero.

    Args:
        slices: for each slice, least significant first, in percent, shape (K,), float64.
        weight: share of the codes that are not zero, in percent.
        size: P, how many codes were counted.

    Source: [zhang2019bitslice], sparsity of slices
    """

    slices: Tensor
    weight: float
    size: int

    @property
    def mean(self) -> float:
        """Mean over the slices, in percent."""
        return self.slices.mean().item()


@dataclass(frozen=True)
class Prediction:
    """Expected sum on a bitline, and the bits that count it.

    Args:
        mean: expected sum.
        spread: its standard deviation.
        bits: resolution for mean + z spread.

    Source: ours
    """

    mean: float
    spread: float
    bits: int


@dataclass(frozen=True)
class Saving:
    """How many times less a converter of fewer bits costs than one of more.

    Args:
        energy: ratio of 2^N / (N + 1), the energy of a capacitor array.
        time: ratio of N, the steps of a successive approximation.

    Source: [saberi2011capacitive], binary-weighted array; that a conversion takes N steps is the principle itself
    """

    energy: float
    time: float


def nonzero_ratios(
    codes: FixedPoint | Quantized | Tensor | Iterable[Tensor | Quantized], *, bits: int = 8, cell_bits: int = 2
) -> NonzeroRatios:
    """Return the share of digits that are not zero, for each slice.

    Args:
        codes: a fixed-point model (its own bits are used), or signed integer codes, one tensor or several.
        bits: B.
        cell_bits: c.

    Returns:
        The shares, in percent.

    Raises:
        ParameterError: if there is no code, or one is not an integer or has more than B bits.

    Example:
        >>> nonzero_ratios(torch.tensor([0, 3, -65, 64])).slices
        tensor([50.,  0.,  0., 50.], dtype=torch.float64)

    Source: [zhang2019bitslice], sparsity of slices
    """
    if isinstance(codes, FixedPoint):
        bits, cell_bits, codes = codes.bits, codes.cell_bits, list(codes.codes().values())
    require_widths(bits, cell_bits)
    given = [codes] if isinstance(codes, Tensor | Quantized) else list(codes)
    counts = sum((_counted(_code(one), bits) for one in given), torch.zeros(2**bits + 1, dtype=torch.int64))
    size = int(counts.sum())
    if size == 0:
        raise ParameterError("there are no codes to count; give a model, or tensors with at least one entry")
    nonzero = (digits_of(bits, cell_bits) != 0).double() @ counts.double()
    return NonzeroRatios(100 * nonzero / size, 100 * (1 - int(counts[0]) / size), size)


def bitline_loads(code: Tensor, *, rows: int = 128, bits: int = 8, cell_bits: int = 2) -> Tensor:
    """Return the sum of the digits on each bitline: what flows if every input is on.

        A[k, sign, tile, n] = sum over the rows of a tile of b_k^sign[n, row]

    Args:
        code: signed integers, shape (N, ...) with outputs first; further dimensions are the D rows.
        rows: R, rows of a tile, at least 1.
        bits: B.
        cell_bits: c.

    Returns:
        Loads, int64, shape (K, 2, tiles, N), positive codes first.

    Raises:
        ParameterError: if the code is no integer matrix of at most B bits, or rows < 1.

    Source: [zhang2019bitslice], bitlines
    """
    slices = require_widths(bits, cell_bits)
    if rows < 1:
        raise ParameterError(f"rows counts those of a tile and must be >= 1, got {rows}")
    if code.ndim < 2 or code.numel() == 0:
        raise ParameterError(f"code must be a matrix (outputs, inputs), got shape {tuple(code.shape)}")
    _counted(code, bits)
    matrix = code.flatten(1).to(torch.int64)
    signed = torch.stack([matrix.clamp(min=0), (-matrix).clamp(min=0)])  # (2, N, D)
    digits = slice_digits(signed.clamp(max=2**bits - 1), cell_bits, bits=bits)
    digits = torch.nn.functional.pad(digits, (0, -digits.shape[-1] % rows))
    return digits.unflatten(-1, (-1, rows)).sum(-1).transpose(-1, -2).reshape(slices, 2, -1, len(matrix))


def required_bits(load: Tensor) -> Tensor:
    """Return the resolution that tells every sum from 0 to the largest one apart.

        bits_k = ceil(log2(1 + max A_k))

    Args:
        load: sums of bitlines, integers >= 0, shape (K, ...), slices first.

    Returns:
        Bits for each slice, int64, shape (K,); 0 where nothing ever flows.

    Raises:
        ParameterError: if a load is negative or no integer, or there is none.

    Example:
        >>> required_bits(torch.tensor([[0], [1], [3], [4]]))
        tensor([0, 1, 2, 3])

    Source: [zhang2019bitslice], resolution of converters; the formula is ours
    """
    if load.is_floating_point() or load.is_complex() or load.numel() == 0 or int(load.min()) < 0:
        raise ParameterError(f"loads are integers >= 0, slices first, got {load.dtype} of shape {tuple(load.shape)}")
    largest = load.reshape(len(load), -1).amax(1).tolist()
    return torch.tensor([int(one).bit_length() for one in largest])


def predicted_bits(
    density: float,
    *,
    rows: int = 128,
    active: float = 0.3,
    first: float = 1.7,
    second: float | None = None,
    z: float = 3.0,
) -> Prediction:
    """Return the resolution that the density of digits lets expect, to first order.

        mu = R a d m1,   v = R (a d m2 - (a d m1)^2),   bits = ceil(log2(1 + mu + z sqrt(v)))

    Args:
        density: d, share of the digits of one slice and one sign that are not zero, in [0, 1].
        rows: R.
        active: a, share of the input bits that are on, in [0, 1].
        first: m1, mean of the non-zero digits.
        second: m2, mean of their squares; ``None`` for m1 squared, digits that are all alike.
        z: standard deviations above the mean that are still counted, >= 0.

    Returns:
        Mean, standard deviation and bits.

    Raises:
        ParameterError: if a share is not in [0, 1], or the moments belong to no distribution.

    Example:
        >>> round(predicted_bits(0.025).mean, 2)
        1.63

    Source: ours, because it links sparse slices to converters
    """
    second = first**2 if second is None else second
    if not (0 <= density <= 1 and 0 <= active <= 1):
        raise ParameterError(f"density and active are shares in [0, 1], got {density} and {active}")
    if rows < 1 or z < 0 or first < 0 or second < first**2:
        raise ParameterError(
            f"rows >= 1, z >= 0 and moments with second >= first^2 were expected, got {rows}, {z}, {first}, {second}"
        )
    mean = rows * active * density * first
    variance = rows * (active * density * second - (active * density * first) ** 2)
    spread = math.sqrt(max(variance, 0.0))
    return Prediction(mean, spread, math.ceil(math.log2(1 + mean + z * spread)))


def saving(bits: int, reference: int = 8) -> Saving:
    """Return what a converter of N bits saves against one of more, by the model of its capacitor array.

        energy = (2^M / (M + 1)) / (2^N / (N + 1)),   time = M / N,   M = reference

    It counts neither comparator nor logic nor reference, so that it promises more than a whole converter saves; the
    cost models of ``weightlore.crossbar`` have those too.

    Args:
        bits: N, at least 1.
        reference: M.

    Returns:
        Ratios of energy and time.

    Raises:
        ParameterError: if a number of bits is not a whole number of at least 1.

    Example:
        >>> round(saving(1).energy, 1), round(saving(3).energy, 1), saving(1).time
        (28.4, 14.2, 8.0)

    Source: [saberi2011capacitive], binary-weighted array; the ratios are ours
    """
    for count in (bits, reference):
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ParameterError(f"a converter has a whole number of bits, at least 1, got {count!r}")
    energy = [2.0**count / (count + 1) for count in (reference, bits)]
    return Saving(energy[0] / energy[1], reference / bits)


def _code(one: Tensor | Quantized) -> Tensor:
    return one.code if isinstance(one, Quantized) else one


def _counted(code: Tensor, bits: int) -> Tensor:
    """Return how often each magnitude from 0 to 2^B occurs."""
    if code.is_floating_point() or code.is_complex() or code.dtype == torch.bool:
        raise ParameterError(f"codes are signed integers, got {code.dtype}; quantize(w).code makes them")
    magnitude = code.to(torch.int64).abs().reshape(-1)
    if magnitude.numel() and int(magnitude.max()) > 2**bits:
        raise ParameterError(f"codes of {bits} bits end at {2**bits - 1}, got {int(magnitude.max())}; give bits=")
    return torch.bincount(magnitude, minlength=2**bits + 1)
