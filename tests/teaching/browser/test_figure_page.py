"""Figures with knobs, the browser side: every knob turns, everything can be read, nothing is asked of another host."""

import re
from itertools import pairwise

import numpy as np
import pytest

from weightlore.teaching import CurveFigure, Flipbook, ImageFigure, Knob
from weightlore.teaching.style import contrast, palette

pytestmark = pytest.mark.browser

X = np.linspace(0, 1, 21)
FALL = np.exp(-np.array([1.0, 2.0, 3.0])[:, None] * X)
LEVEL = np.where(X > 0.72, np.nan, 0.5)

CONTRASTS = """() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const ground = e => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor);
    if (c.length < 4 || c[3] === 1) return c; } return [255, 255, 255]; };
  const hex = c => "#" + c.slice(0, 3).map(v => Math.round(v).toString(16).padStart(2, "0")).join("");
  const found = [];
  for (const e of document.querySelectorAll(".wl-figure *")) {
    const own = [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim());
    if (!own || !e.getClientRects().length) continue;
    const svg = e instanceof SVGElement, style = getComputedStyle(e);
    found.push([e.tagName + "." + (e.getAttribute("class") || ""), hex(rgb(svg ? style.fill : style.color)),
      hex(ground(svg ? e.ownerSVGElement.parentElement : e))]);
  }
  return found;
}"""


def falling():
    return CurveFigure(
        {"worst": FALL[:, None], "level": LEVEL},
        X,
        [Knob("layers", [1, 2, 3], unit=" of 3"), Knob("seed", ["a", "b"])],
        title="The more layers, the faster it falls",
        xlabel="epsilon",
        ylabel="test accuracy",
        bands={"worst": (FALL[:, None] - 0.05, FALL[:, None] + 0.05)},
        references={"chance": 0.1},
        lines={"half": 0.5},
        notes=[["slow", "slow"], ["faster", "faster"], ["fastest", "fastest"]],
    )


def maps():
    values = np.arange(2 * 3 * 4, dtype=float).reshape(2, 3, 4) - 8
    values[0, 0, 0] = np.nan
    digit = np.linspace(0, 1, 12).reshape(3, 4)
    colors = {"map": "diverging", "digit": "gray"}
    return ImageFigure({"map": values, "digit": digit}, {"k": [0, 1]}, title="Maps", colors=colors, mark=(1, 1))


def book():
    frames = [np.full((6, 8), shade, np.uint8) for shade in (0, 90, 200)]
    return Flipbook(frames, {"shade": [0, 90, 200]}, title="Gray", words=["black", "dark", "bright"])


def unfold(page):
    page.get_by_text("Data", exact=True).click()
    page.locator(".wl-data tbody tr").first.wait_for()


def d(page):
    return page.locator("path.wl-curve").first.get_attribute("d")


def test_property_arrow_keys_turn_the_knob_and_everything_follows(show):
    figure = falling()
    page = show(figure)
    before, knob = d(page), page.get_by_role("slider", name="layers")
    assert knob.get_attribute("aria-valuetext") == "1 of 3"
    assert (
        page.locator(".wl-say")
        .inner_text()
        .startswith("layers 1 of 3, seed a. At epsilon 1: worst 0.3679, level missing.")
    )
    knob.focus()
    page.keyboard.press("ArrowRight")
    assert d(page) != before
    assert knob.get_attribute("aria-valuetext") == "2 of 3"
    assert page.evaluate("model.get('i0')") == 1
    assert page.evaluate("saved") == 1
    said = page.get_by_role("status").inner_text()
    assert "layers 2 of 3" in said
    assert "worst 0.1353 to 1" in said
    assert page.locator(".wl-note").inner_text() == "faster"
    page.keyboard.press("End")
    assert page.locator(".wl-note").inner_text() == "fastest"
    assert "worst 0.0498" in page.get_by_role("status").inner_text()


def test_property_tab_reaches_every_control_in_order(show):
    page = show(falling())
    names = []
    for _ in range(4):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.textContent")
        )
    assert names == ["layers", "seed", "Read at epsilon", "Data"]


def test_property_curve_in_the_page_is_the_curve_of_python(show):
    page = show(falling())
    points = np.array([[float(v) for v in pair.split()] for pair in re.split("[ML]", d(page))[1:]])
    ys = points[:, 1]
    assert len(points) == len(X)
    slope = (ys[-1] - ys[0]) / (FALL[0, -1] - FALL[0, 0])
    assert np.allclose(ys, ys[0] + slope * (FALL[0] - FALL[0, 0]), atol=0.2)
    assert np.allclose(np.diff(points[:, 0]), np.diff(points[:, 0]).mean(), atol=0.2)


def test_property_missing_values_are_a_gap(show):
    page = show(falling())
    level = page.locator("path.wl-curve").nth(1).get_attribute("d")
    assert len(re.findall("[ML]", level)) == int((~np.isnan(LEVEL)).sum())


def test_property_mouse_and_finger_move_the_reading_line(show):
    for touch in (False, True):
        page = show(falling(), touch=touch)
        box = page.locator(".wl-touch").bounding_box()
        middle = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        (page.touchscreen.tap if touch else page.mouse.click)(*middle)
        assert page.evaluate("model.get('mark')") == 10
        said = page.get_by_role("status").inner_text()
        assert f"At epsilon 0.5: worst {np.exp(-0.5):.4f}, level 0.5." in said
        assert page.get_by_role("slider", name="Read at epsilon").get_attribute("aria-valuetext") == "0.5"
        assert page.locator(".wl-legend b").first.inner_text() == "0.6065"


def test_property_dragging_reads_along_and_letting_go_ends_it(show):
    page = show(falling())
    box = page.locator(".wl-touch").bounding_box()
    x, y, w = box["x"], box["y"] + 20, box["width"]
    page.mouse.move(x + w * 0.25, y)
    page.mouse.down()
    page.mouse.move(x + w * 0.75, y)
    assert page.evaluate("model.get('mark')") == 15
    page.mouse.up()
    page.mouse.move(x + w * 0.1, y)
    assert page.evaluate("model.get('mark')") == 15


def test_property_data_table_follows_the_knob(show):
    page = show(falling())
    unfold(page)
    rows = page.locator(".wl-data tbody tr")
    assert rows.count() == len(X)
    assert page.locator(".wl-data thead th").all_inner_texts() == [
        "epsilon",
        "worst",
        "worst, low",
        "worst, high",
        "level",
    ]
    assert rows.last.locator("th,td").all_inner_texts() == ["1", "0.3679", "0.3179", "0.4179", "missing"]
    page.get_by_role("slider", name="layers").focus()
    page.keyboard.press("End")
    assert rows.last.locator("td").first.inner_text() == "0.0498"


def test_property_python_moves_the_page_and_leaving_stops_listening(show):
    page = show(falling())
    page.evaluate("model.set('i0', 2)")
    assert "layers 3 of 3" in page.get_by_role("status").inner_text()
    assert page.get_by_role("slider", name="layers").input_value() == "2"
    page.evaluate("stop()")
    page.evaluate("model.set('i0', 0)")
    assert "layers 3 of 3" in page.get_by_role("status").inner_text()
    assert page.evaluate("Object.values(model.heard).every(l => l.length === 0)")


@pytest.mark.parametrize("make", [falling, maps, book])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_property_all_text_is_readable_in_both_themes(show, make, theme):
    page = show(make(), theme=theme)
    unfold(page)
    found = page.evaluate(CONTRASTS)
    assert len(found) > 10
    dim = {name: (ink, ground) for name, ink, ground in found if contrast(ink, ground) < 4.5}
    assert not dim
    assert {ground for _, _, ground in found} == {"#f6f7f9" if theme == "light" else "#1a2028"}


def test_property_a_page_that_turns_dark_takes_the_figure_along(show):
    page = show(falling())
    light = page.locator(".wl-title").evaluate("e => getComputedStyle(e).color")
    page.evaluate("document.documentElement.dataset.theme = 'dark'")
    assert page.locator(".wl-title").evaluate("e => getComputedStyle(e).color") != light


@pytest.mark.parametrize("make", [falling, maps, book])
@pytest.mark.parametrize("width", [320, 700])
def test_property_fits_a_phone_and_a_finger(show, make, width):
    page = show(make(), width=width)
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for box in [e.bounding_box() for e in page.locator("input[type=range], summary").all()]:
        assert box["height"] >= 24
        assert box["width"] >= 24
    text = page.evaluate(
        "[...document.querySelectorAll('.wl-figure svg text')].map(e => e.getBoundingClientRect().height)"
    )
    assert all(height > 10 for height in text)  # drawn at this width, not scaled down to it
    edges = page.evaluate(
        "[...document.querySelectorAll('.wl-figure svg text')].map(e => { const b = e.getBoundingClientRect();"
        " return [b.left, b.right]; })"
    )
    assert all(left >= 0 and right <= width for left, right in edges)


def test_property_names_of_ticks_do_not_touch(show):
    page = show(falling(), width=320)
    rows = {}
    for left, right, top in page.evaluate(
        """[...document.querySelectorAll('.wl-grid text')].map(e => {
          const b = e.getBoundingClientRect(); return [b.left, b.right, Math.round(b.top)]; })"""
    ):
        rows.setdefault(top, []).append((left, right))
    for row in rows.values():
        row.sort()
        assert all(a[1] < b[0] for a, b in pairwise(row))


def test_property_images_follow_the_knob_and_read_cells(show):
    page = show(maps())
    assert "At row 1, column 1: map -3, digit 0.4545." in page.get_by_role("status").inner_text()
    before = page.locator("image").first.get_attribute("href")
    page.get_by_role("slider", name="k", exact=True).focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("image").first.get_attribute("href") != before
    said = page.get_by_role("status").inner_text()
    assert "k 1. At row 1, column 1: map 9" in said
    assert "map 4 to 15, largest at row 2, column 3" in said
    page.get_by_role("slider", name="Read at row").focus()
    page.keyboard.press("ArrowRight")
    assert "At row 2, column 1: map 13" in page.get_by_role("status").inner_text()
    box = page.locator(".wl-touch").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + box["height"] * 0.1)
    assert "At row 0, column 3: map 7" in page.get_by_role("status").inner_text()


def test_property_pixels_have_the_colors_of_the_palette(show):
    from weightlore.teaching.style import palette

    page = show(maps())
    pixels = page.evaluate(
        """async () => {
          const i = new Image(); i.src = document.querySelector("image").getAttribute("href"); await i.decode();
          const c = document.createElement("canvas"); c.width = i.width; c.height = i.height;
          const x = c.getContext("2d"); x.drawImage(i, 0, 0);
          return [i.width, i.height, ...x.getImageData(0, 0, i.width, i.height).data]; }"""
    )
    assert pixels[:2] == [4, 3]
    colors = np.array(pixels[2:]).reshape(12, 4)
    assert colors[0, 3] == 0  # a hole
    values = np.arange(12) - 8.0
    place = np.clip(((values + 15) / 30 * 256).astype(int), 0, 255)
    assert np.abs(colors[1:, :3] - palette.rgb("diverging")[place[1:]].astype(int)).max() <= 1


def test_property_small_matrices_print_their_numbers(show):
    figure = ImageFigure(np.array([[0.123, -4.0]]), {}, title="M", rows=["a"], columns=["b", "c"], numbers=True)
    page = show(figure)
    assert page.locator("svg text").all_text_contents() == ["a", "b", "c", "0.12", "-4"]


@pytest.mark.parametrize("name", ["sequential", "diverging", "gray"])
def test_property_numbers_are_readable_on_every_color_of_a_map(show, name):
    shades = np.linspace(-1, 1, 64).reshape(16, 4)
    rows, columns = [str(i) for i in range(16)], list("abcd")
    page = show(
        ImageFigure(shades, {}, title="M", colors=name, rows=rows, columns=columns, numbers=True, limits=(-1, 1))
    )
    inks = page.locator("svg text").evaluate_all("l => l.slice(20).map(e => getComputedStyle(e).fill)")
    used = [palette.marks[ink == "rgb(255, 255, 255)"] for ink in inks]
    place = np.clip(((shades.ravel() + 1) / 2 * 256).astype(int), 0, 255)
    grounds = ["#" + "".join(f"{part:02x}" for part in palette.rgb(name)[at]) for at in place]
    assert len(used) == 64
    assert set(used) == set(palette.marks)
    assert min(contrast(ink, ground) for ink, ground in zip(used, grounds, strict=True)) >= 4.5


def test_property_flipbook_turns_and_says_what_is_seen(show):
    page = show(book())
    image = page.get_by_role("img")
    assert (image.get_attribute("alt"), page.get_by_role("status").inner_text()) == ("black", "shade 0. black")
    page.get_by_role("slider", name="shade").focus()
    page.keyboard.press("End")
    assert image.get_attribute("alt") == "bright"
    assert (
        image.evaluate(
            "async e => { await e.decode(); const c = document.createElement('canvas'); const x = c.getContext('2d');"
            " x.drawImage(e, 0, 0); return x.getImageData(1, 1, 1, 1).data[0]; }"
        )
        == 200
    )
    unfold(page)
    assert page.locator(".wl-data tbody tr").all_inner_texts() == ["0\tblack", "90\tdark", "200\tbright"]


def test_property_native_inputs_keep_their_keys_in_a_notebook(show):
    for make in (falling, maps, book):
        page = show(make())
        flags = page.locator("input[type=range]").evaluate_all("l => l.map(e => e.dataset.lmSuppressShortcuts)")
        assert flags
        assert set(flags) == {"true"}


def test_property_without_own_controls_other_widgets_steer(show):
    figure = CurveFigure(FALL, X, {"layers": [1, 2, 3]}, title="T", xlabel="x", ylabel="y", controls=False)
    page = show(figure)
    assert page.locator(".wl-turn").count() == 0
    before = d(page)
    page.evaluate("model.set('i0', 1)")
    assert d(page) != before


def test_property_logarithmic_axes_have_powers_of_ten(show):
    values = np.logspace(-4, 0, 30)
    scales = {"xscale": "log", "yscale": "log"}
    page = show(CurveFigure(values, np.logspace(-3, 2, 30), {}, title="T", xlabel="x", ylabel="y", **scales))
    ticks = page.locator(".wl-grid text").all_text_contents()
    assert ticks == ["0.0001", "0.001", "0.01", "0.1", "1", "0.001", "0.01", "0.1", "1", "10", "100"]


@pytest.mark.parametrize("style", ["points", "bars"])
def test_property_categories_are_named_under_points_and_bars(show, style):
    names = ["copy", "tune", "fresh"]
    figure = CurveFigure(FALL[:, :3], names, {"layers": [1, 2, 3]}, title="T", xlabel="habit", ylabel="y", style=style)
    page = show(figure)
    assert set(names) <= set(page.locator("svg text").all_text_contents())
    assert "At habit fresh" in page.get_by_role("status").inner_text()
    assert page.locator("path.wl-curve").get_attribute("d").count("Z" if style == "bars" else "h0") == 3


def test_property_a_curve_ends_where_the_axes_end(show):
    steep = np.linspace(0, 1.2, 21)
    page = show(CurveFigure({"steep": steep}, X, {}, title="T", xlabel="x", ylabel="y", ylim=(0, 1)))
    met = page.evaluate(
        """() => [0.5, 0.93].map(share => {
          const path = document.querySelector(".wl-curve"), p = path.getPointAtLength(share * path.getTotalLength());
          const at = p.matrixTransform(path.getScreenCTM());
          return document.elementsFromPoint(at.x, at.y).includes(path);
        })"""
    )
    assert met == [True, False]
