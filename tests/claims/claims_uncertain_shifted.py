"""Chapter 3, uncertainty, second part: what becomes of it under shift, and which members are worth their price.

Shifts are rotation and Gaussian noise in five severities; a number under shift is the mean over them. *Single* is the
mean over the five networks of the ensemble. What the others cost in training, in units of one network: snapshots 1,
SWAG 1.5, BatchEnsemble 4 (each member sees each batch), MIMO and the network with views about 1.
"""

from functools import partial
from itertools import combinations

import torch
from tests.claims.claims_uncertain import claim, difference
from tests.claims.uncertain_numbers import METHODS, found
from tests.claims.uncertain_study import DIGITS, DRAWS, SEVERITIES, SHIFTS, STUDIES, Images

from weightlore.teaching.claims import Claim, beyond

torch.set_num_threads(1)

TRUST = "ovadia2019trust"
OTHERS = {
    "snapshots": "five snapshots of one training",
    "SWAG": "networks drawn by SWAG",
    "BatchEnsemble": "a BatchEnsemble of four members",
    "MIMO": "a MIMO network of two members",
    "views": "one network, trained on views and asked about chosen ones",
}


def shifted(numbers: dict[str, float], method: str, what: str) -> float:
    """Mean over both shifts and five severities."""
    rows = [numbers[f"{method}, {kind} {severity}, {what}"] for kind in SHIFTS for severity in SEVERITIES]
    return sum(rows) / len(rows)


def by_kind(numbers: dict[str, float], method: str, what: str) -> dict[str, float]:
    """Mean over five severities, for each shift."""
    return {
        f"{method}, {kind}": sum(numbers[f"{method}, {kind} {s}, {what}"] for s in SEVERITIES) / len(SEVERITIES)
        for kind in SHIFTS
    }


def unrepaired(study: Images, seed: int) -> dict[str, float]:
    """Calibration error under shift at the temperature of clean images, minus that of clean images."""
    numbers = found(study, seed, "methods")
    clean, moved = numbers["single, clean, ece tempered"], shifted(numbers, "single", "ece tempered")
    raw = shifted(numbers, "single", "ece")
    return {"value": moved - clean, "clean": clean, "shifted": moved, "shifted, no temperature": raw}


def ahead(study: Images, other: str, ours: str, theirs: str, seed: int) -> dict[str, float]:
    """One loss of the ensemble under shift minus one of another method; the same with a temperature for each beside."""
    numbers = found(study, seed, "methods")
    parts = by_kind(numbers, "ensemble", ours) | by_kind(numbers, other, theirs)
    parts["both tempered"] = shifted(numbers, "ensemble", "nll tempered") - shifted(numbers, other, "nll tempered")
    return {"value": shifted(numbers, "ensemble", ours) - shifted(numbers, other, theirs), **parts}


def reordered(study: Images, seed: int) -> dict[str, float]:
    """Share of the pairs of methods whose order by clean log loss a temperature for each turns; by ECE beside."""
    numbers = found(study, seed, "methods")
    shares = {}
    for name, what in (("value", "nll"), ("by ece", "ece")):
        before, after = (
            [numbers[f"{method}, clean, {kind}"] for method in ("single", *METHODS)]
            for kind in (what, f"{what} tempered")
        )
        pairs = list(combinations(range(len(before)), 2))
        turned = [(before[i] - before[j]) * (after[i] - after[j]) < 0 for i, j in pairs]
        shares[name] = sum(turned) / len(turned)
    return shares


def diverse(study: Images, seed: int) -> dict[str, float]:
    """How much more often snapshots disagree than networks that were trained apart; errors of members beside."""
    numbers = found(study, seed, "mistakes")
    names = [f"{who}, {what}" for who in ("snapshots", "ensemble") for what in ("disagreement", "member error")]
    shown = {name: numbers[name] for name in names}
    return {"value": shown["snapshots, disagreement"] - shown["ensemble, disagreement"], **shown}


def halfway(study: Images, seed: int) -> dict[str, float]:
    """Clean log loss of the student minus the middle between one network and the ensemble."""
    losses = {name: found(study, seed, "methods")[f"{name}, clean, nll"] for name in ("single", "ensemble", "student")}
    middle = (losses["single"] + losses["ensemble"]) / 2
    kept = (losses["single"] - losses["student"]) / (losses["single"] - losses["ensemble"])
    return {"value": losses["student"] - middle, **losses, "share of the gain": kept}


def policed(study: Images, names: tuple[str, ...], seed: int) -> dict[str, float]:
    """Calibrated log loss of a policy of views minus that of the network alone, mean over conditions."""
    numbers = found(study, seed, "views")
    alone, policy = (sum(numbers[f"{name}, {way}"] for name in names) / len(names) for way in ("alone", "policy"))
    shown = {"passes": numbers["passes"], "temperature": found(study, seed, "methods")["views, temperature"]}
    return {"value": policy - alone, "alone": alone, "policy": policy, **shown}


def under_shift(study: Images) -> list[Claim]:
    """Return rows on a temperature and on ensembles under shift."""
    known = {"source": TRUST, "whose": "other", "study": study}
    means = "mean over rotation and noise in five severities"
    return [
        claim(
            "shift-temperature",
            "A temperature that was fitted in-domain does not repair calibration under shift.",
            f"single network, temperature from validation images; test ECE, {means}, minus that of clean images, "
            "wanted above 0.05",
            partial(unrepaired, study),
            beyond(0.05),
            unit="ECE",
            **known,
        ),
        claim(
            "shift-ensemble",
            "Under shift, an ensemble has a smaller loss than one network.",
            f"log loss of five members minus single, {means}, wanted below 0",
            partial(ahead, study, "single", "nll", "nll"),
            beyond(0.0, below=True),
            unit="nats",
            **known,
        ),
        claim(
            "shift-ensemble-temperature",
            "Under shift, an ensemble has a smaller loss than one network with a temperature.",
            f"log loss of five members minus single with its temperature, {means}, wanted below 0",
            partial(ahead, study, "single", "nll", "nll tempered"),
            beyond(0.0, below=True),
            unit="nats",
            **known,
        ),
        claim(
            "shift-ensemble-temperatures",
            "Under shift, an ensemble with a temperature has a smaller loss than one network with a temperature.",
            f"log loss of five members with their temperature minus single with its, {means}, wanted below 0; added "
            "when the row on an ensemble without one had been measured on digits",
            partial(ahead, study, "single", "nll tempered", "nll tempered"),
            beyond(0.0, below=True),
            unit="nats",
            **known,
        ),
        *(
            claim(
                f"shift-ensemble-{other.lower()}",
                f"Under shift, an ensemble has a smaller loss than {words}.",
                f"log loss of five members minus {other}, {means}, wanted below 0",
                partial(ahead, study, other, "nll", "nll"),
                beyond(0.0, below=True),
                unit="nats",
                **known | {"whose": "ours"},  # carried on from one network to cheaper kinds
            )
            for other, words in OTHERS.items()
        ),
    ]


def members(study: Images) -> list[Claim]:
    """Return rows on where members come from."""
    known = {"whose": "other", "study": study, "unit": "nats"}
    return [
        claim(
            "order",
            "Methods can be compared only after a temperature for each: it changes their order.",
            f"{len(METHODS) + 1} methods, each with a temperature from validation images; share of the pairs whose "
            "order by log loss on test images it turns around, wanted above 0.05",
            partial(reordered, study),
            beyond(0.05),
            source="ashukha2020pitfalls",
            **known | {"unit": "share"},
        ),
        claim(
            "diversity-snapshots",
            "Snapshots of one training disagree less than networks that were trained apart.",
            "five of each; share of pairs that name different classes, snapshots minus ensemble, wanted below 0",
            partial(diverse, study),
            beyond(0.0, below=True),
            source="fort2019landscape",
            **known | {"unit": "share"},
        ),
        claim(
            "swag",
            "Networks drawn by SWAG have a smaller loss than one network.",
            f"{DRAWS} draws from the weights of half as many epochs more at a constant rate; log loss minus single, "
            "wanted below 0",
            partial(difference, study, "methods", "SWAG, clean, nll", "single, clean, nll"),
            beyond(0.0, below=True),
            source="maddox2019swag",
            **known,
        ),
        claim(
            "multiswag",
            "Several Gaussians have a smaller loss than one.",
            f"{DRAWS} draws from each of three; log loss of MultiSWAG minus SWAG, wanted below 0",
            partial(difference, study, "methods", "MultiSWAG, clean, nll", "SWAG, clean, nll"),
            beyond(0.0, below=True),
            source="wilson2020perspective",
            **known,
        ),
        claim(
            "student",
            "One network that is taught by an ensemble keeps more than half of its gain.",
            "taught the mean of five on the training images, with noise of 0.1 and without; log loss minus the middle "
            "between single and ensemble, wanted below 0",
            partial(halfway, study),
            beyond(0.0, below=True),
            source="hinton2015distilling",
            **known,
        ),
    ]


def at_test_time(study: Images) -> list[Claim]:
    """Return rows on views."""
    trained = (
        "network trained on 16 views (moved by half a pixel, turned by up to 10 degrees, re-contrasted, blurred); a "
        "policy of up to 8 choices among them and two mirror images, by validation images"
    )
    known = {"source": "molchanov2020greedy", "whose": "other", "study": study, "unit": "nats"}
    conditions = {
        "validation": (
            "on the images that chose it",
            ("validation",),
            "validation images, where it cannot be worse, since the network alone is among the choices",
        ),
        "test": ("on test images", ("clean",), "test images"),
        "shifted": (
            "under shift",
            tuple(f"{kind} 3" for kind in SHIFTS),
            "test images under rotation and noise of severity 3",
        ),
    }
    return [
        *(
            claim(
                f"views-{short}",
                f"A learned policy of views has a smaller loss than the network alone, {where}.",
                f"{trained}; {words}, log loss minus that of the network alone, each with a temperature, wanted below "
                "0",
                partial(policed, study, names),
                beyond(0.0, below=True),
                **known,
            )
            for short, (where, names, words) in conditions.items()
        ),
        claim(
            "views-mirrored",
            "A mirror image beside the image makes a network worse that reads what has a direction.",
            "mean of the image and its mirror image, no temperature; log loss minus that of the network alone, wanted "
            "above 0",
            partial(difference, study, "views", "raw, mirrored", "raw, alone"),
            beyond(0.0),
            **known | {"whose": "ours"},
        ),
    ]


CLAIMS = [one for study in STUDIES.values() for one in (*under_shift(study), *members(study), *at_test_time(study))] + [
    claim(
        f"labels-{name}",
        f"Labels that are asked for by {words} make a better network than labels at random.",
        "20 labels at first, then eight times ten more, an ensemble of five trained anew each time for 60 epochs; test "
        "accuracy at 100 labels minus that of random ones, wanted above 0",
        partial(difference, DIGITS, "labels", f"{name}, 100", "random, 100"),
        beyond(0.0),
        source=source,
        whose=whose,
        unit="accuracy",
        study=DIGITS,
    )
    for name, words, source, whose in (
        ("bald", "mutual information", "houlsby2011bald", "other"),
        ("entropy", "entropy", "gawlikowski2023uncertainty", "ours"),
    )
]
