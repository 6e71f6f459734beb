"""The page of other libraries: ours made anew beside stored numbers of theirs, and theirs where it is installed."""

import contextlib
import csv
import io
import json
from pathlib import Path

import pytest
from tests.uncertainty.peers import compare
from tests.uncertainty.peers.case import Case, difference, flat, installed

from weightlore import uncertainty

STORED = compare.stored()
OVERVIEW = json.loads((compare.STORED.parent / "overview.json").read_text("utf-8"))
ENTRIES = {row["id"] for row in csv.DictReader(Path(uncertainty.__file__).with_name("coverage.csv").open("r"))}
by_case = pytest.mark.parametrize("case", compare.CASES, ids=lambda case: case.name)


def complaints(case, ours, theirs):
    """What a comparison's two sides have against its verdict."""
    apart = difference(ours, theirs)
    if case.reason and apart <= case.close:
        return [f"{case.name} agrees to {apart:.1e}, and a reason says that it differs"]
    return [] if case.reason or apart <= case.close else [f"{case.name} is {apart:.1e} apart, not {case.close:.0e}"]


@by_case
def test_oracle_ours_beside_the_stored_numbers_of_theirs(case):
    row, ours = STORED[case.name], flat(case.ours())
    assert len(ours) == len(row["theirs"])
    assert complaints(case, ours, row["theirs"]) == []
    assert ours == pytest.approx(row["ours"], rel=1e-7, abs=1e-9)
    assert [row[key] for key in ("row", "close", "verdict", "reason")] == [
        case.row,
        case.close,
        case.verdict,
        case.reason,
    ]
    assert row["difference"] == difference(row["ours"], row["theirs"])


@pytest.mark.filterwarnings("ignore")
@by_case
def test_oracle_theirs_live(case):
    if installed(case.library) is None:
        pytest.skip(f"{case.library} is not installed")
    with contextlib.redirect_stderr(io.StringIO()):
        assert flat(case.theirs()) == pytest.approx(STORED[case.name]["theirs"], rel=1e-5, abs=1e-6)


def test_property_the_page_has_every_comparison_once_and_no_other():
    assert sorted(STORED) == sorted({case.name for case in compare.CASES})
    assert len(STORED) == len(compare.CASES)


def test_property_the_overview_names_entries_that_exist():
    names = {row["name"].lower() for row in OVERVIEW}
    assert {case.library.lower() for case in compare.CASES} <= names
    for library in OVERVIEW:
        assert set(library["rows"].split()) <= ENTRIES, library["name"]
        compared = {case.row for case in compare.CASES if case.library.lower() == library["name"].lower()}
        assert compared <= set(library["rows"].split()), library["name"]


def test_property_a_wrong_verdict_is_found():
    agrees = Case("x", "f", "C3", "", lambda: 1.0, lambda: 1.0, 1e-6)
    differs = Case("x", "f", "C3", "", lambda: 1.0, lambda: 2.0, 1e-6, "another quantity")
    assert not complaints(agrees, [1.0], [1.0])
    assert not complaints(differs, [1.0], [2.0])
    assert "apart" in complaints(agrees, [1.0], [2.0])[0]
    assert "agrees" in complaints(differs, [1.0], [1.0])[0]
