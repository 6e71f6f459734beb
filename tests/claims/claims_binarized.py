"""Chapter 6, accuracy: what one bit for each weight costs, what spikes cost, and how the weights got their bit.

Differences are paired: both networks of a difference start from one seed and answer the same test images. All numbers
are points, hundredths of the test images. "Near" follows the authors' own two cases: a loss below one point, as they
have it on CIFAR-100, is near; one below five, as they have it on ImageNet, is the same direction.
"""

import copy
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from tests.claims.binary_study import (
    CLOTHES,
    DIGITS,
    PHOTOGRAPHS,
    STUDIES,
    Study,
    accuracy,
    converted,
    fact,
    network,
    spiking_accuracy,
    splits,
)
from torch import nn

from weightlore.binary import (
    Converted,
    absorb_scales,
    binary_layers,
    normalization_factors,
    on_crossbar,
    spike_on_chip,
    to_spiking,
)
from weightlore.crossbar import Faults, Wires
from weightlore.crossbar.cells import PCM_CELLS
from weightlore.errors import DataError
from weightlore.spiking import simulate
from weightlore.teaching.claims import Claim, Rule, Verdict, beyond

torch.set_num_threads(1)

CHAPTER, PAPER = "6_binarized", "lu2020binary"
NEAR, WIDE = -1.0, -5.0
HOUR = 3600.0
DEFECTS, LINES = Faults(off=0.01, on=0.01), Wires(row=1.0, column=1.0)
CHIPS = {
    "ideal": ({}, "ideal parts"),
    "noise": ({"cells": PCM_CELLS, "age": HOUR}, "phase-change cells an hour after programming, with noise and drift"),
    "faults": ({"faults": DEFECTS}, "1 % of the cells stuck on and 1 % stuck off"),
    "wires": ({"wires": LINES}, "wires of 1 Ohm from cell to cell, cells of 100 uS"),
    "all": (
        {"cells": PCM_CELLS, "age": HOUR, "faults": DEFECTS, "wires": LINES},
        "phase-change cells an hour after programming, 1 % of the cells stuck on and 1 % stuck off, wires of 1 Ohm",
    ),
}


def lost(study: Study, kind: str, other: str, seed: int) -> dict[str, float]:
    """Accuracy of one network minus that of another; neither spikes."""
    here, there = accuracy(study, seed, kind), accuracy(study, seed, other)
    return {"value": here - there, kind: here, other: there}


def lost_by_spikes(study: Study, kind: str, seed: int) -> dict[str, float]:
    """Accuracy of a spiking network minus that of the network it was made from."""
    here, there = spiking_accuracy(study, seed, kind), accuracy(study, seed, kind)
    return {"value": here - there, "spiking": here, kind: there}


def lost_by_both(study: Study, seed: int) -> dict[str, float]:
    """Accuracy of the binary spiking network minus that of the real one that does not spike."""
    here, there = spiking_accuracy(study, seed, "binary"), accuracy(study, seed, "real")
    return {"value": here - there, "binary spiking": here, "real": there, "binary": accuracy(study, seed, "binary")}


def lost_on_chip(study: Study, chip: str, seed: int) -> dict[str, float]:
    """Accuracy of the binary spiking network on crossbars minus that in the simulator, on some test images."""
    there, here, other = fact(study, f"{seed} chip {chip}", partial(on_chip, study, chip, seed))
    return {"value": here - there, "simulator": there, "spikes that differ per thousand": other}


def on_chip(study: Study, chip: str, seed: int) -> list[float]:
    """Accuracy in the simulator and on crossbars, in percent, and spike counts that differ, per thousand spikes."""
    test, generator = splits(study)[2][torch.arange(study.raced)], torch.Generator().manual_seed(seed)
    moved = absorb_scales(converted(study, seed, "binary"))
    array = on_crossbar(moved, generator=generator, **CHIPS[chip][0])
    plain = simulate(moved, test.x, study.steps)
    noisy = spike_on_chip(array, test.x, study.steps, generator=generator)
    right = [100 * float((one.potential[-1].argmax(1) == test.y).double().mean()) for one in (plain, noisy)]
    pairs = zip(plain.spike_counts, noisy.spike_counts, strict=True)
    other = sum(int((a - b).abs().sum()) for a, b in pairs) / sum(int(a.sum()) for a in plain.spike_counts)
    return [*right, 1000 * other]


def moved_scales(study: Study, dyadic: bool, seed: int) -> dict[str, float]:
    """Spikes that differ when the scales move into the thresholds; with scales and ceilings at powers of two, if so."""
    test = splits(study)[2]
    plainly = rounded(study, seed) if dyadic else converted(study, seed, "binary")
    numbers = tuple(range(1, len(plainly.layers)))
    plain = simulate(plainly, test.x, 32, record=numbers).spikes
    moved = simulate(absorb_scales(plainly), test.x, 32, record=numbers).spikes
    different = sum(int((plain[k] != moved[k]).sum()) for k in numbers)
    return {"value": float(different), "spikes": float(sum(int(plain[k].sum()) for k in numbers))}


def rounded(study: Study, seed: int) -> Converted:
    """The binary spiking network with powers of two for scales and ceilings, other weights in steps of 1/256."""
    model = copy.deepcopy(network(study, seed, "binary"))
    binary = binary_layers(model)
    with torch.no_grad():
        for name, layer in model.named_modules():
            if isinstance(layer, nn.Linear):
                scale = layer.weight.abs().amax(1, keepdim=True).log2().round().exp2()
                layer.weight.copy_(
                    scale * layer.weight.sign() if name in binary else (layer.weight * 256).round() / 256
                )
    factors = normalization_factors(model, splits(study)[0].x[:1000])
    return to_spiking(model, factors=factors.log2().round().exp2())


def none_at_all(values: np.ndarray) -> Verdict:
    """The rule that every value is zero."""
    return "reproduced" if not values.any() else "not reproduced"


def few(values: np.ndarray) -> Verdict:
    """The rule that no value is above ten."""
    return "reproduced" if values.max() <= 10 else "not reproduced"


def untried(id: str, statement: str, setting: str, needs: str, **more: object) -> Claim:
    """Return a claim of the paper that was not tried: its row says what it needs."""

    def wait(seed: int) -> float:
        raise DataError(f"{setting} was not run; nothing was measured")

    known = {"source": PAPER, "whose": "paper", "unit": "points", "verdict": beyond(NEAR, same=WIDE)} | more
    return Claim(
        id=id, chapter=CHAPTER, statement=statement, setting=setting, measure=wait, seeds=(0,), needs=(needs,), **known
    )


def claim(
    id: str, study: Study, statement: str, setting: str, measure: Callable[[int], object], **more: object
) -> Claim:
    """Return a claim on the networks of a study."""
    known = {"source": PAPER, "whose": "ours", "unit": "points", "verdict": beyond(0.0), "tolerance": 1.2} | more
    return Claim(
        id=f"{id}-{study.name}",
        chapter=CHAPTER,
        statement=statement,
        setting=f"{study.words}; {setting}",
        measure=measure,
        seeds=study.seeds,
        needs=(study.data,) if study.data else (),
        **known,
    )


def costs(study: Study) -> list[Claim]:
    """Return the claims on what bits and spikes cost."""
    near: Rule = beyond(NEAR, same=WIDE)
    spikes = f"{study.steps} steps, percentile 99.9 of 1,000 training images, soft reset, constant current, potentials"
    wanted = "wanted above -1 point, above -5 is the same direction"
    fast = study is DIGITS
    return [
        claim(
            "binary-near-real",
            study,
            "A network with weights of one bit is nearly as accurate as the one with real weights that it starts from.",
            f"binary minus real; {wanted}",
            partial(lost, study, "binary", "real"),
            verdict=near,
            whose="paper",
            fast=fast,
        ),
        claim(
            "spiking-near-real",
            study,
            "A spiking network is as accurate as the network with real weights that it is made from.",
            f"{spikes}; spiking minus not spiking; wanted above -1 point",
            partial(lost_by_spikes, study, "real"),
            verdict=beyond(NEAR),
            whose="paper",
            fast=fast,
        ),
        claim(
            "spiking-near-binary",
            study,
            "A spiking network with weights of one bit is as accurate as the binary network that it is made from.",
            f"{spikes}; spiking minus not spiking; wanted above -1 point",
            partial(lost_by_spikes, study, "binary"),
            verdict=beyond(NEAR),
            fast=fast,
        ),
        claim(
            "binary-spiking-near-real",
            study,
            "A spiking network with weights of one bit is nearly as accurate as a network of full precision.",
            f"{spikes}; binary spiking minus real, not spiking; {wanted}",
            partial(lost_by_both, study),
            verdict=near,
            whose="paper",
            fast=fast,
        ),
    ]


def chips(study: Study) -> list[Claim]:
    """Return the claims on crossbars."""
    setting = f"{{}}; inner layers on two cells for each weight, tiles of 128 x 128; {study.steps} steps; on crossbars "
    setting += f"minus in the simulator, first {study.raced} test images; wanted above -1 point"
    return [
        claim(
            f"chip-{name}",
            study,
            f"On crossbars with {words}, a comparator in the place of a converter, a spiking network with weights of "
            "one bit loses less than a point.",
            setting.format(words),
            partial(lost_on_chip, study, name),
            verdict=beyond(NEAR),
            fast=study is DIGITS and name == "ideal",
        )
        for name, (_, words) in CHIPS.items()
    ]


def trainings(study: Study) -> list[Claim]:
    """Return the claims on how weights get their bit."""
    rounded = claim(
        "rounding-loses",
        study,
        "Trained weights that are rounded to one bit lose much, and training with one bit gets it back.",
        "trained with one bit minus rounded, both from the same real network; wanted above 5 points, above 0 is the "
        "same direction",
        partial(lost, study, "binary", "rounded"),
        verdict=beyond(5.0, same=0.0),
        fast=study is DIGITS,
    )
    return [
        rounded,
        claim(
            "trained-start",
            study,
            "Binary training ends better from a trained network than from initial weights, in as many binary epochs.",
            "from the trained network minus from its initial weights",
            partial(lost, study, "binary", "scratch"),
        ),
        claim(
            "trained-start-longer",
            study,
            "Binary training ends better from a trained network than from initial weights, with as many epochs in all.",
            "from the trained network minus from its initial weights, the latter with as many binary epochs as both "
            "trainings of the former",
            partial(lost, study, "binary", "longer"),
        ),
        claim(
            "scaled-beats-connect",
            study,
            "A scale for each output makes binary networks better than BinaryConnect, whose magnitude is fixed.",
            "both from initial weights; BinaryConnect with the magnitude sqrt(2 / n) for lack of batch normalization",
            partial(lost, study, "scratch", "connect"),
            source="rastegari2016xnor",
            whose="other",
        ),
    ]


CLAIMS = [row for study in STUDIES.values() for row in costs(study)]
CLAIMS += [row for study in STUDIES.values() for row in chips(study)]
CLAIMS += [row for study in (DIGITS, CLOTHES) for row in trainings(study)]
CLAIMS += trainings(PHOTOGRAPHS)[:1]
CLAIMS += [
    claim(
        "scales-vanish-dyadic",
        DIGITS,
        "When the scales of binary weights move into the thresholds, all spikes stay the same, where arithmetic is "
        "exact.",
        "scales and ceilings rounded to powers of two, inputs to 1/256; spikes of 32 steps that differ; wanted 0",
        partial(moved_scales, DIGITS, True),
        verdict=none_at_all,
        unit="spikes",
        fast=True,
        tolerance=0.0,
    ),
    claim(
        "scales-vanish",
        DIGITS,
        "When the scales of binary weights move into the thresholds, spikes differ at most by ties of rounding.",
        "as trained, float64; spikes of 32 steps that differ, of some millions; wanted at most 10",
        partial(moved_scales, DIGITS, False),
        verdict=few,
        unit="spikes",
        fast=True,
        tolerance=10.0,
    ),
]
README = "read in the README of the official repository, not in the paper"
FULL = "VGG-15 by the authors' set-up"
CLAIMS += [
    untried(
        "binary-near-real-cifar100",
        "A network with weights of one bit is nearly as accurate as one with real weights.",
        f"not tried; {FULL} on CIFAR-100; binary minus real; the paper's number was {README}",
        "cifar100",
        paper_number="64.9 % real, 64.8 % binary",
    ),
    untried(
        "binary-near-real-imagenet",
        "A network with weights of one bit is nearly as accurate as one with real weights.",
        f"not tried; {FULL} on ImageNet; binary minus real; the paper's number was {README}",
        "imagenet",
        paper_number="69.05 % real, 64.4 % binary",
    ),
]
CLAIMS += [
    untried(
        f"binary-spiking-near-real-{data}",
        "A spiking network with weights of one bit is nearly as accurate as one of full precision.",
        f"not tried; {FULL} on {words}; binary spiking minus real; we do not know the paper's number",
        data,
    )
    for data, words in (("cifar100", "CIFAR-100"), ("imagenet", "ImageNet"))
]
CLAIMS += [
    untried(
        f"tenfold-{kind}-{data}",
        "Conversion takes an order of magnitude fewer steps than in earlier work, "
        f"for {'real' if kind == 'real' else 'binary'} weights.",
        f"not tried; {FULL} on {words}; the paper's abstract has the factor in words, its numbers of steps are not "
        "known to us",
        data,
        verdict=beyond(10.0, same=1.0),
        unit="factor",
        paper_number="an order of magnitude",
    )
    for data, words in (("cifar100", "CIFAR-100"), ("imagenet", "ImageNet"))
    for kind in ("real", "binary")
]
