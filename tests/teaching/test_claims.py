"""Claims, their verdicts, and runs that are interrupted."""

import functools
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from weightlore.errors import DataError, ParameterError
from weightlore.teaching import Claim, ledger
from weightlore.teaching.claims import VERDICTS, beyond, interval, row
from weightlore.teaching.ledgers import chapters
from weightlore.teaching.recording import prune, run_claims
from weightlore.teaching.versions import version

CALLS = []
SCALE = 2.0


def measure(seed: int) -> float:
    """Remember the call."""
    CALLS.append(seed)
    return _number(seed)


def _number(seed: int) -> float:
    return 0.1 * SCALE + 0.001 * seed


def claim(**changes):
    settings = {
        "id": "small",
        "chapter": "9_test",
        "statement": "It | is <positive>.",
        "source": "sun2021corruption",
        "whose": "paper",
        "setting": "none",
        "measure": measure,
        "seeds": (0, 1, 2),
        "verdict": beyond(0.0),
    }
    return Claim(**(settings | changes))


@pytest.fixture(autouse=True)
def forget():
    CALLS.clear()


@given(st.lists(st.floats(-10, 10), min_size=2, max_size=20))
def test_oracle_the_interval_is_that_of_scipy(values):
    array = np.array(values)
    low, high = interval(array)
    if array.std(ddof=1) > 1e-9:
        expected = stats.t.interval(0.95, len(array) - 1, loc=array.mean(), scale=stats.sem(array))
        assert (low, high) == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert low <= array.mean() + 1e-12
    assert high >= array.mean() - 1e-12


def test_limit_the_interval_of_one_value_has_no_width():
    assert interval(np.array([0.3])) == (0.3, 0.3)


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ([0.5, 0.51, 0.49], "reproduced"),
        ([0.05, 0.051, 0.049], "same direction"),
        ([-0.5, -0.51, -0.49], "not reproduced"),
        ([0.5, -0.5, 0.1], "undecided"),
        ([0.1, 0.2, 0.3], "undecided"),
        ([0.2], "reproduced"),
        ([0.0], "not reproduced"),
    ],
)
def test_property_the_rule_judges_the_interval(values, verdict):
    rule = beyond(0.1, same=0.0)
    assert rule(np.array(values)) == verdict
    assert beyond(-0.1, same=0.0, below=True)(-np.array(values)) == verdict


def test_property_without_a_weaker_threshold_there_is_no_same_direction():
    assert beyond(0.1)(np.array([0.05, 0.051, 0.049])) == "not reproduced"
    assert beyond(0.1)(np.array([0.05, 0.11, 0.14])) == "undecided"


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8), st.floats(-0.5, 0.5))
def test_property_more_spread_never_makes_a_verdict_more_certain(values, shift):
    array = np.array(values)
    wider = array.mean() + 3 * (array - array.mean())
    if beyond(shift)(wider) != "undecided" and abs(interval(array)[0] - shift) > 1e-9:
        assert beyond(shift)(array) == beyond(shift)(wider)


def test_property_a_run_stores_every_seed_and_measures_none_twice(tmp_path):
    rows = run_claims([claim()], tmp_path)["9_test"]
    assert CALLS == [0, 1, 2]
    assert rows[0]["verdict"] == "reproduced"
    assert rows[0]["mean"] == pytest.approx(0.201)
    text = (tmp_path / "9_test.json").read_text()
    run_claims([claim()], tmp_path)
    assert CALLS == [0, 1, 2]
    assert (tmp_path / "9_test.json").read_text() == text, "the file is stable"


def test_property_an_interrupted_run_goes_on_and_ends_as_if_nothing_had_happened(tmp_path):
    def interrupted(line):
        if line.endswith("seed 2"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_claims([claim()], tmp_path / "a", progress=interrupted)
    half = json.loads((tmp_path / "a" / "9_test.json").read_text())["rows"][0]
    assert sorted(half["values"]) == ["0", "1"]
    assert half["verdict"] == "undecided"
    run_claims([claim()], tmp_path / "a")
    assert CALLS == [0, 1, 2]
    run_claims([claim()], tmp_path / "b")
    assert (tmp_path / "a" / "9_test.json").read_bytes() == (tmp_path / "b" / "9_test.json").read_bytes()
    assert not list(tmp_path.rglob("*.half"))


def test_property_what_was_never_run_is_not_tried(tmp_path):
    rows = run_claims([claim(), claim(id="other")], tmp_path, only=["small"])["9_test"]
    assert [(r["id"], r["verdict"]) for r in rows] == [("other", "not tried"), ("small", "reproduced")]
    run_claims([claim(), claim(id="other")], tmp_path, only=["other"])
    assert len(CALLS) == 6, "rows of the claims that are not asked for are kept"


def test_property_what_others_stored_meanwhile_is_kept(tmp_path):
    def another_process(line):
        if line.endswith("small, seed 1"):
            run_claims([claim(id="other"), claim(id="third")], tmp_path, only=["other"])

    run_claims([claim(id="old")], tmp_path)
    run_claims([claim()], tmp_path, progress=another_process)
    rows = {r["id"]: r for r in ledger("9_test", folder=tmp_path).rows}
    assert {name: len(r["values"]) for name, r in rows.items()} == {"old": 3, "other": 3, "small": 3, "third": 0}


def test_property_values_of_a_changed_claim_stay_until_it_is_measured_again(tmp_path):
    run_claims([claim()], tmp_path)
    changed = claim(setting="another network")
    run_claims([changed], tmp_path, only=[])
    kept = ledger("9_test", folder=tmp_path)["small"]
    assert len(kept["values"]) == 3
    assert kept["version"] == version(claim())
    assert kept["setting"] == "none"
    run_claims([changed], tmp_path)
    assert ledger("9_test", folder=tmp_path)["small"]["version"] == version(changed)


def test_property_a_source_edited_during_a_run_does_not_relabel_what_was_measured(tmp_path, monkeypatch):
    before = version(claim())
    run_claims([claim()], tmp_path, progress=lambda line: monkeypatch.setitem(globals(), "SCALE", 3.0))
    assert version(claim()) != before
    assert ledger("9_test", folder=tmp_path)["small"]["version"] == before


def test_property_rows_without_a_claim_are_pruned_when_asked(tmp_path):
    run_claims([claim(), claim(id="other")], tmp_path)
    assert prune([claim()], tmp_path) == ["other"]
    assert [r["id"] for r in ledger("9_test", folder=tmp_path).rows] == ["small"]
    assert prune([claim()], tmp_path) == []


def test_property_absent_data_pass_a_claim_over(tmp_path):
    def absent(seed):
        raise DataError("fetch it with weightlore data fetch x")

    lines = []
    rows = run_claims([claim(measure=absent, needs=("x",)), claim(id="b")], tmp_path, progress=lines.append)["9_test"]
    assert {r["id"]: r["verdict"] for r in rows} == {"small": "not tried", "b": "reproduced"}
    assert any("passed over" in line and "weightlore data fetch x" in line for line in lines)


def test_property_a_changed_setting_or_measurement_is_measured_again(tmp_path):
    run_claims([claim()], tmp_path)
    run_claims([claim(setting="another network")], tmp_path)
    assert len(CALLS) == 6
    run_claims([claim(statement="Said better.")], tmp_path)
    assert len(CALLS) == 9, "the setting is the first one again, and its values were replaced"
    run_claims([claim()], tmp_path)
    assert len(CALLS) == 9, "another wording measures nothing"


def test_property_a_version_sees_what_measures_and_not_how_it_is_written(monkeypatch):
    before = version(claim())
    assert version(claim(statement="x", fast=True)) == before
    monkeypatch.setitem(globals(), "SCALE", 3.0)
    assert version(claim()) != before, "a constant that the measurement reads"
    monkeypatch.undo()
    assert version(claim()) == before
    monkeypatch.setitem(globals(), "_number", lambda seed: 0.0)
    assert version(claim()) != before, "a function of the same module that it calls"
    monkeypatch.setitem(globals(), "_number", functools.cache(lambda seed: 0.0))
    assert version(claim()) != before, "also a cached one"
    one, two = (version(claim(measure=functools.partial(scaled, factor=f))) for f in (1.0, 2.0))
    assert one != two, "what a partial binds"


def scaled(seed: int, factor: float) -> float:
    return factor * seed


def test_property_a_measurement_may_return_more_than_its_number(tmp_path):
    rows = run_claims([claim(measure=lambda seed: {"value": 1.0, "plain": 0.123456789})], tmp_path)["9_test"]
    assert rows[0]["values"]["0"] == {"value": 1.0, "plain": 0.123457}


def test_oracle_one_among_many_comparisons_keeps_its_effect_and_a_wider_interval():
    values = {seed: {"value": number} for seed, number in enumerate((1.0, 2.0, 4.0))}
    one, many = (row(claim(comparisons=count), values) for count in (1, 20))
    array = np.array([1.0, 2.0, 4.0])
    assert many["effect"] == pytest.approx(array.mean() / array.std(ddof=1), rel=1e-5)
    assert many["together"] == pytest.approx(interval(array, confidence=0.9975), rel=1e-5)
    assert many["together"][0] < many["interval"][0]
    assert many["comparisons"] == 20
    assert set(many) - set(one) == {"comparisons", "effect", "together"}


def test_limit_one_among_many_without_spread_or_with_one_value_has_no_effect():
    same = row(claim(comparisons=2), {seed: {"value": 1.0} for seed in range(3)})
    assert same["effect"] is None
    assert same["together"] == [1.0, 1.0]
    first = row(claim(comparisons=2), {0: {"value": 1.0}})
    assert first["effect"] is None
    assert first["together"] is None


def test_property_the_ledger_says_among_how_many_a_row_is(tmp_path):
    (rows,) = run_claims([claim(comparisons=20)], tmp_path).values()
    told = repr(ledger("9_test", folder=tmp_path))
    low, high = rows[0]["together"]
    assert f"effect {rows[0]['effect']:.2g}, among 20 comparisons {low:.3g} to {high:.3g}" in told


def test_property_the_ledger_shows_what_is_stored_in_every_form(tmp_path):
    run_claims([claim(), claim(id="ours", whose="ours", paper_number="93 %")], tmp_path)
    shown = ledger("9_test", folder=tmp_path)
    assert len(shown) == 2
    assert shown["small"]["verdict"] == "reproduced"
    assert shown.counts() == {"reproduced": 2}
    for text in (repr(shown), shown._repr_markdown_(), shown._repr_html_()):
        assert "reproduced" in text
        assert "unknown" in text
        assert "93 %" in text
        assert "0.201" in text
    assert "It \\| is" in shown._repr_markdown_()
    assert "&lt;positive&gt;" in shown._repr_html_()
    assert '<th scope="col">' in shown._repr_html_()
    assert chapters(folder=tmp_path) == ("9_test",)
    assert [r["id"] for r in shown.only("ours").rows] == ["ours"]


def test_limit_a_row_without_values_is_shown(tmp_path):
    run_claims([claim(needs=("fashion_mnist",))], tmp_path, only=[])
    assert "needs fashion_mnist" in repr(ledger("9_test", folder=tmp_path))
    assert "not tried" in repr(ledger("9_test", folder=tmp_path))


def test_property_half_a_row_says_how_far_it_is(tmp_path):
    half = row(claim(), {0: {"value": 0.2}})
    assert half["verdict"] == "undecided"
    (tmp_path / "9_test.json").write_text(json.dumps({"chapter": "9_test", "rows": [half]}))
    assert "1 of 3 seeds so far" in repr(ledger("9_test", folder=tmp_path))


def test_error_a_claim_needs_seeds_and_an_owner():
    with pytest.raises(ParameterError, match="one or more different seeds"):
        claim(seeds=())
    with pytest.raises(ParameterError, match="different seeds"):
        claim(seeds=(1, 1))
    with pytest.raises(ParameterError, match="'paper', 'other' or 'ours'"):
        claim(whose="theirs")
    with pytest.raises(ParameterError, match="weaker"):
        beyond(0.1, same=0.2)


def test_error_a_claim_is_one_of_its_comparisons():
    with pytest.raises(ParameterError, match="itself one comparison, got comparisons=0"):
        claim(comparisons=0)


def test_error_a_run_says_what_is_wrong(tmp_path):
    with pytest.raises(ParameterError, match="unique"):
        run_claims([claim(), claim()], tmp_path)
    with pytest.raises(ParameterError, match="small"):
        run_claims([claim()], tmp_path, only=["other"])
    with pytest.raises(ParameterError, match="finite 'value'"):
        run_claims([claim(measure=lambda seed: float("nan"))], tmp_path)
    with pytest.raises(ParameterError, match="finite 'value'"):
        run_claims([claim(measure=lambda seed: {"number": 1.0})], tmp_path)
    with pytest.raises(DataError, match="make claims"):
        ledger("9_nothing", folder=tmp_path)


def test_limit_verdicts_are_the_five():
    assert VERDICTS == ("reproduced", "same direction", "undecided", "not reproduced", "not tried")
