"""Long lines of code go on below themselves: every line has its box, and no letter of it is lost."""

import json
import re
from html import unescape

import pytest
from contents import ROOT, chapter_pages
from pygments import highlight
from pygments.formatters.html import HtmlFormatter
from pygments.lexers.python import PythonLexer
from pygments.token import STANDARD_TYPES
from wrapped import PLAIN, LineFormatter, boxed

CODE = 'def f(x):\n    """One\n\n    two & <three>."""\n    return x  # é\n\n\nf(1)\n'


def bare(markup: str) -> str:
    return unescape(re.sub(r"<[^>]*>", "", markup))


def test_property_boxes_add_nothing_to_the_text():
    ours, usual = (highlight(CODE, PythonLexer(), kind()) for kind in (LineFormatter, HtmlFormatter))
    assert bare(ours) == bare(usual)
    assert ours.count('class="wl-line"') == sum(bool(line.strip()) for line in CODE.splitlines())
    assert ours.count("<span") == ours.count("</span>")


def test_oracle_a_box_knows_how_far_its_line_is_indented():
    assert boxed("a\n") == '<span class="wl-line">a</span>\n'
    assert boxed('    <span class="k">return</span> x') == (
        '<span class="wl-line" style="--in:4">    <span class="k">return</span> x</span>'
    )
    assert boxed("<span></span>&lt;\n") == '<span class="wl-line"><span></span>&lt;</span>\n'


@pytest.mark.parametrize("line", ["\n", "   \n", "<span></span>\n", ""])
def test_limit_an_empty_line_needs_no_box(line):
    assert boxed(line) == line


@pytest.mark.book
def test_property_what_has_no_box_has_the_color_of_the_text(html):
    rules = (html / "_static" / "pygments.css").read_text()
    for theme in ("light", "dark"):
        found = dict(re.findall(rf'"{theme}"\] \.highlight ?([.\w]*) {{[^}}]*?[^-]color: (#\w+)', rules))
        assert found[".k"] != found[""], "a keyword has a color"
        assert {found["." + STANDARD_TYPES[kind]] for kind in PLAIN} == {found[""]}


@pytest.mark.book
@pytest.mark.parametrize("page", chapter_pages())
def test_property_a_page_shows_the_code_of_its_notebook(html, page):
    shown = re.findall(r'<div class="cell_input.*?<pre>(.*?)</pre>', (html / page).read_text(), re.DOTALL)
    cells = json.loads((ROOT / page.replace(".html", ".ipynb")).read_text())["cells"]
    hidden = {"remove-cell", "remove-input"}
    code = [
        "".join(cell["source"]).strip("\n")
        for cell in cells
        if cell["cell_type"] == "code" and not hidden & set(cell["metadata"].get("tags", []))
    ]
    assert [bare(listing).strip("\n") for listing in shown] == code
    assert sum(listing.count('class="wl-line"') for listing in shown) == sum(
        bool(line.strip()) for source in code for line in source.splitlines()
    )
