"""Chapter 3, uncertainty, third part: calibration maps, sets that promise to hold the class, and who finds mistakes.

The network to be repaired is the over-confident one: few images, long training. Some maps call a class impossible, so
that the logarithm is taken of at least 1e-6. Conformal sets are made by validation and test images together, none of
them trained on, split anew into two halves 400 times for each network.
"""

from functools import partial

import torch
from tests.claims.claims_corrupted import within
from tests.claims.claims_uncertain import SURVEY, claim, difference
from tests.claims.uncertain_numbers import FLOOR, LEVEL, RESPLITS, TILT, found
from tests.claims.uncertain_study import STUDIES, Images

from weightlore.teaching.claims import Claim, beyond

torch.set_num_threads(1)

SOURCES = {
    "temperature": ("guo2017calibration", "One temperature"),
    "vector": ("guo2017calibration", "A factor and an offset for each class"),
    "matrix": ("guo2017calibration", "A matrix on the logits"),
    "Dirichlet": ("kull2019dirichlet", "A matrix on the log probabilities"),
    "ensemble temperature": ("zhang2020mixnmatch", "A mixture of three temperatures"),
    "histogram": ("zadrozny2001obtaining", "Histogram binning"),
    "isotonic": ("zadrozny2002transforming", "Isotonic regression"),
    "BBQ": ("naeini2015bbq", "A Bayesian average of histograms"),
}
SLACK = {"digits": 1 / 361, "clothes": 1 / 2501}


def mended(study: Images, name: str, seed: int) -> dict[str, float]:
    """Log loss after a map minus that before; calibration error, accuracy and changed labels beside."""
    numbers = found(study, seed, "repairs")
    return {
        "value": numbers[f"{name}, nll"] - numbers["none, nll"],
        "nll": numbers[f"{name}, nll"],
        "ece": numbers[f"{name}, ece"] - numbers["none, ece"],
        "accuracy": numbers[f"{name}, accuracy"] - numbers["none, accuracy"],
        "changed": numbers[f"{name}, changed"],
    }


def relabeled(study: Images, seed: int) -> dict[str, float]:
    """Share of labels that two maps change which keep the order of the classes."""
    numbers = found(study, seed, "repairs")
    shares = {name: numbers[f"{name}, changed"] for name in ("temperature", "ensemble temperature")}
    return {"value": max(shares.values()), **shares}


def covered(study: Images, name: str, seed: int) -> dict[str, float]:
    """Share of sets that hold the class; the size of a set beside."""
    numbers = found(study, seed, "coverage")
    return {"value": numbers[name], "size of a clean set": numbers["size"]}


def repairs(study: Images) -> list[Claim]:
    """Return a row for each calibration map, and one on labels."""
    count, wrong, epochs = study.long
    few = f"the over-confident network: {count} images, {wrong:.0%} wrong labels, {epochs} epochs"
    return [
        *(
            claim(
                f"map-{name.replace(' ', '-').lower()}",
                f"{words} lowers the loss of an over-confident network.",
                f"{few}; fitted on validation images; test log loss, probabilities of {FLOOR:g} at least, after minus "
                "before, wanted below 0; changes of ECE and accuracy beside",
                partial(mended, study, name),
                beyond(0.0, below=True),
                source=source,
                whose="other",
                unit="nats",
                study=study,
            )
            for name, (source, words) in SOURCES.items()
        ),
        claim(
            "maps-keep-labels",
            "One temperature, or a mixture of three, changes no label.",
            f"{few}; share of test images whose label changes, wanted 0",
            partial(relabeled, study),
            within(0.0, 0.0),
            source="guo2017calibration",
            whose="other",
            unit="share",
            study=study,
        ),
    ]


def promises(study: Images) -> list[Claim]:
    """Return rows on the coverage of conformal sets."""
    split = f"one network; sets at level {LEVEL:g}, mean over {RESPLITS} splits"
    hard = f"the fifth of the images with the largest entropy comes {TILT:g} times as often"
    top = LEVEL + SLACK[study.name]
    known = {"whose": "ours", "study": study, "unit": "coverage"}
    return [
        claim(
            f"sets-{score}",
            f"Conformal sets by {words} keep their promise on images like those they were made by, and no more.",
            f"{split}; coverage, wanted between {LEVEL - 0.003:g} and {top + 0.003:.4g}: the theorem's bounds, "
            f"{LEVEL:g} and {top:.4g}, and 0.003 for the finite number of splits",
            partial(covered, study, score),
            within(LEVEL - 0.003, top + 0.003),
            source=source,
            **known | {"whose": "other"},
        )
        for score, words, source in (
            ("lac", "the probability of the class", "sadinle2019least"),
            ("aps", "the sum of the larger probabilities, randomized,", "romano2020adaptive"),
        )
    ] + [
        claim(
            "sets-rotated",
            "Conformal sets break their promise under shift.",
            f"{split}; images rotated by 30 degrees; coverage, wanted below {LEVEL - 0.05:g}",
            partial(covered, study, "rotated"),
            beyond(LEVEL - 0.05, below=True),
            source="tibshirani2019covariate",
            **known,
        ),
        claim(
            "sets-right-ratio",
            "Weights by the right ratio of densities restore the promise.",
            f"{split}; {hard}; coverage with this ratio as weight, wanted between {LEVEL - 0.01:g} and "
            f"{LEVEL + 0.02:g}",
            partial(covered, study, "right"),
            within(LEVEL - 0.01, LEVEL + 0.02),
            source="tibshirani2019covariate",
            **known | {"whose": "other"},
        ),
        claim(
            "sets-no-ratio",
            "Without weights the promise is broken where hard images come more often.",
            f"{split}; {hard}; coverage without weights, wanted below {LEVEL - 0.02:g}",
            partial(covered, study, "hard"),
            beyond(LEVEL - 0.02, below=True),
            source="tibshirani2019covariate",
            **known,
        ),
        claim(
            "sets-wrong-ratio",
            "Weights by a wrong ratio do not restore the promise.",
            f"{split}; {hard}; coverage with the inverse of the ratio as weight, wanted below {LEVEL - 0.02:g}",
            partial(covered, study, "wrong"),
            beyond(LEVEL - 0.02, below=True),
            source="tibshirani2019covariate",
            **known,
        ),
    ]


def finders(study: Images) -> list[Claim]:
    """Return rows on scores that find mistakes."""
    mixed = "five members; clean test images together with rotated and noisy ones of severity 3"
    known = {"study": study, "unit": "AUROC"}
    return [
        claim(
            "mistakes-probability",
            "The largest probability of a network tells mistakes from right answers.",
            "single network, clean test images; AUROC of the largest probability, mean over five, minus that of "
            "chance, wanted above 0.25",
            partial(above_chance, study),
            beyond(0.25, same=0.0),
            source="hendrycks2017baseline",
            whose="other",
            **known,
        ),
        *(
            claim(
                f"mistakes-{first.replace(' ', '-')}",
                f"The {first} of an ensemble finds mistakes better than its {second}.",
                f"{mixed}; AUROC of {first} minus that of {second}, wanted above 0",
                partial(difference, study, "mistakes", f"mixed, {first}", f"mixed, {second}"),
                beyond(0.0),
                source=SURVEY,
                whose="ours",
                **known,
            )
            for first, second in (("entropy", "max probability"), ("mutual information", "entropy"))
        ),
    ]


def above_chance(study: Images, seed: int) -> dict[str, float]:
    """AUROC of one network's largest probability minus a half; that of the ensemble beside."""
    numbers = found(study, seed, "mistakes")
    shown = {name: numbers[f"clean, {name}"] for name in ("single", "max probability", "error")}
    return {"value": shown["single"] - 0.5, **shown}


CLAIMS = [one for study in STUDIES.values() for one in (*repairs(study), *promises(study), *finders(study))]
