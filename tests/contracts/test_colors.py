"""Contract 7: one style file sets colors, nobody else."""

import json

import nbformat
import pytest
from tests.contracts import house
from tests.contracts.files import ROOT, modules, notebooks

STYLE = {"pkg/weightlore/teaching/style.py", "pkg/weightlore/teaching/palette.json"}
DRAWN = {"book/_static/cover.svg", "book/_static/favicon.svg", "book/_static/logo.svg"}  # a test draws them again
SUFFIXES = {".py", ".js", ".css", ".svg", ".html"}
FOLDERS = ("pkg", "book/_static", "book/_ext", "benchmarks")
FILES = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in SUFFIXES and "vendor" not in path.parts and "node_modules" not in path.parts
}


@pytest.mark.parametrize("path", sorted(set(FILES) - STYLE - DRAWN))
def test_property_no_other_file_sets_a_color(path):
    assert house.colors(path, FILES[path]) == []


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_property_no_notebook_sets_a_color(path):
    cells = nbformat.read(path, as_version=4).cells
    code = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    assert house.colors(path.name, code) == []


@pytest.mark.parametrize(
    "text",
    [
        "line.set_color('#1f77b4')",
        "a { color: #fff; }",
        "fill = rgba(0, 0, 0, .5)",
        "background: hsl(120 50% 50%)",
        'plt.plot(x, color="red")',
        "plt.plot(x, c='C0')",
        '<rect fill="white"/>',
    ],
)
def test_property_a_color_is_found(text):
    assert house.colors("x", text)


def test_limit_what_is_no_color_passes():
    for text in (
        "var(--wl-text)",
        'fill="currentColor"',
        "issue #12",
        "palette.rgb('diverging')",
        'fill="none"',
        "# abc",
    ):
        assert house.colors("x", text) == [], text


def test_property_the_style_is_one_file_of_the_package():
    assert {p.relative_to(ROOT).as_posix() for p in (ROOT / "pkg").rglob("*")} >= STYLE
    assert json.loads((ROOT / "pkg/weightlore/teaching/palette.json").read_text())
    assert any("palette.json" in text for path, text in modules().items() if path.endswith("style.py"))
