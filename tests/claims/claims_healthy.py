"""Chapter 0, the healthy network: how well it reads, which other thetas are the same network, and how far is far.

All claims are this book's, on the digits MLP, trained anew from each seed. Lengths are in the L2 norm.
"""

import math
from functools import lru_cache

import torch
from torch import Tensor, nn

from weightlore.corruption import Budget, random_trials, rescale
from weightlore.data import digits
from weightlore.networks import mlp
from weightlore.parameters import call, flatten, layout, replaced
from weightlore.teaching.claims import Claim, Rule, beyond
from weightlore.training import evaluate, fit

torch.set_num_threads(1)

CHAPTER = "0_healthy"
DIGITS = "MLP 64-64-32-10 on digits, float64"


@lru_cache(maxsize=10)
def reader(seed: int) -> nn.Module:
    """A digits MLP trained from a seed."""
    generator = torch.Generator().manual_seed(seed)
    model = mlp(generator=generator)
    fit(model, digits("train"), generator=generator)
    return model.eval()


def accuracy(seed: int) -> dict[str, float]:
    """Share of test digits that are read correctly."""
    found = evaluate(reader(seed), digits())
    return {"value": found.accuracy, "loss": found.loss}


def permuted(model: nn.Module, seed: int) -> Tensor:
    """Theta with the units of both hidden layers in a random order."""
    generator, parts = torch.Generator().manual_seed(seed), dict(layout(model).split(flatten(model)))
    for here, after in (("layers.0", "layers.1"), ("layers.1", "readout")):
        order = torch.randperm(len(parts[f"{here}.bias"]), generator=generator)
        parts[f"{here}.weight"] = parts[f"{here}.weight"][order]
        parts[f"{here}.bias"] = parts[f"{here}.bias"][order]
        parts[f"{after}.weight"] = parts[f"{after}.weight"][:, order]
    return layout(model).join(parts)


def moved(model: nn.Module, theta: Tensor) -> dict[str, float]:
    """The largest change of any test logit at another theta, and how far that theta is away."""
    before = flatten(model)
    change = call(model, theta, digits().x) - call(model, before, digits().x)
    return {"value": float(change.abs().max()), "distance": float((theta - before).norm() / before.norm())}


def after_permutation(seed: int) -> dict[str, float]:
    """How much random orders of the hidden units move the logits."""
    return moved(reader(seed), permuted(reader(seed), seed))


def after_rescaling(seed: int) -> dict[str, float]:
    """How much three times the first layer and a third of the second move the logits."""
    return moved(reader(seed), flatten(rescale(reader(seed), "layers.0", 3.0)))


def half(model: nn.Module, seed: int) -> float:
    """The length of random steps that leave half of the accuracy, on average over twenty, to within one percent."""
    low, high = 0.1, 1000.0
    for _ in range(10):
        middle = math.sqrt(low * high)
        generator = torch.Generator().manual_seed(seed)
        trials = random_trials(model, digits(), Budget(middle), trials=20, generator=generator)
        enough = float(trials.accuracy.mean()) > trials.base_accuracy / 2
        low, high = (middle, high) if enough else (low, middle)
    return math.sqrt(low * high)


def half_share(seed: int) -> float:
    """That length as a share of the length of theta."""
    return half(reader(seed), seed) / float(flatten(reader(seed)).norm())


def half_rescaled(seed: int) -> float:
    """That length for the same function, written with layers eight times as large and as small, over the plain one."""
    return half(rescale(reader(seed), "layers.0", 8.0), seed) / half(reader(seed), seed)


def midway(model: nn.Module, one: Tensor, other: Tensor) -> dict[str, float]:
    """How much accuracy the mean of two thetas lacks of the worse of the two."""
    found = []
    for theta in (one, other, (one + other) / 2):
        with replaced(model, theta):
            found.append(evaluate(model, digits()).accuracy)
    return {"value": min(found[:2]) - found[2], "midway": found[2]}


def midway_of_two(seed: int) -> dict[str, float]:
    """The mean of two networks trained from different seeds."""
    return midway(reader(seed), flatten(reader(seed)), flatten(reader((seed + 1) % 5)))


def midway_of_one(seed: int) -> dict[str, float]:
    """The mean of a network and itself in another order."""
    return midway(reader(seed), flatten(reader(seed)), permuted(reader(seed), seed))


def ours(id: str, statement: str, setting: str, measure: object, verdict: Rule, **more: object) -> Claim:
    """Return a claim on the digits MLP, five seeds."""
    known = {"source": "sun2021corruption", "whose": "ours", "unit": "accuracy", "tolerance": 5e-3} | more
    return Claim(
        id=id,
        chapter=CHAPTER,
        statement=statement,
        setting=f"{DIGITS}; {setting}",
        measure=measure,
        seeds=tuple(range(5)),
        verdict=verdict,
        **known,
    )


CLAIMS = [
    ours(
        "reads-digits",
        "A small network reads more than 96 of 100 digits that it has never seen.",
        "accuracy on the 540 test digits, wanted above 0.96",
        accuracy,
        beyond(0.96),
        source="alpaydin1998digits",
        fast=True,
    ),
    ours(
        "permutation-free",
        "The hidden units can stand in any order: another theta, the same function.",
        "both hidden layers in random order; largest change of a test logit, wanted below 1e-9",
        after_permutation,
        beyond(1e-9, below=True),
        unit="logit",
        tolerance=1e-9,
    ),
    ours(
        "rescaling-free",
        "One ReLU layer times c and the next one over c: another theta, the same function.",
        "c = 3; largest change of a test logit, wanted below 1e-9",
        after_rescaling,
        beyond(1e-9, below=True),
        source="dinh2017sharp",
        whose="other",
        unit="logit",
        tolerance=1e-9,
    ),
    ours(
        "half-distance",
        "Along random directions half of the accuracy outlives a step as long as theta itself.",
        "mean over 20 directions; length at which half is gone over the length of theta, wanted above 1",
        half_share,
        beyond(1.0),
        unit="lengths of theta",
        tolerance=3e-2,
    ),
    ours(
        "half-distance-not-invariant",
        "How far a network can be moved at random depends on how its function is written down.",
        "the same length after rescaling by 8 and 1/8, over before, wanted below a half",
        half_rescaled,
        beyond(0.5, same=1.0, below=True),
        source="dinh2017sharp",
        unit="ratio",
        tolerance=2e-2,
    ),
    ours(
        "midway-of-two",
        "The mean of the parameters of two trained networks reads worse than either.",
        "two seeds; accuracy of the worse one minus that of the mean, wanted above 0.1",
        midway_of_two,
        beyond(0.1, same=0.0),
    ),
    ours(
        "midway-of-one",
        "Even the mean of a network and itself in another order reads worse.",
        "hidden units in random order; accuracy minus that of the mean, wanted above 0.01",
        midway_of_one,
        beyond(0.01, same=0.0),
    ),
]
