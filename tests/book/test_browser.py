"""The book in a browser that reaches nothing but this machine: from disk and from a server, in both themes."""

import json
import re

import pytest
from contents import AXE, ROOT, chapter_pages, toc_pages

pytestmark = [pytest.mark.book, pytest.mark.browser]

SERIOUS = ("serious", "critical")
# One generator writes the reference, so three of its pages stand for all where looking takes long.
REFERENCE = tuple(f"book/api/{name}.html" for name in ("index", "errors", "corruption"))
SAMPLE = ("book/intro.html", "book/tour.html", "tutorials/5_sliced/crossbar.html")

DRAWING = """figure => [...figure.querySelectorAll('.wl-body')].map(body =>
  body.innerHTML + [...body.querySelectorAll('canvas')].map(c => c.toDataURL()).join()
  + [...body.querySelectorAll('img')].map(i => i.src).join()).join()"""

OVERFLOW = """() => {
  const wide = document.documentElement.clientWidth, out = [];
  for (const e of document.querySelectorAll('article *')) {
    const box = e.getBoundingClientRect();
    if (box.width === 0 || box.right <= wide + 1) continue;
    let held = false;
    for (let p = e.parentElement; p && p.tagName !== 'ARTICLE'; p = p.parentElement)
      if (getComputedStyle(p).overflowX !== 'visible') { held = true; break; }
    if (!held && !e.closest('.MathJax, mjx-assistive-mml, .visually-hidden'))
      out.push(e.tagName + '.' + e.className + ' ' + Math.round(box.right));
  }
  return [out.slice(0, 8), document.documentElement.scrollWidth - wide];
}"""

CUT = """() => [...document.querySelectorAll('article div.math svg')]
  .filter(s => s.getBoundingClientRect().left < s.closest('div.math').getBoundingClientRect().left - 1)
  .map(s => s.closest('div.math').textContent.trim().slice(0, 60))"""

HIDDEN_CODE = """() => [...document.querySelectorAll('article .highlight:not(.cell_output *) pre')]
  .filter(p => p.scrollWidth > p.clientWidth + 1).map(p => p.textContent.trim().slice(0, 60))"""

CONTRAST = """async () => {
  const parse = c => { const v = c.match(/[\\d.]+/g).map(Number); return v.length < 4 ? [...v, 1] : v; };
  const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const linear = v => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = c => 0.2126 * linear(c[0]) + 0.7152 * linear(c[1]) + 0.0722 * linear(c[2]);
  const behind = e => {
    const stack = [];
    for (let p = e; p; p = p.parentElement) stack.push(parse(getComputedStyle(p).backgroundColor));
    return stack.reverse().reduce((b, c) => over(c, b), [255, 255, 255, 1]);
  };
  const pixels = async image => {
    const source = new Image();
    source.src = image.getAttribute('href');
    await source.decode();
    const canvas = document.createElement('canvas');
    canvas.width = source.width; canvas.height = source.height;
    canvas.getContext('2d').drawImage(source, 0, 0);
    return canvas;
  };
  const under = async e => {  // a number on a map is read against the pixel that it lies on
    const image = e.ownerSVGElement && e.ownerSVGElement.querySelector('image.wl-pixels');
    if (!image) return null;
    const at = e.getBoundingClientRect(), box = image.getBoundingClientRect();
    const u = (at.x + at.width / 2 - box.x) / box.width, v = (at.y + at.height / 2 - box.y) / box.height;
    if (u < 0 || u >= 1 || v < 0 || v >= 1) return null;
    const canvas = await pixels(image), place = [Math.floor(u * canvas.width), Math.floor(v * canvas.height)];
    const color = [...canvas.getContext('2d').getImageData(...place, 1, 1).data];
    return color[3] ? [...color.slice(0, 3), 1] : null;
  };
  const out = [];
  for (const figure of document.querySelectorAll('.wl-figure')) {
    figure.querySelectorAll('details').forEach(d => { d.open = true; });
    const walk = document.createTreeWalker(figure, NodeFilter.SHOW_TEXT);
    while (walk.nextNode()) {
      const node = walk.currentNode, e = node.parentElement, style = getComputedStyle(e);
      if (!node.data.trim() || /^(style|script|title|desc)$/i.test(e.tagName) || !e.getClientRects().length) continue;
      const back = await under(e) || behind(e);
      const ink = over(parse(e instanceof SVGElement ? style.fill : style.color), back);
      const [a, b] = [light(ink), light(back)].sort((x, y) => y - x);
      out.push([(a + 0.05) / (b + 0.05), node.data.trim().slice(0, 40)]);
    }
  }
  return out;
}"""


@pytest.mark.parametrize("origin", ["file", "http"])
@pytest.mark.parametrize("page", toc_pages())
def test_property_page_asks_nobody_fails_nothing_and_sets_its_formulas(visit, page, origin):
    seen = visit(page, origin=origin)
    assert not seen.outside
    assert not seen.failed
    assert not seen.errors
    formulas = seen.page.locator("article .math").count()
    assert formulas == 0 or seen.page.locator("article .math mjx-container svg").count() >= formulas
    assert seen.page.locator("[data-mml-node='merror']").count() == 0


def test_limit_the_blocked_browser_bites(visit, html):
    (html / "outside.html").write_text("<img src='https://example.org/a.png'><script>throw new Error('ours')</script>")
    seen = visit("outside.html")
    (html / "outside.html").unlink()
    assert seen.outside == ["https://example.org/a.png"] == seen.failed
    assert any("ours" in error for error in seen.errors)


@pytest.mark.parametrize("page", chapter_pages())
def test_property_every_stored_figure_is_drawn(visit, page):
    stored = json.loads((ROOT / page.replace(".html", ".ipynb")).read_text())
    state = stored["metadata"].get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {}).get("state", {})
    views = {
        output["data"]["application/vnd.jupyter.widget-view+json"]["model_id"]
        for cell in stored["cells"]
        for output in cell.get("outputs", [])
        if "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    }
    figures = sum(state[view]["model_name"] == "AnyModel" for view in views)
    assert visit(page).figures().count() >= figures > 0


def turns(figure):
    """The knobs of one figure."""
    return figure.locator("input.wl-turn").all()


def sweep(figure, knob):
    """Turn a knob from end to end by the arrow keys and return the drawings and the sentences that were seen."""
    knob.press("Home")
    drawings, words = {figure.evaluate(DRAWING)}, {figure.locator(".wl-say").inner_text()}
    for _ in range(int(knob.get_attribute("max"))):
        knob.press("ArrowRight")
        drawings.add(figure.evaluate(DRAWING))
        words.add(figure.locator(".wl-say").inner_text())
    return drawings, words


@pytest.mark.parametrize("page", chapter_pages())
def test_property_every_knob_turns_by_keyboard(visit, page):
    for figure in visit(page).figures().all():
        name, knobs = figure.get_attribute("aria-label"), turns(figure)
        for number, knob in enumerate(knobs):
            seen = set()
            for others in ("Home", "End"):  # a knob may have nothing to change where another one stands
                for other in knobs:
                    other.press(others)
                drawings, words = sweep(figure, knob)
                seen |= {len(drawings) > 1}
                assert len(words) == int(knob.get_attribute("max")) + 1, f"knob {number} of {name!r} is not spoken"
            assert True in seen, f"knob {number} of {name!r} changes no drawing"
            assert knob.get_attribute("aria-valuetext")
            assert knob.get_attribute("aria-label")


@pytest.mark.parametrize("page", chapter_pages())
def test_property_every_knob_turns_by_mouse(visit, page):
    seen = visit(page, origin="http")
    for figure in seen.figures().all():
        for knob in turns(figure):
            knob.scroll_into_view_if_needed()
            box = knob.bounding_box()
            found = []
            for x in (box["x"] + 2, box["x"] + box["width"] - 2):  # half a thumb from the ends: also with 256 places
                seen.page.mouse.click(x, box["y"] + box["height"] / 2)
                found.append((knob.input_value(), figure.locator(".wl-say").inner_text()))
            assert found[0][0] == "0"
            assert found[1][0] == knob.get_attribute("max")
            assert found[0][1] != found[1][1]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", chapter_pages())
def test_property_text_of_figures_has_contrast(visit, page, theme):
    measured = visit(page, theme=theme).page.evaluate(CONTRAST)
    assert measured
    assert not [(f"{ratio:.2f}", text) for ratio, text in measured if ratio < 4.5]


def serious(page) -> list:
    """What axe finds that keeps somebody out; of a figure also what is folded."""
    page.evaluate("document.querySelectorAll('.wl-figure details').forEach(d => { d.open = true; })")
    page.add_script_tag(content=AXE.read_text())
    found = page.evaluate("async () => (await axe.run(document, {resultTypes: ['violations']})).violations")
    return [
        (finding["id"], " ".join(map(str, node["target"])), node["failureSummary"])
        for finding in found
        if finding["impact"] in SERIOUS
        for node in finding["nodes"]
    ]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", [page for page in toc_pages() if "/api/" not in page or page in REFERENCE])
def test_property_axe_finds_nothing_serious_of_ours(visit, page, theme):
    assert not serious(visit(page, theme=theme).page)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("page", [*SAMPLE, "search.html"])
def test_property_axe_finds_nothing_serious_on_a_phone(visit, page, theme):
    assert not serious(visit(page, theme=theme, width=360).page)


def faults(page) -> list:
    """What sticks out of a page, narrow or wide; and whether there is nothing to read."""
    found = []
    for width in (360, 1200):
        page.set_viewport_size({"width": width, "height": 900})
        elements, beyond = page.evaluate(OVERFLOW)
        found += elements + [f"{beyond} pixels beyond {width}"] * (beyond > 0)
        found += ["nothing to read"] * (len(page.locator("article").inner_text()) < 50)
    return found


@pytest.mark.parametrize("page", SAMPLE)
def test_property_a_page_holds_in_the_dark(visit, page):
    assert faults(visit(page, theme="dark").page) == []


@pytest.mark.slow
@pytest.mark.parametrize("page", toc_pages())
def test_property_a_page_holds_without_scripts(visit, page):
    seen = visit(page, javascript=False)
    assert faults(seen.page) == []
    assert [*seen.outside, *seen.errors] == []
    assert [address for address in seen.failed if ".js" not in address] == [], "scripts alone are not loaded"


@pytest.mark.parametrize("page", toc_pages())
def test_property_nothing_is_wider_than_a_phone(visit, page):
    narrow = visit(page, width=360).page
    elements, beyond = narrow.evaluate(OVERFLOW)
    assert not elements
    assert beyond <= 0
    assert not narrow.evaluate(HIDDEN_CODE), "a line of code that has to be scrolled to be read"
    assert not narrow.evaluate(CUT), "a formula whose beginning cannot be scrolled to"


@pytest.mark.parametrize("page", chapter_pages())
def test_property_without_scripts_a_picture_stands_for_each_figure(visit, page):
    figures = visit(page).figures().count()
    still = visit(page, javascript=False).page
    pictures = still.locator("noscript img, img.wl-still").all()
    assert len(pictures) >= figures
    for picture in pictures:
        picture.scroll_into_view_if_needed()
        assert picture.evaluate("i => i.complete && i.naturalWidth > 100")
        assert picture.get_attribute("alt")


@pytest.mark.parametrize("how", ["mouse", "keyboard"])
@pytest.mark.parametrize("page", chapter_pages())
def test_property_folded_solutions_open(visit, page, how):
    seen = visit(page)
    folded = seen.page.locator("article .admonition.toggle, article details:not(.wl-data)").all()
    assert folded, "a chapter has exercises with folded solutions"
    for fold in folded:
        plain = fold.evaluate("e => e.tagName === 'DETAILS'")
        handle = fold.locator("summary" if plain else "button.toggle-button").first
        inside = fold.locator(":scope > *:not(summary):not(.admonition-title):not(button)").first
        assert not inside.is_visible()
        if how == "mouse":
            handle.click()
        else:
            handle.focus()
            handle.press("Enter")
        assert inside.is_visible()


@pytest.mark.parametrize("origin", ["file", "http"])
def test_property_search_works_without_a_network(visit, origin):
    seen = visit("search.html?q=corruption", origin=origin)
    hits = seen.page.locator("#search-results li a")
    hits.first.wait_for(timeout=20_000)
    assert hits.count() > 3
    assert [*seen.outside, *seen.failed, *seen.errors] == []
    hits.first.click()
    assert re.search(r"\.html", seen.page.url)


def test_property_first_page_leads_to_the_welcome(visit):
    page = visit("index.html", settled=False).page
    page.wait_for_url("**/book/intro.html*")
    assert "Six fates" in page.locator("article h1").inner_text()


def test_property_theme_switch_changes_the_page(visit):
    page = visit("book/intro.html").page
    before = page.evaluate("getComputedStyle(document.body).backgroundColor")
    for _ in range(3):
        page.locator(".theme-switch-button").first.click()
        if page.evaluate("getComputedStyle(document.body).backgroundColor") != before:
            break
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != before
