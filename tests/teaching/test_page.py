"""Notebook pages: words for every picture, and a picture where there is no JavaScript."""

import base64
import re
from html import unescape
from pathlib import Path

import nbformat
import pytest
from matplotlib.figure import Figure

from weightlore.teaching import CurveFigure, describe
from weightlore.teaching.page import stored_words
from weightlore.teaching.pictures import png_bytes
from weightlore.teaching.style import palette

pytest.importorskip("myst_nb")

VIEW = "application/vnd.jupyter.widget-view+json"


def plotted():
    figure = Figure()
    figure.subplots().plot([0, 1, 2], [1, 4, 9], label="a < b & c")
    return figure


def output(data, metadata):
    return nbformat.v4.new_output("display_data", data=data, metadata=metadata)


def notebook():
    knobs = CurveFigure([[1, 2], [3, 5]], [0, 1], {"k": [1, 2]}, title="Knobs turn", xlabel="x", ylabel="y")
    words = describe(plotted())
    png = base64.b64encode(png_bytes(plotted())).decode()
    outputs = [
        output(*knobs._repr_mimebundle_()),
        output({"image/png": png, "text/plain": "<Figure>"}, {"image/png": {"alt": words.alt, "table": words.table}}),
    ]
    cells = [
        nbformat.v4.new_markdown_cell("# A page"),
        *(nbformat.v4.new_code_cell("show()", outputs=[o]) for o in outputs),
    ]
    return nbformat.v4.new_notebook(cells=cells)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    from sphinx.application import Sphinx

    source = tmp_path_factory.mktemp("source")
    nbformat.write(notebook(), source / "index.ipynb")
    (source / "conf.py").write_text(
        "extensions = ['myst_nb', 'weightlore.teaching.page']\nnb_execution_mode = 'off'\n"
        "nb_ipywidgets_js = {}\nsuppress_warnings = ['mystnb.lexer']\n"
    )
    out = tmp_path_factory.mktemp("out")
    Sphinx(source, source, out, out / "trees", "html", status=None, warningiserror=False).build(force_all=True)
    return out / "index.html"


def test_property_a_figure_with_knobs_has_a_picture_without_javascript(built):
    page = built.read_text()
    (inside,) = re.findall(r"<noscript>(.*?)</noscript>", page, re.DOTALL)
    (image,) = re.findall(r"<img[^>]*>", inside)
    assert 'alt="Knobs turn. y against x. y rises from 1 at 0 to 2 at 1. Drawn at k 1."' in image
    picture = built.parent / re.search(r'src="([^"]*)"', image)[1]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert page.index(VIEW) < page.index("<noscript>")


def test_property_a_picture_has_its_words_and_table(built):
    page = built.read_text()
    images = re.findall(r"<img[^>]*>", re.sub(r"<noscript>.*?</noscript>", "", page, flags=re.DOTALL))
    alts = [unescape(re.search(r'alt="([^"]*)"', image)[1]) for image in images]
    assert alts == [describe(plotted()).alt]
    assert "a < b & c rises from 1 at 0 to 9 at 2." in alts[0]
    assert page.count('<details class="wl-table">') == 1
    assert '<th scope="col">a &lt; b &amp; c</th>' in page


def test_property_every_page_has_the_palette_of_both_themes(built):
    page = built.read_text()
    for theme in (palette.light, palette.dark):
        assert f"--wl-text:{theme.text}" in page


def test_property_words_are_found_by_the_picture():
    book = notebook()
    found = stored_words(book)
    assert len(found) == 2
    book.cells[1].outputs[0].data["image/png"] = base64.b64encode(b"another picture").decode()
    assert len(set(stored_words(book)) & set(found)) == 1


@pytest.mark.browser
def test_property_the_picture_is_seen_only_without_javascript(built, browser):
    for javascript in (False, True):
        context = browser.new_context(java_script_enabled=javascript)
        page = context.new_page()
        page.goto(built.as_uri())
        count = page.locator("img").count()
        assert count == (1 if javascript else 2)
        if not javascript:
            assert page.locator("img").first.bounding_box()["width"] > 300
        context.close()
