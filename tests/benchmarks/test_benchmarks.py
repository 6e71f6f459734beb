"""The harness bites, and what it measured is what the page says."""

import json
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from benchmarks import race, tables

RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


def slow():
    start = time.process_time()
    while time.process_time() - start < 0.02:
        pass
    return torch.tensor([1.0, 2.0])


def fast():
    return torch.tensor([1.0, 2.0])


def made(**changed):
    settings = {"name": "two", "what": "work", "contestants": {"slow": slow, "fast": fast}, "candidate": "fast"}
    return race.Race(**{**settings, "reference": "slow", "tolerance": 1e-6, **changed})


def test_property_a_wrong_contestant_does_not_start(tmp_path, monkeypatch):
    monkeypatch.setattr(race, "RESULTS", tmp_path)
    wrong = made(contestants={"slow": slow, "fast": lambda: torch.tensor([1.0, 2.1])})
    with pytest.raises(SystemExit, match="fast differs from slow"):
        race.run("wrong", [wrong], rounds=5)
    with pytest.raises(SystemExit, match="fast differs"):
        race.run("wrong", [made(contestants={"slow": slow, "fast": lambda: torch.tensor(torch.nan)})], rounds=5)
    assert not list(tmp_path.iterdir())


def test_property_ratios_are_of_the_contestant_to_the_candidate(tmp_path, monkeypatch):
    monkeypatch.setattr(race, "RESULTS", tmp_path)
    assert race.run("right", [made(targets={"slow": 1.5})], rounds=5)
    assert not race.run("right", [made(candidate="slow", targets={"fast": 0.9})], rounds=5)
    entry = json.loads((tmp_path / "right.json").read_text())["races"][0]["contestants"]["fast"]
    assert entry["ratio"] < 0.9
    assert entry["lowest"] <= entry["ratio"] <= entry["highest"]


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.stem)
def test_property_results_say_on_what_they_were_measured_and_nothing_private(path):
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["rounds"] >= 5
    assert set(content["machine"]) == {"processor", "instructions", "system", "threads"}
    assert "/" not in json.dumps(content["machine"])
    for one in content["races"]:
        assert one["contestants"][one["candidate"]]["ratio"] == 1.0


def test_property_the_page_shows_the_results():
    page = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert RESULTS
    assert tables.written(page) == page
