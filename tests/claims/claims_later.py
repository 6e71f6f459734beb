"""Chapter 6, later work: four steps are few, and what others proposed to make them enough.

All start from the same trained networks of a seed, with real or with binary weights. The measure is test accuracy after
four steps, against the plain conversion: percentile 99.9, soft reset, constant current, potentials, V_0 = 0.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import torch
from tests.claims.binary_study import DIGITS, converted, network, splits
from tests.claims.claims_binarized import claim
from torch import Tensor

from weightlore.binary import (
    fine_tune,
    fine_tune_binary,
    fit_binary,
    fit_clip_floor_shift,
    simulate_corrected,
    to_spiking,
    with_calibrated_potentials,
    with_clip_floor_shift,
    with_initial_potential,
    with_shifted_current,
)
from weightlore.spiking import Record, simulate
from weightlore.teaching.claims import Claim
from weightlore.training import sgd

torch.set_num_threads(1)

STEPS = 4


def plain(kind: str, x: Tensor, seed: int) -> Record:
    """The conversion that all are held against."""
    return simulate(converted(DIGITS, seed, kind), x, STEPS)


def half(kind: str, x: Tensor, seed: int) -> Record:
    """Neurons start at half their threshold."""
    return simulate(with_initial_potential(converted(DIGITS, seed, kind)), x, STEPS)


def shifted(kind: str, x: Tensor, seed: int) -> Record:
    """Every neuron gets half a threshold over the steps."""
    return simulate(with_shifted_current(converted(DIGITS, seed, kind), STEPS), x, STEPS)


def calibrated(kind: str, x: Tensor, seed: int) -> Record:
    """Initial potentials fitted on validation images."""
    spiking, model, images = converted(DIGITS, seed, kind), network(DIGITS, seed, kind), splits(DIGITS)[1]
    return simulate(with_calibrated_potentials(spiking, model, images, steps=STEPS), x, STEPS)


def corrected(kind: str, x: Tensor, seed: int) -> Record:
    """Spikes too many or too few corrected in a second run of each layer."""
    return simulate_corrected(converted(DIGITS, seed, kind), x, STEPS)


def stepped(kind: str, x: Tensor, seed: int) -> Record:
    """Trained further with activations of four levels."""
    start, train, generator = network(DIGITS, seed, "real"), splits(DIGITS)[0], torch.Generator().manual_seed(seed)
    if kind == "binary":
        levels = with_clip_floor_shift(start, train, levels=STEPS)
        model = fit_binary(levels, train, generator=generator, recipe=DIGITS.recipe).network
    else:
        optimizer = sgd(0.02, momentum=0.9)
        model = fit_clip_floor_shift(start, train, levels=STEPS, generator=generator, optimizer=optimizer).network
    return simulate(to_spiking(model), x, STEPS)


def tuned(kind: str, x: Tensor, seed: int) -> Record:
    """Converted, then trained further with its spikes."""
    train, generator = splits(DIGITS)[0], torch.Generator().manual_seed(seed)
    start = converted(DIGITS, seed, kind)
    if kind == "real":
        return simulate(fine_tune(start, train, steps=STEPS, generator=generator).network, x, STEPS)
    latent = to_spiking(network(DIGITS, seed, "latent"), factors=start.factors)
    return simulate(fine_tune_binary(latent, train, steps=STEPS, generator=generator).network, x, STEPS)


METHODS = {
    name: (words, source)
    for name, words, source in (
        ("half", "starting at half the threshold", "bu2022initial"),
        ("shifted", "spreading half a threshold of current over the steps", "deng2021optimal"),
        ("calibrated", "calibrating initial potentials on held-out images", "hao2023offset"),
        ("corrected", "correcting the spikes that are too many or too few, image by image", "hao2023offset"),
        ("stepped", "training with activations of four levels", "bu2022qcfs"),
        ("tuned", "training the converted network with its spikes", "rathi2020hybrid"),
    )
}


MORE = {
    "corrected": "; the correction runs each layer twice, which is not counted",
    "stepped": "; 30 further epochs of training, 60 of binary training",
    "tuned": "; 10 further epochs of training",
}


@lru_cache(maxsize=200)
def after(name: str, kind: str, seed: int) -> float:
    """Test accuracy after four steps, in percent."""
    test = splits(DIGITS)[2]
    methods = (plain, half, shifted, calibrated, corrected, stepped, tuned)
    (method,) = (each for each in methods if each.__name__ == name)
    found = method(kind, test.x, seed).potential[-1].argmax(1)
    return 100 * float((found == test.y).double().mean())


def gained(name: str, other: str, kind: str, seed: int) -> dict[str, float]:
    """Accuracy with one method minus that with another, in points."""
    here, there = after(name, kind, seed), after(other, kind, seed)
    return {"value": here - there, name: here, other: there}


def on_top(kind: str, seed: int) -> dict[str, float]:
    """Starting at half the threshold and correcting spikes, minus starting there alone, in points."""
    test, start = splits(DIGITS)[2], with_initial_potential(converted(DIGITS, seed, kind))
    found = (simulate_corrected(start, test.x, STEPS), simulate(start, test.x, STEPS))
    both, half = (100 * float((one.potential[-1].argmax(1) == test.y).double().mean()) for one in found)
    return {"value": both - half, "corrected": both, "half": half}


def four(id: str, statement: str, setting: str, measure: Callable[[int], object], **more: object) -> Claim:
    """Return a claim on four steps."""
    return claim(id, DIGITS, statement, f"{STEPS} steps, {setting}, difference of test accuracies", measure, **more)


CLAIMS = [
    four(
        f"four-steps-{name}-{kind}",
        f"With four steps, {words} raises the accuracy of a spiking network with {kind} weights.",
        f"against the plain conversion{MORE.get(name, '')}",
        partial(gained, name, "plain", kind),
        source=source,
        whose="other",
        fast=name == "half" and kind == "binary",
    )
    for name, (words, source) in METHODS.items()
    for kind in ("real", "binary")
]
CLAIMS += [
    four(
        f"four-steps-{name}-over-half-{kind}",
        f"With four steps, {words} raises accuracy further than starting at half the threshold, for {kind} weights.",
        f"against V_0 = 1/2{MORE.get(name, '')}",
        partial(gained, name, "half", kind),
        source=source,
        whose="ours",
    )
    for name, (words, source) in METHODS.items()
    if name in ("calibrated", "corrected", "stepped", "tuned")
    for kind in ("real", "binary")
]
CLAIMS += [
    four(
        f"four-steps-corrected-from-half-{kind}",
        f"With four steps, correcting the spikes that are too many or too few image by image raises accuracy where "
        f"neurons start at half the threshold, for {kind} weights.",
        "correction from V_0 = 1/2 against V_0 = 1/2 alone, asked after a look at the correction from V_0 = 0"
        + MORE["corrected"],
        partial(on_top, kind),
        source="hao2023offset",
        whose="other",
    )
    for kind in ("real", "binary")
]
