"""Chapter 5, converters: how few bits do trained networks need, by slices, and what does that save?

Networks are those of the studies, moved onto simulated crossbars of 128 rows: 2-bit cells, two arrays for the two
signs, inputs of 8 bits, one bit at a time, converters that saturate. Resolutions are listed from the least significant
slice up and are the same in all layers. They are searched on validation images; test images say what they cost.
"""

import math
from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np
import torch
from tests.claims.claims_sliced import CHAPTER, PAPER
from tests.claims.sliced_study import STUDIES, Study, network, points, splits
from torch import nn

from weightlore.bitslice import saving
from weightlore.crossbar import Adc, CrossbarConfig
from weightlore.crossbar.conversion import convert
from weightlore.crossbar.cost import Bill, Cost, CostModel, counts
from weightlore.data import Split
from weightlore.errors import DataError
from weightlore.teaching.claims import Claim, Rule, Verdict, beyond
from weightlore.training import evaluate

torch.set_num_threads(1)

Bits = tuple[int, int, int, int]
PRINTED = "1 bit for the most significant slice, down to 3 bits for the others; on which networks we do not know"
COARSE: tuple[Bits, ...] = ((5, 5, 5, 3), (4, 4, 4, 2), (3, 3, 3, 1))
MODELS: tuple[CostModel, ...] = ("isaac", "cdac", "puma", "neurosim")
AREAS: dict[CostModel, str] = {"isaac": "isaac, which cdac and neurosim borrow", "puma": "puma"}
CALIBRATED, SEARCHED, LOST = 1_000, 2_000, 0.005
CHIP = "crossbars of 128 rows, 2-bit cells, two signs, 8-bit inputs bit by bit, saturating converters"


@lru_cache(maxsize=64)
def trained(name: str, seed: int, method: str) -> nn.Module:
    """A network of a study: slice L1 of 0.5, no penalty, or the L1 whose density is nearest to that of slice L1."""
    found = {(p.method, p.strength): p.density for p in points(STUDIES[name], seed)}
    strength = {"slice": 0.5}.get(method, 0.0)
    if method == "l1":
        wanted = math.log(found["slice", 0.5])
        strength = min((a for m, a in found if m == "l1"), key=lambda a: abs(math.log(found["l1", a]) - wanted))
    return network(STUDIES[name], seed, method, strength).plain().eval()


def right(name: str, model: nn.Module, data: Split, bits: Bits | None, rows: int = 128, **adc: object) -> float:
    """Accuracy on crossbars, in percent; ``None`` for converters that lose nothing."""
    config = CrossbarConfig(rows=rows, adc=Adc(bits=bits, **adc))
    calibrate = splits(STUDIES[name].data)[0].x[:CALIBRATED]
    return 100 * evaluate(convert(model, config, calibrate=calibrate), data, batch_size=100).accuracy


@lru_cache(maxsize=512)
def on_chip(name: str, seed: int, method: str, bits: Bits | None, rows: int = 128) -> float:
    """Accuracy of a network of a study on test images."""
    return right(name, trained(name, seed, method), splits(STUDIES[name].data)[2], bits, rows)


def lost(name: str, method: str, bits: Bits, rows: int, seed: int) -> dict[str, float]:
    """Test accuracy at a resolution minus that of converters that lose nothing, in points."""
    full, coarse = on_chip(name, seed, method, None, rows), on_chip(name, seed, method, bits, rows)
    return {"value": coarse - full, "lossless": full, "accuracy": coarse}


def tolerance(name: str, bits: Bits, seed: int) -> dict[str, float]:
    """What a resolution costs after the L1 of equal density minus what it costs after slice L1, in points."""
    each = {method: lost(name, method, bits, 128, seed)["value"] for method in ("slice", "l1", "none")}
    return {"value": each["slice"] - each["l1"]} | each


@lru_cache(maxsize=64)
def smallest(name: str, seed: int, method: str) -> Bits:
    """The resolution of each slice that a greedy descent ends with.

    It begins where no sum can saturate. The bit whose loss leaves the highest validation accuracy goes, the first of
    equals, as long as accuracy stays within half a point of the lossless one.
    """
    model, some = trained(name, seed, method), torch.arange(SEARCHED)
    data = splits(STUDIES[name].data)[1][some]
    best: list[int] = [7, 7, 7, 7]
    least = right(name, model, data, None) - 100 * LOST
    while any(b > 1 for b in best):
        tried = [[b - (i == k) for i, b in enumerate(best)] for k in range(4) if best[k] > 1]
        found = [right(name, model, data, tuple(bits)) for bits in tried]
        if max(found) < least:
            break
        best = tried[int(np.argmax(found))]
    return tuple(best)


def found(name: str, method: str, seed: int) -> dict[str, float]:
    """What the resolution found costs on test images, in points, and the resolution."""
    bits = smallest(name, seed, method)
    return lost(name, method, bits, 128, seed) | {f"bits of slice {k}": float(b) for k, b in enumerate(bits)}


def fewer(name: str, other: str, seed: int) -> dict[str, float]:
    """How many bits fewer slice L1 needs than another training, all four slices together."""
    ours, theirs = (float(sum(smallest(name, seed, method))) for method in ("slice", other))
    return {"value": theirs - ours, "ours": ours, "theirs": theirs}


def upward(name: str, seed: int) -> dict[str, float]:
    """Ten bits spent on the upper slices minus ten bits spent on the lower ones, in points of test accuracy."""
    up, down = (on_chip(name, seed, "slice", bits) for bits in ((1, 2, 4, 3), (3, 3, 3, 1)))
    return {"value": up - down, "1, 2, 4, 3": up, "3, 3, 3, 1": down}


def stretched(name: str, seed: int) -> dict[str, float]:
    """Converters whose steps cover all sums of these weights minus ones that saturate, at 4, 4, 4, 2, in points."""
    model, test, bits = trained(name, seed, "slice"), splits(STUDIES[name].data)[2], (4, 4, 4, 2)
    wide = right(name, model, test, bits, step="full_scale", range="static")
    return {"value": wide - on_chip(name, seed, "slice", bits), "full scale": wide}


def favored(name: str, seed: int) -> dict[str, float]:
    """What saturation keeps after slice L1 minus what it keeps after the L1 of equal density, in points.

    Each is the accuracy at 4, 4, 4, 2 with converters that saturate minus that with steps that cover all sums.
    """
    test, bits, kept = splits(STUDIES[name].data)[2], (4, 4, 4, 2), {}
    for method in ("slice", "l1"):
        wide = right(name, trained(name, seed, method), test, bits, step="full_scale", range="static")
        kept[method] = on_chip(name, seed, method, bits) - wide
    return {"value": kept["slice"] - kept["l1"]} | kept


def bill(model: CostModel, bits: Bits) -> Bill:
    """What one image costs a 784-100-10 network."""
    return Cost(model).bill(counts(784, 100, bits)) + Cost(model).bill(counts(100, 10, bits))


def cheaper(model: CostModel, bits: Bits) -> dict[str, float]:
    """What 8 bits cost over what a resolution costs: energy, time and area, of the converters and of everything."""
    full, small = bill(model, (8, 8, 8, 8)), bill(model, bits)
    return {
        "value": full.energy / small.energy,
        "converters' energy": full.adc_energy / small.adc_energy,
        "time": full.latency / small.latency,
        "area": full.area / small.area,
        "converters' area": full.adc_area / small.adc_area,
    }


def cheaper_found(model: CostModel, name: str, seed: int) -> dict[str, float]:
    """The same for the resolution found for slice L1."""
    return cheaper(model, smallest(name, seed, "slice"))


def cheaper_printed(model: CostModel, seed: int) -> dict[str, float]:
    """The same for 3, 3, 3, 1."""
    return cheaper(model, (3, 3, 3, 1))


def share(model: CostModel, seed: int) -> dict[str, float]:
    """The converters' share of the energy at 8 bits, and of the area."""
    full = bill(model, (8, 8, 8, 8))
    return {"value": full.adc_energy_share, "area": full.adc_area_share}


def share_of_area(model: CostModel, seed: int) -> float:
    """The converters' share of the area at 8 bits."""
    return bill(model, (8, 8, 8, 8)).adc_area_share


def digital(model: CostModel, seed: int) -> dict[str, float]:
    """Energy of digital arithmetic over that of the crossbars, at 8 bits and at fewer."""
    other = {f"at {bits}": bill(model, bits).digital_ratio for bits in ((4, 4, 4, 2), (3, 3, 3, 1))}
    return {"value": bill(model, (8, 8, 8, 8)).digital_ratio} | other


def ratio(quantity: str, bits: int, seed: int) -> float:
    """What 8 bits cost over what fewer cost, by 2^N / (N + 1) and by N."""
    return getattr(saving(bits), quantity)


def rounds_to(number: float, digits: int) -> Rule:
    """Return the rule that every value is a number, rounded."""

    def rule(values: np.ndarray) -> Verdict:
        return "reproduced" if all(round(v, digits) == number for v in values) else "not reproduced"

    return rule


def above_a_lower_bound(values: np.ndarray) -> Verdict:
    """The rule for a factor that is at least so large: above 1 it decides, below it does not."""
    return "reproduced" if values.min() > 1 else "undecided"


def untold(seed: int) -> float:
    """No source gives the throughput of a digital machine that could be compared."""
    raise DataError("throughput of a digital machine is not among the constants; nothing was measured")


def chip(
    id: str, study: Study, statement: str, setting: str, measure: Callable[[int], object], **more: object
) -> Claim:
    """Return a claim on networks of a study on crossbars."""
    known = {"whose": "ours", "unit": "points", "verdict": beyond(0.0)} | more
    return Claim(
        id=f"{id}-{study.name}",
        chapter=CHAPTER,
        statement=statement,
        source=PAPER,
        setting=f"{study.words}; {CHIP}; {setting}",
        measure=measure,
        seeds=study.seeds,
        needs=(study.data,),
        **known,
    )


def told(bits: Bits) -> str:
    """A resolution in words."""
    return ", ".join(map(str, bits))


def slug(bits: Bits) -> str:
    """A resolution in an id."""
    return "".join(map(str, bits))


def at_resolution(study: Study, bits: Bits) -> Claim:
    """Return the claim that a resolution costs nothing after slice L1."""
    printed = bits == (3, 3, 3, 1)
    return chip(
        f"bits-{slug(bits)}",
        study,
        f"After slice L1 converters of {told(bits)} bits lose no accuracy.",
        "slice L1 of strength 0.5; accuracy minus that of lossless converters, test images; wanted above -0.5 points",
        partial(lost, study.name, "slice", bits, 128),
        verdict=beyond(-0.5),
        whose="paper" if printed else "ours",
        paper_number=PRINTED if printed else None,
    )


def tolerant(study: Study, bits: Bits) -> Claim:
    """Return the claim that slice L1 tolerates a resolution better than an L1 of equal density."""
    return chip(
        f"tolerance-{slug(bits)}",
        study,
        f"Converters of {told(bits)} bits cost less accuracy after slice L1 than after an L1 of about equal density.",
        "slice L1 of strength 0.5; of each seed the L1 with the nearest mean density; difference of the losses",
        partial(tolerance, study.name, bits),
    )


def searched(study: Study) -> list[Claim]:
    """Return the claims on the smallest resolution."""
    how = "bits taken away one by one on 2,000 validation images while within half a point of lossless"
    cost = chip(
        "found",
        study,
        "After slice L1 a resolution found on validation images loses at most a point of test accuracy.",
        f"slice L1 of strength 0.5; {how}; test images",
        partial(found, study.name, "slice"),
        verdict=beyond(-1.0),
    )
    less = [
        chip(
            f"fewer-bits-than-{other}",
            study,
            f"After slice L1 converters need fewer bits, all slices together, than after {words}.",
            f"slice L1 of strength 0.5; {how}; difference of the sums of bits",
            partial(fewer, study.name, other),
            unit="bits",
        )
        for other, words in (("none", "fine-tuning without a penalty"), ("l1", "an L1 of about equal density"))
    ]
    return [cost, *less]


def fixed(id: str, statement: str, setting: str, measure: Callable[[int], object], rule: Rule, **more: object) -> Claim:
    """Return a claim in which nothing is random."""
    known = {"source": PAPER, "whose": "ours", "unit": "factor"} | more
    return Claim(
        id=id,
        chapter=CHAPTER,
        statement=statement,
        setting=setting,
        measure=measure,
        seeds=(0,),
        verdict=rule,
        fast=True,
        **known,
    )


IMAGE = "one image through 784-100-10 on arrays of 128 x 128, one converter an array, without memory and buses"
UNREAD = "the paper's printed factors could not be verified"
BENCH = [STUDIES[f"clothes-{name}"] for name in ("short", "long", "patient")]
PATIENT, PAIRED = STUDIES["clothes-patient"], [STUDIES["clothes-short"], STUDIES["clothes-long"]]
DEEP = [STUDIES[f"photographs-{name}"] for name in ("vgg", "resnet")]

CLAIMS = [at_resolution(study, bits) for study in (*BENCH, *DEEP) for bits in COARSE]
CLAIMS += [tolerant(study, bits) for study in (*BENCH, *DEEP) for bits in COARSE[1:]]
CLAIMS += [claim for study in BENCH for claim in searched(study)]
CLAIMS += [
    chip(
        "upward",
        study,
        "Ten bits in all lose less accuracy as 1, 2, 4, 3 than as 3, 3, 3, 1: what saturates in the upper slices "
        "weighs more.",
        "slice L1 of strength 0.5; difference on test images; asked after a look at one network of clothes-long",
        partial(upward, study.name),
    )
    for study in BENCH
]
CLAIMS += [
    chip(
        "rows-32",
        study,
        "On arrays of 32 rows converters of 3, 3, 3, 1 bits lose no accuracy after slice L1.",
        "but 32 rows; slice L1 of strength 0.5; test images; wanted above -0.5 points",
        partial(lost, study.name, "slice", (3, 3, 3, 1), 32),
        verdict=beyond(-0.5),
    )
    for study in BENCH
]
CLAIMS += [
    chip(
        "clipping",
        study,
        "At 4, 4, 4, 2 bits converters that saturate keep more accuracy than ones whose steps cover every sum.",
        "slice L1 of strength 0.5; accuracy with full-scale steps minus that with saturation, test images",
        partial(stretched, study.name),
        verdict=beyond(0.0, below=True),
    )
    for study in BENCH
]
CLAIMS += [
    chip(
        "clipping-favors",
        study,
        "At 4, 4, 4, 2 bits converters that saturate, instead of covering every sum, help slice L1 more than an L1 of "
        "about equal density.",
        "slice L1 of strength 0.5; of each seed the L1 with the nearest mean density; difference of what saturation "
        "keeps against full-scale steps, test images",
        partial(favored, study.name),
    )
    for study in PAIRED
]
CLAIMS += [
    chip(
        f"saved-{model}",
        PATIENT,
        f"The resolution found after slice L1 halves the energy of crossbars, by the converter model {model}.",
        f"resolution as found; {IMAGE}; energy at 8 bits over energy at that resolution, all parts; wanted above 2",
        partial(cheaper_found, model, PATIENT.name),
        verdict=beyond(2.0, same=1.0),
        unit="factor",
    )
    for model in MODELS
]
CLAIMS += [
    fixed(
        f"saved-{slug((3, 3, 3, 1))}-{model}",
        f"Converters of 3, 3, 3, 1 bits instead of 8 halve the energy of crossbars, by the converter model {model}.",
        f"{IMAGE}; whether accuracy bears it is another row; all parts; wanted above 2",
        partial(cheaper_printed, model),
        beyond(2.0, same=1.0),
    )
    for model in MODELS
]
CLAIMS += [
    fixed(
        f"share-energy-{model}",
        f"Converters take more energy than all other parts together, by the converter model {model}.",
        f"{IMAGE}; converters of 8 bits; share, wanted above one half",
        partial(share, model),
        beyond(0.5),
        whose="paper",
        unit="share",
    )
    for model in MODELS
]
CLAIMS += [
    fixed(
        f"share-area-{model}",
        f"Converters take more area than all other parts together, by the converter model {words}.",
        f"{IMAGE}; converters of 8 bits; share, wanted above one half",
        partial(share_of_area, model),
        beyond(0.5),
        unit="share",
    )
    for model, words in AREAS.items()
]
CLAIMS += [
    fixed(
        f"digital-{model}",
        f"Crossbars take less energy than digital multiplications and additions, by the converter model {model}.",
        f"{IMAGE}; converters of 8 bits; energy of 8-bit digital arithmetic at 45 nm over that of the crossbars at 32 "
        "nm; wanted above 1; below it is undecided, for a digital machine pays for memory and control as well",
        partial(digital, model),
        above_a_lower_bound,
        whose="paper",
    )
    for model in MODELS
]
CLAIMS += [
    fixed(
        f"ratio-{quantity}-{bits}",
        f"A converter of {bits} {'bit' if bits == 1 else 'bits'} takes {number:g} times less {quantity} than one of 8.",
        f"our ratio by {law}: arithmetic, which cannot fail; {UNREAD}",
        partial(ratio, quantity, bits),
        rounds_to(number, digits),
        source="saberi2011capacitive",
    )
    for quantity, law, digits, numbers in (
        ("energy", "2^N / (N + 1), the capacitor array alone", 1, {1: 28.4, 3: 14.2}),
        ("time", "N, the steps of a successive approximation", 2, {1: 8.0, 3: 2.67}),
    )
    for bits, number in numbers.items()
]
CLAIMS += [
    Claim(
        id="throughput",
        chapter=CHAPTER,
        statement="Crossbars have a higher throughput than digital machines.",
        source=PAPER,
        whose="paper",
        setting="not tried; no sourced throughput of a digital machine of that technology",
        measure=untold,
        seeds=(0,),
        verdict=beyond(1.0),
        unit="factor",
    )
]
