"""Contracts 6 and 11: notebooks, pages and the package ask no other machine, except where a set of data is fetched."""

import nbformat
import pytest
from tests.contracts import house
from tests.contracts.files import ROOT, modules, notebooks

FETCHERS = {"pkg/weightlore/data/fetched.py"}
SCRIPTS = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
    for folder in ("pkg", "book/_static")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.suffix in {".js", ".css", ".html", ".svg"} and "vendor" not in path.parts
}


@pytest.mark.parametrize("path", sorted(set(modules()) - FETCHERS))
def test_property_one_module_fetches_and_no_other(path):
    assert house.fetches(path, modules()[path]) == []


def test_property_the_fetcher_pins_what_it_fetches():
    text = modules()["pkg/weightlore/data/fetched.py"]
    assert "known_hash" in text
    assert "known_hash=None" not in text


@pytest.mark.parametrize("path", SCRIPTS)
def test_property_our_scripts_and_styles_load_nothing(path):
    assert house.addresses(path, SCRIPTS[path]) == []


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_property_no_notebook_fetches(path):
    notebook = nbformat.read(path, as_version=4)
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    assert house.fetches(path.name, code) == []
    assert "fetch(" not in code, "what a notebook shows never depends on optional data"


@pytest.mark.parametrize(
    "text",
    [
        "import requests",
        "urllib.request.urlopen(x)",
        "pooch.retrieve(url)",
        "!wget x",
        "%pip install x",
        "import httpx",
    ],
)
def test_property_a_way_of_fetching_is_found(text):
    assert house.fetches("x", text)


@pytest.mark.parametrize(
    "text",
    [
        'import x from "https://esm.sh/d3"',
        "@import url(http://fonts.example.org/x.css)",
        '<script src="https://cdn.jsdelivr.net/x">',
    ],
)
def test_property_an_address_is_found(text):
    assert house.addresses("x", text)


def test_limit_names_of_formats_and_loopback_pass():
    assert (
        house.addresses("x", 'createElementNS("http://www.w3.org/2000/svg", n); fetch("http://127.0.0.1:8000/x")') == []
    )
