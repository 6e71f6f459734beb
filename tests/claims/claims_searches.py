"""Chapter 5, deeper networks: the resolutions that a search finds for VGG-11 and ResNet-20, and what they save.

The search, the rules and the accounts are those of the small network (``claims_converters``, ``claims_resolutions``)
and were taken over before anything was searched here. Three things differ: there are 500 validation images, on which
half a point is two images; bit lines of VGG-11 are too full for 7 bits, so that the search begins with as many as hold
the fullest of them; and the bill is that of one image through all layers of the network itself.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial

import numpy as np
import torch
from tests.claims.claims_converters import CHIP, DEEP, LOST, MODELS, PRINTED, Bits, lost, right, trained
from tests.claims.claims_resolutions import MOST, SAID, UNIT, at_most, by, lossless
from tests.claims.claims_resolutions import found as stored_resolution
from tests.claims.claims_sliced import CHAPTER, PAPER
from tests.claims.sliced_study import STUDIES, Study, splits
from torch import Tensor, nn

from weightlore.crossbar.conversion import convert, crossbar_layers
from weightlore.crossbar.cost import Bill, Cost, CostModel, Counts
from weightlore.crossbar.reports import layer_counts
from weightlore.teaching.claims import Claim, beyond

torch.set_num_threads(1)

BEFORE = "search and rule taken over from the small network before anything was searched here"
HOW = (
    "bits taken away one by one, from as many in every slice as hold the fullest bit line, on 500 validation images "
    "while within half a point of lossless"
)
IMAGE = (
    "one image through all layers, one after the other, the first read in two passes, on arrays of 128 x 128, one "
    "converter an array, without memory and buses"
)
SHAPES = {"fashion-mnist": (784,), "cifar10-subset": (3, 32, 32)}


def descent(score: Callable[[Bits], float], start: int, least: float) -> Bits:
    """Return where a greedy descent ends that never scores less than the least.

    The bit whose loss leaves the highest score goes, the first of equals.
    """
    best = [start] * 4
    while any(b > 1 for b in best):
        tried = [[b - (i == k) for i, b in enumerate(best)] for k in range(4) if best[k] > 1]
        scores = [score(tuple(bits)) for bits in tried]
        if max(scores) < least:
            break
        best = tried[int(np.argmax(scores))]
    return tuple(best)


def searched(name: str, seed: int) -> dict[str, float]:
    """What the resolution found costs on test images, in points, and the resolution."""
    model, validation = trained(name, seed, "slice"), splits(STUDIES[name].data)[1]
    start = max(lossless(name, seed, "slice"))
    least = right(name, model, validation, None) - 100 * LOST
    bits = descent(lambda bits: right(name, model, validation, bits), start, least)
    return lost(name, "slice", bits, 128, seed) | {f"bits of slice {k}": float(b) for k, b in enumerate(bits)}


def of_slice(name: str, k: int, seed: int) -> dict[str, float]:
    """Bits of one slice of the resolution that was found, and of all of them together."""
    bits = stored_resolution(name, seed)
    return {"value": float(bits[k]), "all slices": float(sum(bits))}


@lru_cache(maxsize=8)
def work(name: str) -> tuple[Counts, ...]:
    """What the layers of a study's network do for one image; noise stands for it, of the signs that its images have."""
    study, generator = STUDIES[name], torch.Generator().manual_seed(0)
    images = torch.randn(2, *SHAPES[study.data], generator=generator)
    images = images.abs() if study.data == "fashion-mnist" else images
    hardware, found = convert(study.make(generator).plain(), calibrate=images), []

    def note(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        for array, codes in zip(layer.chips, layer.input_codes(inputs[0]), strict=True):
            found.append(layer_counts(array, codes.shape[:-1].numel()))

    for layer in crossbar_layers(hardware).values():
        layer.register_forward_pre_hook(note)
    with torch.no_grad():
        hardware(images[:1])
    return tuple(found)


def bill(name: str, model: CostModel, bits: Bits) -> Bill:
    """What one image costs the network of a study."""
    each = [Cost(model).bill(replace(layer, adc_bits=bits)) for layer in work(name)]
    return sum(each[1:], each[0])


def saved(quantity: str, model: CostModel, name: str, seed: int) -> dict[str, float]:
    """What 8 bits take over what the resolution found takes, and over what the one that loses nothing takes."""
    full, small = bill(name, model, (8, 8, 8, 8)), bill(name, model, stored_resolution(name, seed))
    fine = bill(name, model, tuple(lossless(name, seed, "slice")))
    found = {"value": getattr(full, UNIT[quantity]) / getattr(small, UNIT[quantity])}
    found["at the lossless resolution"] = getattr(full, UNIT[quantity]) / getattr(fine, UNIT[quantity])
    own = {"energy": "adc_energy", "area": "adc_area"}.get(quantity)
    return found if own is None else found | {"converters alone": getattr(full, own) / getattr(small, own)}


def row(id: str, study: Study, statement: str, setting: str, measure: Callable[[int], object], **more: object) -> Claim:
    """Return a claim of ours on the resolution of a deeper network."""
    known = {"chapter": CHAPTER, "source": PAPER, "whose": "ours", "seeds": study.seeds} | more
    words = f"{study.words}; {CHIP}; slice L1 of strength 0.5; {setting}; {BEFORE}"
    return Claim(id=id, statement=statement, setting=words, measure=measure, **known)


def cost(study: Study) -> Claim:
    """Return the claim that a resolution found on validation images costs little on test images."""
    return row(
        f"found-{study.name}",
        study,
        "After slice L1 a resolution found on validation images loses at most a point of test accuracy.",
        f"{HOW}; test images",
        partial(searched, study.name),
        verdict=beyond(-1.0),
        unit="points",
        needs=(study.data,),
    )


def shown(study: Study, k: int) -> Claim:
    """Return the claim that the resolution found has no more bits in a slice than the abstract says."""
    rule, words = at_most(k)
    return row(
        f"found-bits-{study.name}-slice-{k}",
        study,
        f"The resolution found after slice L1 has {MOST[k]} bits or fewer in slice {k}.",
        f"{HOW}; {words}",
        partial(of_slice, study.name, k),
        verdict=rule,
        paper_number=PRINTED,
        unit="bits",
        fast=True,
    )


def cheaper(study: Study, quantity: str, model: CostModel) -> Claim:
    """Return the claim that the resolution found saves energy, time or area."""
    said, wanted, rule = SAID[quantity]
    return row(
        f"saved-{quantity}-{model}-{study.name}",
        study,
        f"The resolution found after slice L1 {said}, {by(quantity, model)}.",
        f"resolution as found; {IMAGE}; {quantity} at 8 bits over {quantity} at that resolution, all parts; {wanted}",
        partial(saved, quantity, model, study.name),
        verdict=rule,
        unit="factor",
        fast=True,
    )


ACCOUNTS = [(quantity, model) for quantity in ("energy", "time") for model in MODELS]
ACCOUNTS += [("area", "isaac"), ("area", "puma")]

CLAIMS = [cost(study) for study in DEEP]
CLAIMS += [shown(study, k) for study in DEEP for k in MOST]
CLAIMS += [cheaper(study, *account) for study in DEEP for account in ACCOUNTS]
