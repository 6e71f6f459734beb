"""The study behind the ledger of crossed fates: every network of a seed is asked every question, and so is its control.

    network(name, seed)            a network that had a fate; kept, since many questions ask it
    answer(question, name, seed)   what it says
    crossed(first, second, seed)   both answers, and by how much the first is better

The networks of a seed share initial weights, and the questions of a seed what they draw: labels, directions, patches,
cells. So differences within a seed are paired. The other healthy network, with which explanations are compared, has
the seed 1000 + seed.

Radii, penalties and counts were chosen on seed 100, which no row uses, so that the healthy network neither keeps all
its accuracy nor loses it.
"""

from functools import cache

import torch
from torch import nn

from weightlore.crossed import FATES, QUESTIONS, WITHOUT_SENSE, ask, experiments, prepare

torch.set_num_threads(1)

SEEDS = tuple(range(10))
OTHER, CHANCE = 1000, 2000
CROSSINGS = [one for first in FATES for second in FATES if first != second for one in experiments(first, second)]
OWN = [one for fate in FATES for one in experiments(fate, fate)]
PRICES = [(name, "accuracy") for name in dict.fromkeys(first for first, _ in CROSSINGS)]
ROWS = CROSSINGS + OWN + [one for one in PRICES if one not in WITHOUT_SENSE]


def seeded(seed: int) -> torch.Generator:
    """Return a generator of a seed."""
    return torch.Generator().manual_seed(seed)


@cache
def network(name: str, seed: int) -> nn.Module:
    """Return a prepared network."""
    return prepare(name, generator=seeded(seed))


@cache
def answer(question: str, name: str, seed: int, *, other: bool = False) -> float:
    """Return what a network, or the one of another seed, says; the healthy one of the seed is what it compares with."""
    asked = network(name, OTHER + seed if other else seed)
    return ask(question, asked, network("healthy", seed), generator=seeded(CHANCE + seed))


def crossed(first: str, second: str, seed: int) -> dict[str, float]:
    """Return by how much the network is better than the control, and what each says."""
    value = answer(second, first, seed)
    control = answer(second, "healthy", seed, other=QUESTIONS[second].compared)
    return {"value": QUESTIONS[second].gain(value, control), "network": value, "healthy": control}
