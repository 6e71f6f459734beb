"""Solve arrays with wires in CrossSim, for a comparison with ours.

    CROSSSIM=FOLDER python -m tests.crossbar.peers.wires_crosssim

takes the folder of CrossSim's source (the one that holds ``simulator/``) and writes ``wires_crosssim.json`` beside this
file. CrossSim iterates over voltage drops; its tolerance is set to 1e-10 of a volt here. Driver and sense amplifier are
left out: the comparison is of the network of wires and cells.
"""

import importlib
import json
import os
import sys
import tomllib
from pathlib import Path

import torch

STORED = Path(__file__).with_suffix(".json")
LARGEST = 100.0  # uS
CASES = [  # rows, columns, Ohm per pitch of a row and of a column
    (16, 16, 1.0, 1.0),
    (24, 40, 2.0, 0.5),
    (64, 48, 1.0, 1.0),
    (128, 128, 1.0, 1.0),
]


def case(rows: int, columns: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Conductances (R, C) in uS and voltages (R,) that need no generator: residues, two rows of three on."""
    r, c = torch.arange(rows)[:, None], torch.arange(columns)
    cells = 1.0 + (LARGEST - 1) / 100 * ((37 * r + 61 * c + 13 * r * c) % 101).double()
    return cells, (torch.arange(rows) % 3 != 1).double()


def currents(folder: str) -> list[list[float]]:
    """The bit lines' currents in uA that CrossSim finds for every case."""
    sys.path.insert(0, folder)
    parameters = importlib.import_module("simulator").CrossSimParameters()
    arrays = importlib.import_module("simulator.circuits.array")
    importlib.import_module("simulator.backend").ComputeBackend(use_gpu=False)
    parameters.simulation.Verr_th_mvm, parameters.simulation.Niters_max_parasitics = 1e-10, 5000
    parameters.xbar.device.Rmin = 1e6 / LARGEST
    parasitics, found = parameters.xbar.array.parasitics, []
    for rows, columns, along, down in CASES:
        parasitics.enable, parasitics.Rp_row, parasitics.Rp_col = True, along, down
        solver = arrays.NoninterleavedInputSourceArray(parameters)
        solver.gamma = 0.9  # it relaxes further where it must
        cells, volts = case(rows, columns)
        found.append((LARGEST * solver.iterative_solve((cells / LARGEST).mT.numpy().copy(), volts.numpy())).tolist())
    return found


def version(folder: str) -> str:
    """The version that the source says it is."""
    return tomllib.loads(Path(folder, "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]


if __name__ == "__main__":
    source = os.environ["CROSSSIM"]
    script = "tests/crossbar/peers/wires_crosssim.py"
    content = {"script": script, "versions": {"CrossSim": version(source)}, "currents": currents(source)}
    STORED.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
