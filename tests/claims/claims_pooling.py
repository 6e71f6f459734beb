"""Chapter 6, architecture: where a network should pool, and what one bit for each activation costs as well.

Convolutions of 16 and 32 channels read the digits; all variants of a seed start from the same weights.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from tests.claims.binary_study import DIGITS, OURS, Study, Way, accuracy, right, steps_needed
from tests.claims.claims_binarized import claim
from torch import nn

from weightlore.binary import BinaryRecipe, Variant, variant
from weightlore.teaching.claims import Claim, beyond
from weightlore.training import sgd

torch.set_num_threads(1)

STEPS = 16
CHOSEN = "average pooling before the ReLU"
WORDS: dict[Variant, str] = {
    "average_before": CHOSEN,
    "average_after": "average pooling behind the ReLU",
    "max_before": "max pooling before the ReLU",
    "max_after": "max pooling behind the ReLU",
    "xnor": "normalization and activations of one bit",
}
WAYS: dict[Variant, Way] = {
    "average_before": OURS,
    "average_after": Way(stages=True),
    "max_before": Way(maximum="or"),
    "max_after": Way(maximum="or"),
}


def _maker(kind: Variant) -> Callable[[torch.Generator], nn.Module]:
    sizes = {"image": (1, 8, 8), "stages": ((16,), (32,)), "hidden": 64, "dtype": torch.float64}
    return lambda generator: variant(kind, generator=generator, **sizes)


SETTING = "two convolutions of 16 and 32 channels, 64 hidden units, without biases, on digits, float64, 540 test images"
FIRST = f"First measurement, 20 epochs, then 20 with binary weights at a rate of 0.0005: {SETTING}"
# Of two rates and two lengths the better ones of the chosen variant, seed 99, when the first measurement was known.
SECOND = (
    f"Second measurement, rates and lengths chosen after the first, 40 epochs, then 40 at a rate of 0.003: {SETTING}"
)


def _variants(words: str, epochs: int, lr: float, recipe: BinaryRecipe) -> dict[Variant, Study]:
    return {
        kind: Study(
            name=f"pooling-{kind}-{epochs}",
            data="",
            words=words,
            make=_maker(kind),
            epochs=epochs,
            optimizer=sgd(lr, momentum=0.9),
            recipe=recipe,
            seeds=DIGITS.seeds[:5],
            steps=64,
            slow=64,
            judged=540,
            raced=540,
            kept=False,
        )
        for kind in WORDS
    }


ATTEMPTS = {
    "first": _variants(FIRST, 20, 0.05, BinaryRecipe(epochs=20, halve_every=10, decay_epochs=10)),
    "second": _variants(SECOND, 40, 0.1, BinaryRecipe(epochs=40, halve_every=20, decay_epochs=20, lr=3e-3)),
}


def better(attempt: str, kind: Variant, seed: int) -> dict[str, float]:
    """Accuracy of the chosen variant minus that of another, binary weights, no spikes."""
    here, there = (accuracy(ATTEMPTS[attempt][one], seed, "binary") for one in ("average_before", kind))
    return {"value": here - there, "chosen": here, "other": there}


def better_spiking(attempt: str, kind: Variant, seed: int) -> dict[str, float]:
    """The same after some steps of their spiking forms; beside it with the gate for the OR."""
    here, there = (after(attempt, one, WAYS[one], seed) for one in ("average_before", kind))
    return {"value": here - there, "chosen": here, "other": there, "other, gated": after(attempt, kind, OURS, seed)}


def after(attempt: str, kind: Variant, way: Way, seed: int) -> float:
    """Accuracy of a spiking variant with binary weights, in percent."""
    study = ATTEMPTS[attempt][kind]
    return 100 * right(study, seed, "binary", way)[STEPS - 1] / study.judged


def faster(attempt: str, kind: str, seed: int) -> dict[str, float]:
    """Steps with average pooling behind the ReLU over steps with it before, each to a point below its own accuracy."""
    ways = [("average_after", Way(stages=True)), ("average_before", OURS)]
    (many, _), (few, _) = (steps_needed(ATTEMPTS[attempt][one], seed, kind, way) for one, way in ways)
    return {"value": many / few, "behind": float(many), "before": float(few)}


def of(attempt: str, id: str, statement: str, setting: str, measure: Callable[[int], object], **more: object) -> Claim:
    """Return a claim on the variants."""
    row = claim(id, ATTEMPTS[attempt]["average_before"], statement, setting, measure, **more)
    return replace(row, id=f"{id.replace('_', '-')}-{attempt}-digits")


def rows(attempt: str) -> list[Claim]:
    """Return the claims of one measurement."""
    accurate = [
        of(
            attempt,
            f"over-{kind}",
            f"With binary weights {CHOSEN} is more accurate than {words}.",
            "no spikes; difference of test accuracies",
            partial(better, attempt, kind),
        )
        for kind, words in WORDS.items()
        if kind != "average_before"
    ]
    spiking = [
        of(
            attempt,
            f"spiking-over-{kind}",
            f"With binary weights and spikes {CHOSEN} is more accurate than {WORDS[kind]}, in its authors' spiking "
            "form.",
            f"{STEPS} steps; average pooling behind the ReLU as neurons of their own, max pooling as the OR of a "
            "window; difference of test accuracies",
            partial(better_spiking, attempt, kind),
        )
        for kind in ("average_after", "max_before", "max_after")
    ]
    steps = [
        of(
            attempt,
            f"pooling-before-saves-{kind}",
            f"{CHOSEN[0].upper()}{CHOSEN[1:]} saves steps against pooling by neurons of its own, for {kind} weights.",
            "first step with at most one point less than without spikes; pooling behind the ReLU over before it",
            partial(faster, attempt, kind),
            unit="factor",
            verdict=beyond(1.0),
            tolerance=3.0,
            whose="paper",
        )
        for kind in ("real", "binary")
    ]
    return accurate + spiking + steps


CLAIMS = [row for attempt in ATTEMPTS for row in rows(attempt)]
