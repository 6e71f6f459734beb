"""A slide show opened from disk: no request elsewhere, keys turn pages and knobs, the presenter has notes."""

import nbformat
import pytest
from tests.contracts.files import ROOT

from weightlore.teaching.editions import Elsewhere, slides
from weightlore.teaching.editions.reveal import NEEDED, write_slides

pytestmark = pytest.mark.browser

NAME = "1_corrupted/resistance.ipynb"
AXE = ROOT / ".cache" / "book-tests" / "axe.min.js"
STATIC = ROOT / "book" / "_static"
SAYS = "section.present section.present .wl-say"
HERE = "() => Reveal.getSlidePastCount() + 1"
TO_KNOB = """() => {
  const slide = Reveal.getSlides().find(s => s.querySelector('.wl-figure input[type=range]'));
  const at = Reveal.getIndices(slide);
  Reveal.slide(at.h, at.v);
}"""
TOO_WIDE = "() => Reveal.getSlides().map((s, i) => [i + 1, s.scrollWidth - s.clientWidth]).filter(r => r[1] > 4)"


@pytest.fixture(scope="module")
def show():
    return slides(nbformat.read(ROOT / "tutorials" / NAME, as_version=4), NAME, elsewhere=Elsewhere(ROOT))


@pytest.fixture(scope="module")
def folder(show, tmp_path_factory):
    if any(not (STATIC / "vendor" / name).exists() for name in NEEDED):
        pytest.fail("the JavaScript of others is not here: run `make vendor` (make book and make test do)")
    place = tmp_path_factory.mktemp("slides")
    write_slides({NAME: show}, place, static=STATIC)
    return place


@pytest.fixture
def opened(browser, folder):
    """Return ``opened(theme, width)``: the page; what it asked elsewhere and what went wrong fails the test."""
    contexts, wrong = [], []

    def go(theme="light", width=1280):
        context = browser.new_context(viewport={"width": width, "height": 720}, color_scheme=theme)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:", "blob:")) else wrong.append(r.url))
        page.on("requestfailed", lambda r: wrong.append(r.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.goto((folder / NAME).with_suffix(".html").as_uri())
        page.wait_for_selector("html[data-ready=slides]", timeout=60_000)
        return page

    yield go
    for context in contexts:
        context.close()
    assert wrong == []


def serious(page):
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("() => axe.run(document, {preload: false})")["violations"]
    return [rule["id"] for rule in found if rule["impact"] in ("serious", "critical")]


def kinds(show):
    return [cell.metadata.slideshow.slide_type for cell in show.cells]


def test_property_all_slides_are_there_and_keys_turn_them(opened, show):
    page = opened()
    assert page.evaluate("() => Reveal.getTotalSlides()") == len([kind for kind in kinds(show) if "slide" in kind])
    assert page.evaluate(HERE) == 1
    assert page.locator("section.present h1").inner_text() == "Hardened: training against corruption"
    page.keyboard.press("ArrowRight")
    assert page.locator("section.present h2").first.inner_text() == "1. Two networks of the same accuracy"
    page.keyboard.press("ArrowDown")
    assert page.evaluate(HERE) == 3
    page.keyboard.press("Space")
    assert page.evaluate(HERE) == 4
    page.keyboard.press("End")
    assert "10. Further" in page.locator("section.present").last.inner_text()


def test_property_a_knob_turns_by_keyboard_and_the_page_stays(opened):
    page = opened()
    page.evaluate(TO_KNOB)
    figure = page.locator("section.present section.present .wl-figure")
    said, before = figure.locator(".wl-say"), page.evaluate(HERE)
    figure.locator(".wl-say:not(:empty)").wait_for()
    text = said.inner_text()
    figure.locator("input[type=range]").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"old => document.querySelector('{SAYS}').innerText !== old", arg=text)
    assert page.evaluate(HERE) == before


def test_property_formulas_are_set_and_pictures_have_words(opened, show):
    page = opened()
    assert page.locator("mjx-container svg").count() > 20
    assert page.locator("mjx-merror").count() == 0
    images = page.locator(".slides img")
    words = [images.nth(i).get_attribute("alt") for i in range(images.count())]
    stored = [c.metadata.mystnb.image.alt for c in show.cells if "figure" in c.metadata.get("tags", [])]
    assert words == stored
    assert "$$" not in page.locator(".slides").inner_text()


@pytest.mark.parametrize(("theme", "width"), [("light", 1280), ("dark", 1280), ("light", 360)])
def test_property_slides_fit_their_width_and_are_readable_in_both_themes(opened, theme, width):
    page = opened(theme, width)
    assert page.evaluate(TOO_WIDE) == []
    ink = page.evaluate("() => getComputedStyle(document.querySelector('.reveal h1')).color")
    ground = page.evaluate("() => getComputedStyle(document.querySelector('.reveal')).backgroundColor")
    light = [sum(map(int, color[4:-1].split(","))) for color in (ink, ground)]
    assert (light[0] < light[1]) == (theme == "light")


def test_property_the_presenter_reads_the_answer_to_the_knob(opened):
    page = opened()
    page.evaluate(TO_KNOB)
    notes = page.locator("section.present section.present aside.notes")
    assert "From (0.25, 0.1) the larger" in notes.text_content()
    assert not notes.is_visible()
    with page.context.expect_page() as window:
        page.keyboard.press("s")
    view = window.value
    view.wait_for_function("() => /From \\(0.25/.test(document.querySelector('.speaker-controls-notes').textContent)")
    assert view.locator(".speaker-controls-notes svg").count() > 0


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_property_a_reader_of_the_screen_misses_nothing_serious(opened, folder, theme):
    if not AXE.exists():
        pytest.fail("axe is not here: run `make vendor` (make book and make test do)")
    page = opened(theme)
    for place in (None, TO_KNOB, "() => Reveal.slide(Reveal.getIndices().h + 1, 1)"):
        if place:
            page.evaluate(place)
        assert serious(page) == []
    page.goto((folder / "index.html").as_uri())
    assert serious(page) == []


def test_property_a_list_leads_to_the_show(opened, folder):
    page = opened()
    page.goto((folder / "index.html").as_uri())
    page.get_by_role("link", name="Hardened: training against corruption").click()
    page.wait_for_selector("html[data-ready=slides]", timeout=60_000)
    assert "resistance.html" in page.url
