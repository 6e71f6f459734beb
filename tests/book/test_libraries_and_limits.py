"""The pages of other libraries and of limits follow their data: what changes there changes here."""

import copy
import json
import re

import libraries
import limits
import pytest
from records import read

pytestmark = pytest.mark.book


def rows_of(text):
    """The rows of all tables, without their heads."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not line.startswith("|-")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def named(text, name):
    return next(row for row in rows_of(text) if row[0].startswith(f"[{name}]("))


@pytest.fixture
def change(monkeypatch):
    """Another content of the file with a name."""

    def to(module, name, content):
        monkeypatch.setattr(module, "read", lambda path: content if path.name == name else read(path))

    return to


def test_oracle_a_library_has_as_many_comparisons_as_were_measured():
    stored, text = libraries.measured(), libraries.libraries()
    for library in libraries.overview():
        mine = [row for row in stored if row["library"].lower() == library["name"].lower()]
        cells = named(text, library["name"])
        assert cells[3:6] == [
            str(len(library["rows"].split())),
            str(sum(row["verdict"] == "agrees" for row in mine)),
            str(sum(row["verdict"] == "differs" for row in mine)),
        ]
        assert all(cells[0].endswith(f" {row['version']}") for row in mine)


def test_property_every_library_was_compared():
    assert all(sum(map(int, named(libraries.libraries(), row["name"])[4:6])) for row in libraries.overview())


def test_property_versions_in_prose_are_those_that_were_compared():
    text = (libraries.ROOT / "book" / "coverage.md").read_text("utf-8")
    named = re.findall(r"(netcal|torchmetrics|crepes|MAPIE) (\d[\d.]*\d)", text)
    assert len(named) == 4
    assert set(named) <= {(row["library"], row["version"]) for row in libraries.measured()}


def test_property_another_verdict_changes_the_page(change):
    before = libraries.libraries(), libraries.whichlibrary(), libraries.agreements()
    found = copy.deepcopy(libraries.measured())
    energy = next(row for row in found if row["row"] == "X11")
    energy |= {"verdict": "differs", "reason": "another quantity", "theirs": [9.125], "difference": 8.5}
    change(libraries, "agreements.json", found)
    after = libraries.libraries(), libraries.whichlibrary(), libraries.agreements()
    assert all(one != other for one, other in zip(before, after, strict=True))
    assert "9.125" in after[2]
    assert "**differs**: another quantity" in after[2]


def test_property_every_entry_of_a_library_leads_to_it():
    found = {row[0]: row for row in rows_of(libraries.whichlibrary()) if row[0]}
    for library in libraries.overview():
        for id in library["rows"].split():
            assert f"[{library['name']}]({library['url']})" in found[id][2]
    assert set(found) == {id for library in libraries.overview() for id in library["rows"].split()}
    assert "(agrees and differs)" in found["C3"][2]
    assert "energy" in found["X11"][1]


def test_oracle_limits_are_filled_in_from_their_source(change):
    text = limits.limits()
    assert "{" not in text.replace("::::{div}", "").replace("{ref}", "")
    assert not re.search(r"\d%", text)
    ledger = json.loads(json.dumps(read(limits.LEDGERS / "3_uncertain.json")))
    next(row for row in ledger["rows"] if row["id"] == "views-mirrored-digits")["mean"] = 7.125
    change(limits, "3_uncertain.json", ledger)
    assert "by 7.125 nats" in limits.limits()
    change(limits, "measured.json", read(limits.FOLDER / "measured.json") | {"deterministic": {"sure": 0.07}})
    assert "for 7\u00a0% of them" in limits.limits()


def test_error_a_limit_without_its_number_stops_the_build(change):
    one = read(limits.FOLDER / "limits.json")[0] | {"says": "{nothing}"}
    change(limits, "limits.json", [one])
    with pytest.raises(KeyError, match="nothing"):
        limits.limits()
