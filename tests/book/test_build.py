"""The built book: strict, silent, complete, and nothing in it leads nowhere or elsewhere."""

import ast
import json
import re
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import links
import pages
import pytest
import survey
from contents import ROOT, chapter_pages, toc_pages

pytestmark = pytest.mark.book
OWN_BYTES = 600_000  # of one page: text, data, pictures and our scripts, beside theme, MathJax and widget manager


class Words(HTMLParser):
    def __init__(self):
        super().__init__()
        self.text, self.silent = [], 0

    def handle_starttag(self, tag, attrs):
        self.silent += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.silent -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.silent:
            self.text.append(data)


def words(path: Path) -> str:
    parser = Words()
    parser.feed(path.read_text())
    return " ".join(" ".join(parser.text).split())


def test_property_build_is_strict_and_silent(built):
    assert built.status == 0, built.output
    assert not re.search(r"warning|error|traceback", built.output, re.IGNORECASE), built.output


@pytest.mark.parametrize("page", toc_pages())
def test_property_every_page_of_the_contents_is_built(html, page):
    assert (html / page).is_file()


def test_property_every_table_is_set_as_one(html):
    # Markdown that a cell has printed is read without tables, unless the cell asks for them
    rows = re.compile(r"<p>\|\s.*\|")
    assert not [str(page) for page in (html / "tutorials").rglob("*.html") if rows.search(page.read_text())]


def test_property_every_link_and_anchor_resolves(html):
    assert not [f"{page}: {address}" for page, address in links.broken(html)]


def test_property_no_page_loads_from_another_host(html):
    assert not [f"{page}: {address}" for page, address in links.external(html)]


def test_property_links_by_the_published_address_and_into_the_repository_resolve(html):
    assert not [f"{page}: {address}" for page, address in links.roundabout(html)]


def test_property_no_page_has_an_anchor_twice(html):
    assert not [f"{page}: {address}" for page, address in links.repeated(html)]


def test_property_style_sheets_load_what_is_there(html):
    assert not [f"{page}: {address}" for page, address in links.styles(html)]


def test_limit_the_checks_of_anchors_styles_and_long_ways_bite(tmp_path):
    (tmp_path / "a.html").write_text(
        f'<p id="x"></p><p id="x"></p><a href="{links.SITE}a.html#x">x</a><a href="{links.SITE}a.html#y">y</a>'
        '<a href="https://github.com/weightlore/weightlore/edit/main/README.md">r</a>'
        '<a href="https://github.com/weightlore/weightlore/blob/main/GONE.md">g</a>'
    )
    (tmp_path / "a.css").write_text("a { background: url('gone.png'), url(data:x), url(//example.org/y) }")
    gone = "https://github.com/weightlore/weightlore/blob/main/GONE.md"
    assert {address for _, address in links.roundabout(tmp_path)} == {f"{links.SITE}a.html#y", gone}
    assert [address for _, address in links.repeated(tmp_path)] == ["#x"]
    assert {address for _, address in links.styles(tmp_path)} == {"gone.png", "//example.org/y"}


def test_property_a_numbered_id_stays_once():
    assert pages.once('<a id="id1"><b id="id1"><c id="id2"><d id="x"><e id="x">') == (
        '<a id="id1"><b><c id="id2"><d id="x"><e id="x">'
    )


def test_limit_the_link_check_bites(tmp_path):
    (tmp_path / "a.html").write_text('<a href="b.html#here">x</a><a href="#top">x</a><img src="gone.png">')
    (tmp_path / "b.html").write_text('<p id="there"></p><script src="https://example.org/x.js"></script>')
    assert {address for _, address in links.broken(tmp_path)} == {"b.html#here", "#top", "gone.png"}
    assert [address for _, address in links.external(tmp_path)] == ["https://example.org/x.js"]


def public_names() -> set[tuple[str, str]]:
    """Every name in an ``__all__`` of the package, read from the source and not from the page's own generator."""
    found = set()
    for path in (ROOT / "pkg" / "weightlore").rglob("*.py"):
        if path.parent.name == "kernel":  # runs at the start of a notebook's kernel; nobody imports it
            continue
        module = ".".join(path.relative_to(ROOT / "pkg").with_suffix("").parts).removesuffix(".__init__")
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "__all__" for t in node.targets):
                found |= {(module, name) for name in ast.literal_eval(node.value)}
    return found


def test_property_every_public_name_is_on_a_page_of_the_package(html):
    anchors = set().union(*(links.read(path).anchors for path in (html / "book" / "api").glob("*.html")))
    documented = {(anchor.split(".")[1], anchor.rpartition(".")[2]) for anchor in anchors if anchor.count(".") > 1}
    missing = {(m, name) for m, name in public_names() if (m.split(".")[1], name) not in documented}
    assert not missing


def bare_sources(text):
    """Keys of the bibliography that stand in prose, outside of formulas and signatures, without leading anywhere."""
    prose = re.sub(r"<(pre|code|dt)\b.*?</\1>", "", text, flags=re.DOTALL)
    return sorted(set(re.findall(r"\[([a-z]+\d{4}[a-z0-9]+)\]", re.sub(r"<[^>]+>", "", prose))))


def test_property_every_source_in_the_package_pages_leads_to_the_references(html):
    found = {path.name: bare_sources(path.read_text()) for path in (html / "book" / "api").glob("*.html")}
    assert {name: keys for name, keys in found.items() if keys} == {}
    assert bare_sources("<p>as [gal2016dropout] says, <code>[kull2019dirichlet]</code></p>") == ["gal2016dropout"]


def test_property_ledger_page_says_what_the_files_say(html):
    page = html / "book" / "ledger.html"
    text, anchors = words(page), links.read(page).anchors
    for path in (ROOT / "book" / "ledger").glob("*.json"):
        for row in json.loads(path.read_text())["rows"]:
            assert f"claim-{path.stem}-{row['id']}".replace("_", "-") in anchors
            numbers = [value for seed in row["values"].values() for value in seed.values()]
            numbers += [row["mean"], *(row["interval"] or [])]
            missing = [number for number in numbers if number is not None and f"{number:g}" not in text]
            assert not missing, (row["id"], missing)
            assert row["verdict"] in text


def test_property_status_page_lists_every_notebook(html):
    text = words(html / "book" / "status.html")
    for page in chapter_pages():
        assert Path(page).stem in text


def test_property_coverage_page_has_every_entry_and_leads_to_what_is_done(html):
    page = html / "book" / "coverage.html"
    text, addresses = words(page), set(links.read(page).links)
    for row in survey.rows():
        assert f" {row['id']} " in text
        places = [survey.place(name) for name in row["names"].split() if row["state"] == "done"]
        assert not [place for place in places if not any(address.endswith(f"#{place}") for address in addresses)]


def test_property_glossary_has_forty_terms_that_can_be_linked(html):
    terms = {anchor for anchor in links.read(html / "book" / "glossary.html").anchors if anchor.startswith("term-")}
    assert len(terms) >= 40


@pytest.mark.parametrize("page", chapter_pages())
def test_property_page_has_few_bytes_of_its_own(html, page):
    path = html / page
    found = links.read(path)
    own = [path, *((path.parent / unquote(address.partition("?")[0])).resolve() for address in found.resources)]
    theirs = (html / "_static", html / "_sphinx_design_static")
    weights = {file: file.stat().st_size for file in own if not any(file.is_relative_to(folder) for folder in theirs)}
    assert sum(weights.values()) < OWN_BYTES, weights


@pytest.mark.parametrize("page", chapter_pages())
def test_property_launch_buttons_open_this_notebook(html, page):
    addresses = [address for address in links.read(html / page).links if "//" in address]
    notebook = page.removesuffix(".html") + ".ipynb"
    assert f"https://mybinder.org/v2/gh/weightlore/weightlore/main?urlpath=lab/tree/{notebook}" in addresses
    assert f"https://colab.research.google.com/github/weightlore/weightlore/blob/main/{notebook}" in addresses


def test_property_nothing_of_others_is_committed():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    assert not [name for name in tracked if "vendor/" in name or name.endswith((".min.js", ".woff", ".woff2"))]
