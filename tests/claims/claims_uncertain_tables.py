"""Chapter 3, uncertainty, fourth part: one Gaussian network against five, on six tables.

The source's own numbers are not compared: its networks, rates and epochs are not ours. Differences are paired within a
standard split; splits share rows, so that intervals over them are narrower than those over new data would be.
"""

from functools import partial

import torch
from tests.claims.claims_uncertain import CHAPTER
from tests.claims.uncertain_numbers import found, stored
from tests.claims.uncertain_tables import TABLES, Table

from weightlore.errors import DataError
from weightlore.teaching.claims import Claim, beyond

torch.set_num_threads(1)

SPLITS, SOURCE = tuple(range(20)), "lakshminarayanan2017ensembles"
WORDS = {"nll": "log loss", "rmse": "root mean squared error"}


def gained(table: Table, what: str, split: int) -> dict[str, float]:
    """Score of five networks minus the mean of single ones."""
    numbers = found(table, split, "scores")
    ours, theirs = numbers[f"ensemble, {what}"], numbers[f"single, {what}"]
    return {"value": ours - theirs, "ensemble": ours, "single": theirs}


def over_tables(what: str, relative: bool, place: int) -> dict[str, float]:
    """Mean over the splits of a table, ensemble minus single; as a share of single if that is asked for."""
    table = list(TABLES.values())[place]
    known = stored(table, "scores")
    if missing := [split for split in SPLITS if split not in known]:
        raise DataError(f"{table.name} is not measured yet for {len(missing)} of {len(SPLITS)} splits")
    ours, theirs = (sum(known[s][f"{way}, {what}"] for s in SPLITS) / len(SPLITS) for way in ("ensemble", "single"))
    return {"value": (ours - theirs) / (theirs if relative else 1.0), "ensemble": ours, "single": theirs}


def rows(table: Table) -> list[Claim]:
    """Return a row for each score of a table."""
    return [
        Claim(
            id=f"table-{table.name}-{what}",
            chapter=CHAPTER,
            statement=f"Five networks that say mean and variance have a smaller {words} than one: {table.title}.",
            source=SOURCE,
            whose="other",
            setting=f"{table.words}; test {words} of the Gaussian with the moments of five minus the mean of single "
            "networks, wanted below 0",
            measure=partial(gained, table, what),
            seeds=SPLITS,
            verdict=beyond(0.0, below=True),
            unit="nats" if what == "nll" else "units of the target",
            needs=(table.data,),
            tolerance=0.02,
        )
        for what, words in WORDS.items()
    ]


def over_all(id: str, statement: str, setting: str, what: str, relative: bool, unit: str) -> Claim:
    """Return a row whose seeds are the tables."""
    return Claim(
        id=id,
        chapter=CHAPTER,
        statement=statement,
        source=SOURCE,
        whose="other",
        setting=f"six UCI tables, mean over 20 splits of each; {setting}",
        measure=partial(over_tables, what, relative),
        seeds=tuple(range(len(TABLES))),
        verdict=beyond(0.0, below=True),
        unit=unit,
        needs=tuple(sorted(table.data for table in TABLES.values())),
        tolerance=0.02,
    )


CLAIMS = [
    *(row for table in TABLES.values() for row in rows(table)),
    over_all(
        "tables-crps",
        "Five networks have a smaller CRPS than one.",
        "relative difference, wanted below 0",
        "crps",
        True,
        "share",
    ),
    over_all(
        "tables-coverage",
        "Intervals of five networks hold nearer to the promised share of targets than those of one.",
        "distance of the coverage of 95 % intervals from 0.95, five minus one, wanted below 0",
        "off",
        False,
        "coverage",
    ),
]
