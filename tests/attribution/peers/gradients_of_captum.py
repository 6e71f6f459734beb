"""Attributions of captum for three small networks, for a comparison with ours.

    python -m tests.attribution.peers.gradients_of_captum

needs captum installed (``make peers``) and writes ``gradients_of_captum.json`` beside this file. Weights and inputs are
dyadic and come without a generator. Where captum's default differs from ours the option is given: its saliency returns
absolute values, its Grad-CAM keeps negative sums, its guided Grad-CAM repeats pixels instead of interpolating.
"""

import copy
import json
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

STORED = Path(__file__).with_suffix(".json")
TARGET = torch.tensor([2, 0])
LAYER, EPSILON = "4", 0.01
NETWORKS: dict[str, tuple[type[nn.Module], nn.Module]] = {  # what follows the first convolution
    "averages": (nn.ReLU, nn.Sequential(nn.ReLU(), nn.AvgPool2d(2))),
    "maxima": (nn.ReLU, nn.Sequential(nn.MaxPool2d(2), nn.Identity())),
    "rectified maxima": (nn.ReLU, nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))),
    "smooth": (nn.Tanh, nn.Sequential(nn.Tanh(), nn.AvgPool2d(2))),
}


def dyadic(shape: torch.Size, number: int) -> Tensor:
    """Multiples of 1/64 between -1/2 and 1/2, no two neighbors alike."""
    places = torch.arange(shape.numel(), dtype=torch.float64).view(shape)
    return ((37 * places + 23 * number + 11 + (places * places) % 7) % 61 - 30) / 64


BASELINE = dyadic(torch.Size([1, 1, 6, 6]), 12) + 0.25  # not flat, so that no maximum is a tie


def case(name: str) -> tuple[nn.Module, Tensor]:
    """A network of two convolutions for images (N, 1, 6, 6) with 3 classes, in eval mode, and two images."""
    activation, between = NETWORKS[name]
    first = [nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), *copy.deepcopy(between)]
    more = [nn.Conv2d(3, 4, 2), activation(), nn.Flatten(), nn.Linear(16, 3)]
    model = nn.Sequential(*first, *more).double().eval()
    for number, parameter in enumerate(model.parameters()):
        parameter.data = dyadic(parameter.shape, number)
    model[1].running_mean, model[1].running_var = dyadic(torch.Size([3]), 8), 1 + dyadic(torch.Size([3]), 9)
    return model, dyadic(torch.Size([2, 1, 6, 6]), 10) + 0.5


def captum_methods(model: nn.Module, x: Tensor) -> dict[str, Callable[[], Tensor]]:
    """What captum calls them, by the names that they have here."""
    from captum import attr
    from captum.attr._utils.lrp_rules import EpsilonRule

    layer: Any = model.get_submodule(LAYER)

    def relevance() -> Tensor:
        for part in model:  # type: ignore[attr-defined]
            if isinstance(part, nn.Conv2d | nn.AvgPool2d | nn.Linear | nn.BatchNorm2d):
                part.rule = EpsilonRule(EPSILON)
            if isinstance(part, nn.Flatten):
                part.rule = EpsilonRule(1e-15)  # it needs a rule, and nothing is added up
        return attr.LRP(model).attribute(x, TARGET)

    every = {
        "gradient": lambda: attr.Saliency(model).attribute(x, TARGET, abs=False),
        "gradient_times_input": lambda: attr.InputXGradient(model).attribute(x, TARGET),
        "grad_cam": lambda: attr.LayerGradCam(model, layer).attribute(x, TARGET, relu_attributions=True),
        "deep_lift": lambda: attr.DeepLift(model).attribute(x, BASELINE.expand_as(x), TARGET),
    }
    parts = {type(part) for part in model.modules()}
    if nn.ReLU in parts:
        every |= {
            "guided_backprop": lambda: attr.GuidedBackprop(model).attribute(x, TARGET),
            "deconvnet": lambda: attr.Deconvolution(model).attribute(x, TARGET),
            "guided_grad_cam": lambda: attr.GuidedGradCam(model, layer).attribute(
                x, TARGET, interpolate_mode="bilinear"
            ),
        }
    return every if nn.MaxPool2d in parts else every | {"lrp_epsilon": relevance}


def attributions(name: str) -> dict[str, list[Any]]:
    """What captum finds in a network."""
    model, x = case(name)
    return {method: run().detach().tolist() for method, run in captum_methods(model, x).items()}


if __name__ == "__main__":
    content = {
        "script": "tests/attribution/peers/gradients_of_captum.py",
        "versions": {"captum": version("captum")},
        "attributions": {name: attributions(name) for name in NETWORKS},
    }
    rounded = json.loads(json.dumps(content), parse_float=lambda text: float(f"{float(text):.9g}"))
    STORED.write_text(json.dumps(rounded) + "\n", encoding="utf-8")
