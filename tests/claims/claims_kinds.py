"""Chapter 1, corruption: which kinds of parameters are fragile, in residual, normalized and recurrent networks.

The paper compares kinds of parameters. Every kind gets the same budget: epsilon, p and n are equal, so that only the
group differs.
"""

from functools import lru_cache

import numpy as np
import torch
from tests.claims.claims_corrupted import CHAPTER, FIVE, PAPER, pair
from torch import nn

from weightlore.corruption import Budget, indicators
from weightlore.data import Split, digits, encode, fetch, vocabulary
from weightlore.networks import mlp, recurrent, resnet20
from weightlore.parameters import Group
from weightlore.teaching.claims import Claim, beyond
from weightlore.training import adam, fit

torch.set_num_threads(1)

KINDS: dict[str, Group] = {"weight": "weight", "bias": "bias", "norm": "norm"}
CIFAR = "ResNet-20 with batch normalization, first 4,000 training and 1,000 test images of CIFAR-10, 8 epochs, float32"
SENTENCES = "LSTM with 64 units, embedding of 32, on SST-2 sentences (6,920 to train on, 1,821 to test on), float32"
SPARSE = Budget(1.0, p=2, n=30)


@lru_cache(maxsize=1)
def photographs() -> tuple[Split, Split]:
    """The CIFAR-10 subset, normalized by its mean and spread, float32."""
    sets = fetch("cifar10-subset")
    train, test = (sets[name].to(dtype=torch.float32) for name in ("train", "test"))
    mean, spread = train.x.mean((0, 2, 3), keepdim=True), train.x.std((0, 2, 3), keepdim=True)
    return Split((train.x - mean) / spread, train.y), Split((test.x - mean) / spread, test.y)


@lru_cache(maxsize=6)
def photograph_reader(seed: int) -> nn.Module:
    """A ResNet-20 trained from a seed."""
    generator = torch.Generator().manual_seed(seed)
    model = resnet20(generator=generator).to(memory_format=torch.channels_last)
    fit(model, photographs()[0], generator=generator, epochs=8, batch_size=64)
    return model.eval()


@lru_cache(maxsize=1)
def sentences() -> tuple[Split, Split, int]:
    """SST-2 as numbers, and the size of the embedding."""
    sets = fetch("sst2")
    words = vocabulary(sets["train"].sentences, at_least=2)
    train, test = (Split(encode(sets[name].sentences, words, 30), sets[name].y) for name in ("train", "test"))
    return train, test, len(words) + 2


@lru_cache(maxsize=6)
def sentence_reader(seed: int) -> nn.Module:
    """An LSTM trained from a seed."""
    generator, (train, _, size) = torch.Generator().manual_seed(seed), sentences()
    model = recurrent("lstm", vocabulary=size, embedding=32, hidden=64, classes=2, generator=generator)
    fit(model, train, generator=generator, epochs=4, optimizer=adam(2e-3))
    return model.eval()


@lru_cache(maxsize=6)
def normalized_reader(seed: int) -> nn.Module:
    """The digits MLP with layer normalization, trained from a seed."""
    generator = torch.Generator().manual_seed(seed)
    model = mlp(normalize=True, generator=generator)
    fit(model, digits("train"), generator=generator)
    return model.eval()


def lead(model: nn.Module, data: Split, groups: dict[str, Group], first: str) -> dict[str, float]:
    """By how many powers of two the loss rises more in one group than in the most fragile of the others."""
    rows = indicators(model, data, SPARSE, groups=groups)
    rise = {name: max(row.measured, 1e-9) for name, row in rows.items()}
    most = max(value for name, value in rise.items() if name != first)
    return {"value": float(np.log2(rise[first] / most))} | rise


def fragile(name: str, first: str, statement: str, setting: str, measure: object, **more: object) -> Claim:
    """Return the claim that one group is the most fragile."""
    known = {"source": PAPER, "whose": "paper", "fast": False, "needs": ()} | more
    return Claim(
        id=f"most-fragile-{name}",
        chapter=CHAPTER,
        statement=statement,
        setting=f"{setting}; p = 2, epsilon = 1, n = 30; log2 of the loss rise of {first} over the next group",
        measure=measure,
        seeds=FIVE,
        verdict=beyond(0.0),
        unit="log2",
        tolerance=2e-2,
        **known,
    )


NORMALIZATION = "The parameters of normalization layers are particularly vulnerable."
GATES: dict[str, Group] = {
    "embedding": lambda name, parameter: "embedding" in name,
    "gates": lambda name, parameter: "weight_ih" in name or "weight_hh" in name,
    "biases": "bias",
}

CLAIMS = [
    *pair(
        "cifar-resnet20",
        CIFAR,
        photograph_reader,
        lambda: photographs()[1],
        10,
        ("cifar10-subset",),
    ),
    *pair("sst2-lstm", SENTENCES, sentence_reader, lambda: sentences()[1], 20, ("sst2",)),
    fragile(
        "cifar-resnet20",
        "normalization gains",
        NORMALIZATION,
        CIFAR,
        lambda seed: lead(photograph_reader(seed), photographs()[1], KINDS, "norm"),
        needs=("cifar10-subset",),
    ),
    fragile(
        "digits-layernorm",
        "normalization gains",
        NORMALIZATION,
        "MLP 64-64-32-10 with layer normalization on digits, float64",
        lambda seed: lead(normalized_reader(seed), digits(), KINDS, "norm"),
        fast=True,
    ),
    fragile(
        "sst2-lstm",
        "the gates",
        "In a recurrent classifier the gates are more fragile than the embedding and the biases.",
        SENTENCES,
        lambda seed: lead(sentence_reader(seed), sentences()[1], GATES, "gates"),
        whose="ours",
        needs=("sst2",),
    ),
]
