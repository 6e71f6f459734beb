"""Cells hold whole numbers as conductances, between an off state that conducts and an on state that is finite.

    G(level)  = g_min + step level,      step = (g_max - g_min) / (2^cell_bits - 1)       Cells.conductance
    I         = V sum_r x_r G_r                                                           bitline_currents
    sum x level = I / (V step) - (g_min / step) sum x                                     decoded

The last term is the *common mode*: the current of cells that hold nothing. Conductances are in uS, voltages in V,
currents in uA. Presets: ``PCM_CELLS``, ``RERAM_MILO_CELLS``, ``RERAM_WAN_CELLS`` and ``ISAAC_CELLS``.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from weightlore.crossbar.drift import Drift, PcmDrift
from weightlore.crossbar.programming import PCM, RERAM_MILO, Noise, ProportionalNoise, require_conductance, reram_wan
from weightlore.crossbar.reading import PcmReadNoise
from weightlore.errors import ParameterError, require_finite

__all__ = [
    "ISAAC_CELLS",
    "PCM_CELLS",
    "RERAM_MILO_CELLS",
    "RERAM_WAN_CELLS",
    "Cells",
    "CommonMode",
    "bitline_currents",
    "decoded",
    "full_scale",
]

CommonMode = Literal["ideal", "digital", "dummy_column", "uncorrected"]


@dataclass(frozen=True)
class Cells:
    """The cells of an array.

    Args:
        g_min: conductance of level 0, uS, >= 0.
        g_max: conductance of the largest level, uS, > g_min.
        common_mode: what becomes of the current of level 0. ``"ideal"`` takes it away before the converter;
            ``"digital"`` after it, from the count of inputs; ``"dummy_column"`` before it, by a bit line of cells at
            level 0, which are written, break and drift as others do, but are read without noise;
            ``"uncorrected"`` leaves it in.
        programming: noise of writing, ``None`` for none.
        reading: noise of each reading, normal, ``None`` for none.
        drift: what time does, ``None`` for nothing.
        clamp: where written conductances are cut: ``"physical"`` below zero, ``"window"`` outside of g_min and g_max.

    Source: ours
    """

    g_min: float = 0.0
    g_max: float = 100.0
    common_mode: CommonMode = "ideal"
    programming: Noise | None = None
    reading: Noise | None = None
    drift: Drift | None = None
    clamp: Literal["physical", "window"] = "physical"

    def __post_init__(self) -> None:
        if not 0 <= self.g_min < self.g_max < math.inf:
            raise ParameterError(f"conductances must satisfy 0 <= g_min < g_max uS, got {self.g_min} and {self.g_max}")
        if self.common_mode not in get_args(CommonMode):
            raise ParameterError(f"common_mode must be one of {get_args(CommonMode)}, got {self.common_mode!r}")
        if self.clamp not in ("physical", "window"):
            raise ParameterError(f"clamp must be 'physical' or 'window', got {self.clamp!r}")
        if isinstance(self.reading, ProportionalNoise) and self.reading.kind == "lognormal":
            raise ParameterError("read noise is added up on a bit line and must be normal; use kind='linear'")

    @property
    def window(self) -> tuple[float, float]:
        """Least and greatest conductance that is left standing, uS."""
        return (0.0, math.inf) if self.clamp == "physical" else (self.g_min, self.g_max)

    def step(self, cell_bits: int) -> float:
        """Return the conductance of one level, uS."""
        if not (isinstance(cell_bits, int) and cell_bits >= 1):
            raise ParameterError(f"cell_bits must be a whole number from 1 up, got {cell_bits!r}")
        return (self.g_max - self.g_min) / (2**cell_bits - 1)

    def pedestal(self, cell_bits: int) -> float:
        """Return the conductance of level 0, in levels: what the common mode adds per unit of input."""
        return self.g_min / self.step(cell_bits)

    def conductance(self, levels: Tensor, cell_bits: int) -> Tensor:
        """Return the conductances of levels 0 to 2^cell_bits - 1, uS; whole numbers become float64."""
        step = self.step(cell_bits)
        held = levels if levels.is_floating_point() else levels.to(torch.float64)
        require_finite("levels", held)
        if bool(((held < 0) | (held > 2**cell_bits - 1)).any()):
            raise ParameterError(
                f"a cell of {cell_bits} bits holds 0 to {2**cell_bits - 1}, got {float(held.min())} to "
                f"{float(held.max())}; slice_digits cuts larger numbers"
            )
        return self.g_min + step * held

    def levels(self, conductance: Tensor, cell_bits: int) -> Tensor:
        """Return conductances in levels above g_min, as real numbers."""
        return (conductance - self.g_min) / self.step(cell_bits)


PCM_CELLS = Cells(0.0, 25.0, programming=PCM, reading=PcmReadNoise(), drift=PcmDrift())
"""Phase-change memory of 25 uS, with noise, 1/f noise and drift [nandakumar2019pcm]."""

RERAM_MILO_CELLS = Cells(50.0, 225.0, programming=RERAM_MILO)
"""ReRAM with an on/off ratio of 4.5 [milo2021reram]."""

RERAM_WAN_CELLS = Cells(0.0, 40.0, programming=reram_wan())
"""ReRAM of 40 uS, a second after writing [wan2022reram]; the range is that of the fit, its lower end ours."""

ISAAC_CELLS = Cells(0.5, 500.0)
"""2 kOhm on and 2 MOhm off, of the file ISAAC.json in [feinberg2026crosssim]."""


def bitline_currents(inputs: Tensor, conductance: Tensor, *, voltage: float = 0.2) -> Tensor:
    """Return the current of each bit line.

        I[j] = V sum_r x_r G[j, r]

    Args:
        inputs: digits on the word lines, shape (..., D), in the dtype of the conductances.
        conductance: of the cells, shape (N, D), uS.
        voltage: V of one unit of input.

    Returns:
        Currents, shape (..., N), uA.

    Raises:
        ParameterError: if a conductance is negative or not finite.

    Source: ours, Ohm's law and Kirchhoff's
    """
    return voltage * (inputs @ require_conductance(conductance).mT)


def decoded(
    currents: Tensor,
    inputs: Tensor,
    cells: Cells,
    *,
    cell_bits: int,
    voltage: float = 0.2,
    dummy: Tensor | None = None,
) -> Tensor:
    """Return the sums of products that currents stand for.

        sum x level = I / (V step) - (g_min / step) sum x

    The second term is there in the modes ``"ideal"`` and ``"digital"``; with a dummy column it is that column's
    current; ``"uncorrected"`` leaves it out, so that the sums are too large by it.

    Args:
        currents: of the bit lines, shape (..., N), uA.
        inputs: digits on the word lines, shape (..., D).
        cells: what they flowed through.
        cell_bits: bits of a cell.
        voltage: V of one unit of input.
        dummy: current of the dummy column, shape (...,), uA; given where the cells have one.

    Returns:
        Sums, shape (..., N), exact up to rounding where the cells have no noise.

    Raises:
        ParameterError: if a dummy column is missing, or given to cells that have none.

    Source: ours
    """
    if (dummy is None) == (cells.common_mode == "dummy_column"):
        need = "needs the current" if dummy is None else "takes no current"
        raise ParameterError(f"common_mode={cells.common_mode!r} {need} of a dummy column; change one of the two")
    unit = voltage * cells.step(cell_bits)
    if dummy is not None:
        return (currents - dummy.unsqueeze(-1)) / unit
    if cells.common_mode == "uncorrected":
        return currents / unit
    return currents / unit - cells.pedestal(cell_bits) * inputs.sum(-1, keepdim=True)


def full_scale(cells: Cells, *, cell_bits: int, rows: int, largest_digit: int = 1) -> float:
    """Return the greatest sum that the converter of a bit line can meet, in levels.

        rows largest_digit (2^cell_bits - 1 + pedestal)

    The pedestal g_min / step counts where the common mode reaches the converter, in ``"digital"`` and
    ``"uncorrected"``. That is what a finite on/off ratio costs: the same converter has coarser steps.

    Args:
        cells: the cells.
        cell_bits: bits of a cell.
        rows: word lines R of a tile, >= 1.
        largest_digit: of an input, 2^dac_bits - 1.

    Raises:
        ParameterError: if rows or largest_digit is below 1.

    Example:
        >>> full_scale(Cells(10.0, 100.0, common_mode="digital"), cell_bits=2, rows=128)
        426.66...

    Source: ours
    """
    if rows < 1 or largest_digit < 1:
        raise ParameterError(
            f"rows and largest_digit must be >= 1, got {rows} and {largest_digit}; is the array empty?"
        )
    reaches = cells.common_mode in ("digital", "uncorrected")
    return rows * largest_digit * (2**cell_bits - 1 + (cells.pedestal(cell_bits) if reaches else 0.0))
