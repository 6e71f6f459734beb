"""Chapter 7, crossed fates: what one fate does to the measure of another. All claims are ours.

The rule was fixed before measuring and is the same for every row: a row says that the network which had the first fate
does better at the question of the second than the healthy one of the same seed. It is reproduced where the 95 %
interval of the paired differences lies above zero, not reproduced where it lies below (the network does worse), and
undecided where it holds zero. With so many rows some intervals miss zero by chance: ``together`` is the interval that
allows for all of them.

Two rows are as good as given: a struck network is the healthy one moved a little, and a pooled one contains it, so that
their explanations agree with its own more than those of a stranger do.
"""

from functools import partial

import numpy as np
import torch
from tests.claims.crossed_study import ROWS, SEEDS, crossed

from weightlore.crossed import PREPARATIONS, QUESTIONS
from weightlore.teaching.claims import Claim, Verdict, interval

torch.set_num_threads(1)

PAPERS = {
    "corrupted": "sun2021corruption",
    "transferred": "zhang2019ptu",
    "uncertain": "gawlikowski2023uncertainty",
    "explained": "sundararajan2018note",
    "sliced": "zhang2019bitslice",
    "binarized": "lu2020binary",
}
FAST = (("struck", "tells-apart"), ("resistant", "attacked"), ("sliced", "nonzero"))
SETTING = "MLP 64-64-32-10 on digits, float64, 60 epochs; difference to {control}, in favor of the network"
TOLERANCES = {"%": 0.4, "points": 0.4, "steps": 0.1}  # two test images; a tenth of a step


def better(differences: np.ndarray) -> Verdict:
    """Whether the network does better, worse, or neither is sure."""
    low, high = interval(differences)
    return "reproduced" if low > 0 else "not reproduced" if high < 0 else "undecided"


def claim(first: str, second: str) -> Claim:
    """Return the row of a preparation and a question."""
    prepared, question = PREPARATIONS[first], QUESTIONS[second]
    control = "another healthy network" if question.compared else "the healthy network of the same seed"
    return Claim(
        id=f"{first}-{second}",
        chapter="7_crossed",
        statement=f"A network {prepared.words} does better than the healthy one: {question.better} {question.words}.",
        source=PAPERS.get(question.fate, PAPERS[prepared.fate]),
        whose="ours",
        setting=SETTING.format(control=control),
        measure=partial(crossed, first, second),
        seeds=SEEDS,
        verdict=better,
        unit="points" if question.unit == "%" else question.unit,
        fast=(first, second) in FAST,
        tolerance=TOLERANCES.get(question.unit, 1e-3),
        comparisons=len(ROWS),
    )


CLAIMS = [claim(first, second) for first, second in ROWS]
