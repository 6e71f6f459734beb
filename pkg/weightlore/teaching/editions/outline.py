"""What of a tutorial's prose is shown on a slide, and what is said.

A slide shows the heading, the first paragraph, and what the eye has to follow: formulas, lists, tables, code, the guess
before a knob, the question of an exercise. The rest is said by the presenter, and so are folded answers and solutions.

    passages(source)    the parts of a cell, each with its heading, what is shown, said and answered
    pages(shown)        what fits on one slide, and what goes on the next ones
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from weightlore.teaching.editions.folded import folds, without

__all__ = ["Passage", "pages", "passages"]

Kind = Literal["slide", "subslide", "-"]

HEADING = re.compile(r"^(#{1,3}) (?P<title>.+)$")
SHOWN = re.compile(r"\$\$|[-*] |\d+\. |\||```|> |\*\*|!\[|<(?!details)")
ASKS = re.compile(r"\*\*(?:Guess|Exercise \d+)\b")
SOFT = re.compile(r"[^|`\-*\d]|\*\*")  # a paragraph, whose lines flow
LINES, WIDTH = 19.0, 84  # of a slide
SECTION = re.compile(r"^(\d+)\. ")


@dataclass(frozen=True)
class Passage:
    """A part of a cell that begins with a heading, a guess or an exercise, or is what stands before the first of them.

    Args:
        kind: ``"slide"`` and ``"subslide"`` begin a slide, to the right and below; ``"-"`` goes on with the last one.
        section: its number among the sections of a tutorial; 0 if its heading is none of theirs.
        shown: Markdown, on the slide.
        said: Markdown, in the presenter's notes.
        leads: Markdown, the last sentence if it leads to what comes next, by a colon or a question.
        answers: Markdown, what is folded.

    Source: ours
    """

    kind: Kind
    section: int
    shown: str
    said: str
    leads: str
    answers: str


def passages(source: str) -> list[Passage]:
    """Return the parts of a cell.

    Args:
        source: Markdown.

    Returns:
        None of a cell that is empty.

    Source: ours
    """
    found = [_passage(part) for part in _parts(_blocks(source))]
    return [passage for passage in found if any((passage.shown, passage.said, passage.leads, passage.answers))]


def pages(shown: str) -> list[str]:
    """Return what is shown as pages that fit on a slide each, a heading with what follows it.

    Args:
        shown: Markdown.

    Source: ours
    """
    found, room = [list[str]()], LINES
    for block in _blocks(shown):
        lines = _lines(block)
        if lines > room and any(not HEADING.match(other) for other in found[-1]):
            found.append([])
            room = LINES
        found[-1].append(block)
        room -= lines
    return [_joined(page) for page in found if page]


def _lines(block: str) -> float:
    """Return about how many lines of a slide a block takes."""
    if block.startswith("$$"):
        return 2.5
    return 0.7 + sum(
        1 + len(line) // WIDTH for line in block.replace("\n", " " if SOFT.match(block) else "\n").splitlines()
    )


def _blocks(source: str) -> list[str]:
    """Return the paragraphs of a cell; a folded passage, a fence and a formula are one each, a heading too."""
    blocks, lines, closing = [], list[str](), ""
    for line in source.splitlines():
        if not closing and (not line.strip() or HEADING.match(line)):
            blocks += ["\n".join(lines)] if lines else []
            lines = []
            if line.strip():
                blocks.append(line)
            continue
        lines.append(line)
        closing = _closing(line, closing)
    return [*blocks, *(["\n".join(lines)] if lines else [])]


def _closing(line: str, closing: str) -> str:
    """Return what ends the block that a line stands in, "" if an empty line does."""
    if closing:
        return "" if closing in line else closing
    if line.lstrip().startswith("<details"):
        return "" if "</details>" in line else "</details>"
    if line.startswith("```"):
        return "```"
    return "$$" if line.count("$$") == 1 else ""


def _parts(blocks: list[str]) -> Iterator[list[str]]:
    """Yield the blocks that belong together: up to the next heading, guess or exercise."""
    part: list[str] = []
    for block in blocks:
        alone = HEADING.match(block) and part and HEADING.match(part[-1])
        if (HEADING.match(block) or ASKS.match(block)) and part and not alone:
            yield part
            part = []
        part.append(block)
    if part:
        yield part


def _passage(blocks: list[str]) -> Passage:
    heads = [match for match in map(HEADING.match, blocks) if match]
    body = [block for block in blocks if not HEADING.match(block)]
    answers = [f"**{fold.title}.** {fold.text}" for block in body for fold in folds(block)]
    body = [left for block in body if (left := without(block, lambda fold: False).strip())]
    asks = bool(body) and bool(ASKS.match(body[0]))
    shown = [block for i, block in enumerate(body) if asks or (heads and i == 0) or SHOWN.match(block)]
    said = [block for block in body if block not in shown]
    leads = said.pop() if said and said[-1] == body[-1] and said[-1].rstrip().endswith((":", "?")) else ""
    kind: Kind = "subslide" if asks or heads else "-"
    if heads and min(len(match[1]) for match in heads) < 3:
        kind = "slide"
    section = next((int(n[1]) for match in heads if (n := SECTION.match(match["title"]))), 0)
    top = [match[0] for match in heads]
    return Passage(kind, section, _joined(top + shown), _joined(said), leads, _joined(answers))


def _joined(blocks: list[str]) -> str:
    return "\n\n".join(blocks)
