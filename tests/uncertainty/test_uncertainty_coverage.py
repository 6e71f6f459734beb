"""Every entry of the survey has its object, its test, its page and, where it is a core one, its notebook."""

from collections import Counter

import pytest
from tests.uncertainty import coverage

ROWS = coverage.rows()


def test_property_the_table_is_whole():
    assert Counter(row["id"][0] for row in ROWS) == coverage.COUNTS
    assert len({row["id"] for row in ROWS}) == sum(coverage.COUNTS.values())
    assert Counter(row["origin"] for row in ROWS) == {"survey": 162, "ours": 21}
    assert {row["tier"] for row in ROWS} == {"core", "ref"}
    assert all(row["entry"] for row in ROWS)


def test_property_no_entry_is_open():
    assert [row["id"] for row in ROWS if row["state"] != "done"] == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_property_an_entry_has_its_object(row):
    assert coverage.objects(row) == []


@pytest.mark.parametrize("row", [row for row in ROWS if row["options"]], ids=lambda row: row["id"])
def test_property_an_entry_has_its_options(row):
    assert coverage.optional(row) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_property_an_entry_has_its_test(row):
    assert coverage.tested(row) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_property_an_entry_has_its_page(row):
    assert coverage.documented(row) == []


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_property_a_core_entry_has_its_notebook(row):
    assert coverage.shown(row) == []


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ({"names": "uncertainty.measures.nothing"}, coverage.objects),
        ({"names": ""}, coverage.objects),
        ({"names": "errors"}, coverage.objects),
        ({"test": ""}, coverage.tested),
        ({"test": "uncertainty/coverage.py"}, coverage.tested),
        ({"test": "test_cli.py"}, coverage.tested),
        ({"options": "flipout"}, coverage.tested),
        ({"options": "flipout"}, coverage.optional),
        ({"names": "networks.layered.ABC"}, coverage.documented),
        ({"notebook": ""}, coverage.shown),
        ({"notebook": "0_healthy/healthy.ipynb"}, coverage.shown),
        ({"options": "flipout"}, coverage.shown),
    ],
)
def test_property_a_gap_is_found(change, check):
    row = next(row for row in ROWS if row["id"] == "M4")
    assert check(row | change)


def test_limit_a_name_is_used_only_where_code_of_the_package_is_called():
    code = (
        "from weightlore.uncertainty import ranking\nfrom weightlore.uncertainty.ranking import aurc as area, auprc\n"
    )
    assert coverage.used(code) == frozenset()
    assert coverage.used(f"{code}# auprc\nmargin = 'auprc'\nprint(margin)") == frozenset()
    found = coverage.used(f"{code}area(ranking.auroc(x), x.y)")
    assert {name for name in found if name[0] != "."} == {
        f"uncertainty.ranking{end}" for end in ("", ".aurc", ".auroc")
    }
    assert {name for name in found if name[0] == "."} == {".auroc", ".y"}
    assert coverage.used("import torch\ntorch.margin(1)") == {".margin"}
    assert coverage.spoken("f('raps', rule='by vote')  # lac") == {"raps", "rule", "by vote"}


def test_limit_what_is_only_refused_is_not_tested():
    row = next(row for row in ROWS if row["id"] == "X7")
    assert coverage.tested(row) == []
    elsewhere = {"names": "uncertainty.ood.TrustScore", "test": "uncertainty/test_uncertainty_bad_input.py"}
    assert any("no oracle and no property" in said for said in coverage.tested(row | elsewhere))
    both = {"test": f"{elsewhere['test']} {row['test']}"}
    assert coverage.tested(row | both) == []


def test_limit_another_function_of_the_same_name_is_not_the_one():
    row = next(row for row in ROWS if row["id"] == "M10")
    measure = {"names": "uncertainty.measures.mutual_information"}
    assert coverage.tested(row) == []
    assert coverage.tested(row | measure) == [
        "M10: tests/uncertainty/test_uncertainty_dirichlet.py never uses " + measure["names"]
    ]
