"""The studies behind the ledger of bit slices: many networks from few starts, and what each of them came to.

A study pre-trains a network per seed, prunes it and fine-tunes copies of it with every method and strength. All copies
see the same batches, so that differences within a seed are paired. Epochs are selected on validation images, cut from
the training set; test accuracy is written down and selects nothing.

    STUDIES                             what was trained, on what, for how long
    points(study, seed)                 its points, from book/ledger/frontier/<study>.json or trained now
    point(study, seed, method, a)       one of its points, trained now unless a checkpoint is left
    network(study, seed, method, a)     the network itself, likewise

Checkpoints lie in the folder for temporary files: a study that is interrupted goes on, and networks are looked at again
without training them twice.
"""

import copy
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from weightlore.bitslice import (
    FixedPoint,
    Penalty,
    Point,
    Recipe,
    bitline_loads,
    fit_phase,
    l1_penalty,
    none_penalty,
    nonzero_ratios,
    prune,
    slice_l1_penalty,
)
from weightlore.data import Split, digits, fetch
from weightlore.networks import mlp, resnet20, vgg11
from weightlore.training import evaluate, sgd

torch.set_num_threads(1)

FILES = Path(__file__).parents[2] / "book" / "ledger" / "frontier"
CHECKPOINTS = Path(tempfile.gettempdir()) / "weightlore-sliced"
METHODS: dict[str, Callable[[float], Penalty | None]] = {
    "none": none_penalty,
    "l1": l1_penalty,
    "slice": slice_l1_penalty,
}


@dataclass(frozen=True)
class Study:
    """One network on one data set with one schedule.

    Args:
        name: of its file.
        data: set to fetch.
        words: what was trained, one sentence without its end.
        make: the network from a generator.
        pretrain: the first phase and the threshold.
        finetune: the third.
        strengths: of each method.
        seeds: one network each.
        rows: R, rows of a tile, for the loads.
        kept: whether points and checkpoints are kept; what is fast is trained anew each time.
    """

    name: str
    data: str
    words: str
    make: Callable[[torch.Generator], FixedPoint]
    pretrain: Recipe
    finetune: Recipe
    strengths: dict[str, tuple[float, ...]]
    seeds: tuple[int, ...]
    rows: int = field(default=128)
    kept: bool = field(default=True)


def points(study: Study, seed: int) -> tuple[Point, ...]:
    """Return the points of a seed; those that the file lacks are trained and added to it."""
    asked = [("pruned", 0.0)] + [(method, a) for method, each in study.strengths.items() for a in each]
    known = {(p.method, p.strength): p for p in stored(study) if p.seed == seed}
    for method, strength in asked:
        if (method, strength) not in known:
            known[method, strength] = point(study, seed, method, strength)
            if study.kept:
                _store(study, [p for p in stored(study) if p.seed != seed] + list(known.values()))
    return tuple(known[one] for one in asked)


def stored(study: Study) -> list[Point]:
    """Return the points that lie in the file of a study."""
    path = FILES / f"{study.name}.json"
    return [Point(**p) for p in json.loads(path.read_text("utf-8"))["points"]] if path.exists() else []


def network(study: Study, seed: int, method: str, strength: float) -> FixedPoint:
    """Return the network of a point, at its selected epoch."""
    return _finetuned(study, seed, method, strength)[0]


def splits(name: str) -> tuple[Split, Split, Split]:
    """Return training, validation and test images, float32."""
    return {"fashion-mnist": _clothes, "cifar10-subset": _photographs, "digits": _digits}[name]()


@lru_cache(maxsize=1)
def _clothes() -> tuple[Split, Split, Split]:
    """The first 30,000 training images, the last 5,000 for validation, 10,000 test images; inputs in [0, 1]."""
    sets = fetch("fashion-mnist")
    train, test = (Split(sets[name].x.float().flatten(1), sets[name].y) for name in ("train", "test"))
    return train[torch.arange(30_000)], train[torch.arange(55_000, 60_000)], test


@lru_cache(maxsize=1)
def _photographs() -> tuple[Split, Split, Split]:
    """The first 3,500 training images, the other 500 for validation, 1,000 test images; normalized by channel."""
    sets = fetch("cifar10-subset")
    train, test = (sets[name].to(dtype=torch.float32) for name in ("train", "test"))
    mean, spread = train.x.mean((0, 2, 3), keepdim=True), train.x.std((0, 2, 3), keepdim=True)
    train, test = (Split((one.x - mean) / spread, one.y) for one in (train, test))
    return train[torch.arange(3_500)], train[torch.arange(3_500, 4_000)], test


def _digits() -> tuple[Split, Split, Split]:
    """The embedded digits, float64."""
    return digits("train"), digits("validation"), digits()


@lru_cache(maxsize=1)
def _pruned(name: str, seed: int) -> tuple[FixedPoint, dict[str, Tensor]]:
    """Return the network of a seed after pre-training and pruning, and its masks."""
    study, generator = STUDIES[name], torch.Generator().manual_seed(seed)
    train, validation, _ = splits(study.data)
    model = study.make(generator)
    fit_phase(
        model,
        train,
        l1_penalty(study.pretrain.pretrain_strength),
        validation=validation,
        generator=generator,
        epochs=study.pretrain.pretrain_epochs,
        recipe=study.pretrain,
        checkpoint=CHECKPOINTS / name / f"{seed}-pretrain.pt" if study.kept else None,
    )
    return model, prune(model, study.pretrain.threshold)


def _finetuned(study: Study, seed: int, method: str, strength: float) -> tuple[FixedPoint, int]:
    """Return a fine-tuned copy and the number of its selected epoch."""
    start, masks = _pruned(study.name, seed)
    model = copy.deepcopy(start)
    if method == "pruned":
        return model, 0
    train, validation, _ = splits(study.data)
    phase = fit_phase(
        model,
        train,
        METHODS[method](strength),
        validation=validation,
        generator=torch.Generator().manual_seed(seed + 1),
        epochs=study.finetune.finetune_epochs,
        recipe=study.finetune,
        masks=masks,
        checkpoint=CHECKPOINTS / study.name / f"{seed}-{method}-{strength:g}.pt" if study.kept else None,
    )
    return model, phase.epoch


def point(study: Study, seed: int, method: str, strength: float) -> Point:
    """Train one network, unless its checkpoint is left, and return its point."""
    model, epoch = _finetuned(study, seed, method, strength)
    _, validation, test = splits(study.data)
    ratios = nonzero_ratios(model)
    loads = [
        bitline_loads(q.code, rows=study.rows).flatten(1).amax(1) for q in model.codes().values() if q.code.ndim > 1
    ]
    return Point(
        method=method,
        strength=strength,
        seed=seed,
        epoch=epoch,
        validation_accuracy=round(evaluate(model, validation).accuracy, 6),
        test_accuracy=round(evaluate(model, test).accuracy, 6),
        slices=tuple(round(share, 4) for share in ratios.slices.tolist()),
        weight=round(ratios.weight, 4),
        largest_loads=tuple(torch.stack(loads).amax(0).tolist()),
    )


def _store(study: Study, found: list[Point]) -> None:
    """Write all points, one a line, in one step."""
    lines = ",\n  ".join(json.dumps(asdict(p)) for p in sorted(found, key=lambda p: (p.seed, p.method, p.strength)))
    text = f'{{\n "study": {json.dumps(study.words)},\n "points": [\n  {lines}\n ]\n}}\n'
    FILES.mkdir(parents=True, exist_ok=True)
    half = FILES / f"{study.name}.half"
    half.write_text(text, "utf-8")
    half.replace(FILES / f"{study.name}.json")


def _clothes_reader(generator: torch.Generator) -> FixedPoint:
    return FixedPoint(mlp((784, 100, 10), generator=generator, dtype=torch.float32))


def _digits_reader(generator: torch.Generator) -> FixedPoint:
    return FixedPoint(mlp((64, 100, 10), generator=generator))


def _vgg(generator: torch.Generator) -> FixedPoint:
    return FixedPoint(vgg11(width=16, dropout=0.0, generator=generator)).to(memory_format=torch.channels_last)


def _resnet(generator: torch.Generator) -> FixedPoint:
    return FixedPoint(resnet20(width=4, generator=generator))


def _slower_at_the_end(epoch: int, epochs: int) -> float:
    """A fifth of the learning rate in the last ten epochs."""
    return 1.0 if epoch < epochs - 10 else 0.2


CLOTHES = (
    "784-100-10 in 8-bit fixed point on Fashion-MNIST, 30,000 training and 5,000 validation images, batches of 128"
)
GRID = {"none": (0.0,), "l1": (5.0, 10.0, 20.0, 40.0, 80.0), "slice": (0.1, 0.2, 0.5, 1.0, 2.0)}
PHOTOGRAPHS = (
    "8-bit fixed point, CIFAR-10, first 3,500 training images, 500 for validation, 1,000 test images, no augmentation, "
    "batches of 64, learning rate 0.05, momentum 0.9"
)
STRONG = {"none": (0.0,), "l1": (20.0, 60.0, 180.0), "slice": (0.5, 1.5, 4.5)}
FIVE, THREE = (0, 1, 2, 3, 4), (0, 1, 2)

STUDIES = {
    study.name: study
    for study in (
        Study(
            name="clothes-short",
            data="fashion-mnist",
            words=f"{CLOTHES}, 8 epochs with L1 of strength 10, threshold 0.01, 8 epochs of fine-tuning, learning rate "
            "0.02, momentum 0.9",
            make=_clothes_reader,
            pretrain=Recipe(pretrain_epochs=8, batch_size=128, optimizer=sgd(0.02, momentum=0.9)),
            finetune=Recipe(finetune_epochs=8, batch_size=128, optimizer=sgd(0.02, momentum=0.9)),
            strengths=GRID,
            seeds=FIVE,
        ),
        Study(
            name="clothes-long",
            data="fashion-mnist",
            words=f"{CLOTHES}, 25 epochs with L1 of strength 10, threshold 0.01, 10 epochs of fine-tuning, learning "
            "rate 0.02, then 0.004, momentum 0.9",
            make=_clothes_reader,
            pretrain=Recipe(pretrain_epochs=25, batch_size=128, optimizer=sgd(0.02, momentum=0.9)),
            finetune=Recipe(finetune_epochs=10, batch_size=128, optimizer=sgd(0.004, momentum=0.9)),
            strengths=GRID,
            seeds=FIVE,
        ),
        Study(
            name="clothes-patient",
            data="fashion-mnist",
            words=f"{CLOTHES}, 8 epochs with L1 of strength 10, threshold 0.01, 35 epochs of fine-tuning, learning "
            "rate 0.02, in the last 10 epochs 0.004, momentum 0.9",
            make=_clothes_reader,
            pretrain=Recipe(pretrain_epochs=8, batch_size=128, optimizer=sgd(0.02, momentum=0.9)),
            finetune=Recipe(
                finetune_epochs=35, batch_size=128, optimizer=sgd(0.02, momentum=0.9), schedule=_slower_at_the_end
            ),
            strengths={"none": (0.0,), "l1": (10.0, 20.0, 40.0, 80.0), "slice": (0.2, 0.5, 1.0, 2.0)},
            seeds=FIVE,
        ),
        Study(
            name="clothes-unpruned",
            data="fashion-mnist",
            words=f"{CLOTHES}, 8 epochs with L1 of strength 10, nothing pruned, 8 epochs of fine-tuning, learning rate "
            "0.02, momentum 0.9",
            make=_clothes_reader,
            pretrain=Recipe(pretrain_epochs=8, threshold=0.0, batch_size=128, optimizer=sgd(0.02, momentum=0.9)),
            finetune=Recipe(finetune_epochs=8, batch_size=128, optimizer=sgd(0.02, momentum=0.9)),
            strengths={"none": (0.0,), "l1": (10.0, 20.0, 40.0), "slice": (0.2, 0.5, 1.0)},
            seeds=FIVE,
        ),
        Study(
            name="photographs-vgg",
            data="cifar10-subset",
            words=f"VGG-11 of a quarter of the width, without dropout, {PHOTOGRAPHS}; 20 epochs with L1 of strength "
            "20, threshold 0.01, 8 epochs of fine-tuning where the authors have 150 and 150",
            make=_vgg,
            pretrain=Recipe(pretrain_epochs=20, pretrain_strength=20.0, optimizer=sgd(0.05, momentum=0.9)),
            finetune=Recipe(finetune_epochs=8, optimizer=sgd(0.05, momentum=0.9)),
            strengths=STRONG,
            seeds=THREE,
        ),
        Study(
            name="photographs-resnet",
            data="cifar10-subset",
            words=f"ResNet-20 of a quarter of the width, {PHOTOGRAPHS}; 10 epochs with L1 of strength 20, threshold "
            "0.01, 4 epochs of fine-tuning where the authors have 150 and 150",
            make=_resnet,
            pretrain=Recipe(pretrain_epochs=10, pretrain_strength=20.0, optimizer=sgd(0.05, momentum=0.9)),
            finetune=Recipe(finetune_epochs=4, optimizer=sgd(0.05, momentum=0.9)),
            strengths={"none": (0.0,), "l1": (20.0, 180.0), "slice": (0.5, 4.5)},
            seeds=THREE,
        ),
        Study(
            name="digits",
            data="digits",
            words="64-100-10 in 8-bit fixed point on digits, float64, 20 epochs with L1 of strength 10, threshold "
            "0.01, 10 epochs of fine-tuning, batches of 64, learning rate 0.05, momentum 0.9",
            make=_digits_reader,
            pretrain=Recipe(pretrain_epochs=20, optimizer=sgd(0.05, momentum=0.9)),
            finetune=Recipe(finetune_epochs=10, optimizer=sgd(0.05, momentum=0.9)),
            strengths={"none": (0.0,), "l1": (3.0, 10.0, 30.0), "slice": (0.05, 0.15, 0.5)},
            seeds=FIVE,
            kept=False,
        ),
    )
}
