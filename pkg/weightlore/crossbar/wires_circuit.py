"""The network of resistors that a crossbar with real wires is.

Word line r is driven at column 0 through the driver and one pitch of wire, bit line j ends below the last row in one
pitch of wire and the sense amplifier, which holds it at zero volts. Between them, at every crossing, sits a cell.

    drive[r] --driver+row--(r,0)---row---(r,1)---row---(r,2)      word lines, R of them
                             |             |             |
                            cell          cell          cell
                             |             |             |
                           bit line 0    bit line 1    bit line 2  --column-- ... --column+sense-- 0 V

Resistances are kept in MOhm, so that volts times uS are uA everywhere.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from weightlore.errors import ParameterError

__all__ = ["CellCurve", "Circuit", "Ladder", "ladder"]


@dataclass(frozen=True)
class CellCurve:
    """How far the current of a cell is from proportional to its voltage: I = G V + quadratic V^2 + cubic V^3.

    Args:
        quadratic: uS/V, a number or a tensor that broadcasts to the conductances.
        cubic: uS/V^2, likewise.

    Raises:
        ParameterError: if a coefficient is not finite.

    Source: ours, the polynomial cell of which two terms are enough to see sneak paths change
    """

    quadratic: float | Tensor = 0.0
    cubic: float | Tensor = 0.0

    def __post_init__(self) -> None:
        for name in ("quadratic", "cubic"):
            value = getattr(self, name)
            if not bool(torch.isfinite(torch.as_tensor(value)).all()):
                raise ParameterError(f"{name} is a coefficient of a cell's current and must be finite, got {value}")

    def current(self, conductance: Tensor, voltage: Tensor) -> Tensor:
        """Return the current in uA at a voltage over the cell, both broadcast."""
        return voltage * (conductance + voltage * (self.quadratic + voltage * self.cubic))

    def slope(self, conductance: Tensor, voltage: Tensor) -> Tensor:
        """Return the differential conductance in uS at a voltage over the cell."""
        return conductance + voltage * (2 * self.quadratic + 3 * self.cubic * voltage)


@dataclass(frozen=True)
class Circuit:
    """An array of cells and the resistances of its wires.

    Args:
        conductance: of the cells, shape (..., R, C), uS, float64.
        row: of one pitch of word line, MOhm.
        column: of one pitch of bit line, MOhm.
        driver: between a source and its word line, MOhm.
        sense: between a bit line and virtual ground, MOhm.

    Source: ours
    """

    conductance: Tensor
    row: float
    column: float
    driver: float
    sense: float

    def mirrored(self) -> "Circuit":
        """Return the same network with the two kinds of lines exchanged: driven where it was sensed."""
        turned = self.conductance.flip((-2, -1)).mT
        return Circuit(turned, row=self.column, column=self.row, driver=self.sense, sense=self.driver)

    def with_conductance(self, conductance: Tensor) -> "Circuit":
        """Return the same wires with other cells."""
        return replace(self, conductance=conductance)


@dataclass(frozen=True)
class Ladder:
    """Factorized lines: n nodes in a row, one pitch apart, fed at node 0 from a terminal.

    Args:
        fractions: share of a voltage that passes each segment, shape (n, ...), in (0, 1].
        first: resistance between terminal and node 0, MOhm.
        step: resistance between neighbors, MOhm.

    Source: ours
    """

    fractions: list[Tensor]
    first: float
    step: float

    def voltages(self, injected: list[Tensor], terminal: Tensor) -> list[Tensor]:
        """Return the node voltages where each node also receives a current from outside, in uA."""
        fed = [injected[-1]]
        for fraction, current in zip(self.fractions[:0:-1], injected[-2::-1], strict=True):
            fed.append(current + fraction * fed[-1])  # what a node receives, with all beyond it
        found = [self.fractions[0] * (terminal + self.first * fed[-1])]
        for fraction, current in zip(self.fractions[1:], fed[-2::-1], strict=True):
            found.append(fraction * (found[-1] + self.step * current))
        return found


def ladder(conductances: list[Tensor], first: float, step: float) -> Ladder:
    """Factorize lines of which each node leaks through a conductance.

    Thomas' elimination of a tridiagonal system from the far end, in the form of a continued fraction: nothing is ever
    subtracted, so that no digit is lost however good the wire is.

        Y_k = g_k + f_(k+1) Y_(k+1) ,   f_k = 1 / (1 + r_k Y_k)

    Args:
        conductances: one tensor per node, nearest to the terminal first, uS.
        first: resistance between terminal and node 0, MOhm.
        step: resistance between neighbors, MOhm.

    Returns:
        The factorized lines, as many as a tensor has entries.

    Source: ours, Thomas' algorithm for the resistor ladder
    """
    seen, fractions = conductances[-1], []
    for conductance in conductances[-2::-1]:
        fractions.append(1 / (1 + step * seen))
        seen = conductance + fractions[-1] * seen
    fractions.append(1 / (1 + first * seen))
    return Ladder(fractions[::-1], first, step)
