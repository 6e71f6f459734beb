"""Chapter 5, the resolutions that were chosen: how many bits each slice asks for, and what they save by which account.

Nothing is trained here. The fullest bit lines stand among the stored points of the studies; resolutions that were
searched on validation images stand in the rows ``found-...``, which ``claims_converters`` measures. The rules were
written after a look at both, and every row says so.
"""

import json
import math
from collections.abc import Callable
from functools import partial

from tests.claims import LEDGERS
from tests.claims.claims_converters import BENCH, CHIP, DEEP, IMAGE, MODELS, PATIENT, PRINTED, Bits, bill
from tests.claims.claims_sliced import CHAPTER, PAPER
from tests.claims.sliced_study import STUDIES, Study, points

from weightlore.bitslice import Point
from weightlore.crossbar.cost import CostModel
from weightlore.errors import DataError
from weightlore.teaching.claims import Claim, Rule, beyond

WORST, LOOKED = 9, "rule written after a look at the stored numbers"
MOST = {0: 3, 1: 3, 2: 3, 3: 1}  # bits of the abstract, slice 0 the least significant
UNIT = {"energy": "energy", "time": "latency", "area": "area"}  # attributes of a bill


def of(name: str, seed: int, method: str) -> Point:
    """A point: slice L1 of 0.5, no penalty, or the L1 whose density is nearest to that of slice L1."""
    mine = {(p.method, p.strength): p for p in points(STUDIES[name], seed)}
    ours = mine["slice", 0.5]
    if method == "l1":
        every = [p for p in mine.values() if p.method == "l1"]
        return min(every, key=lambda p: abs(math.log(p.density / ours.density)))
    return {"slice": ours}.get(method, mine["none", 0.0])


def lossless(name: str, seed: int, method: str) -> list[int]:
    """The bits of each slice that hold the sum of its fullest bit line with all inputs on."""
    return [int(load).bit_length() for load in of(name, seed, method).largest_loads]


def asked(name: str, k: int, seed: int) -> dict[str, float]:
    """Bits of one slice that lose nothing after slice L1, and after the other trainings."""
    each = {method: float(lossless(name, seed, method)[k]) for method in ("slice", "l1", "none")}
    return {"value": each["slice"]} | each


def spared(name: str, other: str, seed: int) -> dict[str, float]:
    """How many bits fewer slice L1 asks for than another training, all slices together, so that nothing is lost."""
    ours, theirs = (float(sum(lossless(name, seed, method))) for method in ("slice", other))
    return {"value": theirs - ours, "ours": ours, "theirs": theirs}


def found(name: str, seed: int) -> Bits:
    """The resolution that the ledger's row says was found for slice L1."""
    rows = {row["id"]: row for row in json.loads((LEDGERS / f"{CHAPTER}.json").read_text("utf-8"))["rows"]}
    kept = rows.get(f"found-{name}", {"values": {}})["values"].get(str(seed))
    if kept is None:
        raise DataError(f"the ledger has no row found-{name} with seed {seed}; `make claims` measures it")
    first, second, third, top = (int(kept[f"bits of slice {k}"]) for k in range(4))
    return first, second, third, top


def searched(name: str, k: int, seed: int) -> dict[str, float]:
    """Bits of one slice of the resolution that was found, and of all of them together."""
    bits = found(name, seed)
    return {"value": float(bits[k]), "all slices": float(sum(bits))}


def saved(quantity: str, model: CostModel, bits: Bits) -> dict[str, float]:
    """What 8 bits take over what a resolution takes, of everything and of the converters."""
    full, small = bill(model, (8, 8, 8, 8)), bill(model, bits)
    every = {"value": getattr(full, UNIT[quantity]) / getattr(small, UNIT[quantity])}
    own = {"energy": "adc_energy", "area": "adc_area"}.get(quantity)
    return every if own is None else every | {"converters alone": getattr(full, own) / getattr(small, own)}


def saved_found(quantity: str, model: CostModel, name: str, seed: int) -> dict[str, float]:
    """The same for the resolution that was found."""
    return saved(quantity, model, found(name, seed))


def saved_printed(quantity: str, model: CostModel, seed: int) -> dict[str, float]:
    """The same for 3, 3, 3, 1."""
    return saved(quantity, model, (3, 3, 3, 1))


def row(
    id: str, statement: str, setting: str, measure: Callable[[int], object], seeds: tuple[int, ...], rule: Rule, **more
) -> Claim:
    """Return a claim of ours that follows from stored numbers, so that its first seed is always measured again."""
    words = {"id": id, "statement": statement, "setting": f"{setting}; {LOOKED}"}
    known = {"chapter": CHAPTER, "source": PAPER, "whose": "ours", "fast": True}
    return Claim(measure=measure, seeds=seeds, verdict=rule, **words, **(known | more))


def at_most(k: int) -> tuple[Rule, str]:
    """The rule that a slice asks for no more bits than the abstract says, or for fewer than the worst case."""
    bits = "1 bit" if MOST[k] == 1 else f"{MOST[k]} bits"
    words = f"wanted {bits} at most; the same direction if fewer than the {WORST} of the worst case"
    return beyond(MOST[k] + 0.5, same=WORST - 0.5, below=True), words


def ample(study: Study, k: int) -> Claim:
    """Return the claim that a slice loses nothing at the abstract's resolution, whatever the inputs."""
    rule, words = at_most(k)
    return row(
        f"lossless-{study.name}-slice-{k}",
        f"After slice L1 converters of {MOST[k]} bits or fewer lose nothing in slice {k}, whatever the inputs.",
        f"{study.words}; slice L1 of strength 0.5; bits that hold the fullest bit line of 128 rows in any layer, all "
        f"inputs on, slice 0 the least significant; {words}",
        partial(asked, study.name, k),
        study.seeds,
        rule,
        paper_number=PRINTED,
        unit="bits",
    )


def fewer(study: Study, other: str, words: str) -> Claim:
    """Return the claim that slice L1 asks for fewer bits than another training, so that nothing is lost."""
    return row(
        f"lossless-fewer-than-{other}-{study.name}",
        f"After slice L1 the resolution that loses nothing, whatever the inputs, has fewer bits than after {words}.",
        f"{study.words}; slice L1 of strength 0.5; bits that hold the fullest bit line of 128 rows in any layer, all "
        "four slices together; difference, wanted above 0",
        partial(spared, study.name, other),
        study.seeds,
        beyond(0.0),
        unit="bits",
    )


def shown(study: Study, k: int) -> Claim:
    """Return the claim that the resolution found has no more bits in a slice than the abstract says."""
    rule, words = at_most(k)
    return row(
        f"found-bits-{study.name}-slice-{k}",
        f"The resolution found after slice L1 has {MOST[k]} bits or fewer in slice {k}.",
        f"{study.words}; {CHIP}; slice L1 of strength 0.5; bits taken away one by one, from 7 in every slice, on 2,000 "
        f"validation images while within half a point of lossless; {words}",
        partial(searched, study.name, k),
        study.seeds,
        rule,
        paper_number=PRINTED,
        unit="bits",
    )


SAID = {
    "energy": ("halves the energy of crossbars", "wanted above 2, same direction above 1", beyond(2.0, same=1.0)),
    "time": ("shortens the time that crossbars take", "wanted above 1", beyond(1.0)),
    "area": ("halves the area of crossbars", "wanted above 2, same direction above 1", beyond(2.0, same=1.0)),
}


def by(quantity: str, model: CostModel) -> str:
    """Whose account it is; two of the models have no area of their own."""
    borrowed = ", which cdac and neurosim borrow" if (quantity, model) == ("area", "isaac") else ""
    return f"by the converter model {model}{borrowed}"


def cheaper(study: Study, quantity: str, model: CostModel) -> Claim:
    """Return the claim that the resolution found saves energy, time or area."""
    said, wanted, rule = SAID[quantity]
    return row(
        f"saved-{quantity}-{model}-{study.name}",
        f"The resolution found after slice L1 {said}, {by(quantity, model)}.",
        f"{study.words}; resolution as found; {IMAGE}; {quantity} at 8 bits over {quantity} at that resolution, all "
        f"parts; {wanted}",
        partial(saved_found, quantity, model, study.name),
        study.seeds,
        rule,
        unit="factor",
    )


def printed(quantity: str, model: CostModel) -> Claim:
    """Return the claim that 3, 3, 3, 1 bits save time or area."""
    said, wanted, rule = SAID[quantity]
    return row(
        f"saved-3331-{quantity}-{model}",
        f"A resolution of 3, 3, 3, 1 bits instead of 8 {said}, {by(quantity, model)}.",
        f"{IMAGE}; whether accuracy bears it is another row; all parts; {wanted}",
        partial(saved_printed, quantity, model),
        (0,),
        rule,
        unit="factor",
    )


OTHERS = (("none", "fine-tuning without a penalty"), ("l1", "an L1 of about equal density"))
ACCOUNTS = [("time", model) for model in MODELS] + [("area", "isaac"), ("area", "puma")]

CLAIMS = [ample(study, k) for study in (*BENCH, *DEEP) for k in MOST]
CLAIMS += [fewer(study, *other) for study in (*BENCH, *DEEP) for other in OTHERS]
CLAIMS += [shown(study, k) for study in BENCH for k in MOST]
CLAIMS += [cheaper(study, *account) for study in BENCH for account in ACCOUNTS]
CLAIMS += [cheaper(study, "energy", model) for study in BENCH if study is not PATIENT for model in MODELS]
CLAIMS += [printed(*account) for account in ACCOUNTS]
