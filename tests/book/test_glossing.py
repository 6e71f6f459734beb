"""Words of the glossary in the pages: each linked once, where it is prose, with its first sentence as a hint."""

import re

import glossing
import pytest
from contents import chapter_pages
from docutils import nodes
from docutils.core import publish_doctree

pytestmark = pytest.mark.book

GLOSSARY = """
calibration
    What is said comes true with :math:`\\theta`. More.
calibration error
    How far :math:`\\hat p_c` is off. See there.
SAM
    A neighbor.
"""


def parsed(text):
    return publish_doctree(text, settings_overrides={"report_level": 5})


@pytest.fixture
def known():
    doctree = parsed(GLOSSARY)
    for term in doctree.findall(nodes.term):
        term["ids"] = ["term-" + term.astext().replace(" ", "-")]
    return {entry.term: entry for entry in glossing.entries(doctree)}


def links(doctree):
    return [(r.astext(), r["refuri"], r["reftitle"]) for r in doctree.findall(nodes.reference) if "reftitle" in r]


def test_oracle_the_hint_is_the_first_sentence(known):
    assert known["calibration"].hint == "What is said comes true with θ."
    assert known["calibration error"].hint == "How far … is off."
    assert glossing.first_sentence(nodes.paragraph("", "word " * 80 + ".")).endswith("word …")


def test_property_the_longest_word_wins_and_each_is_linked_once(known):
    page = parsed("Calibration errors of SAM, a calibration error, and calibration. Calibration again, SAM again.")
    before = page.astext()
    assert glossing.glossed(page, known, address="g.html") == 3
    assert [(text, uri) for text, uri, _ in links(page)] == [
        ("Calibration errors", "g.html#term-calibration-error"),
        ("SAM", "g.html#term-SAM"),
        ("calibration", "g.html#term-calibration"),
    ]
    assert page.astext() == before


@pytest.mark.parametrize(
    "text",
    [
        "calibration\n===========\n\ntext",
        "``calibration``",
        "::\n\n    calibration",
        "`calibration <x.html>`_",
        ":math:`calibration`",
        "recalibration, calibrations-free, Sam, sam",
        "=========== ==\ncalibration x\n=========== ==",
        ".. container:: wl-doors\n\n    .. container:: sd-card\n\n        calibration",
        ".. container:: sd-card sd-card-hover\n\n    .. container:: sd-card-body\n\n        calibration",
    ],
)
def test_limit_what_is_no_prose_or_another_word_stays(known, text):
    page = parsed(text)
    assert glossing.glossed(page, known, address="g.html") == 0
    assert links(page) == []


def test_limit_a_word_within_a_link_stays(known):
    page = parsed("text")
    link = nodes.reference("", "", nodes.emphasis("", "calibration"), refuri="x.html")
    page[0].append(link)
    assert glossing.glossed(page, known, address="g.html") == 0


def test_property_a_word_in_a_card_waits_for_the_prose_below(known):
    card = ".. container:: sd-card sd-card-hover\n\n    Calibration is behind this door.\n\n"
    page = parsed(card + ".. container:: sd-card\n\n    SAM is behind none.\n\nHere is calibration.")
    assert glossing.glossed(page, known, address="g.html") == 2
    assert [text for text, _, _ in links(page)] == ["SAM", "calibration"]


def test_limit_a_word_that_the_author_linked_is_not_linked_again(known):
    page = parsed("`this <g.html#term-SAM>`_ and SAM")
    assert glossing.glossed(page, known, address="g.html") == 0


def test_property_ambiguous_words_belong_to_their_chapter():
    assert glossing.wanted("cell", "5")
    assert not glossing.wanted("cell", "3")
    assert not glossing.wanted("cell", "")
    assert not glossing.wanted("score", "4")
    assert glossing.wanted("calibration error", "")
    assert glossing.wanted("evidence", "3", "tutorials/3_uncertain/bayesian")
    assert not glossing.wanted("evidence", "3", "tutorials/3_uncertain/one_pass")


def words(html, page):
    text = (html / page).read_text(encoding="utf-8")
    return re.findall(r'<a class="[^"]*wl-word[^"]*" href="([^"]*)"(?: title="([^"]*)")?', text), text


@pytest.mark.parametrize("page", chapter_pages())
def test_property_every_chapter_explains_its_words(html, page):
    found, text = words(html, page)
    anchors = [uri.partition("#")[2] for uri, _ in found]
    assert found, "a chapter uses words of the glossary"
    assert len(set(anchors)) == len(anchors)
    assert all(title for _, title in found)
    for heading in re.findall(r"<h[1-6].*?</h[1-6]>|<pre.*?</pre>", text, re.DOTALL):
        assert "wl-word" not in heading


def test_property_everyday_and_ambiguous_words_are_in_the_glossary(html):
    text = (html / "book" / "glossary.html").read_text(encoding="utf-8")
    terms = {re.sub(r"<[^>]+>", "", t) for t in re.findall(r'<dt id="term-[^"]*">(.*?)<a class="headerlink', text)}
    assert {*glossing.EVERYDAY, *glossing.CHAPTERS, *glossing.OTHERWISE} <= terms


def test_property_pages_on_which_a_word_means_something_else_exist():
    assert {page for pages in glossing.OTHERWISE.values() for page in pages} <= {
        p.removesuffix(".html") for p in chapter_pages()
    }
