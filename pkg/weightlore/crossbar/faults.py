"""Cells that cannot be written, and lines that do not conduct.

    stuck off    a cell at g_min, whatever was written, with probability ``off``; so is one that was never formed
    stuck on     a cell at g_max, with probability ``on``
    dead row     a word line that is cut: its cells carry no current
    dead column  a bit line that is cut: it reads zero

Every draw takes the same numbers from the generator whatever the probabilities, so that with the same generator more
faults contain fewer.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from weightlore.crossbar.cells import Cells
from weightlore.crossbar.programming import require_conductance
from weightlore.errors import ParameterError

__all__ = ["Faults", "faulted"]


@dataclass(frozen=True)
class Faults:
    """How much of an array is broken.

    Args:
        off: probability that a cell is stuck at g_min.
        on: probability that it is stuck at g_max; the sum of both is at most 1.
        dead_rows: probability that a word line is cut.
        dead_columns: probability that a bit line is cut.

    Source: ours
    """

    off: float = 0.0
    on: float = 0.0
    dead_rows: float = 0.0
    dead_columns: float = 0.0

    def __post_init__(self) -> None:
        for each in fields(self):
            if not 0 <= getattr(self, each.name) <= 1:
                raise ParameterError(
                    f"{each.name} is a probability and must be from 0 to 1, got {getattr(self, each.name)}"
                )
        if self.off + self.on > 1:
            raise ParameterError(f"a cell is stuck off or on, off + on must be <= 1, got {self.off} + {self.on}")


def faulted(conductance: Tensor, faults: Faults | None, cells: Cells, *, generator: torch.Generator) -> Tensor:
    """Break an array, after it was written.

    The leading dimensions are arrays of their own: each has its own broken lines. One tensor is one chip.

    Args:
        conductance: what was written, shape (..., N, D) = (bit lines, word lines), uS.
        faults: how much is broken, ``None`` for nothing.
        cells: where stuck cells stand.
        generator: source of randomness, one uniform draw per cell, word line and bit line; not used without faults.

    Returns:
        Conductances, uS, in a new tensor of the same shape and dtype; 0 where a line is cut.

    Raises:
        ParameterError: if a conductance is negative or not finite, or there are no bit and word lines.

    Source: ours
    """
    if conductance.dim() < 2:
        raise ParameterError(f"an array has the shape (..., N, D), got {tuple(conductance.shape)}; add a bit line")
    held = require_conductance(conductance).clone()
    if faults is None:
        return held
    *arrays, lines, words = held.shape
    shapes = ((*arrays, lines, words), (*arrays, 1, words), (*arrays, lines, 1))
    cell, row, column = (
        torch.rand(shape, generator=generator, dtype=torch.float64, device=held.device) for shape in shapes
    )
    held[cell < faults.off] = cells.g_min
    held[cell >= 1 - faults.on] = cells.g_max
    return held.masked_fill((row < faults.dead_rows) | (column < faults.dead_columns), 0.0)
