"""Measure claims and keep their ledgers, one seed at a time, so that nothing measured is lost.

run_claims(claims, folder)   measure what is missing and store it
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weightlore.errors import DataError, ParameterError
from weightlore.teaching.claims import Claim, rounded, row
from weightlore.teaching.versions import version

__all__ = ["prune", "run_claims"]


def run_claims(
    claims: Sequence[Claim],
    folder: Path | str,
    *,
    only: Iterable[str] | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, list[dict[str, Any]]]:
    """Measure what is missing and write ``<chapter>.json`` after every seed, so that an interrupted run goes on.

    A stored value counts as long as the ``version`` of its claim is the same. Whatever this run does not measure stays
    in the file as it is: rows of other claims, values that another process stored meanwhile, rows of a changed claim
    that is not asked for. A claim whose data are absent keeps its row; one that was never run says ``"not tried"``.

    Args:
        claims: claims of one or more chapters.
        folder: where the ledgers lie.
        only: ids to measure; ``None`` for all.
        progress: gets a line before each measurement and for each claim that was passed over.

    Returns:
        The rows by chapter, as stored.

    Raises:
        ParameterError: if two claims of a chapter have one id, ``only`` names none, or a value is not finite.

    Source: ours
    """
    folder, wanted = Path(folder), None if only is None else set(only)
    _require_ids(claims, wanted)
    folder.mkdir(parents=True, exist_ok=True)
    versions = {claim: version(claim) for claim in claims}  # once: sources may be edited while a long run goes on
    ledgers: dict[str, list[dict[str, Any]]] = {}
    for chapter in dict.fromkeys(claim.chapter for claim in claims):
        path = folder / f"{chapter}.json"
        mine = {claim: versions[claim] for claim in claims if claim.chapter == chapter}
        ledgers[chapter] = _store(path, mine, {})
        for claim in mine:
            if wanted is None or claim.id in wanted:
                values = _values(_rows(path).get(claim.id), versions[claim])
                for _ in _measured(claim, values, progress):
                    ledgers[chapter] = _store(path, mine, {claim.id: values})
    return ledgers


def prune(claims: Sequence[Claim], folder: Path | str) -> list[str]:
    """Take the rows out of the ledgers that belong to no claim.

    Args:
        claims: all claims of all chapters that are in the folder.
        folder: where the ledgers lie.

    Returns:
        The ids of the rows that are gone.

    Source: ours
    """
    gone = []
    for path in sorted(Path(folder).glob("*.json")):
        rows, known = _rows(path), {claim.id for claim in claims if claim.chapter == path.stem}
        if unknown := sorted(rows.keys() - known):
            _write(path, {name: stored for name, stored in rows.items() if name in known})
            gone += unknown
    return gone


def _measured(claim: Claim, values: dict[int, dict[str, float]], progress: Callable[[str], None]) -> Iterable[int]:
    """Measure the seeds that are missing; after each, its value is in ``values`` and the seed is yielded."""
    for seed in claim.seeds:
        if seed not in values:
            progress(f"{claim.chapter}: {claim.id}, seed {seed}")
            try:
                found = claim.measure(seed)
            except DataError as error:
                progress(f"{claim.chapter}: {claim.id} is passed over: {error}")
                return
            numbers = found if isinstance(found, Mapping) else {"value": found}
            if "value" not in numbers or not all(np.isfinite(float(x)) for x in numbers.values()):
                raise ParameterError(f"claim {claim.id!r} must measure a finite 'value', got {dict(numbers)}")
            values[seed] = {name: rounded(float(number)) for name, number in numbers.items()}
            yield seed


def _require_ids(claims: Sequence[Claim], wanted: set[str] | None) -> None:
    names = [(claim.chapter, claim.id) for claim in claims]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ParameterError(f"ids must be unique in a chapter, these are not: {twice}")
    if wanted is not None and (unknown := wanted - {claim.id for claim in claims}):
        raise ParameterError(f"no claim has the id {sorted(unknown)}; there are {sorted(c.id for c in claims)}")


def _rows(path: Path) -> dict[str, dict[str, Any]]:
    """Return the stored rows by id."""
    return {stored["id"]: stored for stored in json.loads(path.read_text("utf-8"))["rows"]} if path.exists() else {}


def _values(stored: Mapping[str, Any] | None, measured_by: str) -> dict[int, dict[str, float]]:
    """Return the values of a row that this version measured."""
    if stored is None or stored["version"] != measured_by:
        return {}
    return {int(seed): numbers for seed, numbers in stored["values"].items()}


def _store(
    path: Path, mine: Mapping[Claim, str], new: Mapping[str, Mapping[int, dict[str, float]]]
) -> list[dict[str, Any]]:
    """Merge new values into what lies in the file now, and return this run's rows."""
    rows = _rows(path)
    for claim, measured_by in mine.items():
        stored = rows.get(claim.id)
        outdated = stored is not None and stored["version"] != measured_by and stored["values"]
        if claim.id in new or not outdated:
            values = {**_values(stored, measured_by), **new.get(claim.id, {})}
            rows[claim.id] = row(claim, values, measured_by=measured_by)
    _write(path, rows)
    return [rows[name] for name in sorted(claim.id for claim in mine)]


def _write(path: Path, rows: Mapping[str, dict[str, Any]]) -> None:
    """Write all rows, sorted by id, in one step, so that no reader ever finds half a file."""
    ledger = {"chapter": path.stem, "rows": [rows[name] for name in sorted(rows)]}
    half = path.with_suffix(f".{os.getpid()}.half")
    half.write_text(json.dumps(ledger, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    half.replace(path)
