"""One comparison of a function of ours with that of another library, as data: what, by which calls, how close."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch

Numbers = Callable[[], Any]


@dataclass(frozen=True)
class Case:
    """Ours and theirs for the same input, and what is expected of the two.

    ``close`` bounds the largest difference, relative where their numbers are larger than 1. A reason says why the two
    differ by more; without one they must agree.
    """

    library: str
    function: str
    row: str
    what: str
    ours: Numbers
    theirs: Numbers
    close: float
    reason: str = ""

    @property
    def name(self) -> str:
        return f"{self.library}/{self.function}/{self.what}"

    @property
    def verdict(self) -> str:
        return "differs" if self.reason else "agrees"


def flat(numbers: Any) -> list[float]:
    """The numbers as a list."""
    parts = numbers if isinstance(numbers, list | tuple) else [numbers]
    arrays = (part.detach().double().numpy() if isinstance(part, torch.Tensor) else np.asarray(part) for part in parts)
    return [float(v) for array in arrays for v in np.ravel(array)]


def difference(ours: list[float], theirs: list[float]) -> float:
    """The largest difference, relative where the largest of their numbers is above 1."""
    a, b = np.array(ours), np.array(theirs)
    return float(np.abs(a - b).max() / max(1.0, np.abs(b).max()))


def installed(library: str) -> str | None:
    """The version of a library, or nothing where it is not installed."""
    try:
        return version(library)
    except PackageNotFoundError:
        return None
