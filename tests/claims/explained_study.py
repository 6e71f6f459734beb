"""The studies behind the ledger of explanations: what was trained, explained and compared, and what was counted.

A study has one network per seed. Each is explained beside a copy whose blocks are drawn anew from the output down, the
last copy wholly random; beside the network of the next seed, which is trained; and by a method that looks at nothing.

    STUDIES                     digits, clothes, photographs
    network(study, seed)        a trained network
    images(study)               the hundred test images that are explained
    found(study, seed)          name -> number, from studies/explained/<study>.json or found now

Checkpoints of what takes minutes to train lie in the folder for temporary files; its numbers are stored.
"""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from tests.claims.binary_study import STUDIES as BINARY
from tests.claims.binary_study import splits as binary_splits
from torch import Tensor, nn

from weightlore.attribution import (
    Attribution,
    Method,
    Study,
    absolute_gray,
    background_share,
    compare_networks,
    grad_cam,
    gradient,
    gradient_times_input,
    guided_backprop,
    guided_grad_cam,
    hog_similarity,
    inflated_correlation,
    integrated_gradients,
    randomize,
    sensitivity_study,
    signed_diverging,
    skewed_correlation,
    smooth_grad,
    smooth_integrated_gradients,
    ssim_similarity,
)
from weightlore.data import Split
from weightlore.networks import cnn
from weightlore.training import MakeOptimizer, adam, fit

torch.set_num_threads(1)

FILES = Path(__file__).parent / "studies" / "explained"
CHECKPOINTS = Path(tempfile.gettempdir()) / "weightlore-explained"
IMAGES = 100
PATH, PRODUCT = "integrated gradients", "gradient times input"


@dataclass(frozen=True, repr=False)
class Explained:
    """One kind of network on one data set.

    Args:
        name: of its file.
        data: set to fetch, empty for the digits.
        words: what was trained and explained, one sentence without its end.
        make: the network from a generator.
        epochs: of training.
        seeds: one network each.
        window: of SSIM, pixels.
        cell: of HOG, pixels; ``None`` where pictures are too small for it.
        background: whether black pixels are the background of the images.
        optimizer: of training; ``None`` for the usual one.
    """

    name: str
    data: str
    words: str
    make: Callable[..., nn.Module]
    epochs: int
    seeds: tuple[int, ...]
    window: int
    cell: int | None
    background: bool
    optimizer: MakeOptimizer | None = None

    def __repr__(self) -> str:
        return f"Explained({self.name!r})"  # the version of a claim holds it: the same in every process


@lru_cache(maxsize=3)
def splits(study: Explained) -> tuple[Split, Split]:
    """Return training and test images, with channels."""
    train, _, test = binary_splits(BINARY[study.name])
    if study.data:
        return train, test
    return tuple(Split(one.x.unflatten(1, (1, 8, 8)) if one.x.ndim == 2 else one.x, one.y) for one in (train, test))


@lru_cache(maxsize=12)
def network(study: Explained, seed: int) -> nn.Module:
    """Return the network of a seed; a seed behind the last one is one more network."""
    generator = torch.Generator().manual_seed(seed)
    model, path = study.make(generator=generator), None
    if study.data:
        folder = CHECKPOINTS / study.name
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{seed}.pt"
    options = {"epochs": study.epochs, "batch_size": 32, "checkpoint": path}
    if study.optimizer is not None:
        options["optimizer"] = study.optimizer
    fit(model, splits(study)[0], generator=generator, **options)
    return model.eval()


def images(study: Explained) -> Split:
    """The images that are explained."""
    return splits(study)[1][torch.arange(IMAGES)]


@lru_cache(maxsize=3)
def baseline(study: Explained) -> Tensor | float:
    """What a black image is for the network."""
    if study.name != "photographs":
        return 0.0
    return splits(study)[0].x.amin((0, 2, 3))[:, None, None].expand(3, 32, 32)  # normalized: black is the least value


def seeded(method: Callable[..., Attribution], **options: object) -> Method:
    """Return a method that draws the same noise for every network."""

    def run(model: nn.Module, x: Tensor, target: Tensor) -> Attribution:
        return method(model, x, target, generator=torch.Generator().manual_seed(0), **options)

    return run


def noise(model: nn.Module, x: Tensor, target: Tensor) -> Attribution:
    """A useless method: each network gets dice of its own."""
    seed = int(sum(float(p.detach().double().abs().sum()) for p in model.parameters()) * 1e6)
    generator = torch.Generator().manual_seed(seed)
    return Attribution(torch.randn(x.shape, generator=generator, dtype=x.dtype), None, "logit")


def methods(study: Explained) -> dict[str, Method]:
    """The methods of the challenged study, on logits, signed."""
    start = baseline(study)
    return {
        PATH: partial(integrated_gradients, baseline=start, nodes=16),
        PRODUCT: gradient_times_input,
        "gradient": gradient,
        "SmoothGrad": seeded(smooth_grad, samples=25),
        "smoothed path": seeded(smooth_integrated_gradients, baseline=start, samples=10, nodes=8),
        "guided backprop": guided_backprop,
        "Grad-CAM": partial(grad_cam, layer="nonlinear.1"),
        "guided Grad-CAM": partial(guided_grad_cam, layer="nonlinear.1"),
        "noise": noise,
    }


def pictured(study: Explained) -> dict[str, Callable[[Tensor, Tensor], Tensor]]:
    """SSIM and HOG of pictures: absolute grey, and signed around the middle of the colors."""

    def gray(maps: Tensor) -> Tensor:
        return absolute_gray(maps).values

    def signed(maps: Tensor) -> Tensor:
        return (signed_diverging(maps).values + 1) / 2

    found = {}
    for name, draw in (("gray", gray), ("signed", signed)):
        found[f"SSIM {name}"] = partial(_structure, draw, study.window)
        if study.cell is not None:
            found[f"HOG {name}"] = partial(_edges, draw, study.cell)
    return found


def _structure(draw: Callable[[Tensor], Tensor], window: int, a: Tensor, b: Tensor) -> Tensor:
    return ssim_similarity(draw(a), draw(b), data_range=1.0, window=window)


def _edges(draw: Callable[[Tensor], Tensor], cell: int, a: Tensor, b: Tensor) -> Tensor:
    return hog_similarity(draw(a), draw(b), cell=cell)


def found(study: Explained, seed: int) -> dict[str, float]:
    """Return all numbers of a seed; those of a study that takes minutes are stored."""
    if not study.data:
        return _found(study, seed)
    path = FILES / f"{study.name}.json"
    known = json.loads(path.read_text("utf-8")) if path.exists() else {"study": study.words, "seeds": {}}
    if str(seed) not in known["seeds"]:
        known["seeds"][str(seed)] = _found(study, seed)
        FILES.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return known["seeds"][str(seed)]


@lru_cache(maxsize=16)
def _found(study: Explained, seed: int) -> dict[str, float]:
    model, data, generator = network(study, seed), images(study), torch.Generator().manual_seed(seed)
    options = {"baseline": baseline(study), "measures": pictured(study)}
    cascade = sensitivity_study(model, data, methods(study), draws=1, generator=generator, **options)
    others = {"trained": [network(study, seed + 1)]}
    control = compare_networks(model, data, methods(study), others=others, **options)
    alone = sensitivity_study(
        model,
        data,
        {PATH: methods(study)[PATH]},
        scheme="independent",
        chosen=["layers.2"],
        draws=1,
        generator=generator,
        baseline=baseline(study),
    )
    steps = list(dict.fromkeys(cascade.step.tolist()))
    names = dict(zip(steps, ("readout", "hidden", "second", "all"), strict=True))
    numbers = {}
    for rows, named in ((cascade, names), (control, {"trained": "trained"}), (alone, {"layers.2": "hidden alone"})):
        for one in rows.summarize():
            way = f"{one.sign} {one.mask}" if one.measure == "rank" else one.measure
            numbers[f"{one.method}, {named[one.step]}, {way}"] = one.mean
    return numbers | _formulas(study, seed, cascade, steps[-1])


def _formulas(study: Explained, seed: int, cascade: Study, last: str) -> dict[str, float]:
    """The closed forms against what was measured, and what the random network predicts."""
    data, start = images(study), baseline(study)
    share = background_share(data.x, start)
    pixels = data.x[0, 0].numel()
    rows = {
        way: cascade.select(method=PATH, step=last, measure="rank", sign=way[0], mask=way[1]).value
        for way in (("abs", "all"), ("abs", "active"), ("signed", "all"))
    }
    known = torch.tensor(rows["abs", "active"]).isfinite()
    active = torch.tensor(rows["abs", "active"])[known]
    tied = inflated_correlation(share[known], active, pixels=pixels).numpy()
    (random,) = randomize(network(study, seed), scheme="full", generator=torch.Generator().manual_seed(seed))
    classes = network(study, seed)(data.x).argmax(1)
    negative = [_negative(one, study, classes) for one in (network(study, seed), random.model)]
    skewed = skewed_correlation(share.double(), *negative).numpy()
    predicted = random.model(data.x).argmax(1)
    return {
        "background": float(share.double().mean()),
        "tie formula, largest error": float(np.abs(tied - rows["abs", "all"][known.numpy()]).max()),
        "skew formula, mean error": abs(float(np.nanmean(skewed)) - float(np.nanmean(rows["signed", "all"]))),
        "negative, trained": float(negative[0].mean()),
        "negative, random": float(negative[1].mean()),
        "random predicts one class": float(predicted.bincount().max() / len(predicted)),
        "random agrees": float((predicted == classes).double().mean()),
    }


@torch.no_grad()
def _negative(model: nn.Module, study: Explained, classes: Tensor) -> Tensor:
    """Share of the active pixels whose attribution is negative, for each image."""
    with torch.enable_grad():
        maps = methods(study)[PATH](model, images(study).x, classes).values.sum(1).flatten(1)
    return ((maps < 0).sum(1) / (maps != 0).sum(1).clamp(min=1)).double()


STUDIES = {
    study.name: study
    for study in (
        Explained(
            name="digits",
            data="",
            words="CNN with 8 and 16 channels and average pooling on digits, float64, 15 epochs; the first 100 test "
            "images",
            make=cnn,
            epochs=15,
            seeds=tuple(range(10)),
            window=3,
            cell=None,
            background=True,
        ),
        Explained(
            name="clothes",
            data="fashion-mnist",
            words="CNN with 8 and 16 channels and average pooling on Fashion-MNIST, first 10,000 training images, "
            "float32, 10 epochs; the first 100 test images",
            make=partial(cnn, image=(1, 28, 28), dtype=torch.float32),
            epochs=10,
            seeds=tuple(range(5)),
            window=7,
            cell=7,
            background=True,
        ),
        Explained(
            name="photographs",
            data="cifar10-subset",
            words="CNN with 16 and 32 channels and average pooling on CIFAR-10, first 3,500 training images, "
            "normalized by channel, float32, Adam, 20 epochs; the first 100 test images",
            make=partial(cnn, (16, 32), image=(3, 32, 32), dtype=torch.float32),
            epochs=20,
            seeds=tuple(range(5)),
            window=7,
            cell=8,
            background=False,
            optimizer=adam(1e-3),
        ),
    )
}
DIGITS, CLOTHES, PHOTOGRAPHS = STUDIES.values()
