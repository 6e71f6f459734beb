"""A sensitivity study against its own maps: what drawing networks, predicting, ranking and writing the table cost.

Six methods, five random networks, a hundred images; four correlations of every map. With methods of many passes, as in
the first race, the maps are nearly all; with six that need one pass each the rest shows. Beside it the same
correlations image by image, as they are usually computed.
"""

from functools import partial
from itertools import product

import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from benchmarks.race import Race
from weightlore.attribution import (
    Attribution,
    Method,
    Study,
    deconvnet,
    deep_lift,
    grad_cam,
    gradient,
    gradient_times_input,
    guided_backprop,
    integrated_gradients,
    randomize,
    sensitivity_study,
    smooth_grad,
)
from weightlore.data import Split, digits
from weightlore.networks import cnn, healthy

NETWORKS, IMAGES = 5, 100
CHOICES = list(product(("signed", "abs"), ("all", "active")))


def smooth(model: nn.Module, x: Tensor, classes: Tensor) -> Attribution:
    """SmoothGrad under the same noise for every network."""
    return smooth_grad(model, x, classes, samples=50, generator=torch.Generator().manual_seed(0))


METHODS: dict[str, Method] = {
    "gradient": gradient,
    "gradient times input": gradient_times_input,
    "guided backpropagation": guided_backprop,
    "deconvnet": deconvnet,
    "Grad-CAM": partial(grad_cam, layer="layers.1"),
    "DeepLIFT": partial(deep_lift, baseline=0.0),
}
USUAL: dict[str, Method] = {
    **{name: METHODS[name] for name in ("gradient", "gradient times input", "guided backpropagation", "Grad-CAM")},
    "SmoothGrad": smooth,
    "integrated gradients": partial(integrated_gradients, baseline=0.0, nodes=32),
}
Maps = list[list[Tensor]]


def races() -> list[Race]:
    return [_usual(), _digits(), _larger()]


def _usual() -> Race:
    what = (
        "6 methods, among them SmoothGrad (50 samples) and integrated gradients (32 nodes), 5 random networks, 100 "
        "digits 8x8, the healthy CNN, float64, 4 correlations of each map"
    )
    return _race("usual methods", what, healthy("cnn"), digits("test", images=True)[:IMAGES], USUAL)


def _digits() -> Race:
    what = "the same with 6 methods of one pass each: Grad-CAM, DeepLIFT and the four plain and guided gradients"
    return _race("one pass each", what, healthy("cnn"), digits("test", images=True)[:IMAGES], METHODS, None)


def _larger() -> Race:
    generator = torch.Generator().manual_seed(0)
    model = cnn((16, 32), image=(1, 28, 28), hidden=64, generator=generator, dtype=torch.float32).eval()
    ink = torch.rand(IMAGES, 1, 28, 28, generator=generator) < 0.2
    x = torch.rand(IMAGES, 1, 28, 28, generator=generator) * ink
    what = (
        "one pass each on images 28x28 of which four fifths are black, a CNN with 16 and 32 channels and 64 hidden "
        "units, float32"
    )
    return _race("28x28", what, model, Split(x, torch.zeros(IMAGES, dtype=torch.int64)), METHODS)


def _race(
    name: str, what: str, model: nn.Module, data: Split, methods: dict[str, Method], target: float | None = 1 / 1.5
) -> Race:
    classes = model(data.x).argmax(1)

    def networks() -> list[nn.Module]:
        generator = torch.Generator().manual_seed(0)
        return [randomize(model, scheme="full", generator=generator)[0].model for _ in range(NETWORKS)]

    def maps(others: list[nn.Module]) -> Maps:
        return [[m(network, data.x, classes).values for m in methods.values()] for network in [model, *others]]

    def study() -> Study:
        generator = torch.Generator().manual_seed(0)
        return sensitivity_study(model, data, methods, scheme="full", draws=NETWORKS, generator=generator)

    def compared(found: Study | Maps | Tensor) -> Tensor:
        if isinstance(found, Study):
            return torch.stack([torch.tensor(found.select(sign=s, mask=m).value) for s, m in CHOICES])
        return found if isinstance(found, Tensor) else _one_by_one(found, data.x)

    made = networks()
    return Race(
        name=name,
        what=what,
        contestants={
            "the study": study,
            "its maps alone": lambda: maps(made),
            "maps, then SciPy image by image": lambda: _one_by_one(maps(networks()), data.x),
        },
        candidate="the study",
        reference="maps, then SciPy image by image",
        tolerance=1e-6,
        compared=lambda found: compared(found).nan_to_num(nan=2.0),
        targets={} if target is None else {"its maps alone": round(target, 3)},
    )


def _one_by_one(maps: Maps, x: Tensor) -> Tensor:
    """Return the correlations of each network's maps with the first one's, choice by choice."""
    found = []
    for sign, mask in CHOICES:
        for others in maps[1:]:
            for mine, other in zip(maps[0], others, strict=True):
                for image, a, b in zip(x, mine, other, strict=True):
                    keep = image != 0 if mask == "active" else torch.ones_like(image, dtype=torch.bool)
                    ranked = [v[keep].abs() if sign == "abs" else v[keep] for v in (a, b)]
                    flat = any(v.min() == v.max() for v in ranked)
                    found.append(float("nan") if flat else spearmanr(*(v.numpy() for v in ranked))[0])
    return torch.tensor(found).reshape(len(CHOICES), -1)
