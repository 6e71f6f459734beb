"""Multiply with bit-sliced arrays in CrossSim, for a comparison with ours.

    CROSSSIM=FOLDER python -m tests.crossbar.peers.products_crosssim

takes the folder of CrossSim's source (the one that holds ``simulator/``) and writes ``products_crosssim.json`` beside
this file: style BITSLICED, BALANCED, four slices of 2-bit cells, inputs bit by bit; once without converters, and once
with 3-bit converters in a calibrated range on every bit line, input bit and array.
"""

import json
import os
from pathlib import Path

import torch
from benchmarks import crossbar_crosssim
from tests.crossbar.peers.wires_crosssim import version

STORED = Path(__file__).with_suffix(".json")
SHAPES = [(5, 40), (7, 128), (6, 384), (3, 100)]  # outputs, inputs; tiles have at most 128 rows
FULL_SCALE = 77.0
BATCH = 4


def case(outputs: int, inputs: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes that need no generator: weights (O, D) from -255 to 255, both of them used, and inputs (4, D)."""
    o, d, b = torch.arange(outputs)[:, None], torch.arange(inputs), torch.arange(BATCH)[:, None]
    weights = (37 * o + 61 * d + 13 * o * d) % 511 - 255
    weights[0, 0], weights[0, 1] = 255, -255
    return weights.to(torch.int16), ((91 * b + 29 * d + 7 * b * d) % 256).to(torch.uint8)


def products(folder: str, full_scale: float | None) -> list[list[list[float]]]:
    """What CrossSim finds for every case."""
    layers = [case(*shape) for shape in SHAPES]
    found = crossbar_crosssim.product(folder, layers, [min(128, inputs) for _, inputs in SHAPES], full_scale)()
    return [one.tolist() for one in found]


if __name__ == "__main__":
    source = os.environ["CROSSSIM"]
    content = {
        "script": "tests/crossbar/peers/products_crosssim.py",
        "versions": {"CrossSim": version(source)},
        "ideal": products(source, None),
        "converted": products(source, FULL_SCALE),
    }
    STORED.write_text(json.dumps(content) + "\n", encoding="utf-8")
