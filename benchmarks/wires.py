"""Wires with resistance: a tile's transfer matrix against solving its nodes, for a batch of inputs."""

import torch

from benchmarks.race import Race
from weightlore.crossbar.wires import Wires, solve_wires, transfer_matrix
from weightlore.crossbar.wires_nodal import factorize

BATCH = 256


def races() -> list[Race]:
    return [_race("128x128", 128, 128), _race("128x64", 128, 64), _programming("programming 128x128", 128)]


def _tile(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    cells = 1 + 99 * torch.rand(rows, columns, generator=generator, dtype=torch.float64)
    return cells, (torch.rand(BATCH, rows, generator=generator) < 0.5).double()


def _race(name: str, rows: int, columns: int) -> Race:
    cells, volts = _tile(rows, columns)
    programmed, factors = transfer_matrix(cells, Wires()), factorize(Wires().circuit(cells))
    ground = volts.new_zeros(BATCH, columns)

    def from_factors() -> torch.Tensor:
        word, bit = factors.voltages(volts, ground)
        return (cells * (word - bit)).sum(-2)

    return Race(
        name=name,
        what=f"currents of {BATCH} inputs to a tile of {rows} rows and {columns} columns, 1 Ohm per pitch, 1 to 100 uS;"
        " 'programmed' has its matrix and 'factorized' its factors before the clock starts, the others have cells",
        contestants={
            "transfer, programmed": lambda: volts @ programmed,
            "transfer": lambda: solve_wires(cells, volts, Wires()),
            "relaxation": lambda: solve_wires(cells, volts, Wires(method="relaxation")),
            "relaxation, 2 sweeps": lambda: solve_wires(cells, volts, Wires(method="relaxation", sweeps=2)),
            "nodal, factorized": from_factors,
            "nodal": lambda: solve_wires(cells, volts, Wires(method="nodal")),
        },
        candidate="transfer, programmed",
        reference="nodal",
        tolerance=5e-3,  # of two sweeps; the tests hold the exact ones to 1e-12
        targets={"nodal, factorized": 10.0, "nodal": 10.0},
    )


def _programming(name: str, size: int) -> Race:
    cells, _ = _tile(size, size)
    return Race(
        name=name,
        what=f"the transfer matrix of a tile of {size} rows and columns, by elimination and by one solve per row",
        contestants={
            "elimination": lambda: transfer_matrix(cells, Wires()),
            "nodal": lambda: transfer_matrix(cells, Wires(method="nodal")),
            "relaxation": lambda: transfer_matrix(cells, Wires(method="relaxation")),
        },
        candidate="elimination",
        reference="nodal",
        tolerance=1e-9,
        targets={"nodal": 1.0},
    )
