"""Link the first use of each word of the glossary on a page to its entry, with its first sentence as a hint.

The build does it, so that no author has to: where a page already links a word by hand, that link is enough. Headings,
code, formulas, outputs, tables, other links and cards that lead somewhere are left alone. Words that mean something
else elsewhere are linked in their own chapter only, and words of everyday speech nowhere.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

__all__ = ["Entry", "entries", "first_sentence", "glossed", "setup"]

GLOSSARY = "book/glossary"
PAGES = ("tutorials/", "book/intro", "book/how_to_use", "book/limits", "book/instructors/", "book/your_own_model/")
LONGEST = 160  # letters of a hint
EVERYDAY = frozenset(
    re.split(
        ", ",
        "alt text, bias, claim, clean, closed form, code, control, degenerate, digit, feature, force, freeze, frozen, "
        "group, interval, knob, layout, ledger, loss, margin, member, norm, parameter, policy, pooling, score, seed, "
        "split, spread, strip, support, test, theta, transfer, trial, verdict, vertex, vote",
    )
)
CHAPTERS = {
    "budget": "1",
    "cell": "5",
    "chain": "3",
    "concentration": "3",
    "conversion": "56",
    "converter": "5",
    "coverage": "3",
    "energy": "3",
    "evidence": "3",
    "hint": "3",
    "indicator": "1",
    "precision": "3",
    "prior": "3",
    "resolution": "3",
    "sharpness": "3",
    "slice": "5",
    "sphere": "1",
    "spike": "6",
    "threshold": "6",
    "tile": "5",
}
OTHERWISE = {  # pages on which a word means something else
    "evidence": ("tutorials/3_uncertain/one_pass", "tutorials/3_uncertain/evaluation"),  # what speaks for a class
}
LETTERS = {r"\theta": "θ", r"\varepsilon": "ε", r"\alpha": "α", r"\phi": "φ", r"\beta": "β", r"\pi": "π", r"\ln": "ln"}
CLOSED = (
    *(nodes.title, nodes.subtitle, nodes.rubric, nodes.caption, nodes.term, nodes.label, nodes.table, nodes.field_name),
    *(nodes.literal, nodes.literal_block, nodes.math, nodes.math_block, nodes.raw, nodes.reference, nodes.target),
    *(nodes.citation, nodes.footnote, nodes.comment, nodes.image),
)
LEFT_ALONE = {"cell_input", "cell_output", "wl-doors", "sd-card-hover"}  # the last is any card that leads somewhere


@dataclass(frozen=True)
class Entry:
    """A word of the glossary: where it is explained, and the first sentence of that."""

    term: str
    anchor: str
    hint: str


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the event."""
    app.connect("doctree-resolved", link_words)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def link_words(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Link the words of one page, if it is one to be read and the glossary is in the book."""
    if app.builder.format != "html" or not docname.startswith(PAGES) or GLOSSARY not in app.env.all_docs:
        return
    known = getattr(app, "_weightlore_words", None)
    if known is None:
        known = entries(app.env.get_doctree(GLOSSARY))
        app._weightlore_words = known  # type: ignore[attr-defined]
    number = re.match(r"(?:tutorials|book/instructors)/(\d)_", docname)
    chosen = {e.term: e for e in known if wanted(e.term, number[1] if number else "", docname)}
    glossed(doctree, chosen, address=app.builder.get_relative_uri(docname, GLOSSARY))


def wanted(term: str, chapter: str, page: str = "") -> bool:
    """Say whether a word is to be linked in a chapter, and on a page of it."""
    if term in EVERYDAY or page in OTHERWISE.get(term, ()):
        return False
    return term not in CHAPTERS or (chapter != "" and chapter in CHAPTERS[term])


def entries(doctree: nodes.document) -> list[Entry]:
    """Return the entries of a glossary."""
    found = []
    for item in doctree.findall(nodes.definition_list_item):
        term = next(iter(item.findall(nodes.term)), None)
        text = next(iter(item.findall(nodes.paragraph)), None)
        if term is not None and text is not None and term["ids"]:
            found.append(Entry(term.astext(), term["ids"][0], first_sentence(text)))
    return found


def first_sentence(paragraph: nodes.paragraph) -> str:
    """Return the first sentence of a paragraph as plain text; formulas that are more than a letter are left out."""
    parts = []
    for node in paragraph.findall(lambda n: isinstance(n, nodes.Text | nodes.math)):
        if isinstance(node, nodes.math):
            parts.append(letters(node.astext()))
        elif not isinstance(node.parent, nodes.math):
            parts.append(node.astext())
    sentence = re.split(r"(?<=[.?!])\s", " ".join("".join(parts).split()), maxsplit=1)[0]
    return shorten(sentence, LONGEST, placeholder=" …")


def letters(formula: str) -> str:
    """Return a formula as one can read it aloud, or an ellipsis."""
    for command, letter in LETTERS.items():
        formula = re.sub(re.escape(command) + r"(?![a-zA-Z])", letter, formula)
    return "…" if re.search(r"[\\{}^]", formula) else formula.strip()


def glossed(doctree: nodes.document, known: Mapping[str, Entry], *, address: str) -> int:
    """Link the first use of each known word in a document, in place.

    Args:
        doctree: the page, its references resolved.
        known: entries by their words.
        address: of the glossary, seen from the page.

    Returns:
        How many words were linked.
    """
    linked = {str(ref.get("refuri", "")).partition("#")[2] for ref in doctree.findall(nodes.reference)}
    left = {term: entry for term, entry in known.items() if entry.anchor not in linked}
    before = len(left)
    for text in list(readable(doctree)):
        if not left:
            break
        pieces = list(cut(text.astext(), left, address))
        if len(pieces) > 1 or any(isinstance(piece, nodes.reference) for piece in pieces):
            text.parent.replace(text, pieces)
    return before - len(left)


def readable(node: nodes.Node) -> Iterator[nodes.Text]:
    """Yield the running text of a page, in its order."""
    for child in node.children:
        if isinstance(child, nodes.Text):
            yield child
        elif not isinstance(child, CLOSED) and not LEFT_ALONE.intersection(child.get("classes", ())):
            yield from readable(child)


def cut(text: str, left: dict[str, Entry], address: str) -> Iterator[nodes.Node]:
    """Yield a text in pieces, words that are still to be linked as references; those are then taken from ``left``."""
    while (match := pattern(left).search(text)) if left else None:
        entry = meant(match[0], left)
        if match.start():
            yield nodes.Text(text[: match.start()])
        options = {"internal": True, "refuri": f"{address}#{entry.anchor}", "reftitle": entry.hint}
        yield nodes.reference("", match[0], classes=["wl-word"], **options)
        del left[entry.term]
        text = text[match.end() :]
    if text:
        yield nodes.Text(text)


def pattern(left: Mapping[str, Entry]) -> re.Pattern[str]:
    """Return what finds the next of some words, the longest first; its plural, too."""
    words = sorted(left, key=len, reverse=True)
    return re.compile(r"(?<![\w-])(?:" + "|".join(map(spelled, words)) + r")(?:e?s)?(?![\w-])")


def spelled(term: str) -> str:
    """Return a pattern for a word: names and short forms as they are, others also at the start of a sentence."""
    first, rest = term[0], re.escape(term[1:]).replace(r"\ ", r"\s+")
    return (f"[{first}{first.upper()}]" if term == term.lower() else re.escape(first)) + rest


def meant(found: str, left: Mapping[str, Entry]) -> Entry:
    """Return the entry of a word as it stands in a text."""
    return next(left[t] for t in sorted(left, key=len, reverse=True) if re.fullmatch(spelled(t) + "(?:e?s)?", found))
