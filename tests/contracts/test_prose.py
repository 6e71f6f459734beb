"""The voice of the book: American spelling, and none of the words that talk a reader down or sell something."""

import re
from collections.abc import Iterator

import nbformat
import pytest
from tests.contracts.files import ROOT, modules, notebooks

PAGES = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "book").rglob("*.md") if "vendor" not in p.parts)
PAGES += ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
BOOKS = [path.relative_to(ROOT).as_posix() for path in notebooks()]
CODE = re.compile(
    r"^(`{3,}|~{3,})(?!\{(?:admonition|dropdown|glossary|note|tip|warning)).*?^\1`*~*$", re.MULTILINE | re.DOTALL
)
INLINE = re.compile(r"`+[^`\n]*`+|\$[^$]*\$|<[^>\n]+>|\]\([^)\n]*\)|https?://\S+")
BANNED = re.compile(
    r"\b(?:simply|obviously|clearly|of course|trivial(?:ly)?|needless to say|as we all know|as everyone knows|"
    r"it is easy to see|state[- ]of[- ]the[- ]art|cutting[- ]edge|groundbreaking|revolutionary|seamless(?:ly)?|"
    r"blazing(?:ly)?|leverag(?:e|es|ed|ing)|delve[sd]?|showcas(?:e|es|ed|ing)|"
    r"utiliz(?:e|es|ed|ing)|"  # codespell:ignore
    r"just (?:add|call|do|run|take|type|use|write))\b",
    re.IGNORECASE,
)
MEASURED = {"clearly", "of course"}  # which in a notebook may be about a difference that was measured
NAMES = {"Labelled", "labelled"}  # Sentiment Labelled Sentences is the name of a set
BRITISH = re.compile(
    r"\b(?:\w{3,}(?:isation|isations)|"
    r"(?:general|normal|regular|optim|minim|maxim|initial|random|real|recogn|organ|penal|factor|linear|parameter|"
    r"quant|special|visual|emphas|standard|symbol|util|equal|central|final|local|stabil|"
    r"summar|memor"  # codespell:ignore
    r")is(?:e|es|ed|ing|er|ers)|"
    r"(?:col|behavi|fav|hon|lab|neighb|harb|hum|flav)our(?:s|ed|ing|ite|able|hood)?|"
    r"(?:cent|met|fib|theat|calib)re|(?:catalogue|dialogue|analogue)|"
    r"(?:model|label|travel|cancel|signal|channel)l(?:ed|ing)|"
    r"analys(?:e|es|ed|ing)|grey|defence|licence|programme|artefact|judgement|learnt|spelt|whilst|amongst)\b",
    re.IGNORECASE,
)


def prose(text: str) -> str:
    """A page without code, formulas, links and markup; lines stay where they are."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    return INLINE.sub(blank, CODE.sub(blank, text))


def complaints(text: str, where: str) -> Iterator[str]:
    """One line for each word that is not ours."""
    for kind, pattern in (("not our voice", BANNED), ("not American", BRITISH)):
        for match in pattern.finditer(prose(text)):
            line = text.count("\n", 0, match.start()) + 1
            yield f"{where}:{line}: {match[0]!r} is {kind}"


@pytest.mark.parametrize("page", PAGES)
def test_property_pages_speak_as_the_book_does(page):
    assert list(complaints((ROOT / page).read_text(encoding="utf-8"), page)) == []


@pytest.mark.parametrize("path", BOOKS)
def test_property_notebooks_speak_as_the_book_does(path):
    cells = nbformat.read(ROOT / path, as_version=4).cells
    told = [(number, cell.source) for number, cell in enumerate(cells) if cell.cell_type == "markdown"]
    found = [line for number, text in told for line in complaints(text, f"{path}[{number}]")]
    assert [line for line in found if line.split("'")[1].lower() not in MEASURED] == []


def test_property_docstrings_and_comments_speak_as_the_book_does():
    found = [line for path, text in modules().items() for line in complaints(text.replace("`", "'"), path)]
    assert [line for line in found if line.split("'")[1] not in NAMES] == []


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Simply add them. The colour is obviously grey.", 4),
        ("`colour` and $simply$ and [a](colour.html)\n\n```python\ncolour = 'simply'\n```", 0),
        ("A neighbor of the center, analyzed; just before it; a wise promise.", 0),
        ("normalised, normalisation, modelling, behaviour", 4),
        ("```{admonition} x\nclearly\n```", 1),
    ],
)
def test_limit_other_voices_are_found_and_code_is_left_alone(text, count):
    assert len(list(complaints(text, "x"))) == count
