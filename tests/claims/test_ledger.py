"""The stored ledgers say what the claims in code say, and a fast part of them is measured again."""

import copy
import json

import numpy as np
import pytest
from tests.claims import LEDGERS, collected
from tests.claims.judging import drifted, moved, unlisted

from weightlore.teaching.claims import VERDICTS, Claim, beyond, row

CLAIMS = collected()
CHAPTERS = sorted({claim.chapter for claim in CLAIMS})


def stored(chapter):
    path = LEDGERS / f"{chapter}.json"
    assert path.exists(), f"{path} is missing; run `make claims`"
    return json.loads(path.read_text())["rows"]


def stored_row(claim):
    rows = {r["id"]: r for r in stored(claim.chapter)}
    assert claim.id in rows, f"{claim.id} has no row; run `make claims`"
    return rows[claim.id]


def name(claim):
    return f"{claim.chapter}:{claim.id}"


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_claim_every_claim_has_its_row(chapter):
    assert unlisted([c for c in CLAIMS if c.chapter == chapter], stored(chapter)) == []


@pytest.mark.parametrize("claim", CLAIMS, ids=name)
def test_claim_the_row_follows_from_its_values(claim):
    assert drifted(claim, stored_row(claim)) == []
    assert stored_row(claim)["verdict"] in VERDICTS


@pytest.mark.parametrize("claim", [claim for claim in CLAIMS if claim.fast], ids=name)
def test_claim_measured_again_the_number_is_the_same(claim):
    assert moved(claim, stored_row(claim)) == []


def measure(seed: int) -> dict[str, float]:
    return {"value": 0.5 + 0.01 * seed, "plain": float(seed)}


CLAIM = Claim(
    id="tiny",
    chapter="0_none",
    statement="A number is above zero.",
    source="sun2021corruption",
    whose="paper",
    setting="no network at all",
    measure=measure,
    seeds=(0, 1, 2),
    verdict=beyond(0.0),
    paper_number=None,
    fast=True,
)


@pytest.fixture
def honest():
    return json.loads(json.dumps(row(CLAIM, {seed: measure(seed) for seed in CLAIM.seeds})))


def test_property_an_honest_row_passes(honest):
    assert drifted(CLAIM, honest) == []
    assert moved(CLAIM, honest) == []
    assert honest["verdict"] == "reproduced"


@pytest.mark.parametrize("key", [key for key in row(CLAIM, {}) if key not in ("values", "id")])
def test_property_a_row_changed_anywhere_is_found(honest, key):
    honest[key] = "undecided" if key == "verdict" else 123
    assert any(key in line for line in drifted(CLAIM, honest))


def test_property_a_changed_value_is_found_twice(honest):
    tampered = copy.deepcopy(honest)
    tampered["values"]["0"]["value"] += 0.02
    assert drifted(CLAIM, tampered), "mean and interval no longer follow"
    assert moved(CLAIM, tampered), "nor does the measurement"
    tampered = row(CLAIM, {0: {"value": 0.9, "plain": 0.0}, 1: measure(1), 2: measure(2)})
    assert drifted(CLAIM, tampered) == [], "a row made anew from false values is consistent"
    assert moved(CLAIM, tampered), "but the measurement finds it"


def test_property_a_claim_that_measures_something_else_now_is_found(honest):
    changed = Claim(**{**vars(CLAIM), "measure": lambda seed: {"value": np.sqrt(seed)}})
    assert any("version" in line for line in drifted(changed, honest))
    assert moved(changed, honest)


def test_limit_a_fast_claim_must_have_been_measured():
    assert moved(CLAIM, row(CLAIM, {})) == ["tiny is marked fast, but was never measured"]
    assert unlisted([CLAIM], []) == ["tiny has no row"]
    assert "row tiny has no claim" in unlisted([], [row(CLAIM, {})])[0]
