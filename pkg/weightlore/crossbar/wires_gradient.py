"""Gradients through a solved network, for the price of solving it once more.

The network is its own adjoint: a loss that weighs the bit lines' currents by u has the gradients that follow from the
same network with its drivers at zero and its bit lines held at u volts (Tellegen's theorem). With x and a the voltages
over a cell in the two solutions,

    d loss / dG[r,c] = -x[r,c] a[r,c] ,   d loss / dV[r] = current that then flows into driver r

and for a curved cell the second network is made of the slopes.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from weightlore.crossbar.wires_circuit import CellCurve, Circuit

__all__ = ["Solver", "currents"]

Solver = Callable[[Circuit, Tensor, Tensor, CellCurve | None], tuple[Tensor, Tensor]]


def currents(circuit: Circuit, drive: Tensor, curve: CellCurve | None, solver: Solver) -> Tensor:
    """Return the bit lines' currents as a solver finds them, differentiable once.

    Args:
        circuit: conductance of shape (..., R, C).
        drive: voltages of the sources, shape (..., R), V.
        curve: what the cells' current has beside G V.
        solver: from circuit, drive, sense and curve to the voltages of word and bit nodes.

    Returns:
        Currents, shape (..., C), uA; differentiable in conductances, voltages and coefficients.

    Source: ours, Tellegen's theorem
    """
    bent = curve or CellCurve()
    quadratic, cubic = (torch.as_tensor(value).to(circuit.conductance) for value in (bent.quadratic, bent.cubic))
    found: Tensor = _Currents.apply(circuit, solver, curve is None, circuit.conductance, drive, quadratic, cubic)
    return found


class _Currents(torch.autograd.Function):
    """Currents forward, the adjoint network backward."""

    @staticmethod
    def forward(ctx: Any, *given: Any) -> Tensor:
        circuit, solver, straight, conductance, drive, quadratic, cubic = given
        curve = None if straight else CellCurve(quadratic, cubic)
        ground = drive.new_zeros(conductance.shape[-1])
        word, bit = solver(circuit.with_conductance(conductance), drive, ground, curve)
        ctx.circuit, ctx.solver, ctx.shape = circuit, solver, drive.shape
        ctx.save_for_backward(conductance, quadratic, cubic, word - bit)
        return CellCurve(quadratic, cubic).current(conductance, word - bit).sum(-2)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *outer: Any) -> Any:
        conductance, quadratic, cubic, over = ctx.saved_tensors
        slopes = (
            CellCurve(quadratic, cubic).slope(conductance, over) if bool(quadratic.any() | cubic.any()) else conductance
        )
        word, bit = ctx.solver(ctx.circuit.with_conductance(slopes), over.new_zeros(ctx.shape), outer[0], None)
        through = (bit - word) * over
        return (
            *(None, None, None),
            through.sum_to_size(conductance.shape),
            (slopes * (bit - word)).sum(-1).sum_to_size(ctx.shape),
            (through * over).sum_to_size(quadratic.shape),
            (through * over * over).sum_to_size(cubic.shape),
        )
