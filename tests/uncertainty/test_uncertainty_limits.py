"""The limits that the book tells of: measured again, and each sentence with numbers that exist."""

import json

import pytest
from tests.uncertainty.limits import measure

from weightlore.uncertainty.evaluate import family_table

STORED = json.loads(measure.STORED.read_text("utf-8"))


@pytest.mark.parametrize("name", sorted(measure.LIMITS))
def test_oracle_a_limit_is_measured_again(name):
    assert measure.LIMITS[name]() == pytest.approx(STORED[name], abs=0.02)


def test_property_every_limit_is_one():
    assert STORED["deterministic"]["sure"] > 0.2
    assert STORED["outside"]["mirrored"] < STORED["outside"]["patches"] - 0.05
    assert STORED["variational"]["narrowest"] < STORED["variational"]["mean"] < 0.9
    assert STORED["dropout"]["dropout"] > 5 * STORED["dropout"]["posterior"]
    assert STORED["sampling"]["right"] < 0.01
    assert abs(STORED["sampling"]["rhat"] - 1) < 0.01
    assert STORED["laplace"]["drawn"] < STORED["laplace"]["linearized"] - 0.1


LIMITS = json.loads(measure.STORED.with_name("limits.json").read_text("utf-8"))
LEDGER = json.loads((measure.STORED.parents[1] / "ledger" / "3_uncertain.json").read_text("utf-8"))
ROWS = {row["id"]: row for row in LEDGER["rows"]}
BOUNDS = {  # where the interval must lie for the sentence to be true
    "shift-temperature-digits": (0.05, 1.0),
    "evidence-shrinks-not-digits": (1.0, 10.0),
    "shift-ensemble-temperature-digits": (0.0, 10.0),
    "five-enough-digits": (0.0, 0.25),
    "views-mirrored-digits": (0.0, 10.0),
}


def test_property_every_family_has_a_limit_whose_source_exists():
    known = {f"ledger:{id}" for id in ROWS} | {f"measured:{name}" for name in STORED}
    assert {limit["from"] for limit in LIMITS} <= known
    assert {f"measured:{name}" for name in STORED} <= {limit["from"] for limit in LIMITS}
    assert list(dict.fromkeys(limit["family"] for limit in LIMITS)) == [row.family for row in family_table()]
    assert all("{" in limit["says"] for limit in LIMITS)


def test_property_a_sentence_says_what_the_ledger_found():
    told = {limit["from"].partition(":")[2] for limit in LIMITS if limit["from"].startswith("ledger:")}
    assert told == set(BOUNDS)
    for id, (low, high) in BOUNDS.items():
        assert low < ROWS[id]["interval"][0] <= ROWS[id]["interval"][1] < high, id
