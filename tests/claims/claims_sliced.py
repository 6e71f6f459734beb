"""Chapter 5, slices: how empty they become, against other trainings, at the authors' strengths and at equal accuracy.

A factor is the density of non-zero digits after the other training over that after slice L1, of the same seed, so that
above 1 slice L1 is sparser. One operating point for each method can mislead: the second family of rows compares whole
frontiers, at the validation accuracies that both of them reach.

Thresholds are those of the paper's claim (a factor of 2) or none (a factor of 1, or half a point). The schedules short
and long had been trained before the rows were written; the other studies after.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from tests.claims.sliced_study import STUDIES, Study, point, points

from weightlore.bitslice import Point, pareto
from weightlore.teaching.claims import Claim, Rule, beyond

torch.set_num_threads(1)

CHAPTER, PAPER = "5_sliced", "zhang2019bitslice"
TWICE = "2x over previous algorithms; for which slices, networks and data we do not know"
SLICES = 4
L1 = {name: 20.0 if name.startswith("photographs") else 10.0 for name in STUDIES}  # the authors' strengths
OTHERS = {
    "none": "fine-tuning without a penalty",
    "pruned": "pruning without fine-tuning",
    "l1": "fine-tuning with L1",
}
Measure = Callable[[Point], float]


def at(name: str, seed: int, method: str) -> Point:
    """The point of a method at the authors' strength, or at 0 where there is none to choose."""
    strength = {"l1": L1[name], "slice": 0.5}.get(method, 0.0)
    return next(p for p in points(STUDIES[name], seed) if (p.method, p.strength) == (method, strength))


def factor(name: str, other: str, seed: int) -> dict[str, float]:
    """How many times more non-zero digits another training leaves, in the mean and in each slice."""
    ours, theirs = at(name, seed, "slice"), at(name, seed, other)
    each = {f"slice {k}": theirs.slices[k] / max(ours.slices[k], 1e-4) for k in range(SLICES)}
    return {"value": theirs.density / ours.density} | each | {"ours %": ours.density, "theirs %": theirs.density}


def price(name: str, seed: int) -> dict[str, float]:
    """Test accuracy after slice L1 minus that after L1, in points, at the authors' strengths."""
    ours, theirs = (100 * at(name, seed, method).test_accuracy for method in ("slice", "l1"))
    plain = 100 * at(name, seed, "none").test_accuracy
    return {"value": ours - theirs, "slice": ours, "l1": theirs, "none": plain}


def front(name: str, seed: int, method: str) -> tuple[Point, ...]:
    """The front of a method; no penalty is its strength 0, for both alike."""
    return pareto(p for p in points(STUDIES[name], seed) if p.method in (method, "none"))


def along(front: tuple[Point, ...], accuracy: np.ndarray, of: Measure) -> np.ndarray:
    """A quantity of the front, linear between neighboring points, at validation accuracies."""
    return np.interp(accuracy, [p.validation_accuracy for p in front], [of(p) for p in front])


def density(k: int | None, point: Point) -> float:
    """Non-zero digits in percent, of one slice or in the mean."""
    return point.density if k is None else point.slices[k]


def shared(*fronts: tuple[Point, ...]) -> np.ndarray:
    """A hundred validation accuracies that all fronts reach."""
    low = max(one[0].validation_accuracy for one in fronts)
    return np.linspace(low, min(one[-1].validation_accuracy for one in fronts), 100)


def gain(name: str, k: int | None, seed: int) -> dict[str, float]:
    """log2 of the factor between L1 and slice L1 at equal validation accuracy, mean over the accuracies of both."""
    l1, ours = front(name, seed, "l1"), front(name, seed, "slice")
    accuracy = shared(l1, ours)
    ratio = np.log2(along(l1, accuracy, partial(density, k)) / along(ours, accuracy, partial(density, k)))
    tested = [along(one, accuracy, lambda p: 100 * p.test_accuracy).mean() for one in (ours, l1)]
    ends = {"from": accuracy[0], "to": accuracy[-1], "at the lowest": ratio[0]}
    return {"value": float(ratio.mean()), "test points": float(tested[0] - tested[1])} | {
        key: float(value) for key, value in ends.items()
    }


def gained(long: str, short: str, seed: int) -> dict[str, float]:
    """By how much the gain of one study is above that of another, same seed."""
    values = {name: gain(name, None, seed)["value"] for name in (long, short)}
    return {"value": values[long] - values[short]} | values


def authors(study: Study, other: str) -> Claim:
    """Return the claim of a factor at the authors' strengths."""
    strength = f" of strength {L1[study.name]:g}" if other == "l1" else ""
    return Claim(
        id=f"authors-{other}-{study.name}",
        chapter=CHAPTER,
        statement=f"Bit-slice L1 leaves half of the non-zero digits, or fewer, that {OTHERS[other]} leaves.",
        source=PAPER,
        whose="paper",
        setting=f"{study.words}; slice L1 of strength 0.5 against {OTHERS[other]}{strength}; factor of the densities, "
        "mean over slices; reproduced above 2, same direction above 1",
        measure=partial(factor, study.name, other),
        seeds=study.seeds,
        verdict=beyond(2.0, same=1.0),
        paper_number=TWICE,
        unit="factor",
        needs=(study.data,),
    )


def free(study: Study) -> Claim:
    """Return the claim that the authors' strengths cost no accuracy."""
    return Claim(
        id=f"authors-accuracy-{study.name}",
        chapter=CHAPTER,
        statement="At the authors' strengths slice L1 is not less accurate than L1, by half a point at most.",
        source=PAPER,
        whose="ours",
        setting=f"{study.words}; slice L1 of strength 0.5 minus L1 of strength {L1[study.name]:g}, test images",
        measure=partial(price, study.name),
        seeds=study.seeds,
        verdict=beyond(-0.5),
        unit="points",
        needs=(study.data,),
    )


def matched(study: Study, k: int | None, verdict: Rule, rule: str) -> Claim:
    """Return the claim of a factor at equal accuracy."""
    where = "in the mean over slices" if k is None else f"in slice {k}, counted from the least significant"
    grid = ", ".join(f"{m} {' '.join(f'{a:g}' for a in study.strengths[m])}" for m in ("l1", "slice"))
    words = {
        "statement": f"At equal accuracy slice L1 leaves fewer non-zero digits than a tuned L1, {where}.",
        "setting": f"{study.words}; strengths {grid}; mean log2 of the factor over all validation accuracies that both "
        f"fronts reach; {rule}",
    }
    return Claim(
        id=f"matched-{study.name}" + ("" if k is None else f"-slice-{k}"),
        chapter=CHAPTER,
        source=PAPER,
        whose="ours",  # the abstract's factor of 2 does not say at which accuracy
        measure=partial(gain, study.name, k),
        seeds=study.seeds,
        verdict=verdict,
        paper_number=TWICE if k is None else None,
        unit="log2",
        needs=(study.data,),
        **words,
    )


def reason(id: str, statement: str, long: str, short: str, setting: str) -> Claim:
    """Return the claim that a change of the training favors slice L1."""
    return Claim(
        id=f"reason-{id}",
        chapter=CHAPTER,
        statement=statement,
        source=PAPER,
        whose="ours",
        setting=f"{STUDIES[long].words}; against: {setting}; difference of the mean log2 factors at equal accuracy",
        measure=partial(gained, long, short),
        seeds=STUDIES[long].seeds,
        verdict=beyond(0.0),
        unit="log2",
        needs=("fashion-mnist",),
    )


CLOTHES = [STUDIES[f"clothes-{name}"] for name in ("short", "long", "patient")]
PHOTOGRAPHS = [STUDIES[f"photographs-{name}"] for name in ("vgg", "resnet")]

CLAIMS = [authors(study, other) for study in (*CLOTHES, *PHOTOGRAPHS) for other in OTHERS]
CLAIMS += [free(study) for study in (*CLOTHES, *PHOTOGRAPHS)]
CLAIMS += [
    matched(study, None, beyond(1.0, same=0.0), "reproduced above 1, a factor of 2; same direction above 0")
    for study in (*CLOTHES, STUDIES["clothes-unpruned"], *PHOTOGRAPHS)
]
CLAIMS += [matched(study, k, beyond(0.0), "reproduced above 0") for study in CLOTHES for k in range(SLICES)]
CLAIMS += [
    reason(
        "rate",
        "Fine-tuning at a lower learning rate favors slice L1 over a tuned L1.",
        "clothes-long",
        "clothes-short",
        "8 epochs before and 8 after pruning, all at 0.02, and asked after both had been seen",
    ),
    reason(
        "patience",
        "Fine-tuning for four times as long, slower at the end, favors slice L1 over a tuned L1.",
        "clothes-patient",
        "clothes-short",
        "8 epochs of fine-tuning, all at 0.02",
    ),
    reason(
        "pruning",
        "Pruning before fine-tuning favors slice L1 over a tuned L1.",
        "clothes-short",
        "clothes-unpruned",
        "the same without pruning, strengths l1 10 20 40, slice 0.2 0.5 1",
    ),
]


def tie(seed: int) -> dict[str, float]:
    """log2 of the factor at equal accuracy on digits, trained here and now."""
    return gain("digits", None, seed)


def halved(seed: int) -> dict[str, float]:
    """The factor at the authors' strengths on digits; two networks trained here and now."""
    ours, theirs = (point(STUDIES["digits"], seed, method, a) for method, a in (("slice", 0.5), ("l1", 10.0)))
    return {"value": theirs.density / ours.density, "ours %": ours.density, "theirs %": theirs.density}


SMALL = STUDIES["digits"]
CLAIMS += [
    Claim(
        id="digits-authors",
        chapter=CHAPTER,
        statement="On digits, too, slice L1 leaves half of the non-zero digits, or fewer, that L1 leaves.",
        source=PAPER,
        whose="ours",
        setting=f"{SMALL.words}; slice L1 of strength 0.5 against L1 of strength 10; factor of the densities",
        measure=halved,
        seeds=SMALL.seeds,
        verdict=beyond(2.0, same=1.0),
        unit="factor",
        fast=True,
        tolerance=0.1,
    ),
    Claim(
        id="digits-matched",
        chapter=CHAPTER,
        statement="On digits, at equal accuracy, slice L1 leaves fewer non-zero digits than a tuned L1.",
        source=PAPER,
        whose="ours",
        setting=f"{SMALL.words}; strengths l1 3 10 30, slice 0.05 0.15 0.5; mean log2 of the factor over the "
        "validation accuracies that both fronts reach; 180 validation images",
        measure=tie,
        seeds=SMALL.seeds,
        verdict=beyond(0.0),
        unit="log2",
    ),
]
