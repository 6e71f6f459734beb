"""What the mutation tool found: every change that no test notices is explained, and the score is what we say."""

import csv
import json

import pytest
from tests import mutate
from tests.contracts.files import ROOT

RESULTS = json.loads(mutate.RESULTS.read_text(encoding="utf-8"))
with (ROOT / "tests" / "survivors.csv").open(encoding="utf-8") as file:
    WHY = {(row["module"], row["change"]): row["why"] for row in csv.DictReader(file)}
SURVIVORS = {(module, change) for module, found in RESULTS.items() for change in found["survivors"]}


def test_property_every_survivor_is_explained_and_no_other():
    assert set(WHY) == SURVIVORS
    assert all(WHY.values())


def test_property_the_score_is_the_one_that_is_stated():
    tried = sum(found["tried"] for found in RESULTS.values())
    said = f"{len(RESULTS)} of the {len(mutate.cores())} cores so far: {tried - len(SURVIVORS)} of {tried} changes"
    assert said in " ".join((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split())


@pytest.mark.parametrize("module", mutate.cores())
def test_property_a_core_and_its_tests_exist(module):
    assert (ROOT / "pkg" / "weightlore" / module).is_file()
    assert all((ROOT / test).is_file() for test in mutate.cores()[module])


def test_property_the_tool_changes_what_it_says():
    changes = dict(mutate.mutants("def f(x):\n    return not x + 1 < 2 or -x\n"))
    assert len(changes) == len(set(changes.values())) == 7
    assert all(compile(text, "changed", "exec") for text in changes.values())
