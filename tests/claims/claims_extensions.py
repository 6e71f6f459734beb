"""Chapter 5, two ways on from slice L1, on digits: whole bit planes instead of digits, and digits with a sign.

Rows of our own: the works that these ideas are from measured other networks.
"""

from functools import lru_cache

import numpy as np
import torch
from tests.claims.claims_sliced import CHAPTER, along, density, shared
from tests.claims.sliced_study import STUDIES

from weightlore.bitslice import (
    Point,
    bit_lasso_penalty,
    bitline_loads,
    fit_three_phases,
    frontier,
    pareto,
    recoded_ratios,
    slice_l1_penalty,
)
from weightlore.bitslice.fixed_point import FixedPoint
from weightlore.bitslice.phases import Recipe
from weightlore.crossbar import signed_digits
from weightlore.data import digits
from weightlore.networks import mlp
from weightlore.teaching.claims import Claim, beyond
from weightlore.training import sgd

torch.set_num_threads(1)

WORDS = STUDIES["digits"].words
RECIPE = Recipe(20, 10, pretrain_strength=10.0, optimizer=sgd(0.05, momentum=0.9))
FIVE = tuple(range(5))


def reader(generator: torch.Generator) -> FixedPoint:
    """The network of the study on digits, before training."""
    return FixedPoint(mlp((64, 100, 10), generator=generator))


def fronts(seed: int) -> dict[str, tuple[Point, ...]]:
    """The fronts of slice L1 and of the lasso, from the same pruned network."""
    methods = {"slice": (slice_l1_penalty, (0.05, 0.15, 0.5)), "lasso": (bit_lasso_penalty, (0.05, 0.15, 0.5))}
    data = {name: digits(name) for name in ("train", "validation", "test")}
    points = frontier(
        reader, data["train"], methods, validation=data["validation"], test=data["test"], seeds=(seed,), recipe=RECIPE
    )
    return {method: pareto(p for p in points if p.method in (method, "pruned")) for method in methods}


def lasso(seed: int) -> dict[str, float]:
    """log2 of the lasso's density over that of slice L1 at equal validation accuracy."""
    found = fronts(seed)
    accuracy = shared(found["lasso"], found["slice"])
    each = {method: along(front, accuracy, lambda p: density(None, p)) for method, front in found.items()}
    ratio = np.log2(each["lasso"] / each["slice"])
    ends = {"from": float(accuracy[0]), "to": float(accuracy[-1])}
    return {"value": float(ratio.mean())} | {f"{m} %": float(d.mean()) for m, d in each.items()} | ends


@lru_cache(maxsize=5)
def sliced(seed: int) -> FixedPoint:
    """A network after three phases with slice L1 of the authors' strength."""
    generator = torch.Generator().manual_seed(seed)
    model = reader(generator)
    fit_three_phases(
        model,
        digits("train"),
        slice_l1_penalty(0.5),
        validation=digits("validation"),
        generator=generator,
        recipe=RECIPE,
    )
    return model


def recoded(seed: int) -> dict[str, float]:
    """Cells that are not empty with signed digits, over those with plain ones."""
    found = recoded_ratios(sliced(seed))
    return {
        "value": found.signed_digits / found.plain_digits,
        "signed": found.signed_digits,
        "plain": found.plain_digits,
    }


def lightened(seed: int) -> dict[str, float]:
    """The fullest bit line of any slice with signed digits, over that with plain ones."""
    codes = [q.code for q in sliced(seed).codes().values() if q.code.ndim == 2]
    plain = max(float(bitline_loads(code).max()) for code in codes)
    signed = max(float((s * signed_digits(code)).clamp(min=0).sum(-1).max()) for code in codes for s in (1, -1))
    return {"value": signed / plain, "signed": signed, "plain": plain}


CLAIMS = [
    Claim(
        id="lasso-matched-digits",
        chapter=CHAPTER,
        statement="At equal accuracy slice L1 leaves fewer non-zero digits than a group lasso over bit planes.",
        source="yang2021bsq",
        whose="ours",
        setting=f"{WORDS}; strengths of both 0.05 0.15 0.5, and pruning alone; mean log2 of the factor over the "
        "validation accuracies that both fronts reach",
        measure=lasso,
        seeds=FIVE,
        verdict=beyond(0.0),
        unit="log2",
    ),
    Claim(
        id="recoded-cells-digits",
        chapter=CHAPTER,
        statement="Signed digits leave as many cells empty as plain ones, or more, after slice L1.",
        source="zhang2019bitslice",
        whose="ours",
        setting=f"{WORDS}; slice L1 of strength 0.5; filled cells with digits -2 to 2 over those with digits 0 to 3; "
        "wanted at most 1",
        measure=recoded,
        seeds=FIVE,
        verdict=beyond(1.0, below=True),
        unit="factor",
    ),
    Claim(
        id="recoded-loads-digits",
        chapter=CHAPTER,
        statement="Signed digits make the fullest bit line lighter than plain ones, after slice L1.",
        source="zhang2019bitslice",
        whose="ours",
        setting=f"{WORDS}; slice L1 of strength 0.5; greatest sum of digits on a bit line of 128 rows; wanted below 1",
        measure=lightened,
        seeds=FIVE,
        verdict=beyond(1.0, below=True),
        unit="factor",
    ),
]
