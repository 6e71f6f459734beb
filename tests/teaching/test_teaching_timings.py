"""Stored races: ratios to the fastest, errors that help."""

import json

import pytest

from weightlore.errors import DataError, ParameterError
from weightlore.teaching import stored_race


def test_oracle_ratios_are_to_the_fastest(tmp_path):
    race = {"name": "both", "contestants": {"slow": {"ratio": 6.0}, "fast": {"ratio": 0.5}, "ours": {"ratio": 1.0}}}
    (tmp_path / "work.json").write_text(json.dumps({"races": [race]}))
    assert stored_race("work", "both", folder=tmp_path) == {"slow": 12.0, "fast": 1.0, "ours": 2.0}


def test_property_the_committed_results_can_be_read():
    assert min(stored_race("crossbar", "sparse, torch").values()) == 1.0


def test_error_names_what_is_there(tmp_path):
    with pytest.raises(DataError, match="python -m benchmarks nothing"):
        stored_race("nothing", "both", folder=tmp_path)
    with pytest.raises(ParameterError, match="'sparse, torch'"):
        stored_race("crossbar", "tortoise")
