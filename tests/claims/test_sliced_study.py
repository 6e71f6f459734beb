"""The stored points of the studies of bit slices are whole, and the ledger's rows follow from them."""

import copy
import json

import pytest
from tests.claims import LEDGERS
from tests.claims import claims_resolutions as resolutions
from tests.claims import claims_searches as searches
from tests.claims.claims_converters import MODELS
from tests.claims.claims_converters import bill as bill_of_one_image
from tests.claims.claims_sliced import CHAPTER, CLAIMS
from tests.claims.sliced_study import STUDIES, stored

from weightlore.errors import DataError

KEPT = [study for study in STUDIES.values() if study.kept]
FOLLOWING = [c for c in CLAIMS if c.id.startswith(("authors-", "matched-", "reason-"))] + resolutions.CLAIMS
FOLLOWING += [c for c in searches.CLAIMS if c.fast]


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
    with pytest.raises(DataError, match="no row found-clothes-unpruned"):
        resolutions.found("clothes-unpruned", 0)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("bits", [(8, 8, 8, 8), (1, 4, 5, 3)])
def test_oracle_the_bill_of_a_study_is_that_of_its_layers(model, bits):
    assert searches.bill("clothes-short", model, bits) == bill_of_one_image(model, bits)


@pytest.mark.parametrize(("name", "width", "layers"), [("photographs-vgg", 16, 11), ("photographs-resnet", 4, 22)])
def test_oracle_every_layer_works_once_for_each_patch(name, width, layers):
    first, *_, last = work = searches.work(name)
    assert len(work) == layers
    assert first.steps == 2 * 8 * 32 * 32, "images are signed: two passes of 8 digits for each of 32 x 32 patches"
    assert first.macs == 32 * 32 * 3 * 9 * width
    assert (last.steps, last.macs) == (8, 10 * (8 if "vgg" in name else 4) * width)
    assert all(min(layer.arrays) > 0 for layer in work), "no slice is left out"


def test_oracle_a_descent_ends_where_no_bit_can_go():
    needs = (1, 4, 5, 3)
    assert searches.descent(lambda bits: -sum(b < n for b, n in zip(bits, needs, strict=True)), 8, 0) == needs
    assert searches.descent(lambda bits: 0.0, 3, 0) == (1, 1, 1, 1)
    assert searches.descent(lambda bits: -1.0, 3, 0) == (3, 3, 3, 3)


def test_property_a_descent_takes_the_bit_that_leaves_most_and_the_first_of_equals():
    assert searches.descent(sum, 3, 11) == (2, 3, 3, 3)
    assert searches.descent(lambda bits: bits[0] + 2 * bits[1] + bits[2] + bits[3], 2, 7) == (1, 2, 1, 1)
