"""Chapter 3, uncertainty, first part: how sure networks are, how that is counted, and how many members are enough.

Of the survey the abstract is quoted, not its tables; rows marked as its own are statements of the abstract that can be
measured. *Confidence* is the probability of the class that is named. A calibration error has 15 bins unless a row says
otherwise, and its *floor* is what it would be on average if the network were calibrated. Differences are paired within
a seed: same images, and for a repair the same network.
"""

import math
from collections.abc import Callable
from functools import partial

import torch
from tests.claims.claims_corrupted import within
from tests.claims.uncertain_numbers import found, measured
from tests.claims.uncertain_study import DIGITS, SHIFTS, STUDIES, Images

from weightlore.teaching.claims import Claim, Rule, beyond
from weightlore.uncertainty.calibration import ece_noise_floor, synthetic_calibrated

torch.set_num_threads(1)

CHAPTER, SURVEY = "3_uncertain", "gawlikowski2023uncertainty"
COUNTS = (100, 1000, 10_000)


def claim(
    id: str,
    statement: str,
    setting: str,
    measure: Callable[[int], object],
    rule: Rule,
    *,
    source: str,
    whose: str,
    unit: str,
    study: Images | None = None,
    **more: object,
) -> Claim:
    """Return a claim of this chapter; on images, its name ends with theirs and its setting says what was trained."""
    if study is not None:
        more = {"seeds": study.seeds, "needs": study.needs} | more
        id, setting = f"{id}-{study.name}", f"{study.words}; {setting}"
    return Claim(
        id=id,
        chapter=CHAPTER,
        statement=statement,
        source=source,
        whose=whose,
        setting=setting,
        measure=measure,
        verdict=rule,
        unit=unit,
        **{"tolerance": 0.02} | more,
    )


def difference(study: Images, group: str, first: str, second: str, seed: int) -> dict[str, float]:
    """One number of a seed minus another."""
    numbers = found(study, seed, group)
    return {"value": numbers[first] - numbers[second], first: numbers[first], second: numbers[second]}


def difference_anew(study: Images, group: str, first: str, second: str, seed: int) -> dict[str, float]:
    """The same, trained now whatever is stored."""
    numbers = measured(study, seed, group)
    return {"value": numbers[first] - numbers[second], first: numbers[first], second: numbers[second]}


def repaired(study: Images, name: str, seed: int) -> dict[str, float]:
    """Calibration error after a temperature that may only go one way, minus that before."""
    numbers = found(study, seed, "confidence")
    shown = {what: numbers[f"{name}, {what}"] for what in ("ece", "ece repaired", "temperature", "floor")}
    return {"value": shown["ece repaired"] - shown["ece"], **shown}


def flattened(study: Images, names: tuple[str, ...], seed: int) -> dict[str, float]:
    """What five more members gain, as a share of what the first five gain over one; mean losses over conditions."""
    numbers = found(study, seed, "members")
    one, five, ten = (sum(numbers[f"{name}, {count}"] for name in names) / len(names) for count in (1, 5, 10))
    return {"value": (five - ten) / (one - five), "one": one, "five": five, "ten": ten}


def share_of_floor(study: Images, seed: int) -> dict[str, float]:
    """Share of the calibration error of 100 images that a calibrated network would have too."""
    numbers = found(study, seed, "bins")
    floor, error = numbers["floor of 100"], numbers["ece of 100"]
    return {"value": floor / error, "floor": floor, "ece": error, "debiased": numbers["debiased of 100"]}


def floor_slope(seed: int) -> dict[str, float]:
    """How the floor falls with the number of examples: the slope on two logarithmic scales, from 100 to 10,000."""
    floors = {}
    for count in COUNTS:
        drawn = synthetic_calibrated("canonical", count, generator=torch.Generator().manual_seed(seed))
        floors[f"floor of {count}"] = float(ece_noise_floor(drawn.probs.double()))
    ends = floors[f"floor of {COUNTS[-1]}"] / floors[f"floor of {COUNTS[0]}"]
    return {"value": math.log(ends) / math.log(COUNTS[-1] / COUNTS[0]), **floors}


def long_training(study: Images) -> list[Claim]:
    """Return rows on a network that was fitted for long."""
    count, wrong, epochs = study.long
    few = f"here {count} images, {wrong:.0%} of them with a wrong label, {epochs} epochs"
    known = {"source": SURVEY, "whose": "paper", "study": study}
    gap = (study, "confidence", "overfitted, confidence", "overfitted, accuracy")
    fast = study == DIGITS
    return [
        claim(
            "over-confident",
            "A network that is fitted for long to few images is over-confident.",
            f"{few}; test confidence minus accuracy, wanted above 0",
            partial(difference_anew if fast else difference, *gap),
            beyond(0.0),
            unit="probability",
            fast=fast,
            **known,
        ),
        claim(
            "over-error",
            "Its calibration error is more than that of a calibrated network on as many images.",
            f"{few}; ECE on test images minus its floor, wanted above 0",
            partial(difference, study, "confidence", "overfitted, ece", "overfitted, floor"),
            beyond(0.0),
            unit="ECE",
            **known,
        ),
        claim(
            "over-repaired",
            "A temperature above 1 repairs over-confidence.",
            f"{few}; temperature from validation images, taken as 1 if below; test ECE after minus before, wanted "
            "below 0",
            partial(repaired, study, "overfitted"),
            beyond(0.0, below=True),
            unit="ECE",
            **known,
        ),
    ]


def too_unsure(study: Images) -> list[Claim]:
    """Return rows on two ways to be under-confident."""
    ways = (
        ("smoothed", "smoothing", "A network trained on labels that are smoothed by a tenth", "smoothing 0.1"),
        (
            "calibrated pool",
            "pool",
            "The mean of five networks, each with a temperature of its own,",
            "five members, each divided by its temperature, probabilities averaged",
        ),
    )
    known = {"source": SURVEY, "whose": "paper", "study": study}
    return [
        row
        for name, short, who, setting in ways
        for row in (
            claim(
                f"under-{short}",
                f"{who} is under-confident.",
                f"{setting}; test confidence minus accuracy, wanted below 0",
                partial(difference, study, "confidence", f"{name}, confidence", f"{name}, accuracy"),
                beyond(0.0, below=True),
                unit="probability",
                **known,
            ),
            claim(
                f"under-{short}-repaired",
                f"{who} is repaired by a temperature below 1.",
                f"{setting}; temperature from validation images, taken as 1 if above; test ECE after minus before, "
                "wanted below 0",
                partial(repaired, study, name),
                beyond(0.0, below=True),
                unit="ECE",
                **known,
            ),
        )
    ]


def enough(study: Images) -> list[Claim]:
    """Return rows on the number of members."""
    kinds = {"": ("clean",), "-shifted": tuple(f"{kind} 3" for kind in SHIFTS)}
    words = {"": "test images", "-shifted": "test images under rotation and noise of severity 3"}
    return [
        claim(
            f"five-enough{short}",
            "The gains of an ensemble flatten after about five members.",
            f"{words[short]}; log loss of 5 minus that of 10 members as a share of that of 1 minus that of 5, each the "
            "mean over ten choices, wanted below 0.25; gains like 1 - 1/S would give 0.125",
            partial(flattened, study, names),
            beyond(0.25, below=True),
            source="lakshminarayanan2017ensembles",
            whose="other",
            unit="share",
            study=study,
        )
        for short, names in kinds.items()
    ]


def counted(study: Images) -> list[Claim]:
    """Return rows on what the calibration error depends on besides the network."""
    known = {"unit": "ECE", "study": study}
    return [
        claim(
            "bins",
            "The same network has a larger calibration error with more bins.",
            "one network, all test images; ECE with 50 bins minus that with 5, wanted above 0",
            partial(difference, study, "bins", "50 bins", "5 bins"),
            beyond(0.0),
            source="nixon2019measuring",
            whose="other",
            **known,
        ),
        claim(
            "few-images",
            "The same network has a larger calibration error on fewer images.",
            "one network; ECE of 100 test images, mean over 100 choices, minus that of all, wanted above 0",
            partial(difference, study, "bins", "ece of 100", "ece of all"),
            beyond(0.0),
            source="kumar2019verified",
            whose="other",
            **known,
        ),
        claim(
            "mostly-floor",
            "More than half of the calibration error of a hundred images is what a calibrated network would have too.",
            "one network; floor of 100 test images as a share of their ECE, means over 100 choices, wanted above 0.5",
            partial(share_of_floor, study),
            beyond(0.5),
            source=SURVEY,
            whose="ours",
            **known | {"unit": "share"},
        ),
    ]


CLAIMS = [
    *(
        one
        for study in STUDIES.values()
        for one in (*long_training(study), *too_unsure(study), *enough(study), *counted(study))
    ),
    claim(
        "floor-slope",
        "The floor of the calibration error falls like one over the root of the number of examples.",
        "three classes, drawn so that the probabilities are exact; slope of the floor from 100 to 10,000 examples on "
        "two logarithmic scales, wanted between -0.6 and -0.4",
        floor_slope,
        within(-0.6, -0.4),
        source=SURVEY,
        whose="ours",
        unit="slope",
        seeds=tuple(range(10)),
        fast=True,
    ),
]
