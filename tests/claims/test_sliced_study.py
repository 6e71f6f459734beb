"""The stored points of the studies of bit slices are whole, and the ledger's rows follow from them."""

import copy
import json

import pytest
from tests.claims import LEDGERS
from tests.claims import claims_resolutions as resolutions
from tests.claims.claims_sliced import CHAPTER, CLAIMS
from tests.claims.sliced_study import STUDIES, stored

from weightlore.errors import DataError

KEPT = [study for study in STUDIES.values() if study.kept]
FOLLOWING = [c for c in CLAIMS if c.id.startswith(("authors-", "matched-", "reason-"))] + resolutions.CLAIMS


def lacking(study, found):
    """Points that a study asks for and its file lacks, points that it holds twice or never asked for."""
    asked = {("pruned", 0.0)} | {(method, a) for method, each in study.strengths.items() for a in each}
    due = sorted((seed, *one) for seed in study.seeds for one in asked)
    held = sorted((p.seed, p.method, p.strength) for p in found)
    return [one for one in due if one not in held] + [one for one in held if one not in due or held.count(one) > 1]


@pytest.mark.parametrize("study", KEPT, ids=lambda study: study.name)
def test_claim_every_point_of_a_study_is_stored_once(study):
    assert lacking(study, stored(study)) == []


@pytest.mark.parametrize("study", KEPT, ids=lambda study: study.name)
def test_property_a_point_that_is_gone_or_twice_is_found(study):
    found = stored(study)
    assert len(lacking(study, found[1:])) == 1
    assert lacking(study, [*found, found[0]])


@pytest.mark.parametrize("study", KEPT, ids=lambda study: study.name)
def test_property_points_are_shares_of_slices(study):
    for p in stored(study):
        assert 0 <= max(p.slices) <= p.weight <= min(100, sum(p.slices) + 1e-3), "a weight is the union of its slices"
        assert 0.1 <= p.test_accuracy <= 1
        assert 0.1 <= p.validation_accuracy <= 1
        assert len(p.largest_loads) == len(p.slices) == 4


def strayed(claim, rows):
    """Seeds whose stored value does not follow from the stored points."""
    kept = rows[claim.id]["values"]
    return [
        seed
        for seed in claim.seeds
        if claim.measure(seed)["value"] != pytest.approx(kept[str(seed)]["value"], rel=1e-5, abs=1e-5)
    ]


@pytest.mark.parametrize("claim", FOLLOWING, ids=lambda claim: claim.id)
def test_claim_rows_follow_from_stored_points(claim):
    rows = {row["id"]: row for row in json.loads((LEDGERS / f"{CHAPTER}.json").read_text())["rows"]}
    assert not any(lacking(study, stored(study)) for study in KEPT), "nothing may be trained here"
    assert strayed(claim, rows) == []
    tampered = copy.deepcopy(rows)
    tampered[claim.id]["values"][str(claim.seeds[0])]["value"] += 0.01
    assert strayed(claim, tampered) == [claim.seeds[0]]


@pytest.mark.parametrize("study", KEPT, ids=lambda study: study.name)
def test_property_lossless_bits_hold_the_fullest_bit_line_and_no_fewer_do(study):
    for seed in study.seeds:
        loads = resolutions.of(study.name, seed, "slice").largest_loads
        for load, bits in zip(loads, resolutions.lossless(study.name, seed, "slice"), strict=True):
            assert 2**bits - 1 >= load > 2 ** (bits - 1) - 1
            assert bits <= resolutions.WORST


def test_error_a_resolution_that_was_never_searched():
    with pytest.raises(DataError, match="no row found-photographs-vgg"):
        resolutions.found("photographs-vgg", 0)
