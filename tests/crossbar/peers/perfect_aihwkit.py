"""Multiply with a perfect tile of aihwkit, for a comparison with our ideal arrays.

    python -m tests.crossbar.peers.perfect_aihwkit

where aihwkit is installed (``pip install --no-deps aihwkit==1.1.0`` beside torch is enough), writes
``perfect_aihwkit.json`` beside this file: its tile in pure torch with a perfect forward pass, float32, on the codes
that CrossSim gets as well. A perfect tile knows no slices: it multiplies, and so must slices if nothing is lost.
"""

import importlib
import json
from importlib.metadata import version
from pathlib import Path

import torch
from torch import Tensor

STORED = Path(__file__).with_suffix(".json")


def product(weights: Tensor, inputs: Tensor) -> Tensor:
    """What a perfect tile makes of weights (O, D) and inputs (N, D): shape (N, O), float32."""
    configs, nn = (importlib.import_module(f"aihwkit.{name}") for name in ("simulator.configs", "nn"))
    config = configs.TorchInferenceRPUConfig()
    config.forward.is_perfect = True
    with torch.random.fork_rng():  # the tile draws weights before it is given ours
        layer = nn.AnalogLinear(weights.shape[1], weights.shape[0], bias=False, rpu_config=config)
        layer.set_weights(weights.float())
    with torch.no_grad():
        return layer(inputs.float())


if __name__ == "__main__":
    from tests.crossbar.peers.products_crosssim import SHAPES, case

    content = {
        "script": "tests/crossbar/peers/perfect_aihwkit.py",
        "versions": {"aihwkit": version("aihwkit")},
        "products": [product(*case(*shape)).tolist() for shape in SHAPES],
    }
    STORED.write_text(json.dumps(content) + "\n", encoding="utf-8")
