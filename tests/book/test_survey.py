"""The page of what is here of the survey: every row once, links only to what exists, and it follows its table."""

import csv
import re

import pytest
import survey
from contents import ROOT

pytestmark = pytest.mark.book

HEAD = ("id", "entry", "tier", "origin", "names", "options", "test", "notebook", "state")
ENTROPY = "uncertainty.measures.predictive_entropy"


@pytest.fixture
def page_of(tmp_path, monkeypatch):
    """The page that a table of our own would give."""

    def write(*rows):
        path = tmp_path / "coverage.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([HEAD, *rows])
        monkeypatch.setattr(survey, "TABLE", path)
        return survey.coverage()

    return write


def cells(text, start):
    line = next(line for line in text.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_property_every_entry_stands_on_the_page_once():
    found = re.findall(r"^\| ([A-Z]\d+) \|", survey.coverage(), re.MULTILINE)
    assert len(found) == 183
    assert sorted(found) == sorted(row["id"] for row in survey.rows())


def test_property_a_row_says_what_the_table_says():
    text = survey.coverage()
    for row in survey.rows():
        found = cells(text, row["id"])
        assert found[2:4] == [row["tier"], row["origin"]]
        assert found[7] == row["state"]
        assert found[5].strip("`") == row["test"]
        assert len(found) == 8


def test_property_what_is_done_leads_to_its_place_in_the_package():
    for row in survey.rows():
        if row["state"] == "done":
            assert all(survey.place(name) for name in row["names"].split()), row["id"]


def test_oracle_counts_by_hand():
    rows = survey.rows()
    done = sum(row["state"] == "done" for row in rows)
    ours = sum(row["origin"] == "ours" for row in rows)
    core = sum(row["tier"] == "core" for row in rows)
    assert cells(survey.covered(), "all")[1:] == list(
        map(str, [183, done, 183 - done, core, 183 - core, 183 - ours, ours])
    )


def test_property_the_sentence_on_the_page_counts_as_the_table_does():
    text = (ROOT / "book" / "coverage.md").read_text(encoding="utf-8")
    rows = survey.rows()
    survey_rows = sum(row["origin"] == "survey" for row in rows)
    assert f"{survey_rows} of the {len(rows)} rows" in text
    assert f"other {len(rows) - survey_rows} rows" in text


def test_property_the_page_follows_its_table(page_of):
    row = ("M2", "entropy | total", "core", "survey", ENTROPY, "", "a/b.py", "3_uncertain/measures.ipynb", "done")
    found = cells(page_of(row), "M2")
    assert found[1] == r"entropy \\| total"
    assert found[4] == f"{{py:obj}}`predictive_entropy <weightlore.{ENTROPY}>`"
    assert found[6] == "[measures](/tutorials/3_uncertain/measures.ipynb)"
    assert cells(page_of((*row[:8], "later")), "M2")[7] == "later"
    assert cells(page_of((*row[:5], "one two", *row[6:])), "M2")[4] == f"{found[4]} with `one` or `two`"


def test_limit_what_does_not_exist_is_not_linked(page_of):
    row = ("B1", "x", "core", "survey", "uncertainty.nothing.Nobody errors.Nobody", "", "", "9_never/gone.ipynb")
    found = cells(page_of((*row, "done")), "B1")
    assert found[4] == "`Nobody` `Nobody`"
    assert found[5] == ""
    assert found[6] == "`gone`"
    assert cells(page_of((*row, "later")), "B1")[4] == ""


def test_limit_an_attribute_leads_to_its_class():
    assert survey.place("uncertainty.GaussianPrediction.std").endswith(".GaussianPrediction.std")
    assert survey.place("uncertainty.GaussianPrediction.nothing") == ""
