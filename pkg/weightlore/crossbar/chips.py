"""From digits to what the cells of a chip really hold.

    digits -> (flip) -> conductance -> written -> faulty -> aged -> behind wires -> levels

Everything that is drawn here is drawn once; a chip is read many times.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.crossbar.cells import Cells
from weightlore.crossbar.config import CrossbarConfig
from weightlore.crossbar.drift import compensation_factor, drifted
from weightlore.crossbar.encodings import Encoded
from weightlore.crossbar.faults import faulted
from weightlore.crossbar.programming import programmed
from weightlore.crossbar.wires import Wires, transfer_matrix
from weightlore.errors import ParameterError

__all__ = ["Chip", "flipped_lines", "manufacture"]


@dataclass(frozen=True)
class Chip:
    """One or more programmed chips.

    Args:
        levels: of the cells, shape (K, S, O, D) or (n_chips, K, S, O, D): uint8 where cells are exact, else float64.
        variance: of the levels from reading to reading, same shape, ``None`` for none.
        flipped: which bit lines hold complements, shape (T, K, S, O), ``None`` for none.
        gain: digital factor of each slice against drift, shape (..., K), ``None`` for none.
        raised: levels that every cell shows at the converter above its own.
        pedestal: how much of that is taken off after conversion.

    Source: ours
    """

    levels: Tensor
    variance: Tensor | None = None
    flipped: Tensor | None = None
    gain: Tensor | None = None
    raised: float = 0.0
    pedestal: float = 0.0


def flipped_lines(encoded: Encoded, rows: int) -> tuple[Tensor, Tensor]:
    """Return digits with complements where those add up to less, and which bit lines have them.

        flipped where  sum over rows of digit  >  R largest / 2

    Args:
        encoded: weights as digits.
        rows: of a tile.

    Returns:
        Digits, shape (K, S, O, D), and flags, shape (T, K, S, O).

    Source: [shafiee2016isaac], flipped encoding
    """
    largest = torch.tensor(encoded.largest).reshape(-1, 1, 1, 1)
    tiles, flags = [], []
    for tile in encoded.digits.split(rows, dim=-1):
        flip = 2 * tile.sum(-1) > tile.shape[-1] * largest.squeeze(-1)
        tiles.append(torch.where(flip.unsqueeze(-1), largest - tile, tile))
        flags.append(flip)
    return torch.cat(tiles, dim=-1), torch.stack(flags)


def manufacture(
    encoded: Encoded,
    config: CrossbarConfig,
    *,
    generator: torch.Generator | None = None,
    n_chips: int | None = None,
) -> Chip:
    """Write digits into one chip, or into several.

    Args:
        encoded: weights as digits.
        config: what the crossbar is made of.
        generator: needed where something is drawn; it advances, chip by chip.
        n_chips: how many chips; ``None`` for one without a dimension of its own.

    Returns:
        What the cells hold.

    Raises:
        ParameterError: if something is to be drawn and there is no generator, or ``n_chips`` is no number from 1 up.

    Source: [zhang2019bitslice], mapping of weights; non-idealities as named in their own modules
    """
    if n_chips is not None and n_chips < 1:
        raise ParameterError(f"n_chips must be at least 1 or None, got {n_chips}")
    digits, flipped = flipped_lines(encoded, config.rows) if config.flip else (encoded.digits, None)
    if config.cells is None and config.faults is None and config.wires is None:
        return Chip(digits.to(torch.uint8), flipped=flipped)
    if _is_drawn(config) and generator is None:
        raise ParameterError("chips are drawn: pass generator=torch.Generator().manual_seed(0)")
    random = generator or torch.Generator()
    cells = config.cells or Cells()
    meant = cells.conductance(digits, config.cell_bits)
    chips = [_chip(meant, cells, config, random) for _ in range(n_chips or 1)]
    levels = _snapped(torch.stack([levels for levels, _, _ in chips]) if n_chips else chips[0][0])
    variance = _together([variance for _, variance, _ in chips], n_chips)
    gain = _together([gain for _, _, gain in chips], n_chips)
    at_converter = cells.common_mode in ("digital", "uncorrected")
    raised = cells.pedestal(config.cell_bits) if at_converter else 0.0
    if raised == 0 and bool((levels == levels.round()).all()) and bool((levels >= 0).all()):
        levels = levels.to(torch.uint8)
    pedestal = raised if cells.common_mode == "digital" else 0.0
    return Chip(levels, variance, flipped, gain, raised, pedestal)


def _is_drawn(config: CrossbarConfig) -> bool:
    cells = config.cells
    drawn = cells is not None and (
        cells.programming is not None or (cells.drift is not None and config.age is not None)
    )
    return drawn or config.faults is not None


def _chip(
    meant: Tensor, cells: Cells, config: CrossbarConfig, generator: torch.Generator
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Levels and variance (K, S, O, D) and gain (K,) of one chip."""
    dummy = cells.common_mode == "dummy_column"
    meant = _beside_idle(meant, cells) if dummy else meant
    written = programmed(meant, cells.programming, generator=generator, window=cells.window)
    if config.faults is not None:
        tiles = [faulted(t, config.faults, cells, generator=generator) for t in written.split(config.rows, dim=-1)]
        written = torch.cat(tiles, dim=-1)
    held, gain = written, None
    if config.age is not None:
        held = drifted(written, config.age, cells.drift, generator=generator, meant=meant)
        if config.compensate:
            gain = compensation_factor(written.sum(-1).flatten(1), held.sum(-1).flatten(1))
    held, idle = (held[..., :-1, :], held[..., -1:, :]) if dummy else (held, None)
    reached = held if config.wires is None else _behind_wires(held, config.wires, config)
    step = cells.step(config.cell_bits)
    levels = reached / step
    if cells.common_mode == "ideal":
        levels = levels - cells.pedestal(config.cell_bits)
    elif idle is not None:
        levels = levels - idle / step
    variance = None
    if cells.reading is not None:
        share = torch.where(held > 0, reached / held.clamp(min=1e-12), torch.ones_like(held))
        variance = (cells.reading.sigma(held) * share / step).square()
    return levels, variance, gain


def _beside_idle(meant: Tensor, cells: Cells) -> Tensor:
    """Conductances with one more bit line in every array, (K, S, O + 1, D), of cells at level 0.

    It is written, breaks and ages like all others. Its readings are taken to be steady, and its wires short.
    """
    return torch.cat([meant, torch.full_like(meant[..., :1, :], cells.g_min)], dim=-2)


def _together(parts: list[Tensor | None], n_chips: int | None) -> Tensor | None:
    """What belongs to each chip, with a dimension of chips where one is wanted; ``None`` where no chip has any."""
    present = [part for part in parts if part is not None]
    if not present:
        return None
    return torch.stack(present) if n_chips else present[0]


def _behind_wires(conductance: Tensor, wires: Wires, config: CrossbarConfig) -> Tensor:
    """Effective conductances (K, S, O, D): each tile of rows and columns is a network of its own."""
    tiles = []
    for rows in conductance.split(config.rows, dim=-1):
        parts = [transfer_matrix(part.mT, wires).mT for part in rows.split(config.columns, dim=-2)]
        tiles.append(torch.cat(parts, dim=-2))
    return torch.cat(tiles, dim=-1)


def _snapped(levels: Tensor) -> Tensor:
    """Whole numbers where only the rounding of conductances keeps levels from them."""
    whole = levels.round()
    return torch.where((levels - whole).abs() < 1e-9, whole, levels)
