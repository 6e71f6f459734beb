"""Wires with resistance: what the bit lines of a crossbar carry when voltage is lost on the way.

    currents = solve_wires(conductance, voltages, wires)       uA from uS and V, exact or approximate
    E        = transfer_matrix(conductance, wires)             currents = voltages @ E
    voltages of all nodes                                      voltage_map

Three solvers stand behind one interface. ``"nodal"`` factorizes Kirchhoff's equations of an array and is the
reference. ``"transfer"`` finds the matrix that the array really multiplies by, once, after which wires cost nothing.
``"relaxation"`` takes turns between word and bit lines, for many arrays and inputs at once, and knows cells that are
not linear.
"""

import math
import numbers
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor

from weightlore.crossbar.wires_circuit import CellCurve, Circuit
from weightlore.crossbar.wires_gradient import Solver, currents
from weightlore.crossbar.wires_nodal import solve_nodes
from weightlore.crossbar.wires_relaxation import relaxed
from weightlore.crossbar.wires_transfer import effective_conductance
from weightlore.errors import ParameterError

__all__ = ["VoltageMap", "WireMethod", "Wires", "solve_wires", "transfer_matrix", "voltage_map"]

WireMethod = Literal["transfer", "nodal", "relaxation"]
RESISTIVITY_SLOPE = 0.00451  # 1/K, of the metal that NeuroSim assumes [read2025neurosim]


@dataclass(frozen=True)
class Wires:
    """Resistances of an array's lines, and how the network is solved.

    Args:
        row: of a word line, per cell pitch, Ohm, > 0.
        column: of a bit line, per cell pitch, Ohm, > 0.
        driver: between a source and its word line, Ohm, >= 0.
        sense: between a bit line and virtual ground, Ohm, >= 0.
        method: "transfer" (exact, fast after programming), "nodal" (exact, the reference) or "relaxation".
        sweeps: of the relaxation, exactly so many (1 or 2 are a cheap approximation); ``None`` until ``tolerance``.
        tolerance: of the relaxation, largest missing current relative to the largest of a cell, in (0, 1).
        temperature: K, from 300 up; wires resist by 0.451 % more per kelvin above 300.

    Raises:
        ParameterError: if a value is outside its range, or sweeps are given to another method.

    Example:
        >>> Wires(row=2.0).column
        1.0

    Source: [read2025neurosim], temperature coefficient; the network is the usual one, the solvers are ours
    """

    row: float = 1.0
    column: float = 1.0
    driver: float = 0.0
    sense: float = 0.0
    method: WireMethod = "transfer"
    sweeps: int | None = None
    tolerance: float = 1e-10
    temperature: float = 300.0

    def __post_init__(self) -> None:
        for name in ("row", "column", "driver", "sense", "tolerance", "temperature"):
            value = getattr(self, name)
            if not isinstance(value, numbers.Real) or isinstance(value, bool) or not math.isfinite(value):
                raise ParameterError(f"{name} of the wires must be a finite number, got {value!r}")
        for name in ("row", "column"):
            if getattr(self, name) <= 0:
                raise ParameterError(
                    f"{name} is the resistance of a wire per pitch and must be > 0 Ohm, got {getattr(self, name)}; "
                    "for ideal wires use wires=None, for one kind of ideal line a small number such as 1e-4"
                )
        for name in ("driver", "sense"):
            if getattr(self, name) < 0:
                raise ParameterError(f"{name} is a resistance and must be >= 0 Ohm, got {getattr(self, name)}")
        if self.method not in get_args(WireMethod):
            raise ParameterError(f"method must be one of {', '.join(get_args(WireMethod))}, got {self.method!r}")
        if not 0 < self.tolerance < 1:
            raise ParameterError(f"tolerance is a relative error and must lie in (0, 1), got {self.tolerance}")
        if self.temperature < 300:
            raise ParameterError(f"the law of the wires' resistance holds from 300 K up, got {self.temperature} K")
        self._check_sweeps()

    def _check_sweeps(self) -> None:
        if self.sweeps is None:
            return
        if isinstance(self.sweeps, bool) or not isinstance(self.sweeps, numbers.Integral) or self.sweeps < 1:
            raise ParameterError(f"sweeps counts relaxations and must be an integer >= 1 or None, got {self.sweeps!r}")
        if self.method != "relaxation":
            raise ParameterError(f"sweeps={self.sweeps} is for method='relaxation' only, got method={self.method!r}")

    def circuit(self, conductance: Tensor) -> Circuit:
        """Return the network that these wires and cells (uS) make, in double precision."""
        warmer = 1e-6 * (1 + RESISTIVITY_SLOPE * (self.temperature - 300))  # and Ohm to MOhm
        row, column = self.row * warmer, self.column * warmer
        return Circuit(conductance.double(), row, column, driver=self.driver * 1e-6, sense=self.sense * 1e-6)


@dataclass(frozen=True)
class VoltageMap:
    """Where the voltage goes.

    Args:
        word: voltages of the nodes on word lines, shape (..., R, C), V.
        bit: voltages of the nodes on bit lines, shape (..., R, C), V.

    Source: ours
    """

    word: Tensor
    bit: Tensor


def solve_wires(conductance: Tensor, voltages: Tensor, wires: Wires, *, curve: CellCurve | None = None) -> Tensor:
    """Return the currents of the bit lines.

    Leading dimensions broadcast: (R, C) and (B, R) are one array and B inputs, (T, 1, R, C) and (T, B, R) are T arrays
    with B inputs each.

    Args:
        conductance: of the cells, shape (..., R, C), uS, >= 0.
        voltages: of the sources, shape (..., R), V.
        wires: resistances and method.
        curve: what the cells' current has beside G V; needs method "relaxation".

    Returns:
        Currents, shape (..., C), uA, of the conductances' dtype, computed in float64; differentiable in conductances,
        voltages and the curve's coefficients (for "nodal" and "relaxation" once, by the adjoint network).

    Raises:
        ParameterError: if shapes or values do not fit, a curve meets a linear method, or the relaxation does not
            converge; the message has the residual.

    Example:
        >>> solve_wires(torch.tensor([[100.0]]), torch.tensor([1.0]), Wires(row=1000.0, column=1000.0))
        tensor([83.3333])

    Source: ours, Kirchhoff's laws
    """
    _check(conductance, voltages, wires, curve)
    circuit, drive = wires.circuit(conductance), voltages.double()
    if wires.method == "transfer":
        found = _product(drive, effective_conductance(circuit))
    elif wires.sweeps is not None:
        ground = drive.new_zeros(conductance.shape[-1])
        word, bit = relaxed(circuit, drive, ground, sweeps=wires.sweeps, curve=curve)
        over = word - bit
        found = (curve.current(circuit.conductance, over) if curve else circuit.conductance * over).sum(-2)
    else:
        solver = _nodal if wires.method == "nodal" else _relaxation(wires)
        found = currents(circuit, drive, curve, solver)
    return found.to(conductance.dtype)


def transfer_matrix(conductance: Tensor, wires: Wires) -> Tensor:
    """Return the effective conductance: what ideal wires would need to give the same currents.

        currents = voltages @ transfer_matrix(conductance, wires)

    Args:
        conductance: of the cells, shape (..., R, C), uS, >= 0.
        wires: resistances and method: "transfer" eliminates line by line, the others solve one unit input per row.

    Returns:
        Effective conductance, shape (..., R, C), uS, of the conductances' dtype.

    Raises:
        ParameterError: as in ``solve_wires``.

    Source: [jain2020rxnn], fast crossbar model; the elimination is ours
    """
    rows = conductance.shape[-2] if isinstance(conductance, Tensor) and conductance.ndim >= 2 else 0
    units = torch.eye(rows, dtype=torch.float64, device=getattr(conductance, "device", None))
    if wires.method != "transfer" and rows:
        return solve_wires(conductance.unsqueeze(-3), units, wires)
    _check(conductance, units[:1], wires, None)
    return effective_conductance(wires.circuit(conductance)).to(conductance.dtype)


def voltage_map(conductance: Tensor, voltages: Tensor, wires: Wires, *, curve: CellCurve | None = None) -> VoltageMap:
    """Return the voltages of all nodes of the lines, as a picture needs them.

    Args:
        conductance: of the cells, shape (..., R, C), uS, >= 0.
        voltages: of the sources, shape (..., R), V; leading dimensions broadcast.
        wires: resistances; "relaxation" relaxes, the other methods solve the nodes.
        curve: what the cells' current has beside G V; needs method "relaxation".

    Returns:
        Voltages of word and bit nodes, of the conductances' dtype, without gradient.

    Raises:
        ParameterError: as in ``solve_wires``.

    Source: ours, Kirchhoff's laws
    """
    _check(conductance, voltages, wires, curve)
    with torch.no_grad():
        circuit, drive = wires.circuit(conductance), voltages.double()
        solver = _relaxation(wires) if wires.method == "relaxation" else _nodal
        word, bit = solver(circuit, drive, drive.new_zeros(conductance.shape[-1]), curve)
    return VoltageMap(word.to(conductance.dtype), bit.to(conductance.dtype))


def _nodal(circuit: Circuit, drive: Tensor, sense: Tensor, _: CellCurve | None) -> tuple[Tensor, Tensor]:
    return solve_nodes(circuit, drive, sense)


def _relaxation(wires: Wires) -> Solver:
    def solve(circuit: Circuit, drive: Tensor, sense: Tensor, curve: CellCurve | None) -> tuple[Tensor, Tensor]:
        return relaxed(circuit, drive, sense, sweeps=wires.sweeps, tolerance=wires.tolerance, curve=curve)

    return solve


def _product(voltages: Tensor, effective: Tensor) -> Tensor:
    """Multiply inputs by one matrix, by one matrix each, or (T, B, R) by (T, 1, R, C), as matrix products."""
    if effective.ndim == 2:
        return voltages @ effective
    if effective.shape[-3] == 1 and voltages.ndim >= 2:
        return voltages @ effective.squeeze(-3)
    return (voltages.unsqueeze(-2) @ effective).squeeze(-2)


def _check(conductance: Tensor, voltages: Tensor, wires: Wires, curve: CellCurve | None) -> None:
    """Check shapes, values and whether the method can do what is asked."""
    _check_numbers("conductance", conductance, "(..., R, C)", 2)
    _check_numbers("voltages", voltages, "(..., R)", 1)
    shape, given = tuple(conductance.shape), tuple(voltages.shape)
    if 0 in shape[-2:]:
        raise ParameterError(f"an array needs at least one row and one column, got conductances of shape {shape}")
    if given[-1] != shape[-2]:
        raise ParameterError(
            f"an array of {shape[-2]} rows takes voltages of shape (..., {shape[-2]}), got {given} for {shape}"
        )
    try:
        torch.broadcast_shapes(shape[:-2], given[:-1])
    except RuntimeError as error:
        raise ParameterError(
            f"leading dimensions must broadcast, got conductances {shape} and voltages {given}; "
            "for B inputs to each of T arrays use (T, 1, R, C) and (T, B, R)"
        ) from error
    if bool((conductance < 0).any()):
        raise ParameterError(f"a conductance must be >= 0 uS, got {float(conductance.detach().min()):.4g}")
    if curve is not None and wires.method != "relaxation":
        raise ParameterError(f"curved cells need Wires(method='relaxation'), got method={wires.method!r}")


def _check_numbers(what: str, tensor: Tensor, form: str, dimensions: int) -> None:
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point() or tensor.ndim < dimensions:
        came = f"{tensor.dtype} of shape {tuple(tensor.shape)}" if isinstance(tensor, Tensor) else type(tensor).__name__
        raise ParameterError(f"{what} must be a floating tensor of shape {form}, got {came}")
    bad = int((~torch.isfinite(tensor)).sum())
    if bad:
        raise ParameterError(f"{what} must be finite, but {bad} of {tensor.numel()} entries are NaN or infinite")
