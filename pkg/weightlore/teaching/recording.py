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

__all__ = ["run_claims"]


def run_claims(
    claims: Sequence[Claim],
    folder: Path | str,
    *,
    only: Iterable[str] | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> dict[str, list[dict[str, Any]]]:
    """Measure what is missing and write ``<chapter>.json`` after every seed, so that an interrupted run goes on.

    A stored value is kept as long as the ``version`` of its claim is the same. A claim whose data are absent keeps its
    row. Every claim has a row, those never run say ``"not tried"``; rows of claims that no longer exist go.

    Args:
        claims: all claims of one or more chapters.
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
    ledgers: dict[str, list[dict[str, Any]]] = {}
    for chapter in dict.fromkeys(claim.chapter for claim in claims):
        path = folder / f"{chapter}.json"
        mine = [claim for claim in claims if claim.chapter == chapter]
        values = _stored(path, mine)
        for claim in mine:
            if wanted is None or claim.id in wanted:
                for _ in _measured(claim, values[claim.id], progress):
                    _store(path, chapter, mine, values)
        ledgers[chapter] = _store(path, chapter, mine, values)
    return ledgers


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


def _stored(path: Path, claims: Sequence[Claim]) -> dict[str, dict[int, dict[str, float]]]:
    """Return the values of each claim that were measured under its present version."""
    rows = {row["id"]: row for row in json.loads(path.read_text())["rows"]} if path.exists() else {}
    kept: dict[str, dict[int, dict[str, float]]] = {claim.id: {} for claim in claims}
    for claim in claims:
        if rows.get(claim.id, {}).get("version") == version(claim):
            kept[claim.id] = {int(seed): numbers for seed, numbers in rows[claim.id]["values"].items()}
    return kept


def _store(path: Path, chapter: str, claims: Sequence[Claim], values: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Write all rows in one step, so that no reader ever finds half a file."""
    rows = [row(claim, values[claim.id]) for claim in sorted(claims, key=lambda claim: claim.id)]
    text = json.dumps({"chapter": chapter, "rows": rows}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    half = path.with_suffix(f".{os.getpid()}.half")
    half.write_text(text, encoding="utf-8")
    half.replace(path)
    return rows
