"""Stored and fresh frontiers: means over seeds, densities at equal accuracy, errors that help."""

import json
import math
from dataclasses import asdict

import pytest

from weightlore.bitslice import Point
from weightlore.errors import DataError, ParameterError
from weightlore.teaching import Frontier, stored_frontier, stored_frontiers


def point(method, strength, seed, validation, density, test=0.5):
    slices = (density + 3, density + 1, density - 1, density - 3)
    return Point(method, strength, seed, 1, validation, test, slices, density, (9, 7, 5, 3))


POINTS = (
    point("l1", 1.0, 0, 0.90, 20.0, 0.88),
    point("l1", 9.0, 0, 0.80, 10.0, 0.78),
    point("l1", 1.0, 1, 0.94, 24.0, 0.90),
    point("l1", 9.0, 1, 0.84, 12.0, 0.80),
    point("slice", 0.5, 0, 0.85, 8.0),
    point("slice", 0.5, 1, 0.90, 8.0),
)
TWO = Frontier("two methods on nothing", POINTS)


def test_oracle_curve_is_the_mean_over_seeds_by_rising_density():
    curve = TWO.curve("l1")
    assert curve.strength.tolist() == [9.0, 1.0]
    assert curve.density.tolist() == [11.0, 22.0]
    assert curve.accuracy.tolist() == pytest.approx([0.79, 0.89])
    assert curve.at(1.0) == pytest.approx((22.0, 0.89))
    assert TWO.curve("l1", slice_number=3).density.tolist() == [8.0, 19.0]


def test_oracle_needed_counts_from_the_best_of_each_seed():
    assert TWO.needed("l1", 0.05) == pytest.approx((15.0 + 18.0) / 2)
    assert TWO.needed("l1", 0.05, slice_number=0) == pytest.approx((18.0 + 21.0) / 2)


def test_limit_needed_is_missing_where_one_seed_does_not_reach():
    assert math.isnan(TWO.needed("l1", 0.2))
    assert math.isnan(TWO.needed("slice", 0.05))  # reached by seed 0 alone
    assert TWO.seeds == (0, 1)


def test_property_a_stored_study_is_what_was_written(tmp_path):
    content = {"study": TWO.words, "points": [asdict(p) for p in POINTS]}
    (tmp_path / "tiny.json").write_text(json.dumps(content))
    assert stored_frontiers(folder=tmp_path) == ("tiny",)
    assert stored_frontier("tiny", folder=tmp_path) == TWO


def test_property_every_study_of_the_book_can_be_read():
    for name in stored_frontiers():
        study = stored_frontier(name)
        assert study.words
        assert {p.method for p in study.points} >= {"l1", "slice"}


def test_error_messages_carry_the_repair(tmp_path):
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(DataError, match="make claims"):
        stored_frontier("broken", folder=tmp_path)
    with pytest.raises(DataError, match="only \\['broken'\\]"):
        stored_frontier("other", folder=tmp_path)
    with pytest.raises(ParameterError, match=r"only \['l1', 'slice'\]"):
        TWO.curve("lasso")
    with pytest.raises(ParameterError, match=r"only \[1.0, 9.0\]"):
        TWO.curve("l1").at(3.0)
    with pytest.raises(ParameterError, match=">= 0"):
        TWO.needed("l1", -0.1)
    with pytest.raises(ParameterError, match="test="):
        Frontier("", (point("l1", 1.0, 0, 0.9, 20.0, None),)).curve("l1")
