"""Rows of the ledger of uncertainty follow from stored numbers and count right; nothing is trained."""

import json
import math

import pytest
import torch
from tests.claims import (
    LEDGERS,
    claims_uncertain,
    claims_uncertain_linear,
    claims_uncertain_second,
    collected,
    uncertain_numbers,
)
from tests.claims.claims_uncertain import CHAPTER, flattened, repaired, share_of_floor
from tests.claims.claims_uncertain_repaired import SLACK, mended
from tests.claims.claims_uncertain_shifted import ahead, halfway, policed, reordered, unrepaired
from tests.claims.claims_uncertain_tables import SPLITS, gained, over_tables
from tests.claims.uncertain_numbers import METHODS, found, scored, stored
from tests.claims.uncertain_study import DIGITS, SEVERITIES, SHIFTS, STUDIES, conditions, pooled, splits, views
from tests.claims.uncertain_tables import TABLES, judged, standardized

from weightlore.data import Split
from weightlore.errors import DataError
from weightlore.teaching.claims import beyond
from weightlore.uncertainty import GaussianPrediction

UNSTORED = {"floor-slope", *(claim.id for claim in claims_uncertain_linear.CLAIMS)}  # measured anew by each row
CLAIMS = [claim for claim in collected() if claim.chapter == CHAPTER and claim.id not in UNSTORED]


@pytest.fixture
def untrained(monkeypatch):
    """Nothing may be trained; what a fast row would measure anew is what is stored."""

    def refuse(*arguments, **options):
        raise AssertionError("the stored numbers are not enough")

    monkeypatch.setattr(uncertain_numbers, "measured", refuse)
    monkeypatch.setattr(claims_uncertain, "measured", lambda study, seed, group: stored(study, group)[seed])


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setattr(uncertain_numbers, "FILES", tmp_path)
    return tmp_path


def keep(folder, study, seeds=(0,), **groups):
    kept = {str(seed): groups for seed in seeds}
    (folder / f"{study.name}.json").write_text(json.dumps({"study": study.words, "seeds": kept}))


def under_all(levels):
    """The same number under every condition, severity by severity one more."""
    shifts = [(f"{kind} {severity}", severity) for kind in SHIFTS for severity in SEVERITIES]
    return {
        f"{method}, {name}, {what}": level + severity
        for (method, what), level in levels.items()
        for name, severity in (("clean", 0), *shifts)
    }


def test_claim_rows_follow_from_stored_numbers(untrained):
    rows = {row["id"]: row for row in json.loads((LEDGERS / f"{CHAPTER}.json").read_text())["rows"]}
    checked = 0
    for claim in CLAIMS:
        for seed in claim.seeds:
            if str(seed) in rows[claim.id]["values"]:
                measured = claim.measure(seed)
                assert measured == pytest.approx(rows[claim.id]["values"][str(seed)], rel=1e-4, abs=1e-6), claim.id
                checked += 1
    assert checked > 400


def test_claim_both_image_sets_and_six_tables_are_asked():
    ids = {claim.id for claim in CLAIMS} - {claim.id for claim in claims_uncertain_second.CLAIMS}
    assert len(TABLES) == 6
    assert len(SPLITS) == 20
    on_digits = {i.removesuffix("-digits") for i in ids if i.endswith("-digits")}
    on_clothes = {i.removesuffix("-clothes") for i in ids if i.endswith("-clothes")}
    changed = {f"depends-{what}-{kind}" for what in ("width", "half") for kind in ("plain", "evidential", "prior")}
    assert on_digits - on_clothes == {"labels-bald", "labels-entropy"} | changed, "what takes many trainings"
    assert on_clothes <= on_digits
    assert all(f"table-{table}-{what}" in ids for table in TABLES for what in ("nll", "rmse"))


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_property_stored_numbers_are_possible(study):
    for numbers in stored(study, "methods").values():
        shares = [n for name, n in numbers.items() if name.endswith(("accuracy", "ece", "ece tempered"))]
        assert all(0 <= n <= 1 for n in shares)
        assert all(math.isfinite(n) and n >= 0 for n in numbers.values())
        assert numbers["ensemble, clean, nll"] <= numbers["single, clean, nll"], "Jensen's inequality"
    for numbers in stored(study, "members").values():
        losses = [numbers[f"clean, {count}"] for count in (1, 2, 5, 10)]
        assert losses == sorted(losses, reverse=True), "of all members, one by one or together, likewise"
    for numbers in stored(study, "repairs").values():
        assert numbers["none, changed"] == numbers["temperature, changed"] == 0
    for numbers in stored(study, "coverage").values():
        assert numbers["slack"] == pytest.approx(SLACK[study.name], rel=1e-4)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_property_the_mixture_of_five_is_no_worse_in_mean_square(table):
    for numbers in stored(table, "scores").values():
        assert numbers["ensemble, rmse"] <= numbers["single, rmse"] * (1 + 1e-6) or numbers["single, rmse"] < 1e-9
        assert numbers["ensemble, off"] == pytest.approx(abs(numbers["ensemble, picp"] - 0.95), abs=1e-5)


def test_property_a_run_goes_on_where_it_stopped(empty, monkeypatch):
    calls = []

    def once(study, seed, group):
        calls.append((seed, group))
        return {"a": 0.5 + seed}

    monkeypatch.setattr(uncertain_numbers, "measured", once)
    for seed, group in ((1, "bins"), (1, "bins"), (2, "bins"), (1, "views"), (1, "bins")):
        assert found(DIGITS, seed, group) == {"a": 0.5 + seed}
    assert calls == [(1, "bins"), (2, "bins"), (1, "views")]
    assert stored(DIGITS, "bins") == {1: {"a": 1.5}, 2: {"a": 2.5}}


def test_oracle_scores_of_two_members():
    z = torch.tensor([[[2.0, 0.0]], [[0.0, 0.0]]], dtype=torch.float64).expand(2, 300, 2)
    p = (1 / (1 + math.exp(-2.0)) + 0.5) / 2
    numbers = scored(z, torch.zeros(300, dtype=torch.int64), 2.0)
    assert numbers["nll"] == pytest.approx(-math.log(p))
    assert numbers["ece"] == pytest.approx(1 - p)
    assert numbers["accuracy"] == 1
    q = p**0.5 / (p**0.5 + (1 - p) ** 0.5)
    assert numbers["nll tempered"] == pytest.approx(-math.log(q))


def test_limit_one_member_is_its_own_mean():
    z = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(pooled(z).softmax(1), z[0].softmax(1))


def test_oracle_gains_like_one_over_the_members_flatten_to_an_eighth(empty):
    names = {f"clean, {count}": 1 + 1 / count for count in (1, 5, 10)}
    keep(empty, DIGITS, members=names)
    assert flattened(DIGITS, ("clean",), 0)["value"] == pytest.approx(0.125)


def test_oracle_a_repair_and_the_share_of_the_floor(empty):
    numbers = {"overfitted, ece": 0.3, "overfitted, ece repaired": 0.1, "overfitted, temperature": 2.0}
    keep(empty, DIGITS, confidence=numbers | {"overfitted, floor": 0.05})
    assert repaired(DIGITS, "overfitted", 0)["value"] == pytest.approx(-0.2)
    keep(empty, DIGITS, bins={"floor of 100": 0.03, "ece of 100": 0.04, "debiased of 100": 0.0})
    assert share_of_floor(DIGITS, 0)["value"] == pytest.approx(0.75)


def test_oracle_losses_under_shift_are_means_over_ten_conditions(empty):
    levels = {
        ("ensemble", "nll"): 1.0,
        ("ensemble", "nll tempered"): 0.8,
        ("single", "nll tempered"): 0.9,
        ("single", "nll"): 1.5,
        ("single", "ece"): 0.2,
        ("single", "ece tempered"): 0.1,
    }
    keep(empty, DIGITS, methods=under_all(levels))
    gap = ahead(DIGITS, "single", "nll", "nll", 0)
    assert gap["value"] == pytest.approx(-0.5)
    assert gap["both tempered"] == pytest.approx(-0.1)
    assert gap["ensemble, rotation"] == pytest.approx(4.0)
    assert unrepaired(DIGITS, 0)["value"] == pytest.approx(3.0)


def test_oracle_pairs_that_a_temperature_turns_around(empty):
    before = dict(zip(("single", *METHODS), range(10), strict=True))
    numbers = {f"{method}, clean, {what}": float(n) for method, n in before.items() for what in ("nll", "ece")}
    after = {f"{method}, clean, {what} tempered": float(n) for method, n in before.items() for what in ("nll", "ece")}
    after["single, clean, nll tempered"] = 100.0  # from the first place to the last: turned in 9 of 45 pairs
    keep(empty, DIGITS, methods=numbers | after)
    assert reordered(DIGITS, 0) == {"value": pytest.approx(9 / 45), "by ece": 0}


def test_oracle_half_of_the_gain_is_the_middle(empty):
    numbers = {"single, clean, nll": 0.4, "ensemble, clean, nll": 0.2, "student, clean, nll": 0.25}
    keep(empty, DIGITS, methods=numbers)
    kept = halfway(DIGITS, 0)
    assert kept["value"] == pytest.approx(-0.05)
    assert kept["share of the gain"] == pytest.approx(0.75)


def test_oracle_policies_and_maps(empty):
    losses = {"a, alone": 1.0, "a, policy": 0.8, "b, alone": 2.0, "b, policy": 2.4, "passes": 3.0}
    keep(empty, DIGITS, views=losses, methods={"views, temperature": 0.5})
    assert policed(DIGITS, ("a", "b"), 0)["value"] == pytest.approx(0.1)
    numbers = {f"{name}, {what}": 0.5 for name in ("none", "BBQ") for what in ("ece", "accuracy", "changed")}
    keep(empty, DIGITS, repairs=numbers | {"none, nll": 0.5, "BBQ, nll": 0.4})
    assert mended(DIGITS, "BBQ", 0)["value"] == pytest.approx(-0.1)


def test_limit_tables_are_counted_only_when_all_splits_are_there(empty):
    table = next(iter(TABLES.values()))
    numbers = {"ensemble, crps": 0.9, "single, crps": 1.0}
    keep(empty, table, scores=numbers, seeds=SPLITS[:-1])
    with pytest.raises(DataError, match="not measured yet for 1 of 20"):
        over_tables("crps", True, 0)
    keep(empty, table, scores=numbers, seeds=SPLITS)
    assert over_tables("crps", True, 0)["value"] == pytest.approx(-0.1)
    assert gained(table, "crps", 3)["value"] == pytest.approx(-0.1)


def test_oracle_a_gaussian_is_judged():
    prediction = GaussianPrediction.from_members(torch.zeros(1, 2, 1).double(), torch.ones(1, 2, 1).double())
    numbers = judged(prediction, torch.tensor([[0.0], [3.0]]).double())
    assert numbers["rmse"] == pytest.approx(4.5**0.5)
    assert numbers["picp"] == 0.5
    assert numbers["mpiw"] == pytest.approx(3.919928, rel=1e-6)
    assert numbers["nll"] == pytest.approx(0.5 * math.log(2 * math.pi) + 4.5 / 2)


def test_property_only_train_rows_say_how_columns_are_scaled():
    generator = torch.Generator().manual_seed(0)
    train, test = (Split(5 + torch.randn(9, 3, generator=generator), torch.zeros(9, 1)) for _ in range(2))
    train.x[:, 2] = test.x[:, 2] = 7.0  # a constant column
    first, second = standardized(train, test)
    torch.testing.assert_close(first.x.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(first.x[:, :2].std(0, correction=0), torch.ones(2))
    assert torch.equal(second.x[:, 2], torch.zeros(9))
    assert not torch.allclose(second.x.mean(0), torch.zeros(3))


def test_property_conditions_begin_with_the_test_images():
    named = conditions(DIGITS, 0)
    assert torch.equal(named["clean"], splits(DIGITS)[2].x)
    assert len(named) == 1 + len(SHIFTS) * len(SEVERITIES)
    assert all(x.shape == named["clean"].shape and not torch.equal(x, named["clean"]) for x in [*named.values()][1:])
    assert views()[0].name == "identity"
    assert len(views()) == 18


def test_property_every_rule_can_fail():
    assert beyond(0.25, below=True)(torch.full((5,), 0.3).numpy()) == "not reproduced"
    assert {claim.verdict(torch.full((5,), 1e3).double().numpy()) for claim in CLAIMS} == {
        "reproduced",
        "not reproduced",
    }
    assert all(
        claim.verdict(torch.full((5,), 1e3).double().numpy()) != claim.verdict(torch.full((5,), -1e3).double().numpy())
        or "between" in claim.setting
        or "wanted 0" in claim.setting
        for claim in CLAIMS
    )
