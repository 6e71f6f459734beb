"""Rows of the larger studies of bits and spikes follow from stored numbers; nothing is trained or fetched."""

import copy
import json
from dataclasses import fields, replace

import pytest
import torch
from tests.claims import LEDGERS, binary_study, claims_binarized, claims_latency
from tests.claims.binary_study import DIGITS, EARLIER, MEASURES, OURS, STUDIES, fact, own, right, steps_needed, stored
from tests.claims.claims_latency import enough

KEPT = [study for study in STUDIES.values() if study.kept]
FOLLOWING = [
    claim
    for claim in (*claims_binarized.CLAIMS, *claims_latency.CLAIMS)
    if any(claim.id.endswith(study.name) for study in KEPT)
]


@pytest.fixture
def untrained(monkeypatch):
    """Nothing may be trained, converted or fetched."""

    def refuse(*arguments, **options):
        raise AssertionError("the stored numbers are not enough")

    for name in ("network", "converted", "splits", "fetch"):
        monkeypatch.setattr(binary_study, name, refuse)


def rows():
    return {row["id"]: row for row in json.loads((LEDGERS / "6_binarized.json").read_text())["rows"]}


def strayed(claim, stored_rows):
    """Seeds whose stored row does not follow from the stored numbers."""
    kept = stored_rows[claim.id]["values"]
    return [
        seed
        for seed in claim.seeds
        if str(seed) in kept and claim.measure(seed) != pytest.approx(kept[str(seed)], rel=1e-5, abs=1e-5)
    ]


@pytest.mark.parametrize("claim", FOLLOWING, ids=lambda claim: claim.id)
def test_claim_rows_follow_from_stored_numbers(claim, untrained):
    found = rows()
    assert strayed(claim, found) == []
    for seed in list(found[claim.id]["values"])[:1]:
        tampered = copy.deepcopy(found)
        tampered[claim.id]["values"][seed]["value"] += 0.5
        assert strayed(claim, tampered) == [int(seed)]


@pytest.mark.parametrize("study", KEPT, ids=lambda study: study.name)
def test_property_stored_numbers_are_possible(study):
    for name, numbers in stored(study).items():
        _, kind, *what = name.split()
        if what[:1] in (["raced"], ["judged"]) and len(what) > 1:
            count, steps = (study.raced, study.slow) if what[0] == "raced" else (study.judged, study.steps)
            assert len(numbers) == steps, name
            assert all(0 <= number <= count and number == int(number) for number in numbers), name
        elif kind == "real" and not what:
            assert 20 <= numbers[0] <= 100, name


def test_property_measures_lead_from_the_earlier_recipe_to_the_later():
    merged = {key: value for change in MEASURES.values() for key, value in change.items()}
    assert replace(EARLIER, **merged) == OURS
    for measure in MEASURES:
        here, there = binary_study.with_one(measure), binary_study.without(measure)
        assert sum(getattr(here, f.name) != getattr(EARLIER, f.name) for f in fields(here)) == 1
        assert sum(getattr(there, f.name) != getattr(OURS, f.name) for f in fields(there)) == 1


def test_oracle_steps_are_the_first_that_are_good_enough(monkeypatch):
    curves = {OURS: [0, 300, 494, 495, 400], EARLIER: [0, 1, 2, 3, 4]}
    monkeypatch.setattr(binary_study, "own", lambda *which: 500.4)
    monkeypatch.setattr(binary_study, "right", lambda study, seed, kind, way, *, raced: curves[way])
    assert steps_needed(DIGITS, 0, "real", OURS) == (4, True), "500.4 - 5.4 = 495"
    assert steps_needed(DIGITS, 0, "real", EARLIER) == (5, False)


def test_oracle_enough_steps_stay_good():
    accuracies = torch.tensor([0.2, 0.9, 0.5, 0.897, 0.9], dtype=torch.float64)
    assert enough(accuracies) == 4
    assert enough(torch.tensor([0.9, 0.9])) == 1


def test_property_facts_are_found_once_and_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(binary_study, "FILES", tmp_path)
    study, calls = replace(DIGITS, name="tiny", kept=True), []

    def find():
        calls.append(1)
        return [1.0, 2.5]

    monkeypatch.setattr(binary_study, "MEMORY", {})
    assert fact(study, "0 real", find) == fact(study, "0 real", find) == [1.0, 2.5]
    monkeypatch.setattr(binary_study, "MEMORY", {})
    assert fact(study, "0 real", find) == [1.0, 2.5]
    fact(study, "1 real", find)
    assert calls == [1, 1]
    assert stored(study) == {"0 real": [1.0, 2.5], "1 real": [1.0, 2.5]}


def test_property_an_untrained_network_races_at_chance(monkeypatch):
    monkeypatch.setattr(binary_study, "MEMORY", {})
    study = replace(DIGITS, name="untrained", slow=8, raced=100, judged=100)
    monkeypatch.setattr(binary_study, "splits", lambda study: binary_study._digits())
    binary_study.network.cache_clear()
    monkeypatch.setattr(
        binary_study, "network", lambda study, seed, kind: study.make(torch.Generator().manual_seed(seed))
    )
    binary_study.converted.cache_clear()
    found = right(study, 0, "real", EARLIER, raced=True)
    assert len(found) == 8
    assert max(found) < 50
    assert own(study, 0, "real") < 50
    binary_study.converted.cache_clear()
