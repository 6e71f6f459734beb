"""Chapter 2, transfer: are learned gates between a source and a target network better than choices by hand?

Of the paper, the abstract is known to us and no table: transfer units are better than parameter sharing and fine-tuning
in most settings. Its equations are not known either; the units are our formulation, and every row says so. A difference
is that of test accuracies within a seed: same source network, labels, fresh network and batches. *Sharing* keeps all
layers of the source and trains a new readout; *concat* is the control, a network without gates that reads both networks
and has as many trained parameters as the units.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from tests.claims.transfer_study import SEEDS, STUDIES, TASKS, Transfer, found, measured, stored

from weightlore.errors import DataError
from weightlore.teaching.claims import Claim, Rule, Verdict, beyond, interval

CHAPTER, PAPER = "2_transferred", "zhang2019ptu"
BASELINES = {
    "sharing": "parameter sharing",
    "fine-tuning": "fine-tuning",
    "scratch": "training from scratch",
    "concat": "a control of as many parameters without gates",
}
CLAIMED = ("sharing", "fine-tuning")
QUICK = STUDIES["cnn-inverted"]
ILL = ("shuffled", "new-classes")
SLACK = 0.03


def ahead(study: Transfer, ours: str, theirs: str, seed: int) -> dict[str, float]:
    """How much better one method is than another on the test images of a seed."""
    return _difference(found(study, seed), ours, theirs)


def ahead_anew(study: Transfer, ours: str, theirs: str, seed: int) -> dict[str, float]:
    """The same, trained now whatever is stored."""
    return _difference(measured(study, seed), ours, theirs)


def _difference(numbers: dict[str, float], ours: str, theirs: str) -> dict[str, float]:
    return {"value": numbers[ours] - numbers[theirs], ours: numbers[ours], theirs: numbers[theirs]}


def differences(study: Transfer, theirs: str) -> np.ndarray:
    """Units minus a baseline, one number per seed, as stored; shape (S,)."""
    known = stored(study)
    if missing := [seed for seed in SEEDS if seed not in known]:
        raise DataError(f"{study.name} is not measured yet for {len(missing)} of {len(SEEDS)} seeds; measure its rows")
    return np.array([known[seed]["units"] - known[seed][theirs] for seed in SEEDS])


def points(studies: tuple[Transfer, ...], baselines: tuple[str, ...], place: int) -> dict[str, float]:
    """1 if units are ahead of all baselines with certainty in a setting, 1/2 if they are so on average, else 0."""
    ahead_of = [differences(studies[place], theirs) for theirs in baselines]
    means, lows = [float(d.mean()) for d in ahead_of], [interval(d)[0] for d in ahead_of]
    value = 1.0 if min(lows) > 0 else 0.5 if min(means) > 0 else 0.0
    return {"value": value, **dict(zip(baselines, means, strict=True))}


def most(values: np.ndarray) -> Verdict:
    """Most settings are more than half of them: with certainty, or on average only."""
    if (values == 1).mean() > 0.5:
        return "reproduced"
    return "same direction" if (values >= 0.5).mean() > 0.5 else "not reproduced"


def behind_best(studies: tuple[Transfer, ...], place: int) -> dict[str, float]:
    """Mean accuracy of units in a setting minus that of the best of three choices by hand."""
    means = {theirs: float(differences(studies[place], theirs).mean()) for theirs in ("scratch", *CLAIMED)}
    return {"value": min(means.values()), **means}


def never_far(values: np.ndarray) -> Verdict:
    """In no setting further behind than the slack."""
    return "reproduced" if values.min() >= -SLACK else "not reproduced"


def searched(study: Transfer, seed: int) -> dict[str, float]:
    """Units minus the best of all combinations of discrete states, which was chosen by validation images."""
    units, search = found(study, seed)["units"], found(study, seed, "search")
    return {"value": units - search["search"], "units": units, **search}


def gates_apart(upper: Transfer, lower: Transfer, group: str, name: str, seed: int) -> dict[str, float]:
    """How much further the update gate of one setting leaves the source than that of another."""
    numbers = {study.name: found(study, seed, group)[name] for study in (upper, lower)}
    return {"value": numbers[upper.name] - numbers[lower.name], **numbers}


def claim(id: str, statement: str, setting: str, measure: Callable[[int], object], rule: Rule, **more: object) -> Claim:
    """Return a claim of this chapter."""
    known = {"source": PAPER, "whose": "ours", "unit": "accuracy", "seeds": SEEDS, "tolerance": 0.02} | more
    return Claim(id=id, chapter=CHAPTER, statement=statement, setting=setting, measure=measure, verdict=rule, **known)


def settings(study: Transfer) -> list[Claim]:
    """Return a row for each baseline."""
    fast = study == QUICK
    return [
        claim(
            f"{study.name}-{theirs}",
            f"Transfer units are better than {words}: {TASKS[study.tasks].words}.",
            f"{study.words}; test accuracy of units minus {theirs}, paired, wanted above 0",
            partial(ahead_anew if fast else ahead, study, "units", theirs),
            beyond(0.0),
            whose="paper" if theirs in CLAIMED else "ours",
            needs=TASKS[study.tasks].needs,
            fast=fast,
        )
        for theirs, words in BASELINES.items()
    ]


def harms(study: Transfer) -> list[Claim]:
    """Return rows on pairs that are made to go wrong."""
    return [
        claim(
            f"{study.name}-harm-sharing",
            f"A source that knows little of use makes sharing worse than scratch: {TASKS[study.tasks].words}.",
            f"{study.words}; test accuracy of sharing minus scratch, paired, wanted below 0",
            partial(ahead, study, "sharing", "scratch"),
            beyond(0.0, below=True),
        ),
        claim(
            f"{study.name}-harm-units",
            f"A source that knows little of use does transfer units little harm: {TASKS[study.tasks].words}.",
            f"{study.words}; test accuracy of units minus scratch, paired, wanted above -{SLACK:g}",
            partial(ahead, study, "units", "scratch"),
            beyond(-SLACK),
        ),
    ]


def counts(name: str, words: str, studies: tuple[Transfer, ...]) -> list[Claim]:
    """Return rows that count settings, which take the place of seeds."""
    places = tuple(range(len(studies)))
    needs = tuple(sorted({data for study in studies for data in TASKS[study.tasks].needs}))
    counted = (
        f"our formulation; {words}, pairs that are made to go wrong among them; 10 seeds each; 1 for a setting in which"
    )
    rows = [
        claim(
            f"most-{name}-{short}",
            f"In most settings, transfer units are better than {against}.",
            f"{counted} the paired 95 % interval lies above 0, 1/2 if only the mean does; wanted in more than half of "
            "the settings",
            partial(points, studies, baselines),
            most,
            whose="paper",
            unit="points",
            seeds=places,
            needs=needs,
        )
        for short, against, baselines in (
            ("both", "parameter sharing and better than fine-tuning", CLAIMED),
            ("sharing", "parameter sharing", CLAIMED[:1]),
            ("fine-tuning", "fine-tuning", CLAIMED[1:]),
        )
    ]
    return [
        *rows,
        claim(
            f"never-far-{name}",
            "Transfer units are never far below the best of sharing, fine-tuning and scratch.",
            f"our formulation; {words}; mean accuracy over 10 seeds minus that of the best, wanted above -{SLACK:g} in "
            "each setting",
            partial(behind_best, studies),
            never_far,
            seeds=places,
            needs=needs,
        ),
    ]


def on_digits() -> list[Claim]:
    """Return rows on the search and on gates, CNN on digits."""
    rotated, shuffled, noisy, inverted = (
        STUDIES[f"cnn-{name}"] for name in ("rotated", "shuffled", "noisy", "inverted")
    )
    same = "update gate, mean over units, channels, places and the training images"
    return [
        *(
            claim(
                f"search-{study.tasks}",
                f"Transfer units are as good as a search over all discrete states: {TASKS[study.tasks].words}.",
                f"{study.words}; the search trains all 27 combinations of random, fine-tune and frozen layers and "
                "chooses by 180 more labeled images, which units do without; test accuracy of units minus that of the "
                f"search, paired, wanted above -{SLACK:g}",
                partial(searched, study),
                beyond(-SLACK),
            )
            for study in (inverted, rotated)
        ),
        claim(
            "gates-shuffled",
            "Gates leave the source further if it was taught nonsense.",
            f"{shuffled.words}; target fresh, gates half open at the start; {same}, minus the same with a source that "
            "was taught true labels, paired, wanted above 0",
            partial(gates_apart, shuffled, rotated, "gates", "mean"),
            beyond(0.0),
            unit="gate",
        ),
        claim(
            "gates-shuffled-copied",
            "Gates leave the source further if it was taught nonsense, also where the target starts as its copy.",
            f"{shuffled.words}; {same}, minus the same with a source that was taught true labels, paired, wanted above "
            "0",
            partial(gates_apart, shuffled, rotated, "methods", "update gate"),
            beyond(0.0),
            unit="gate",
        ),
        claim(
            "gates-inverted",
            "Gates leave the source further where sharing fails than where it suffices.",
            f"{inverted.words}; target fresh, gates half open at the start; {same}, minus the same for noisy digits, "
            "paired, wanted above 0",
            partial(gates_apart, inverted, noisy, "gates", "mean"),
            beyond(0.0),
            unit="gate",
        ),
    ]


ON_DIGITS = tuple(study for study in STUDIES.values() if study.kind == "cnn" and not TASKS[study.tasks].needs)
CLAIMS = [
    *(one for study in STUDIES.values() for one in settings(study)),
    *(one for study in STUDIES.values() if study.tasks in ILL for one in harms(study)),
    *on_digits(),
    *counts("digits", "CNN on six pairs of digits", ON_DIGITS),
    *counts(
        "all", "CNN and ResNet on nine pairs of images, GRU and LSTM on three of sentences", tuple(STUDIES.values())
    ),
]
