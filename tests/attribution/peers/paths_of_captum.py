"""Integrated gradients of captum for small networks and its five rules, for a comparison with ours.

    python -m tests.attribution.peers.paths_of_captum

needs captum installed (``make peers``) and writes ``paths_of_captum.json`` beside this file, for the networks and
inputs of ``gradients_of_captum``.
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.attribution.peers.gradients_of_captum import BASELINE, TARGET, case
from torch import Tensor, nn

STORED = Path(__file__).with_suffix(".json")
NETWORKS = ("averages", "smooth")
RULES = {  # ours -> captum's
    "gauss_legendre": "gausslegendre",
    "left": "riemann_left",
    "right": "riemann_right",
    "midpoint": "riemann_middle",
    "trapezoid": "riemann_trapezoid",
}
NODES = (2, 5, 50)


def integrated(model: nn.Module, x: Tensor, rule: str, nodes: int) -> Tensor:
    """What captum finds, with our name of the rule and its number of steps."""
    from captum.attr import IntegratedGradients

    found: Any = IntegratedGradients(model)
    return found.attribute(x, BASELINE.expand_as(x), TARGET, n_steps=nodes, method=RULES[rule]).detach()


if __name__ == "__main__":
    content = {
        "script": "tests/attribution/peers/paths_of_captum.py",
        "versions": {"captum": version("captum")},
        "attributions": {
            name: {rule: {nodes: integrated(*case(name), rule, nodes).tolist() for nodes in NODES} for rule in RULES}
            for name in NETWORKS
        },
    }
    rounded = json.loads(json.dumps(content), parse_float=lambda text: float(f"{float(text):.9g}"))
    STORED.write_text(json.dumps(rounded) + "\n", encoding="utf-8")
