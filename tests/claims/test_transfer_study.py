"""Rows of the ledger of transfer follow from stored numbers and count right; nothing is trained."""

import json

import numpy as np
import pytest
from tests.claims import LEDGERS, claims_transferred, transfer_study
from tests.claims.claims_transferred import BASELINES, CLAIMS, behind_best, most, never_far, points
from tests.claims.transfer_study import SEEDS, STUDIES, found, stored

from weightlore.errors import DataError

FIRST, SECOND, *_ = STUDIES.values()
NAMES = ("units", *BASELINES)


@pytest.fixture
def untrained(monkeypatch):
    """Nothing may be trained; what a fast row would measure anew is what is stored."""

    def refuse(*arguments, **options):
        raise AssertionError("the stored numbers are not enough")

    monkeypatch.setattr(transfer_study, "measured", refuse)
    monkeypatch.setattr(claims_transferred, "measured", lambda study, seed: stored(study)[seed])


@pytest.fixture
def empty(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer_study, "FILES", tmp_path)
    return tmp_path


def keep(folder, study, gains, seeds=SEEDS):
    """Store that units are ahead by a gain of each baseline, with some spread over seeds."""
    numbers = {
        str(seed): {
            "methods": {"units": 0.8, **{name: 0.8 - gain - 0.001 * (seed % 2) for name, gain in gains.items()}}
        }
        for seed in seeds
    }
    (folder / f"{study.name}.json").write_text(json.dumps({"study": study.words, "seeds": numbers}))


def ledger():
    return {row["id"]: row for row in json.loads((LEDGERS / "2_transferred.json").read_text())["rows"]}


def test_claim_rows_follow_from_stored_numbers(untrained):
    rows = ledger()
    checked = 0
    for claim in CLAIMS:
        for seed in claim.seeds:
            if str(seed) in rows[claim.id]["values"]:
                assert claim.measure(seed) == pytest.approx(rows[claim.id]["values"][str(seed)], abs=1e-5), claim.id
                checked += 1
    assert checked > 0


def test_claim_every_setting_says_whose_formulation_it_is():
    assert [claim.id for claim in CLAIMS if not claim.setting.startswith("our formulation")] == []


def test_claim_the_issue_names_enough_settings():
    for kind, least in (("cnn", 6), ("resnet", 6), ("gru", 3), ("lstm", 3)):
        assert sum(study.kind == kind for study in STUDIES.values()) >= least
    assert len(SEEDS) == 10


@pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES)
def test_property_stored_numbers_are_possible(study):
    for numbers in stored(study).values():
        assert all(0 <= numbers[name] <= 1 for name in (*NAMES, "update gate", "reuse gate"))
        own, control = numbers["parameters of units"], numbers["parameters of concat"]
        assert abs(own - control) < 0.05 * own
        assert (
            numbers["parameters of sharing"] < numbers["parameters of fine-tuning"] == numbers["parameters of scratch"]
        )


def test_oracle_most_is_more_than_half():
    assert most(np.array([1, 1, 0])) == "reproduced"
    assert most(np.array([1, 1, 0, 0])) == "not reproduced"
    assert most(np.array([1, 0.5, 0])) == "same direction"
    assert most(np.array([0.5, 0.5, 0, 0])) == "not reproduced"


def test_oracle_never_far_looks_at_the_worst():
    assert never_far(np.array([0.1, -0.03])) == "reproduced"
    assert never_far(np.array([0.1, -0.031])) == "not reproduced"


def test_oracle_points_need_all_baselines(empty):
    keep(empty, FIRST, {"sharing": 0.1, "fine-tuning": 0.02, "scratch": 0.05})
    keep(empty, SECOND, {"sharing": 0.1, "fine-tuning": -0.02, "scratch": 0.05})
    both = ("sharing", "fine-tuning")
    assert points((FIRST, SECOND), both, 0)["value"] == 1
    assert points((FIRST, SECOND), both, 1)["value"] == 0
    assert points((FIRST, SECOND), ("sharing",), 1)["value"] == 1
    assert behind_best((FIRST, SECOND), 0)["value"] == pytest.approx(0.0205)
    assert behind_best((FIRST, SECOND), 1)["value"] == pytest.approx(-0.0195)


def test_oracle_a_mean_without_certainty_is_half_a_point(empty):
    numbers = {str(seed): {"methods": {"units": 0.5 + (0.2 if seed == 0 else 0.0), "sharing": 0.5}} for seed in SEEDS}
    (empty / f"{FIRST.name}.json").write_text(json.dumps({"study": "", "seeds": numbers}))
    assert points((FIRST,), ("sharing",), 0)["value"] == 0.5


def test_limit_settings_are_counted_only_when_all_seeds_are_there(empty):
    keep(empty, FIRST, {"sharing": 0.1}, seeds=SEEDS[:-1])
    with pytest.raises(DataError, match="not measured yet for 1 of 10"):
        points((FIRST,), ("sharing",), 0)


def test_property_a_run_goes_on_where_it_stopped(empty, monkeypatch):
    calls = []

    def once(study, seed, group):
        calls.append((seed, group))
        return {"units": 0.1 * seed}

    monkeypatch.setattr(transfer_study, "measured", once)
    for seed, group in ((1, "methods"), (1, "methods"), (2, "methods"), (1, "search"), (1, "methods")):
        assert found(FIRST, seed, group) == {"units": 0.1 * seed}
    assert calls == [(1, "methods"), (2, "methods"), (1, "search")]
    assert stored(FIRST) == {1: {"units": 0.1}, 2: {"units": 0.2}}
