"""Node voltages of a crossbar by one sparse factorization: the reference that the faster solvers are held to.

Kirchhoff's current law at the 2 R C nodes is a symmetric positive definite system. It is factorized once per array,
and every input is one more right-hand side.
"""

from dataclasses import dataclass

import numpy as np
import torch
from scipy import sparse
from scipy.sparse import linalg
from torch import Tensor

from weightlore.crossbar.wires_circuit import Circuit

__all__ = ["Factorized", "factorize", "solve_nodes"]


@dataclass(frozen=True)
class Factorized:
    """One array, ready for any number of inputs.

    Args:
        lu: the sparse factors.
        circuit: the array, conductance of shape (R, C).

    Source: ours
    """

    lu: linalg.SuperLU
    circuit: Circuit

    def voltages(self, drive: Tensor, sense: Tensor) -> tuple[Tensor, Tensor]:
        """Return the voltages of word and bit nodes, each (B, R, C), for drives (B, R) and ground levels (B, C)."""
        (rows, columns), circuit = self.circuit.conductance.shape, self.circuit
        right = np.zeros((2, rows, columns, len(drive)))
        right[0, :, 0] = drive.detach().cpu().numpy().T / (circuit.driver + circuit.row)
        right[1, -1, :] += sense.detach().cpu().numpy().T / (circuit.sense + circuit.column)
        solved = self.lu.solve(right.reshape(2 * rows * columns, -1)).reshape(2, rows, columns, -1)
        word, bit = torch.from_numpy(solved).movedim(-1, 1).contiguous().unbind(0)
        return word, bit


def factorize(circuit: Circuit) -> Factorized:
    """Assemble Kirchhoff's current law at every node of one array and factorize it.

        (V_w[r,j] - V_w[r,j-1]) / r_w + (V_w[r,j] - V_w[r,j+1]) / r_w + G[r,j] (V_w[r,j] - V_b[r,j]) = 0
        (V_b[r,j] - V_b[r-1,j]) / r_b + (V_b[r,j] - V_b[r+1,j]) / r_b - G[r,j] (V_w[r,j] - V_b[r,j]) = 0

    with neighbors that do not exist left out, and the driver and the sense amplifier in series with the outer segments.

    Args:
        circuit: the array, conductance of shape (R, C).

    Returns:
        The factors.

    Source: ours, Kirchhoff's current law
    """
    conductance = circuit.conductance.detach().cpu().numpy()
    nodes = np.arange(2 * conductance.size).reshape(2, *conductance.shape)
    word, bit = nodes
    along, down = np.full(word[:, 1:].size, 1 / circuit.row), np.full(bit[1:].size, 1 / circuit.column)
    one = np.concatenate([word[:, 1:].ravel(), bit[1:].ravel(), word.ravel()])
    other = np.concatenate([word[:, :-1].ravel(), bit[:-1].ravel(), bit.ravel()])
    between = np.concatenate([along, down, conductance.ravel()])
    diagonal = np.bincount(one, between, nodes.size) + np.bincount(other, between, nodes.size)
    diagonal[word[:, 0]] += 1 / (circuit.driver + circuit.row)
    diagonal[bit[-1]] += 1 / (circuit.sense + circuit.column)
    places = np.concatenate([one, other, nodes.ravel()]), np.concatenate([other, one, nodes.ravel()])
    matrix = sparse.csc_matrix((np.concatenate([-between, -between, diagonal]), places))
    options = {"SymmetricMode": True}
    return Factorized(linalg.splu(matrix, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options), circuit)


def solve_nodes(circuit: Circuit, drive: Tensor, sense: Tensor) -> tuple[Tensor, Tensor]:
    """Return the voltages of all nodes of one or more arrays.

    Args:
        circuit: conductance of shape (..., R, C).
        drive: voltages of the sources, shape (..., R), V; leading dimensions broadcast with those of the arrays.
        sense: voltages at the ends of the bit lines, shape (..., C), V.

    Returns:
        Voltages of word and of bit nodes, each (..., R, C), V, of the device of the conductances; without gradient.

    Source: ours
    """
    arrays, rows, columns = circuit.conductance.shape[:-2], *circuit.conductance.shape[-2:]
    lead = torch.broadcast_shapes(arrays, drive.shape[:-1], sense.shape[:-1])
    flat = circuit.conductance.detach().reshape(-1, rows, columns)
    which = torch.arange(len(flat)).reshape(arrays).expand(lead).reshape(-1)
    drives, senses = drive.expand(*lead, rows).reshape(-1, rows), sense.expand(*lead, columns).reshape(-1, columns)
    word = torch.empty(len(which), rows, columns, dtype=torch.float64)
    bit = torch.empty_like(word)
    for i, one in enumerate(flat):
        chosen = which == i
        if bool(chosen.any()):
            word[chosen], bit[chosen] = factorize(circuit.with_conductance(one)).voltages(
                drives[chosen.to(drives.device)], senses[chosen.to(senses.device)]
            )
    shape, device = (*lead, rows, columns), circuit.conductance.device
    return word.reshape(shape).to(device), bit.reshape(shape).to(device)
