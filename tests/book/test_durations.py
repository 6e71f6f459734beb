"""How long things take: the page sums what is stored, and counts what is written."""

import json

import durations
import pytest
from contents import ROOT, chapter_pages

pytestmark = pytest.mark.book


def rows(text):
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")][1:]


def test_oracle_minutes_and_seconds_are_those_of_the_notebooks():
    stored = [json.loads((ROOT / page.replace(".html", ".ipynb")).read_text()) for page in chapter_pages()]
    declared = [notebook["metadata"]["weightlore"] for notebook in stored]
    found = rows(durations.chapters())
    assert found[-1][:3] == ["**all**", str(len(declared)), str(sum(d["minutes"] for d in declared))]
    seconds = sum(d["measured"]["seconds"] for d in declared)
    assert abs(int(found[-1][3]) - seconds) <= len(found) / 2
    assert [row[0][0] for row in found[:-1]] == sorted({page.split("/")[1][0] for page in chapter_pages()})


def test_oracle_tests_are_counted_as_they_are_marked():
    text = (
        "import pytest\n@pytest.mark.slow\ndef test_a(): pass\n@pytest.mark.book\ndef test_b(): pass\ndef help(): pass"
    )
    assert durations.counted(text) == (2, 1)
    assert durations.counted(text + "\npytestmark = [pytest.mark.book, pytest.mark.slow]") == (2, 2)
    assert durations.counted("") == (0, 0)


def test_property_every_part_of_the_tests_is_listed_and_summed():
    found = rows(durations.tests())
    assert {"corruption", "uncertainty", "contracts"} <= {row[0] for row in found}
    for column in (1, 2, 3):
        assert sum(int(row[column]) for row in found[:-1]) == int(found[-1][column])


def test_oracle_the_slowest_call_of_a_workload():
    race = {
        "what": "a_b",
        "candidate": "ours",
        "contestants": {"ours": {"median_ms": 20.0}, "theirs": {"median_ms": 9e9}},
    }
    long = {**race, "what": "long", "contestants": {"ours": {"median_ms": 2500.0}}}
    assert durations.longest({"workload": "w", "races": [race, long]}) == ["w", "long", "2.5 s"]
    assert durations.longest({"workload": "w", "races": [race]}) == ["w", r"a\_b", "20 ms"]
    assert durations.longest({"workload": "w", "races": [{**race, "candidate": "gone"}]}) is None
