"""The limits that the book tells of: measured again, and each sentence with numbers that exist."""

import json

import pytest
from tests.uncertainty.limits import measure

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


def test_property_every_family_has_a_limit_whose_source_exists():
    limits = json.loads(measure.STORED.with_name("limits.json").read_text("utf-8"))
    ledger = measure.STORED.parents[1] / "ledger" / "3_uncertain.json"
    known = {f"ledger:{row['id']}" for row in json.loads(ledger.read_text("utf-8"))["rows"]}
    assert {limit["from"] for limit in limits} <= known | {f"measured:{name}" for name in STORED}
    assert len({limit["family"] for limit in limits}) == 8
    assert all("{" in limit["says"] for limit in limits)
