"""The search finds functions and figures, and a figure is found by its title."""

import json
import re

import found
import links
import pytest
from contents import chapter_pages


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Half the step, half the error. error against step. A curve.", "Half the step, half the error"),
        (
            "Whose slope? At small sizes, it decides. test accuracy against epsilon.",
            "Whose slope? At small sizes, it decides",
        ),
        ("Panel 1 of 2: Too narrow is dear. interval score.", "Too narrow is dear"),
        ("At 10 Ohm 0.98 is left. mV.", "At 10 Ohm 0.98 is left"),
        ("One sentence.", "One sentence"),
    ],
)
def test_property_the_title_of_a_figure_is_its_first_sentence(said, title):
    assert found.title(said) == title


@pytest.fixture(scope="module")
def index(html):
    text = (html / "searchindex.js").read_text()
    return json.loads(re.fullmatch(r"Search\.setIndex\((.*)\)\s*", text, re.DOTALL)[1])


def objects(index, kind: str) -> list[tuple[str, str, str]]:
    """Every object of a kind as (name, page, anchor)."""
    own = {int(number) for number, names in index["objnames"].items() if names[1] == kind}
    rows = [
        (f"{prefix}.{row[4]}" if prefix else row[4], row) for prefix, rows in index["objects"].items() for row in rows
    ]
    return [(name, index["docnames"][row[0]] + ".html", row[3]) for name, row in rows if row[1] in own]


@pytest.mark.book
def test_property_functions_are_in_the_index(index):
    names = [name for name, _, _ in objects(index, "function")]
    assert any(name.endswith("closed_form") for name in names)
    assert len(names) > 300


@pytest.mark.book
@pytest.mark.parametrize("page", chapter_pages())
def test_property_figures_are_in_the_index_and_lead_to_themselves(html, index, page):
    own = [(name, anchor) for name, where, anchor in objects(index, "figure") if where == page]
    anchors = links.read(html / page).anchors
    assert len(own) > 3
    assert all(anchor in anchors for _, anchor in own)
    assert all(len(name) < 140 for name, _ in own)


@pytest.mark.book
def test_property_what_is_said_of_a_figure_is_in_the_index(index):
    """Words of alternative texts that stand nowhere else in their page."""
    page = index["docnames"].index("tutorials/1_corrupted/vulnerability")
    for word in ("lowest", "highest", "panel"):
        where = index["terms"].get(word, [])
        assert page in (where if isinstance(where, list) else [where])


@pytest.mark.book
@pytest.mark.browser
@pytest.mark.parametrize("origin", ["file", "http"])
@pytest.mark.parametrize(
    ("asked", "answer"),
    [("closed_form", r"corruption\.html#.*closed_form$"), ("blind+tries", r"vulnerability\.html#figure-\d+$")],
)
def test_property_a_search_leads_to_the_function_or_the_figure(visit, origin, asked, answer):
    seen = visit(f"search.html?q={asked}", origin=origin)
    seen.page.locator("#search-results li a").first.wait_for(timeout=20_000)
    addresses = seen.page.locator("#search-results li a").evaluate_all("links => links.map(a => a.href)")
    assert any(re.search(answer, re.sub(r"\?[^#]*", "", address)) for address in addresses), addresses
    assert [*seen.outside, *seen.failed, *seen.errors] == []
