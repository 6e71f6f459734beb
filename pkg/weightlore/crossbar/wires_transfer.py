"""The matrix that a crossbar with wires multiplies by, found once for all inputs.

Cells and wires are linear, so the currents are V @ E with an effective conductance E of the size of the array: after
programming, real wires cost what ideal ones cost [jain2020rxnn]. E is found word line by word line. What has been seen
so far is, for the bit lines below it, one admittance matrix and one injected current per input; a word line adds to
both, and a pitch of wire weakens both.

    A_r   = (1 + G_r W)^-1 G_r        word line r between bit lines, W[i,j] = driver + row (1 + min(i, j))
    Y_r   = A_r + (1 + r_b Y_(r-1))^-1 Y_(r-1)
    J_r   = [ (1 + r_b Y_(r-1))^-1 J_(r-1) ,  A_r 1 ]
    E^T   = (1 + (r_b + sense) Y_(R-1))^-1 J_(R-1)

The matrices are as large as there are bit lines. By reciprocity the network may be read from its other end, so that
they are as large as the shorter side of the array.
"""

import torch
from torch import Tensor

from weightlore.crossbar.wires_circuit import Circuit

__all__ = ["effective_conductance", "eliminated"]


def effective_conductance(circuit: Circuit) -> Tensor:
    """Return the conductance that an ideal array would need to give the same currents.

    Args:
        circuit: conductance of shape (..., R, C).

    Returns:
        Currents per volt, shape (..., R, C), uS; differentiable in the conductances.

    Source: [jain2020rxnn], the idea of a fast crossbar model; elimination by word lines and the mirror are ours
    """
    rows, columns = circuit.conductance.shape[-2:]
    if columns > rows:
        return eliminated(circuit.mirrored()).mT.flip((-2, -1))
    return eliminated(circuit)


def eliminated(circuit: Circuit) -> Tensor:
    """Return the effective conductance by eliminating one word line after the other, whatever the array's shape.

    Args:
        circuit: conductance of shape (..., R, C).

    Returns:
        Currents per volt, shape (..., R, C), uS, in about R C^3 operations.

    Source: ours, block elimination of Kirchhoff's current law
    """
    conductance, columns = circuit.conductance, circuit.conductance.shape[-1]
    one = torch.eye(columns, dtype=conductance.dtype, device=conductance.device)
    place = torch.arange(columns, dtype=conductance.dtype, device=conductance.device)
    shared = circuit.driver + circuit.row * (
        1 + torch.minimum(place[:, None], place)
    )  # (C, C), wire common to two cells
    seen, injected = torch.zeros_like(one), one[:, :0]
    for cells in conductance.unbind(-2):  # (..., C)
        line = torch.linalg.solve(one + cells.unsqueeze(-1) * shared, torch.diag_embed(cells))
        below = torch.linalg.solve(one + circuit.column * seen, _beside(seen, injected))
        seen = line + below[..., :columns]
        injected = _beside(below[..., columns:], line.sum(-1, keepdim=True))
    return torch.linalg.solve(one + (circuit.column + circuit.sense) * seen, injected).mT


def _beside(left: Tensor, right: Tensor) -> Tensor:
    """Concatenate the columns of two batches of matrices that broadcast."""
    lead = torch.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    return torch.cat([left.expand(*lead, -1, -1), right.expand(*lead, -1, -1)], -1)
