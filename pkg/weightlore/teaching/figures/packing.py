"""Arrays as small byte strings: what travels in the state of a figure.

A *block* is an array with a place in one common buffer. Whole numbers in a short range travel exactly as one or two
bytes; other numbers as a code with offset and scale, or as float32:

    value = offset + scale * code ,   the largest code means "missing" (NaN)

    Packer.add(values, bits=16)   put an array into the buffer, get its block
    unpack(block, data)           the array back, as the browser computes it
"""

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from weightlore.errors import ParameterError

__all__ = ["BUDGET", "Bits", "Packer", "as_array", "require_budget", "unpack", "values_of_state"]

Bits = Literal[8, 16, 32]

BUDGET = 100_000
"""Bytes that one figure may bring into a notebook: its data in base64 and its description."""

_CODES: dict[int, Any] = {8: np.dtype("<u1"), 16: np.dtype("<u2"), 32: np.dtype("<f4")}


def as_array(what: str, values: Any) -> np.ndarray:
    """Return values as float64; NaN marks what is missing, infinity is an error.

    Args:
        what: how the caller calls the values, for the message.
        values: an array, a tensor (detached) or nested lists of numbers.

    Raises:
        ParameterError: if a value is infinite or not a number at all.

    Source: ours
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{what} must be numbers in an array of one shape, got {type(values).__name__}") from error
    if np.isinf(array).any():
        raise ParameterError(f"{what} holds {int(np.isinf(array).sum())} infinite values; use NaN for what is missing")
    return array


def _coded(array: np.ndarray, bits: Bits) -> tuple[np.ndarray, float, float]:
    """Return codes, offset and scale of an array."""
    finite = array[~np.isnan(array)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    scale = 1.0
    whole = bool((finite == np.round(finite)).all()) and high - low < 65535
    if whole:  # exact, in as few bytes as there are
        bits = 8 if high - low < 255 else 16
    elif bits == 32:
        return array.astype(_CODES[32]), 0.0, 1.0
    else:
        scale = (high - low) / (2**bits - 2)  # 0 where all values are equal: they travel exactly
    steps = np.round((np.nan_to_num(array, nan=low) - low) / (scale or 1.0))
    codes = np.where(np.isnan(array), 2**bits - 1, steps)
    return codes.astype(_CODES[bits]), low, scale


class Packer:
    """A buffer that grows by one block at a time.

    Attributes:
        data: the bytes so far.

    Source: ours
    """

    def __init__(self) -> None:
        self.data = b""

    def add(self, values: np.ndarray, *, bits: Bits = 16) -> dict[str, Any]:
        """Append an array and return its block.

        Args:
            values: float64, any shape, NaN allowed.
            bits: 8 or 16 for a code of that many bits, 32 for float32. Whole numbers in a range below 65535 are stored
                exactly in one or two bytes whatever ``bits`` says.

        Returns:
            ``{"o": first byte, "t": bits, "a": offset, "b": scale, "h": shape}``.

        Source: ours
        """
        if bits not in _CODES:
            raise ParameterError(f"bits must be 8, 16 or 32, got {bits!r}")
        codes, offset, scale = _coded(values, bits)
        self.data += bytes(-len(self.data) % 4)  # numbers of four bytes start at a multiple of four
        start = len(self.data)
        self.data += np.ascontiguousarray(codes).tobytes()
        kind = 32 if codes.dtype.kind == "f" else 8 * codes.dtype.itemsize
        return {"o": start, "t": kind, "a": offset, "b": scale, "h": list(values.shape)}

    def add_bytes(self, content: bytes) -> dict[str, Any]:
        """Append bytes as they are (a picture) and return ``{"o": first byte, "n": length}``.

        Args:
            content: the bytes.

        Source: ours
        """
        start = len(self.data)
        self.data += content
        return {"o": start, "n": len(content)}


def unpack(block: dict[str, Any], data: bytes) -> np.ndarray:
    """Return the array of a block, float64, as the browser computes it.

    Args:
        block: from ``Packer.add``.
        data: the buffer of the figure.

    Source: ours
    """
    kind = _CODES[block["t"]]
    codes = np.frombuffer(data, kind, count=int(np.prod(block["h"])), offset=block["o"]).astype(np.float64)
    if block["t"] == 32:
        return codes.reshape(block["h"])
    values = block["a"] + block["b"] * codes
    values[codes == 2 ** block["t"] - 1] = np.nan
    return values.reshape(block["h"])


def values_of_state(spec: Any, data: bytes, name: str = "") -> dict[str, np.ndarray]:
    """Return every array in the state of a figure, by its path in the description.

    For tests that compare two executions of a notebook number by number.

    Args:
        spec: the trait ``spec`` of a figure, or a part of it.
        data: the trait ``data``.
        name: path of this part, empty for the whole.

    Source: ours
    """
    if isinstance(spec, dict) and {"o", "t", "h"} <= spec.keys():
        return {name: unpack(spec, data)}
    parts: Iterable[tuple[Any, Any]] = ()
    if isinstance(spec, dict):
        parts = spec.items()
    elif isinstance(spec, list):
        parts = enumerate(spec)
    found: dict[str, np.ndarray] = {}
    for key, part in parts:
        found |= values_of_state(part, data, f"{name}.{key}" if name else str(key))
    return found


def require_budget(what: str, parts: dict[str, int]) -> None:
    """Raise if the parts of a figure are together larger than a figure may be.

    Args:
        what: name of the figure.
        parts: bytes of each part, as stored.

    Raises:
        ParameterError: with the sizes, largest first, and the ways to repair it.

    Source: ours
    """
    total = sum(parts.values())
    if total > BUDGET:
        sizes = ", ".join(f"{name} {size / 1000:.1f} kB" for name, size in sorted(parts.items(), key=lambda p: -p[1]))
        raise ParameterError(
            f"{what} would bring {total / 1000:.1f} kB into the notebook, at most {BUDGET / 1000:.0f} kB are allowed "
            f"({sizes}); take fewer knob values or points, bits=8, or an axis of length 1 where a knob changes nothing"
        )
