"""The mistakes that any answer made of numbers can have.

general(found, expected, tolerance)   the name of the mistake and what to say of it
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["as_numbers", "close", "general", "ill_formed"]

Said = tuple[str, str]
NEAR = 0.05  # relative: an answer so near is probably rounded


def as_numbers(answer: Any) -> tuple[np.ndarray, Said | None]:
    """Return an answer as an array, and what is to be said if it is none.

    Args:
        answer: a number, nested lists of numbers, an array or a tensor; nothing else counts as numbers.

    Source: ours
    """
    if hasattr(answer, "detach"):
        answer = answer.detach().cpu().numpy()
    try:
        array = np.asarray(answer)
    except ValueError:  # lists of unequal lengths
        return np.array(np.nan), ("shape", "The rows of your answer have different lengths.")
    if array.dtype.kind not in "iufb" or array.dtype.kind == "b":
        kind = type(answer).__name__ if array.ndim == 0 else f"{type(answer).__name__} of {array.dtype}"
        return np.array(np.nan), ("type", f"The answer is made of numbers here; yours is a {kind}.")
    numbers = array.astype(np.float64)
    if np.isnan(numbers).any():
        return numbers, ("not a number", f"{int(np.isnan(numbers).sum())} entries are NaN; was something divided by 0?")
    return numbers, None


def close(found: Any, expected: Any, tolerance: float) -> bool:
    """Return whether two answers are the same numbers in the same shape.

    Args:
        found: an answer.
        expected: another one.
        tolerance: relative, of the largest number expected.

    Source: ours
    """
    (a, trouble), (b, _) = as_numbers(found), as_numbers(expected)
    if trouble or a.shape != b.shape:
        return False
    finite = np.abs(b[np.isfinite(b)])
    scale = float(finite.max()) if finite.size else 0.0
    return bool(np.allclose(a, b, rtol=0.0, atol=max(tolerance * scale, 1e-12)))


def general(found: Sequence[Any], expected: Sequence[Any], tolerance: float) -> Said | None:
    """Return the mistake that turns the expected numbers into those found, if it is one of the common ones.

    Args:
        found: answers, one for each input that was tried.
        expected: the right ones.
        tolerance: as in ``close``.

    Source: ours
    """
    for one, other in zip(found, expected, strict=True):
        if said := ill_formed(one, other, tolerance):
            return said
    a, b = (np.concatenate([as_numbers(x)[0].ravel() for x in answers]) for answers in (found, expected))
    return _values(a, b, tolerance)


def ill_formed(found: Any, expected: Any, tolerance: float) -> Said | None:
    """Return what is to be said of an answer that is no numbers, or numbers in another shape.

    Args:
        found: an answer.
        expected: the right one.
        tolerance: as in ``close``.

    Source: ours
    """
    (a, trouble), b = as_numbers(found), as_numbers(expected)[0]
    return trouble or (None if a.shape == b.shape else _shape(a, b, tolerance))


def _shape(a: np.ndarray, b: np.ndarray, tolerance: float) -> Said:
    if a.ndim == b.ndim == 2 and close(a.T, b, tolerance):
        return "transposed", "These are the right numbers with rows and columns exchanged."
    if a.size == b.size and close(a.reshape(b.shape), b, tolerance):
        return "shape", f"These are the right numbers in the shape {a.shape}; asked for was {b.shape}."
    if a.size == 1 or b.size == 1:
        wanted = "one number" if b.size == 1 else f"{b.size} numbers"
        return "shape", f"The answer is {wanted}; yours has {a.size}."
    return "shape", f"The answer has the shape {b.shape}, yours {a.shape}. Along which axis did you go?"


def _values(a: np.ndarray, b: np.ndarray, tolerance: float) -> Said | None:
    if close(a, -b, tolerance):
        return "sign", "The size is right, the direction is the opposite one."
    if a.size > 1 and close(np.abs(a), np.abs(b), tolerance):
        return "sign", f"The sizes are right, but {int((np.sign(a) != np.sign(b)).sum())} of the signs are not."
    if a.size > 1 and close(np.sort(a), np.sort(b), tolerance):
        return "order", "These are the right numbers in another order. Which entry belongs to which?"
    inner = float(b @ b)
    factor = float(a @ b) / inner if inner else 0.0
    if factor and close(a, factor * b, tolerance):
        near = " It looks rounded; give more digits." if abs(factor - 1) < NEAR else " Which norm, or which constant?"
        return "scale", f"Your answer is {factor:.3g} times the right one.{near}"
    if a.size > 2 and a.min() < a.max() and close(a, np.clip(b, a.min(), a.max()), tolerance):
        return "clipping", f"Where the answer leaves [{a.min():.3g}, {a.max():.3g}], yours is cut off."
    if a.size > 1 and close(a - a.mean(), b - b.mean(), tolerance):
        return "offset", f"Every entry is off by the same {float((a - b).mean()):.3g}."
    if close(a, b, NEAR):
        return "rounding", "Close, but not to the precision asked for. Keep more digits until the end."
    return None
