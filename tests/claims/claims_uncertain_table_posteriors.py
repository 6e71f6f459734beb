"""Chapter 3, uncertainty, sixth part: posteriors on six tables, beside one Gaussian network and five of them.

The one and the five are those of ``claims_uncertain_tables``: a number of *one* is the mean over the five. Differences
are paired within a standard split; splits share rows, so that intervals over them are narrower than those over new data
would be. Nobody's own numbers are compared: networks, rates and epochs are ours.
"""

from functools import partial

import torch
from tests.claims.claims_uncertain import CHAPTER
from tests.claims.claims_uncertain_tables import SPLITS, WORDS
from tests.claims.uncertain_numbers import found, stored
from tests.claims.uncertain_table_posteriors import DECAY, DRAWS, DROP, LONGER, METHODS, STEP
from tests.claims.uncertain_tables import TABLES, Table

from weightlore.errors import DataError
from weightlore.teaching.claims import Claim, Rule, beyond

torch.set_num_threads(1)

FIVE = "lakshminarayanan2017ensembles"
SAID = {
    "dropout": (
        "dropout that stays on",
        f"one network with dropout of {DROP:g} before its head, {DRAWS} draws",
        "gal2016dropout",
    ),
    "variational": (
        "a variational network",
        f"one network, independent Gaussians, prior of spread 1, local draws in training, {DRAWS} draws of weights",
        "kingma2015local",
    ),
    "laplace": (
        "a linearized Laplace approximation",
        f"a network that says a mean, {LONGER['laplace']} times as long, weight decay {DECAY:g}; full Gauss-Newton "
        "precision, one noise and one prior by evidence",
        "immer2021linearized",
    ),
    "chain": (
        "networks that a chain draws",
        f"SGHMC from that mean on, {LONGER['chain']} times as long, steps of {STEP:g} of noise over rows, friction "
        f"0.1, prior precision 1, {DRAWS} draws",
        "chen2014sghmc",
    ),
}
OTHERS = {"single": "one Gaussian network", "ensemble": "five Gaussian networks"}


def behind(table: Table, method: str, what: str, split: int) -> dict[str, float]:
    """Score of a method minus that of five networks; that of one beside."""
    ours, theirs = found(table, split, "posteriors")[f"{method}, {what}"], found(table, split, "scores")
    five, one = theirs[f"ensemble, {what}"], theirs[f"single, {what}"]
    return {"value": ours - five, method: ours, "ensemble": five, "single": one}


def known(place: int) -> tuple[dict[int, dict[str, float]], dict[int, dict[str, float]]]:
    """Posteriors and networks of all splits of a table."""
    table = list(TABLES.values())[place]
    both = stored(table, "posteriors"), stored(table, "scores")
    if missing := [split for split in SPLITS if split not in both[0] or split not in both[1]]:
        raise DataError(f"{table.name} is not measured yet for {len(missing)} of {len(SPLITS)} splits")
    return both


def over_splits(method: str, other: str, what: str, place: int) -> dict[str, float]:
    """Mean over the splits of a table, a method minus another; of errors as a share of the other's."""
    ours, theirs = (
        sum(numbers[split][f"{name}, {what}"] for split in SPLITS) / len(SPLITS)
        for numbers, name in zip(known(place), (method, other), strict=True)
    )
    return {"value": (ours - theirs) / (theirs if what == "rmse" else 1.0), method: ours, other: theirs}


def travelled(place: int) -> dict[str, float]:
    """How far the networks of a chain lie apart, mean over the splits of a table, and whether its halves agree."""
    numbers = known(place)[0]
    apart, halves = (
        sum(numbers[split][name] for split in SPLITS) / len(SPLITS) for name in ("chain, weights apart", "chain, rhat")
    )
    return {"value": apart, "rhat": halves}


def rows(table: Table, method: str) -> list[Claim]:
    """Return a row for each score of a method on a table."""
    who, setting, _ = SAID[method]
    return [
        Claim(
            id=f"table-{method}-{table.name}-{what}",
            chapter=CHAPTER,
            statement=f"Five networks that say mean and variance have a smaller {words} than {who}: {table.title}.",
            source=FIVE,
            whose="other" if method == "dropout" else "ours",
            setting=f"{table.words}; {setting}; test {words} minus that of five, wanted above 0",
            measure=partial(behind, table, method, what),
            seeds=SPLITS,
            verdict=beyond(0.0),
            unit="nats" if what == "nll" else "units of the target",
            needs=(table.data,),
            tolerance=0.02,
        )
        for what, words in WORDS.items()
    ]


def over_all(id: str, statement: str, setting: str, measure: object, rule: Rule, source: str, unit: str) -> Claim:
    """Return a row whose seeds are the tables."""
    return Claim(
        id=id,
        chapter=CHAPTER,
        statement=statement,
        source=source,
        whose="ours" if id.endswith(("ensemble", "travels")) else "other",
        setting=f"six UCI tables, mean over 20 splits of each; {setting}",
        measure=measure,
        seeds=tuple(range(len(TABLES))),
        verdict=rule,
        unit=unit,
        needs=tuple(sorted(table.data for table in TABLES.values())),
        tolerance=0.02,
    )


def summary(method: str, other: str, what: str) -> Claim:
    """Return the row of a method against one network, which it is to beat, or against five, which are to beat it."""
    who, setting, source = SAID[method]
    words, beaten = WORDS[what], other == "single"
    how, unit = ("difference as a share of theirs", "share") if what == "rmse" else ("difference", "nats")
    first, second = (who, OTHERS[other]) if beaten else (OTHERS[other], who)
    return over_all(
        f"tables-{method}-{what}-{other}",
        f"On six tables, {first} {'have' if first.startswith(('five', 'networks')) else 'has'} a smaller {words} than "
        f"{second}.",
        f"{setting}; {words}, {how} to {OTHERS[other]}, wanted {'below' if beaten else 'above'} 0",
        partial(over_splits, method, other, what),
        beyond(0.0, below=beaten),
        source if beaten else FIVE,
        unit,
    )


CLAIMS = [
    *(row for method in METHODS for table in TABLES.values() for row in rows(table, method)),
    *(summary(method, other, what) for method in METHODS for other in OTHERS for what in WORDS),
    over_all(
        "tables-chain-travels",
        "A chain whose steps validation rows chose moves: its networks lie apart.",
        f"{SAID['chain'][1]}; distance of the drawn weights from their mean as a share of the length of the trained "
        "ones, wanted above 0.1",
        travelled,
        beyond(0.1),
        "chen2014sghmc",
        "share",
    ),
]
