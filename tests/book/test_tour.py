"""The tour: three stored figures in one page, on a phone, without a server; and the doors of the first page."""

import json
import re

import pytest
import tour
from contents import ROOT

PAGE = "book/tour.html"


def test_property_each_stop_brings_its_own_models():
    state = json.loads(tour.models())["state"]
    assert len(state) == sum(len(tour.stored(stop).state) for stop in tour.STOPS)
    for stop in tour.STOPS:
        found = tour.stored(stop)
        assert state[found.model]["model_name"] == "AnyModel"
        assert set(re.findall(r"IPY_MODEL_([\w-]+)", json.dumps(found.state))) <= set(found.state)


def test_property_numbers_of_the_tour_are_those_of_its_chapters():
    text = (ROOT / "book" / "tour.md").read_text()
    sections = dict(zip(tour.STOPS, re.split(r"^## ", text, flags=re.MULTILINE)[1:], strict=False))
    for stop, section in sections.items():
        cells = json.loads((ROOT / tour.STOPS[stop][0]).read_text())["cells"]
        told = " ".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        for number in re.findall(r"(\d+) %|(0\.\d+)", section):
            share = int(number[0] or 0)
            assert re.search(rf"\b{share} %|\b0\.{share:02d}\b", told) if share else number[1] in told, number


def test_error_a_lost_figure_names_the_titles_that_are_there(monkeypatch):
    monkeypatch.setitem(tour.STOPS, "lost", (tour.STOPS["corrupted"][0], "No such title"))
    with pytest.raises(ValueError, match=r"correct STOPS.*Two ways to spend a length"):
        tour.stored("lost")


@pytest.mark.book
@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("origin", ["file", "http"])
def test_property_every_knob_of_the_tour_turns_on_a_phone(visit, origin, theme):
    seen = visit(PAGE, origin=origin, theme=theme, width=360)
    assert [*seen.outside, *seen.failed, *seen.errors] == []
    assert seen.figures().count() == len(tour.STOPS)
    for figure in seen.figures().all():
        assert figure.evaluate("f => f.getBoundingClientRect().right <= document.documentElement.clientWidth")
        for knob in figure.locator("input.wl-turn").all():
            words = []
            for end in ("Home", "End"):
                knob.press(end)
                words.append(figure.locator(".wl-say").inner_text())
            assert words[0] != words[1]


@pytest.mark.book
@pytest.mark.browser
def test_property_the_tour_has_pictures_without_scripts(visit):
    pictures = visit(PAGE, javascript=False, width=360).page.locator("noscript img").all()
    assert len(pictures) == len(tour.STOPS)
    for picture in pictures:
        assert picture.evaluate("i => i.complete && i.naturalWidth > 100")
        assert picture.get_attribute("alt")


@pytest.mark.book
@pytest.mark.browser
def test_property_the_first_page_has_three_doors_and_the_tour(visit):
    page = visit("book/intro.html", width=360).page
    doors = page.locator(".wl-doors a").evaluate_all("links => links.map(a => a.href.split('/').slice(-2).join('/'))")
    assert doors == ["0_healthy/healthy.html", "book/how_to_use.html", "instructors/index.html"]
    assert page.locator("article a[href='tour.html']").count() == 1
    assert page.locator("article img.wl-cover").evaluate("i => i.getBoundingClientRect().top < 900"), "seen at once"
