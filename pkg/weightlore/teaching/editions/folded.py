"""The folded passages of a tutorial: solutions of exercises, and answers to the guess before a knob.

A folded passage is what the book writes as ``<details><summary>Title</summary> ... </details>``. One whose title begins
with "Solution" is a solution; every other one answers a question that was asked before.

    folds(source)             the folded passages of a cell
    unfolded(source)          the same cell with every passage open
    without(source, leave)    the cell without the passages that are not to be left in
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Fold", "folds", "unfolded", "without"]

FOLD = re.compile(r"<details[^>]*>\s*<summary>(?P<title>.*?)</summary>(?P<text>.*?)</details>[ \t]*", re.S)


@dataclass(frozen=True)
class Fold:
    """A folded passage.

    Args:
        title: what is seen of it.
        text: what is folded, Markdown.

    Source: ours
    """

    title: str
    text: str

    @property
    def is_solution(self) -> bool:
        """Whether it solves an exercise."""
        return self.title.startswith("Solution")


def folds(source: str) -> list[Fold]:
    """Return the folded passages of a cell, in their order.

    Args:
        source: Markdown.

    Source: ours
    """
    return [_read(match) for match in FOLD.finditer(source)]


def unfolded(source: str) -> str:
    """Return the cell with every folded passage open, as one sees it without a click.

    Args:
        source: Markdown.

    Source: ours
    """
    return re.sub(r"<details(?! open)", "<details open", source)


def without(source: str, leave: Callable[[Fold], bool]) -> str:
    """Return the cell without some of its folded passages; what is around them stays to the letter.

    Args:
        source: Markdown.
        leave: whether a passage stays.

    Source: ours
    """
    left = FOLD.sub(lambda match: match[0] if leave(_read(match)) else "", source)
    return re.sub(r"\n{3,}", "\n\n", left).strip("\n") if left != source else source


def _read(match: re.Match[str]) -> Fold:
    return Fold(match["title"].strip(), match["text"].strip())
