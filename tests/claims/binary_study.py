"""The studies behind the ledger of binary and spiking networks: what was trained, and how it decides over time.

A study has one real network per seed, binary ones that start from it, and spiking ones converted from either. All of a
seed see the same images, so that differences within a seed are paired.

    STUDIES                              digits, clothes, photographs
    network(study, seed, kind)           a trained network: real, binary, scratch, ...
    converted(study, seed, kind, way)    its spiking form, in one way of converting and reading it
    curve(study, seed, kind, way)        how many test images are right after each step
    fact(study, name, find)              numbers, from studies/binary/<study>.json or found now

Checkpoints of what takes minutes to train lie in the folder for temporary files; its numbers are stored.
"""

import copy
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import torch
from tests.claims.sliced_study import splits as sliced_splits
from torch import Tensor, nn

from weightlore.binary import (
    BinaryRecipe,
    BinaryTraining,
    Converted,
    PlainSign,
    fit_binary,
    rounded_binary,
    to_spiking,
    variant,
)
from weightlore.binary.conversion import Maximum
from weightlore.data import Split, digits, fetch
from weightlore.networks import mlp, vgg15
from weightlore.spiking import Neuron, Record, poisson, simulate
from weightlore.spiking.encoding import Encode
from weightlore.spiking.neurons import Reset
from weightlore.training import MakeOptimizer, adam, evaluate, fit, sgd

torch.set_num_threads(1)

FILES = Path(__file__).parent / "studies" / "binary"
CHECKPOINTS = Path(tempfile.gettempdir()) / "weightlore-binary"
MEMORY: dict[tuple[str, str], list[float]] = {}
IMAGES = 1_000  # training images on which percentiles are measured


@dataclass(frozen=True, repr=False)
class Study:
    """One kind of network on one data set.

    Args:
        name: of its file.
        data: set to fetch, empty for the digits.
        words: what was trained, one sentence without its end.
        make: the network from a generator.
        epochs: of the real network.
        optimizer: of the real network.
        recipe: of the binary one.
        seeds: one network each.
        steps: T, and where early exits end.
        slow: steps of the earlier recipe.
        judged: test images that count.
        raced: test images on which recipes race.
        kept: whether numbers and checkpoints are kept; what is fast is found anew each time.
    """

    name: str
    data: str
    words: str
    make: Callable[[torch.Generator], nn.Module]
    epochs: int
    optimizer: MakeOptimizer
    recipe: BinaryRecipe
    seeds: tuple[int, ...]
    steps: int
    slow: int
    judged: int
    raced: int
    kept: bool = True

    def __repr__(self) -> str:
        return f"Study({self.name!r})"  # the version of a claim holds it: the same in every process


@dataclass(frozen=True)
class Way:
    """One way of converting a network, driving it and reading it.

    Args:
        percentile: of the activations that becomes a rate of one spike in each step.
        reset: what a spike leaves behind.
        chance: whether pixels enter as random spikes, instead of as constant currents.
        counts: whether the output is read as a count of its spikes, instead of as a potential.
        start: V_0.
        stages: whether average pooling behind a ReLU gets neurons of its own.
        maximum: what becomes of max pooling.
    """

    percentile: float = 99.9
    reset: Reset = "subtract"
    chance: bool = False
    counts: bool = False
    start: float = 0.0
    stages: bool = False
    maximum: Maximum = "gate"


OURS = Way()
EARLIER = Way(percentile=100.0, reset="zero", chance=True, counts=True)
MEASURES = {
    "percentile": {"percentile": 99.9},
    "reset": {"reset": "subtract"},
    "current": {"chance": False},
    "potential": {"counts": False},
}


def with_one(measure: str) -> Way:
    """The earlier recipe with one measure of the later one."""
    return replace(EARLIER, **MEASURES[measure])


def without(measure: str) -> Way:
    """The later recipe without one of its measures."""
    return replace(OURS, **{name: getattr(EARLIER, name) for name in MEASURES[measure]})


def fact(study: Study, name: str, find: Callable[[], list[float]]) -> list[float]:
    """Return numbers that were found before, or find them, and store them if the study is kept."""
    key = (study.name, name)
    if key not in MEMORY:
        known = stored(study)
        if name not in known:
            known = {**stored(study), name: find()} if not study.kept else _store(study, name, find())
        MEMORY[key] = known[name]
    return MEMORY[key]


def stored(study: Study) -> dict[str, list[float]]:
    """Return the numbers that lie in the file of a study."""
    path = FILES / f"{study.name}.json"
    return json.loads(path.read_text("utf-8"))["facts"] if study.kept and path.exists() else {}


def splits(study: Study) -> tuple[Split, Split, Split]:
    """Return training, validation and test images."""
    train, validation, test = {"": _digits, "fashion-mnist": _clothes, "cifar10-subset": _photographs}[study.data]()
    return train, validation, test[torch.arange(study.judged)]


@lru_cache(maxsize=1)
def _digits() -> tuple[Split, Split, Split]:
    """The embedded digits, float64."""
    return digits("train"), digits("validation"), digits()


@lru_cache(maxsize=1)
def _clothes() -> tuple[Split, Split, Split]:
    """The first 10,000 training images, 2,000 others for validation, the test images; float32, in [0, 1]."""
    sets = fetch("fashion-mnist")
    train, test = (sets[name].to(dtype=torch.float32) for name in ("train", "test"))
    return train[torch.arange(10_000)], train[torch.arange(10_000, 12_000)], test


def _photographs() -> tuple[Split, Split, Split]:
    """The first 3,500 training images, the other 500 for validation, 1,000 test images; normalized by channel."""
    return sliced_splits("cifar10-subset")


@lru_cache(maxsize=64)
def network(study: Study, seed: int, kind: str) -> nn.Module:
    """Return a trained network.

    Kinds: ``"real"``; ``"rounded"``, without training; ``"binary"``, from the real one, and ``"latent"``, its latent
    weights; ``"scratch"``, from initial weights; ``"longer"``, likewise with as many epochs as both trainings together;
    ``"connect"``, from initial weights by BinaryConnect.
    """
    generator, recipe, rule = torch.Generator().manual_seed(seed), study.recipe, None
    model, train = study.make(generator), splits(study)[0]
    if kind == "real":
        epochs, batch = study.epochs, study.recipe.batch_size
        path = _checkpoint(study, seed, kind)
        optimizer = study.optimizer
        fit(model, train, generator=generator, epochs=epochs, batch_size=batch, optimizer=optimizer, checkpoint=path)
        return model.eval()
    if kind == "rounded":
        return rounded_binary(network(study, seed, "real"))
    if kind == "binary":
        return BinaryTraining(network(study, seed, "latent")).deployed()
    if kind == "latent":
        model = copy.deepcopy(network(study, seed, "real"))
    elif kind == "longer":
        epochs = study.epochs + recipe.epochs
        recipe = replace(recipe, epochs=epochs, halve_every=epochs // 2, decay_epochs=epochs // 2)
    elif kind == "connect":
        rule = PlainSign()
    generator, path = torch.Generator().manual_seed(1000 + seed), _checkpoint(study, seed, kind)
    found = fit_binary(model, train, generator=generator, recipe=recipe, rule=rule, checkpoint=path).network
    return model if kind == "latent" else found


def accuracy(study: Study, seed: int, kind: str) -> float:
    """Test accuracy of a network that does not spike, in percent."""
    (found,) = fact(
        study, f"{seed} {kind}", lambda: [100 * evaluate(network(study, seed, kind), splits(study)[2]).accuracy]
    )
    return found


@lru_cache(maxsize=32)
def converted(study: Study, seed: int, kind: str, way: Way = OURS) -> Converted:
    """Return the spiking form of a network."""
    return spiking_form(network(study, seed, kind), splits(study)[0].x[:IMAGES], way)


def spiking_form(model: nn.Module, images: Tensor, way: Way) -> Converted:
    """Convert a network; a read-out by counts fires at the percentile of the positive logits."""
    pooling = "stage" if way.stages else "current"
    neuron = Neuron(reset=way.reset, initial=way.start)
    found = to_spiking(model, images, percentile=way.percentile, neuron=neuron, pooling=pooling, maximum=way.maximum)
    if way.counts:
        with torch.no_grad():
            logits = model(images).clamp(min=0).flatten()
        top = float(logits.quantile(way.percentile / 100)) / found.output_scale
        found.layers[-1].neuron = Neuron(threshold=top, reset=way.reset)
    return found


def run(network: Converted, x: Tensor, steps: int, way: Way, seed: int, record: tuple[int, ...] = ()) -> Record:
    """Let a network spike, driven as its way says."""
    encode, generator = (_by_chance(x), torch.Generator().manual_seed(seed)) if way.chance else (None, None)
    return simulate(network, x, steps, encode=encode, generator=generator, record=record)


def _by_chance(x: Tensor) -> Encode:
    """Random spikes whose mean is the input; they are larger than 1 where an input is."""
    top = max(1.0, float(x.abs().max()))
    return lambda part, steps, generator: top * poisson(part / top, steps, generator)


def right(study: Study, seed: int, kind: str, way: Way = OURS, *, raced: bool = False) -> list[float]:
    """How many test images are right after each step; in a race these are fewer images and more steps."""
    steps, count = (study.slow, study.raced) if raced else (study.steps, study.judged)
    name = f"{seed} {kind} {'raced' if raced else 'judged'} {_words(way)}"
    return fact(study, name, lambda: _right(study, seed, kind, way, steps, count))


def _right(study: Study, seed: int, kind: str, way: Way, steps: int, count: int) -> list[float]:
    test = splits(study)[2][torch.arange(count)]
    found = run(converted(study, seed, kind, way), test.x, steps, way, seed).potential
    return (found.argmax(2) == test.y).sum(1).tolist()


def spiking_accuracy(study: Study, seed: int, kind: str, steps: int | None = None) -> float:
    """Test accuracy of a spiking network after T steps, in percent."""
    return 100 * right(study, seed, kind)[(steps or study.steps) - 1] / study.judged


def own(study: Study, seed: int, kind: str) -> float:
    """How many of the images that recipes race on the network gets right when it does not spike."""

    def find() -> list[float]:
        test = splits(study)[2][torch.arange(study.raced)]
        return [round(study.raced * evaluate(network(study, seed, kind), test).accuracy)]

    return fact(study, f"{seed} {kind} raced", find)[0]


def steps_needed(study: Study, seed: int, kind: str, way: Way) -> tuple[int, bool]:
    """The first step at which at most a point of the network's own accuracy is missing, or all steps; is there one?"""
    least = own(study, seed, kind) - 0.01 * study.raced
    found = right(study, seed, kind, way, raced=True)
    first = next((t for t, number in enumerate(found, start=1) if number >= least), None)
    return first or len(found), first is not None


def _words(way: Way) -> str:
    told = [f"p={way.percentile:g}", way.reset, "chance" if way.chance else "current"]
    told += ["counts" if way.counts else "potential", f"V_0={way.start:g}"]
    return " ".join(told + ["stages"] * way.stages + ["or"] * (way.maximum == "or"))


def _checkpoint(study: Study, seed: int, kind: str) -> Path | None:
    if not study.kept:
        return None
    folder = CHECKPOINTS / study.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{seed}-{kind}.pt"


def _store(study: Study, name: str, numbers: list[float]) -> dict[str, list[float]]:
    """Add numbers to the file of a study, one fact a line, in one step."""
    FILES.mkdir(parents=True, exist_ok=True)
    known = {**stored(study), name: numbers}
    lines = ",\n  ".join(f"{json.dumps(key)}: {json.dumps(known[key])}" for key in sorted(known))
    path = FILES / f"{study.name}.json"
    half = path.with_suffix(".half")
    half.write_text(f'{{"study": {json.dumps(study.words)},\n "facts": {{\n  {lines}\n }}}}\n', encoding="utf-8")
    half.replace(path)
    return known


def _read_digits(generator: torch.Generator) -> nn.Module:
    return mlp((64, 128, 128, 128, 10), bias=False, generator=generator)


def _read_clothes(generator: torch.Generator) -> nn.Module:
    return variant("average_before", image=(1, 28, 28), stages=((32,), (64,)), hidden=128, generator=generator)


def _read_photographs(generator: torch.Generator) -> nn.Module:
    return vgg15(width=16, dropout=0.0, generator=generator)


STUDIES = {
    study.name: study
    for study in (
        Study(
            name="digits",
            data="",
            words="64-128-128-128-10 without biases on digits, float64, 60 epochs, then 60 with binary weights, "
            "540 test images",
            make=_read_digits,
            epochs=60,
            optimizer=sgd(0.1, momentum=0.9),
            recipe=BinaryRecipe(),
            seeds=tuple(range(10)),
            steps=64,
            slow=512,
            judged=540,
            raced=540,
            kept=False,
        ),
        Study(
            name="clothes",
            data="fashion-mnist",
            words="two convolutions of 32 and 64 channels, average pooling before the ReLU, 128 hidden units, without "
            "biases, on Fashion-MNIST, first 10,000 training images, first 2,000 test images, float32, 10 epochs, then "
            "10 with binary weights",
            make=_read_clothes,
            epochs=10,
            optimizer=sgd(0.05, momentum=0.9),
            recipe=BinaryRecipe(epochs=10, halve_every=5, decay_epochs=5),
            seeds=(0, 1, 2),
            steps=64,
            slow=256,
            judged=2_000,
            raced=500,
        ),
        Study(
            name="photographs",
            data="cifar10-subset",
            words="VGG-15 of a quarter of the width, without dropout, on CIFAR-10, first 3,500 training images, no "
            "augmentation, float32, Adam, 90 epochs (after 30 it was far from trained), then 30 with binary weights "
            "where the authors have 200 and 200 on 50,000 images; 1,000 test images, whose share of right answers has "
            "a standard error of 1.5 points",
            make=_read_photographs,
            epochs=90,
            optimizer=adam(1e-3),
            recipe=BinaryRecipe(epochs=30, halve_every=15, decay_epochs=15),
            seeds=(0, 1, 2),
            steps=128,
            slow=256,
            judged=1_000,
            raced=250,
        ),
    )
}
DIGITS, CLOTHES, PHOTOGRAPHS = STUDIES.values()
