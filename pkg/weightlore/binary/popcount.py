"""Products with packed weights: sums of signs become counts of bits.

    x in {-1, +1}:  sum_j B_j x_j = n - 2 popcount(B xor x)               sign_product
    x in {0, 1}:    sum_j B_j x_j = 2 popcount(B and x) - popcount(x)     spike_product

64 terms fit a word. The compiled engine counts them with the processor's own instruction; the one in plain torch
unpacks the signs and multiplies, which is exact below 2^24 inputs. Both give the same bits.
"""

import functools
import importlib
import importlib.util
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightlore.binary.packed import Packed, packed_bits
from weightlore.errors import MissingExtra, ParameterError, require_finite

__all__ = ["Engine", "sign_product", "spike_product"]

Engine = Literal["auto", "numba", "torch"]
Words = NDArray[np.uint64]
LANES = 8  # outputs that are counted together: a vector of 512 bits
ROWS = 4  # of the batch that share one reading of the weights


def sign_product(x: Tensor, packed: Packed, *, engine: Engine = "auto") -> Tensor:
    """Return the product of signs with a packed weight.

        y_o = alpha_o sum_j B_oj sign(x_j)

    Args:
        x: shape (N, n), of which only the signs count; sign(0) = +1.
        packed: a weight with n entries for each of O outputs; a convolution's is multiplied with unfolded patches.
        engine: ``"numba"`` counts bits in compiled code, ``"torch"`` unpacks them, ``"auto"`` takes numba where it is.

    Returns:
        Shape (N, O), in the dtype of the scale, the same bits for every engine.

    Raises:
        ParameterError: if x has another number of inputs or is not finite.
        MissingExtra: if numba is asked for and absent.

    Source: [rastegari2016xnor], section 3.2, for one scale a filter and none for inputs
    """
    _require_rows(x, packed, engine)
    if _compiled_wanted(engine):
        return _scaled(packed.inputs - 2 * _counted(packed, x >= 0, 0), packed)
    return _unpacked_product(torch.where(x >= 0, 1.0, -1.0), packed)


def spike_product(x: Tensor, packed: Packed, *, engine: Engine = "auto") -> Tensor:
    """Return the product of spikes with a packed weight.

        y_o = alpha_o sum_j B_oj x_j

    Args:
        x: spikes, shape (N, n), zeros and ones of any dtype.
        packed: a weight with n entries for each of O outputs.
        engine: as for ``sign_product``.

    Returns:
        Shape (N, O), in the dtype of the scale, the same bits for every engine.

    Raises:
        ParameterError: if x has another number of inputs or holds something else than 0 and 1.
        MissingExtra: if numba is asked for and absent.

    Source: [lu2020binary], binary weights and 0/1 inputs; the counting is ours
    """
    _require_rows(x, packed, engine)
    spikes = x != 0
    if not bool((x == spikes).all()):
        raise ParameterError("spikes are zeros and ones, and x holds other numbers; use sign_product for signs")
    if _compiled_wanted(engine):
        return _scaled(2 * _counted(packed, spikes, 1) - spikes.sum(1, keepdim=True).cpu(), packed)
    return _unpacked_product(spikes.to(torch.float32), packed)


def count_words(out: NDArray[np.int64], x: Words, weight: Words, both: int) -> None:
    """Count the bits of ``x xor weight``, or of ``x and weight``, for all pairs of rows and outputs.

    Args:
        out: shape (N, O'), set.
        x: packed rows, shape (N, W).
        weight: packed outputs, shape (O' / 8, W, 8).
        both: 1 for *and*, 0 for *exclusive or*.

    Source: ours
    """
    count = np.zeros((ROWS, LANES), np.int64)
    for start in range(0, x.shape[0], ROWS):
        rows = min(ROWS, x.shape[0] - start)
        for group in range(weight.shape[0]):
            count[:] = 0
            for word in range(x.shape[1]):
                for row in range(rows):
                    one = x[start + row, word]
                    for lane in range(LANES):
                        other = weight[group, word, lane]
                        count[row, lane] += ones(one & other if both else one ^ other)
            for row in range(rows):
                for lane in range(LANES):
                    out[start + row, group * LANES + lane] = count[row, lane]


def ones(word: Any) -> int:
    """Return how many bits of a 64-bit word are 1.

    Args:
        word: 0 to 2^64 - 1.

    Source: ours
    """
    return int(word).bit_count()


@functools.cache
def compiled() -> Callable[..., None]:
    """Return ``count_words`` as compiled code, from the disk where it was compiled before.

    Raises:
        ImportError: if numba is not installed.

    Source: ours
    """
    numba = importlib.import_module("numba")
    types = importlib.import_module("numba.core.types")
    numba.extending.type_callable(ones)(lambda context: lambda word: types.int64)
    numba.extending.lower_builtin(ones, types.Any)(lambda context, builder, kind, given: builder.ctpop(given[0]))
    try:
        return numba.njit(cache=True, nogil=True, boundscheck=False)(count_words)
    except RuntimeError:  # no folder that can be written to
        return numba.njit(nogil=True, boundscheck=False)(count_words)


def _counted(packed: Packed, rows: Tensor, both: int) -> Tensor:
    """Return the counts, shape (N, O), int64, on the processor."""
    x, weight = _words(packed_bits(rows)), _words(packed.bits)
    lanes = -(-len(weight) // LANES) * LANES
    grouped = np.zeros((lanes, weight.shape[1]), np.uint64)
    grouped[: len(weight)] = weight
    grouped = np.ascontiguousarray(grouped.reshape(-1, LANES, weight.shape[1]).transpose(0, 2, 1))
    out = np.empty((len(x), lanes), np.int64)
    compiled()(out, x, grouped, both)
    return torch.from_numpy(out)[:, : len(weight)]


def _words(packed: Tensor) -> Words:
    """Return bytes as words of 64 bits, filled up with zeros."""
    data = packed.cpu().numpy()
    return np.ascontiguousarray(np.pad(data, ((0, 0), (0, -data.shape[1] % 8)))).view(np.uint64)


def _scaled(count: Tensor, packed: Packed) -> Tensor:
    return count.to(packed.scale.device, packed.scale.dtype) * packed.scale


def _unpacked_product(x: Tensor, packed: Packed) -> Tensor:
    """Multiply with unpacked signs; sums of fewer than 2^24 signs are exact in float32."""
    signs = packed.signs().flatten(1).to(x)
    return _scaled(x @ signs.T, packed)


def _compiled_wanted(engine: Engine) -> bool:
    there = importlib.util.find_spec("numba") is not None
    if engine == "numba" and not there:
        raise MissingExtra("numba", "fast")
    return there and engine != "torch"


def _require_rows(x: Tensor, packed: Packed, engine: Engine) -> None:
    if engine not in ("auto", "numba", "torch"):
        raise ParameterError(f"engine must be 'auto', 'numba' or 'torch', got {engine!r}")
    if x.ndim != 2 or x.shape[1] != packed.inputs:
        raise ParameterError(
            f"the weight has {packed.inputs} inputs, so x must have shape (N, {packed.inputs}), got {tuple(x.shape)}; "
            "flatten images, or unfold them into the patches of a convolution"
        )
    if packed.inputs >= 2**24:
        raise ParameterError(f"counts below 2^24 are exact, and the weight has {packed.inputs} inputs; cut it in parts")
    require_finite("x", x)
