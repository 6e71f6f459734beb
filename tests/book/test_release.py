"""What a reader takes along: the zip opens from disk, the chapters can be printed, the EPUB has the form of an EPUB."""

import posixpath
import re
import xml.etree.ElementTree as xml
import zipfile
from urllib.parse import unquote, urlsplit

import archive
import chapters
import ebook
import links
import plain
import printed
import pytest
import release
from contents import ROOT, toc_pages

XHTML = "{http://www.w3.org/1999/xhtml}"
SVG = "{http://www.w3.org/2000/svg}"
OPF = "{http://www.idpf.org/2007/opf}"
MATH = "{http://www.w3.org/1998/Math/MathML}"
OCF = "{urn:oasis:names:tc:opendocument:xmlns:container}"
DC = "{http://purl.org/dc/elements/1.1/}"
URL = r"(?:[\w\-.~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+"
OUTDATED = ("doc-biblioentry", "doc-endnote")
FORBIDDEN = ("script", "button", "iframe", "noscript", "input", "style")
SITE = "https://weightlore.github.io/weightlore/"
FACTS = {"cover": b"", "title": "T", "version": "1", "site": SITE, "modified": "2026-01-01T00:00:00Z"}
CHAPTER = ("tutorials/6_binarized/spiking.html", "tutorials/6_binarized/latency.html")
SAMPLE = ("book/intro.html", "book/glossary.html", "book/tour.html", *CHAPTER)
TINY = """<!DOCTYPE html><html><body><main><article class="bd-article"><section id="s"><h1>Title<a class="headerlink"
href="#s">#</a></h1><h2 id="t">Part</h2><details id="f"><summary>More</summary><p>hidden</p></details>
<details class="wl-table"><summary>Data</summary></details><noscript><img src="../_images/p.png" alt="words"></noscript>
<p><a href="b.html#x">near</a> <a href="c.html#y">far</a> <a href="https://example.org/z">out</a></p><p id="s">twice</p>
<p role="doc-biblioentry"><a href="https://example.org/(1)2<3:A>4">odd</a></p>
<div class="wl-diagram"><style>.wl-diagram { background: rgb(4, 5, 6) } .cell { fill: rgb(1, 2, 3) }</style>
<svg viewBox="0 0 2 2"><rect class="cell" width="1" height="1"/></svg></div>
<svg viewBox="0 0 1 1"><text>&amp;</text></svg><script>1 < 2</script><button>b</button></section></article>
</main></body></html>"""
WIDE = """[...document.querySelectorAll('*')].filter(e => !e.closest('svg') && e.getBoundingClientRect().right > 673)
  .map(e => e.outerHTML.slice(0, 80))"""
LOST = """[...document.querySelectorAll('a[href^="#"]')]
  .filter(a => !document.getElementById(decodeURIComponent(a.hash.slice(1)))).map(a => a.hash)"""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, browser):
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "book").mkdir()
    (folder / "book" / "a.html").write_text(TINY)
    places = {"book/a.html": "book-a.xhtml", "book/b.html": "book-b.xhtml"}
    together = {"book/a.html": "one", "book/b.html": "one"}
    return next(plain.read(browser, folder, ["book/a.html"], places, site=SITE, printed=together))


@pytest.mark.browser
def test_property_a_plain_page_is_well_formed_and_keeps_what_is_said(tiny):
    tree = xml.fromstring(tiny.ebook)
    words = " ".join("".join(tree.itertext()).split())
    assert words.startswith("TitlePartMorehidden This figure has knobs")
    assert not re.search(r"Data|1 < 2|#", words)
    assert tree.find(f".//{XHTML}img").attrib == {"src": "images/p.png", "alt": "words"}
    assert (tiny.title, tiny.heads, tiny.images) == ("Title", [("Part", "t")], ["_images/p.png"])
    assert tiny.uses == {"mathml": False, "svg": True}
    assert 'viewBox="0 0 1 1"' in tiny.ebook, "XML keeps the case that SVG needs"
    assert not re.search("<style|doc-biblioentry", tiny.ebook)


@pytest.mark.browser
def test_property_a_diagram_keeps_its_colors_without_its_style_sheet(tiny):
    for text in (tiny.ebook, tiny.print):
        picture, cell = (xml.fromstring(text).find(f".//{SVG}{name}") for name in ("svg[@viewBox='0 0 2 2']", "rect"))
        assert "background: rgb(4, 5, 6)" in picture.get("style")
        assert "fill: rgb(1, 2, 3)" in cell.get("style")


@pytest.mark.browser
def test_property_links_of_a_plain_page_lead_to_the_place_of_their_page(tiny):
    for text, near in ((tiny.ebook, "book-b.xhtml#x"), (tiny.print, "#book-b--x")):
        read = [a.get("href") for a in xml.fromstring(text).iter(f"{XHTML}a")]
        assert read == [near, SITE + "book/c.html#y", "https://example.org/z", "https://example.org/(1)2%3C3:A%3E4"]


@pytest.mark.browser
def test_property_ids_of_a_plain_page_are_there_once(tiny):
    for text, own in ((tiny.ebook, {"s", "t", "f"}), (tiny.print, {"book-a", "book-a--s", "book-a--t", "book-a--f"})):
        ids = [e.get("id") for e in xml.fromstring(text).iter() if e.get("id")]
        assert len(ids) == len(set(ids))
        assert set(ids) == own


def test_property_parts_of_the_contents_are_its_pages():
    parts = chapters.contents()
    assert [page for part in parts for page in part.pages] == toc_pages() == chapters.pages()
    assert [part.name for part in parts if part.is_chapter][:2] == ["0-healthy", "1-corrupted"]


def test_property_the_same_pages_make_the_same_archive(tmp_path):
    (tmp_path / "html" / "_static" / "locales").mkdir(parents=True)
    (tmp_path / "html" / "index.html").write_text("x")
    (tmp_path / "html" / "_static" / "locales" / "de.json").write_text("{}")
    (tmp_path / "html" / "_static" / "a.js.map").write_text("{}")
    made = [archive.pack(tmp_path / "html", tmp_path / n / "book-1.zip", title="T", version="1") for n in "ab"]
    assert made[0].read_bytes() == made[1].read_bytes()
    assert zipfile.ZipFile(made[0]).namelist() == ["book-1/README.txt", "book-1/index.html"]


@pytest.fixture(scope="module")
def unpacked(html, tmp_path_factory):
    folder = tmp_path_factory.mktemp("release")
    path = archive.pack(html, folder / "weightlore-book-1.zip", title="T", version="1")
    zipfile.ZipFile(path).extractall(folder)
    return folder / "weightlore-book-1"


@pytest.mark.book
@pytest.mark.slow
def test_property_every_link_of_the_unpacked_book_resolves(unpacked):
    assert not [f"{page}: {address}" for page, address in links.broken(unpacked)]


@pytest.mark.book
@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize("page", ["book/tour.html", "tutorials/5_sliced/crossbar.html"])
def test_property_a_knob_of_the_unpacked_book_turns(visit, unpacked, page):
    seen = visit(page, base=unpacked.as_uri(), width=360)
    assert [*seen.outside, *seen.failed, *seen.errors] == []
    figure = seen.figures().first
    knob = figure.locator("input.wl-turn").first
    knob.press("Home")
    before = figure.locator(".wl-say").inner_text()
    knob.press("End")
    assert figure.locator(".wl-say").inner_text() != before


@pytest.fixture(scope="module")
def pages(html, browser):
    places = {page: f"{plain.key(page)}.xhtml" for page in SAMPLE}
    chapter = {page: "6" for page in SAMPLE if page.startswith("tutorials")}
    return list(plain.read(browser, html, SAMPLE, places, site=SITE, printed=chapter))


@pytest.mark.book
@pytest.mark.browser
@pytest.mark.slow
def test_property_a_printed_chapter_has_all_and_cuts_nothing_off(html, browser, pages, tmp_path):
    own = [page for page in pages if page.page.startswith("tutorials")]
    part = chapters.Part("6: Binarized", tuple(page.page for page in own))
    text = printed.document(part, own, html.resolve(), book="Book", version="1", site=SITE)
    path = tmp_path / "chapter.html"
    path.write_text(text)
    sheet = browser.new_page(viewport={"width": 672, "height": 1000})  # A4 without its margins
    sheet.emulate_media(media="print")
    sheet.goto(path.as_uri())
    sheet.evaluate("Promise.all([...document.images].map(i => i.decode()))")
    assert sheet.locator("mjx-container svg").count() > 100
    assert sheet.locator("h2").count() >= 10 * len(own)
    assert sheet.evaluate(WIDE) == []
    assert sheet.evaluate(LOST) == []
    sheet.close()
    made = printed.pdf(browser, text, tmp_path / "chapter.pdf", foot="foot")
    content = made.read_bytes()
    assert content.startswith(b"%PDF-")
    assert b"/Outlines" in content
    assert b"/MarkInfo" in content, "tagged for screen readers"
    assert len(re.findall(rb"/Type\s*/Page\b", content)) > 20


@pytest.mark.book
@pytest.mark.browser
@pytest.mark.slow
def test_property_the_ebook_has_the_form_of_an_epub(html, browser, pages, tmp_path):
    parts = [chapters.Part("", SAMPLE[:1]), chapters.Part("Words", SAMPLE[1:3]), chapters.Part("6: Binarized", CHAPTER)]
    facts = {**FACTS, "title": "A & B", "cover": release.cover(browser, html, "Title", tmp_path / "cover.html")}
    path = ebook.epub(html, parts, pages, tmp_path / "b.epub", **facts)
    assert not faults(path)
    book = zipfile.ZipFile(path)
    shown = re.findall(r'src="(images/[^"]+)"', book.read("EPUB/book-tour.xhtml").decode())
    assert [book.read(f"EPUB/{name}")[:4] for name in shown] == [b"\x89PNG"] * 3
    latency = book.read("EPUB/6_binarized-latency.xhtml").decode()
    assert latency.count("<math") > 30
    assert 'alttext="' in latency
    assert not re.search("mjx|mlabeledtr", latency)
    numbers = re.findall(r'<span class="eqno">\((\d)\)</span><math', latency)
    assert numbers == [str(n + 1) for n in range(len(numbers))]
    assert len(numbers) > 2


def faults(path) -> list[str]:
    """What a checker of EPUBs would object to, as far as the structure goes."""
    book = zipfile.ZipFile(path)
    names, found = book.namelist(), []
    first = book.infolist()[0]
    start = (first.filename, first.compress_type, book.read(first.filename))
    if start != ("mimetype", zipfile.ZIP_STORED, b"application/epub+zip"):
        found.append("mimetype is not first, stored and right")
    package = xml.fromstring(book.read("EPUB/package.opf"))
    items = {item.get("id"): item for item in package.iter(f"{OPF}item")}
    container = xml.fromstring(book.read("META-INF/container.xml"))
    if [file.get("full-path") for file in container.iter(f"{OCF}rootfile")] != ["EPUB/package.opf"]:
        found.append("the container names another package file")
    said = {name: package.findtext(f".//{DC}{name}") for name in ("identifier", "title", "language")}
    found += [f"the package has no {name}" for name, text in said.items() if not text]
    held = {"EPUB/" + item.get("href") for item in items.values()}
    if held != {name for name in names if name.startswith("EPUB/")} - {"EPUB/package.opf"}:
        found.append(f"the manifest and the files differ: {held ^ set(names)}")
    if [item.get("properties") for item in items.values()].count("nav") != 1:
        found.append("there is not one navigation document")
    spine = [ref.get("idref") for ref in package.iter(f"{OPF}itemref")]
    found += [f"the spine names {name}" for name in spine if name not in items]
    trees = {name: xml.fromstring(book.read(name)) for name in names if name.endswith(".xhtml")}
    anchors = {name: {e.get("id") for e in tree.iter() if e.get("id")} for name, tree in trees.items()}
    for name, tree in trees.items():
        found += [f"{name}: {address}" for address in asked(tree) if not leads(name, address, names, anchors)]
        found += [f"{name}: <{tag}>" for tag in FORBIDDEN if tree.find(f".//{XHTML}{tag}") is not None]
    for item in (item for item in items.values() if item.get("href").endswith(".xhtml")):
        found += untold(item, trees["EPUB/" + item.get("href")])
    return found


def untold(item, tree) -> list[str]:
    """What a page of an EPUB has although its manifest keeps silent, or shouldn't have at all."""
    name, told = item.get("href"), (item.get("properties") or "").split()
    found = [
        f"{name}: {kind} is {'not ' * (kind not in told)}told"
        for kind, tag in (("mathml", f"{MATH}math"), ("svg", f"{SVG}svg"))
        if (tree.find(f".//{tag}") is not None) != (kind in told)
    ]
    ids = [e.get("id") for e in tree.iter() if e.get("id")]
    found += [f"{name}: two ids {i}" for i in sorted(set(ids)) if ids.count(i) > 1]
    found += [f"{name}: {e.get('src')} from afar" for e in tree.iter(f"{XHTML}img") if urlsplit(e.get("src")).scheme]
    found += [f"{name}: no words for {e.get('src')}" for e in tree.iter(f"{XHTML}img") if e.get("alt") is None]
    return found + [f"{name}: role {role}" for e in tree.iter() if (role := e.get("role")) in OUTDATED]


def asked(tree) -> list[str]:
    return [e.get(key) for e in tree.iter() for key in ("href", "src") if e.get(key) and e.tag.startswith(XHTML)]


def leads(name: str, address: str, names: list[str], anchors: dict[str, set[str]]) -> bool:
    parts = urlsplit(address)
    if not re.fullmatch(URL, address):
        return False
    if parts.scheme:
        return parts.scheme in ("http", "https")
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), unquote(parts.path))) if parts.path else name
    return target in names and (not parts.fragment or unquote(parts.fragment) in anchors.get(target, set()))


BROKEN = {
    '<a href="b.xhtml">b</a>': "EPUB/book-a.xhtml: b.xhtml",
    '<a href="https://example.org/a&lt;b">b</a>': "EPUB/book-a.xhtml: https://example.org/a<b",
    '<img src="https://example.org/a.png" alt=""/>': "book-a.xhtml: https://example.org/a.png from afar",
    '<img src="cover.png"/>': "book-a.xhtml: no words for cover.png",
    "<script>1</script>": "EPUB/book-a.xhtml: <script>",
    f'<math xmlns="{MATH[1:-1]}"><mi>x</mi></math>': "book-a.xhtml: mathml is not told",
    '<b id="b">1</b><b id="b">2</b>': "book-a.xhtml: two ids b",
    '<b role="doc-biblioentry">b</b>': "book-a.xhtml: role doc-biblioentry",
}


@pytest.mark.parametrize(("inside", "fault"), BROKEN.items())
def test_limit_a_broken_epub_is_found(tmp_path, inside, fault):
    part = chapters.Part("", ("book/a.html",))
    for text, faulty in ((inside, [fault]), ("fine", [])):
        page = plain.Plain("book/a.html", "A", "", f'<p xmlns="{XHTML[1:-1]}">{text}</p>', [], [], "", {})
        assert faults(ebook.epub(tmp_path, [part], [page], tmp_path / "a.epub", **FACTS)) == faulty


@pytest.mark.book
@pytest.mark.browser
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_property_the_tour_in_one_file_turns_and_asks_for_nothing(html, browser, visit, tmp_path, theme):
    facts = release.settings()
    release.tour_in_one_file(browser, html, tmp_path / "tour.html", **facts)
    seen = visit("tour.html", base=tmp_path.as_uri(), width=360, theme=theme)
    seen.figures().nth(2).wait_for()
    assert [*seen.outside, *seen.failed, *seen.errors] == []
    assert {a.partition("#")[0].startswith(SITE) for a in links.read(tmp_path / "tour.html").links} == {True}
    for figure in seen.figures().all():
        knob = figure.locator("input.wl-turn").first
        knob.press("Home")
        before = figure.locator(".wl-say").inner_text()
        knob.press("End")
        assert figure.locator(".wl-say").inner_text() != before
    wide = seen.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide <= 0
    still = visit("tour.html", base=tmp_path.as_uri(), javascript=False).page
    assert still.locator("img").count() == seen.figures().count()


@pytest.mark.browser
def test_property_a_release_is_a_zip_a_pdf_for_each_chapter_and_an_ebook(tmp_path, browser, monkeypatch):
    html = tmp_path / "html"
    for page in (
        "book/a.html",
        "book/tour.html",
        "tutorials/0_x/b.html",
        "book/api/c.html",
        "_static/pygments.css",
        "_static/cover.svg",
    ):
        (html / page).parent.mkdir(parents=True, exist_ok=True)
        (html / page).write_text("<html><body><article class='bd-article'><h1>A</h1></article></body></html>")
    (html / "_static" / "cover.svg").write_bytes((ROOT / "book" / "_static" / "cover.svg").read_bytes())
    named = (("", "book/a.html"), ("0: X", "tutorials/0_x/b.html"), ("Look", "book/api/c.html"))
    monkeypatch.setattr(chapters, "contents", lambda: [chapters.Part(name, (page,)) for name, page in named])
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    said = []
    made = release.make(html, tmp_path / "release", browser, say=said.append)
    version = release.settings()["version"]
    ends = (f"book-{version}.zip", f"tour-{version}.html", f"0-x-{version}.pdf", f"{version}.epub")
    assert [path.name for path in made] == [f"weightlore-{end}" for end in ends]
    assert len(said) == 2
    assert sorted(path.name for path in (tmp_path / "release").iterdir()) == sorted(path.name for path in made)
    book = zipfile.ZipFile(made[-1])
    assert "EPUB/0_x-b.xhtml" in book.namelist()
    assert "EPUB/book-api-c.xhtml" not in book.namelist(), "the reference is looked up on the web"
    assert b"1970-01-01T00:00:00Z" in book.read("EPUB/package.opf")


def test_error_a_release_without_a_browser_says_what_to_install(monkeypatch):
    monkeypatch.delenv("WEIGHTLORE_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="apt install chromium"), plain.browser():
        pass


def test_property_the_release_knows_the_book():
    facts = release.settings()
    assert facts["site"] == SITE
    assert f'version = "{facts["version"]}"' in (ROOT / "pyproject.toml").read_text()
