"""Evaluate the device models of aihwkit and CrossSim, for a comparison with ours.

    python -m tests.crossbar.peers.device_presets AIHWKIT CROSSSIM

takes the folders of the two sources (the one that holds ``aihwkit/``, and the one that holds ``simulator/``) and writes
``device_presets.json`` beside this file. Of both, only the files of the device models are loaded: they are plain torch
and numpy. Chance is replaced by a number of standard deviations, so that the curves come out exactly; the statistics
are sampled with the seed below.
"""

import importlib
import json
import sys
import types
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

STORED = Path(__file__).with_suffix(".json")
PCM_GRID = [0.0, 0.25, 1.0, 2.5, 5.0, 10.0, 12.5, 17.5, 22.0, 25.0]  # uS
WAN_GRID = [0.0, 1.0, 4.0, 10.0, 20.0, 30.0, 40.0]
MILO_GRID = [50.0, 75.0, 100.0, 150.0, 200.0, 225.0]
SECONDS = [20.0, 3600.0, 86400.0]  # since writing
WAN_SECONDS = [1.0, 86400.0, 172800.0]
SAMPLED, DRAWS, SEED = [2.5, 12.5, 25.0], 20_000, 7


def bare_aihwkit(folder: str) -> None:
    """Make the files of aihwkit importable without its compiled part."""
    for name in ("aihwkit", "aihwkit.inference", "aihwkit.inference.noise", "aihwkit.inference.converter"):
        module = types.ModuleType(name)
        module.__path__ = [str(Path(folder, *name.split(".")))]
        sys.modules[name] = module


@contextmanager
def drawn(module: ModuleType, value: float):
    """Let every normal draw of a module of aihwkit come out at so many standard deviations."""
    before = module.randn_like
    module.randn_like = lambda like: torch.full_like(like, value)
    try:
        yield
    finally:
        module.randn_like = before


def aihwkit_curves() -> dict:
    """What aihwkit's models say, without chance."""
    pcm, reram = (importlib.import_module(f"aihwkit.inference.noise.{name}") for name in ("pcm", "reram"))
    grid, model = torch.tensor(PCM_GRID, dtype=torch.float64), pcm.PCMLikeNoiseModel(g_max=25.0)
    out: dict = {"pcm_grid": PCM_GRID, "seconds": SECONDS, "wan_grid": WAN_GRID}
    with drawn(pcm, 1.0):
        out["pcm_sigma"] = (model.apply_programming_noise_to_conductance(grid) - grid).tolist()
    for name, value in (("low", -1.0), ("middle", 0.0), ("high", 1.0)):
        with drawn(pcm, value):
            out[f"pcm_exponent_{name}"] = model.generate_drift_coefficients(grid).tolist()
    nu = torch.tensor(out["pcm_exponent_middle"], dtype=torch.float64)
    drift, read = [], []
    for seconds in SECONDS:  # aihwkit counts from 20 s after writing
        with drawn(pcm, 0.0):
            drift.append(model.apply_drift_noise_to_conductance(grid, nu, seconds - 20.0))
        with drawn(pcm, 1.0):
            read.append(model.apply_drift_noise_to_conductance(grid, 0 * nu, seconds - 20.0) - grid)
    out["pcm_drifted"] = torch.stack(drift).tolist()
    out["pcm_read_sigma"] = torch.stack(read).tolist()
    grid, wan = torch.tensor(WAN_GRID, dtype=torch.float64), reram.ReRamWan2022NoiseModel(g_max=40.0)
    with drawn(reram, 1.0):
        curves = [wan.apply_drift_noise_to_conductance(grid, grid, seconds) - grid for seconds in WAN_SECONDS]
    return out | {"wan_seconds": WAN_SECONDS, "wan_sigma": torch.stack(curves).tolist()}


def aihwkit_statistics() -> dict:
    """Mean and standard deviation of aihwkit's phase-change cells after writing, drift and 1/f noise."""
    pcm = importlib.import_module("aihwkit.inference.noise.pcm")
    model, moments = pcm.PCMLikeNoiseModel(g_max=25.0), []
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        for seconds in SECONDS:
            meant = torch.tensor(SAMPLED, dtype=torch.float64).repeat(DRAWS, 1)
            written = model.apply_programming_noise_to_conductance(meant)
            nu = model.generate_drift_coefficients(meant)
            cells = model.apply_drift_noise_to_conductance(written, nu, seconds - 20.0)
            moments.append([cells.mean(0).tolist(), cells.std(0).tolist()])
    return {"conductances": SAMPLED, "seconds": SECONDS, "draws": DRAWS, "seed": SEED, "mean_and_std": moments}


def crosssim_curves() -> dict:
    """What CrossSim's model of Milo's cells says, without chance."""
    importlib.import_module("simulator.backend").ComputeBackend(use_gpu=False)
    module = importlib.import_module("simulator.devices.custom.RRAM_Milo")
    device = types.SimpleNamespace(
        Rmin=1 / 225e-6, Rmax=1 / 50e-6, Vread=0.1, Gmin_norm=50 / 225, Gmax_norm=1.0, Grange_norm=1 - 50 / 225
    )
    device.clip_conductance, device.cell_bits, device.time = False, 0, 0
    device.nonlinear_IV = types.SimpleNamespace(enable=False)
    model = module.RRAMMilo(device, types.SimpleNamespace(magnitude=0))
    normalized, before = np.array(MILO_GRID) / 225, np.random.normal
    np.random.normal = lambda scale, size: np.full(size, scale)
    try:
        moved = model.programming_error(normalized)
    finally:
        np.random.normal = before
    return {"milo_grid": MILO_GRID, "milo_sigma": ((moved - normalized) * 225).tolist()}


if __name__ == "__main__":
    bare_aihwkit(sys.argv[1])
    sys.path.insert(0, sys.argv[2])
    stored = {
        "script": "tests/crossbar/peers/device_presets.py",
        "versions": {
            "aihwkit": Path(sys.argv[1], "aihwkit", "VERSION.txt").read_text().strip(),
            "CrossSim": "3.2.0",
        },
        "aihwkit": aihwkit_curves(),
        "aihwkit_statistics": aihwkit_statistics(),
        "CrossSim": crosssim_curves(),
    }
    STORED.write_text(json.dumps(stored, indent=1) + "\n")
