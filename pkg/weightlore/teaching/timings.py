"""Measured speed for figures: read from what ``make bench`` committed, never measured where it is shown.

    stored_race(workload, race)   how many times as long each contestant took as the fastest of them

A notebook that measured would say something else on every machine, and at every hour.
"""

import json
from pathlib import Path

from weightlore.errors import DataError, ParameterError
from weightlore.teaching.ledgers import _folder

__all__ = ["stored_race"]


def stored_race(workload: str, race: str, *, folder: Path | str | None = None) -> dict[str, float]:
    """Return the times of a race's contestants, in units of the fastest.

    Args:
        workload: name of a file in ``benchmarks/results``, without its ending.
        race: name of one of its races.
        folder: where the results lie; ``None`` for those of the repository.

    Returns:
        Contestant -> median of the ratios, 1 for the fastest.

    Raises:
        DataError: if there is no such workload.
        ParameterError: if it has no such race; the message names those that it has.

    Source: ours
    """
    results = Path(folder) if folder is not None else _folder(None).parents[1] / "benchmarks" / "results"
    path = results / f"{workload}.json"
    if not path.exists():
        raise DataError(f"no results of {workload!r} in {results}; measure them with python -m benchmarks {workload}")
    races = {each["name"]: each["contestants"] for each in json.loads(path.read_text("utf-8"))["races"]}
    if race not in races:
        raise ParameterError(f"{workload!r} has the races {', '.join(map(repr, races))}, got {race!r}")
    times = {name: float(contestant["ratio"]) for name, contestant in races[race].items()}
    fastest = min(times.values())
    return {name: time / fastest for name, time in times.items()}
