"""An address that was published stays: no page vanishes without leaving a way to its new place."""

import json
from types import SimpleNamespace

import chapters
import moved
import pytest
from contents import toc_pages


def test_property_every_published_address_has_a_page_or_a_way_to_one():
    assert moved.lost(moved.listed(), toc_pages(), moved.redirects()) == []


def test_property_every_page_is_in_the_list_of_addresses():
    assert moved.unlisted(moved.listed(), toc_pages()) == []
    assert moved.listed() == sorted(set(moved.listed()))


def test_error_a_vanished_page_says_what_to_write():
    now = toc_pages()
    renamed = [page if page != "book/notation.html" else "book/symbols.html" for page in now]
    (said,) = moved.lost(now, renamed, {})
    assert said.startswith("book/notation.html is gone")
    assert 'Write into book/redirects.json: "book/notation.html": "its new address"' in said
    assert moved.lost(now, renamed, {"book/notation.html": "book/symbols.html"}) == []
    (new,) = moved.unlisted(now, renamed)
    assert new.startswith("book/symbols.html is new. Run `python book/_ext/moved.py`")


def test_error_a_way_that_leads_nowhere_is_found():
    assert moved.lost([], ["a.html"], {"b.html": "c.html"}) == [
        "book/redirects.json: 'b.html' leads to 'c.html', which is no page"
    ]


def test_property_the_list_only_grows(tmp_path, monkeypatch):
    monkeypatch.setattr(moved, "ADDRESSES", tmp_path / "addresses.txt")
    moved.ADDRESSES.write_text("book/once.html\n")
    moved.promise()
    assert moved.listed() == sorted({"book/once.html", *chapters.pages()})


@pytest.mark.parametrize(
    ("old", "new", "target"),
    [
        ("a.html", "b.html", "b.html"),
        ("book/a.html", "tutorials/1_corrupted/b.html", "../tutorials/1_corrupted/b.html"),
        ("x/y/a.html", "x/z/b.html", "../z/b.html"),
    ],
)
def test_property_the_page_left_behind_points_to_the_new_place(old, new, target):
    text = moved.redirect(old, new)
    assert f'<a href="{target}">' in text
    assert f'content="0; url={target}"' in text


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A built book of two pages, and a way from an old address to the second."""
    html = tmp_path / "html"
    (html / "book").mkdir(parents=True)
    (html / "book" / "new.html").write_text("<h1>New</h1><p id='here'>x</p>")
    (html / "book" / "kept.html").write_text("<h1>Kept</h1>")
    monkeypatch.setattr(moved, "REDIRECTS", tmp_path / "redirects.json")

    def leave(ways):
        moved.REDIRECTS.write_text(json.dumps(ways))
        said = []
        monkeypatch.setattr(moved, "LOG", SimpleNamespace(warning=lambda line, *values: said.append(line % values)))
        moved.leave_behind(SimpleNamespace(builder=SimpleNamespace(format="html"), outdir=html), None)
        return said

    return SimpleNamespace(html=html, leave=leave)


def test_error_the_build_warns_of_ways_that_are_wrong(site):
    assert site.leave({"book/kept.html": "book/new.html"})[0].endswith(
        "book/kept.html has a page again; remove its line"
    )
    assert "there is no such page" in site.leave({"old.html": "gone.html"})[0]
    assert not (site.html / "old.html").exists()
    assert site.leave({"tutorials/old.html": "book/new.html"}) == []


@pytest.mark.browser
@pytest.mark.parametrize("scripts", [True, False])
def test_property_a_reader_with_an_old_address_arrives(site, browser, scripts):
    assert site.leave({"tutorials/old.html": "book/new.html"}) == []
    page = browser.new_context(java_script_enabled=scripts).new_page()
    page.goto((site.html / "tutorials" / "old.html").as_uri() + "#here")
    page.wait_for_url("**/book/new.html*")
    if scripts:
        assert page.url.endswith("#here")
    page.context.close()
