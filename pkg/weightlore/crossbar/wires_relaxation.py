"""Node voltages of many crossbars at once, by relaxing all word lines, then all bit lines, and again.

Given the bit lines, the word lines do not know of each other: each is a ladder, solved exactly. So are the bit lines
given the word lines. Taking turns is block Gauss-Seidel on a positive definite system with two blocks, which always
converges. One or two sweeps are a cheap approximation. Cells whose current is not proportional to their voltage are
linearized anew before every turn (Newton's method, one sweep a step).
"""

import math

import torch
from torch import Tensor

from weightlore.crossbar.wires_circuit import CellCurve, Circuit, Ladder, ladder
from weightlore.errors import ParameterError

__all__ = ["MOST_SWEEPS", "relaxed"]

MOST_SWEEPS = 2000
BLOCK = 1 << 18  # nodes of a kind that are relaxed together: their voltages fit a cache


def relaxed(
    circuit: Circuit,
    drive: Tensor,
    sense: Tensor,
    *,
    sweeps: int | None = None,
    tolerance: float = 1e-10,
    curve: CellCurve | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the voltages of all nodes of one or more arrays by line relaxation.

    Each example stops when its own currents are found, so that its result does not depend on the others.

    Args:
        circuit: conductance of shape (..., R, C).
        drive: voltages of the sources, shape (..., R), V; leading dimensions broadcast with those of the arrays.
        sense: voltages at the ends of the bit lines, shape (..., C), V.
        sweeps: exactly so many sweeps, without a look at the residual; ``None`` until the tolerance is met.
        tolerance: largest current that is missing at a node, relative to the largest that a cell would carry without
            wires.
        curve: what the cells' current has beside G V.

    Returns:
        Voltages of word and of bit nodes, each (..., R, C), V.

    Raises:
        ParameterError: if the tolerance is not met within ``MOST_SWEEPS`` sweeps, with the residual; or if a curve
            bends back, so that a cell's current falls while its voltage rises.

    Source: ours
    """
    lead = torch.broadcast_shapes(circuit.conductance.shape[:-2], drive.shape[:-1], sense.shape[:-1])
    many = max(1, BLOCK // max(1, math.prod(lead[1:]) * circuit.conductance.shape[-2:].numel()))
    if len(lead) <= circuit.conductance.ndim - 2 or lead[0] <= many:
        return _relaxed(circuit, drive, sense, sweeps, tolerance, curve)
    drives, senses = (ends.expand(*lead, -1).split(many) for ends in (drive, sense))
    pairs = zip(drives, senses, strict=True)
    found = [_relaxed(circuit, some, grounds, sweeps, tolerance, curve) for some, grounds in pairs]
    return torch.cat([word for word, _ in found]), torch.cat([bit for _, bit in found])


def _relaxed(
    circuit: Circuit,
    drive: Tensor,
    sense: Tensor,
    sweeps: int | None,
    tolerance: float,
    curve: CellCurve | None,
) -> tuple[Tensor, Tensor]:
    shape = torch.broadcast_shapes(
        circuit.conductance.shape, (*drive.shape, 1), (*sense.shape[:-1], 1, sense.shape[-1])
    )
    word, bit = drive.unsqueeze(-1).expand(shape), sense.unsqueeze(-2).expand(shape)
    lines = None if curve else _factorized(circuit)
    scale = _largest(_current(circuit, word - bit, curve))
    open_ = torch.ones(shape[:-2], dtype=torch.bool, device=word.device)
    done = 0
    while True:
        done += 1
        new_word, new_bit, missing = _sweep(circuit, (word, bit), drive, sense, lines, curve)
        keep = open_[..., None, None]
        word, bit = torch.where(keep, new_word, word), torch.where(keep, new_bit, bit)
        if sweeps is not None:
            if done == sweeps:
                return word, bit
            continue
        open_ = open_ & ~(missing <= tolerance * scale)
        if not bool(open_.any()):
            return word, bit
        if done >= MOST_SWEEPS:
            _give_up(missing / scale, open_, tolerance)


def _sweep(
    circuit: Circuit,
    nodes: tuple[Tensor, Tensor],
    drive: Tensor,
    sense: Tensor,
    lines: tuple[Ladder, Ladder] | None,
    curve: CellCurve | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Solve the word lines, then the bit lines; return both and the largest current still missing, (...)."""
    word, bit = nodes
    over = word - bit
    slope, rest = _linearized(circuit, over, curve)
    word_lines, bit_lines = lines or _factorized(circuit.with_conductance(slope))
    columns = (slope * bit - rest).movedim(-1, 0).contiguous()
    word = torch.stack(word_lines.voltages(list(columns.unbind(0)), drive)).movedim(0, -1).contiguous()
    taken = slope * (word - bit) + rest
    if curve:
        slope, rest = _linearized(circuit, word - bit, curve)
        bit_lines = _factorized(circuit.with_conductance(slope))[1]
    bit = torch.stack(bit_lines.voltages(list((slope * word + rest).unbind(-2))[::-1], sense)[::-1], -2)
    given = slope * (word - bit) + rest
    true = _current(circuit, word - bit, curve)
    return word, bit, torch.maximum(_largest(true - taken), _largest(true - given))


def _factorized(circuit: Circuit) -> tuple[Ladder, Ladder]:
    cells = circuit.conductance
    return (
        ladder(list(cells.movedim(-1, 0).contiguous().unbind(0)), circuit.driver + circuit.row, circuit.row),
        ladder(list(cells.unbind(-2))[::-1], circuit.sense + circuit.column, circuit.column),
    )


def _current(circuit: Circuit, over: Tensor, curve: CellCurve | None) -> Tensor:
    return curve.current(circuit.conductance, over) if curve else circuit.conductance * over


def _linearized(circuit: Circuit, over: Tensor, curve: CellCurve | None) -> tuple[Tensor, Tensor]:
    """Return slope and offset of the cells' current at the voltage over them: I = slope V + offset."""
    if curve is None:
        return circuit.conductance, over.new_zeros(())
    slope = curve.slope(circuit.conductance, over)
    if bool((slope < 0).any()):
        where = float(over[slope == slope.amin()].flatten()[0])
        raise ParameterError(
            f"a cell's current must not fall while its voltage rises, but at {where:.3g} V over it the slope is "
            f"{float(slope.detach().amin()):.3g} uS; use smaller coefficients or voltages"
        )
    return slope, curve.current(circuit.conductance, over) - slope * over


def _largest(current: Tensor) -> Tensor:
    return current.detach().abs().amax((-2, -1))


def _give_up(residual: Tensor, open_: Tensor, tolerance: float) -> None:
    worst, examples = float(residual[open_].max()), f"{int(open_.sum())} of {open_.numel()} examples"
    raise ParameterError(
        f"line relaxation did not converge: after {MOST_SWEEPS} sweeps the residual is {worst:.2e} of the largest "
        f"current in {examples}, asked for {tolerance:.2e}; raise the tolerance, or use method='transfer' or 'nodal'"
    )
