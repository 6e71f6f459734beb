"""Questions that ask for reasons: no machine grades them, so each has a rubric.

    rubrics("3_uncertain/sources.ipynb")    what earns all, half and none of the points, by the number of the exercise
    reasons("uncertain")                    questions of a chapter for a sheet of paper, with model answers

Their model answers are public. A class is asked with closed books, or in conversation.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Reason", "Rubric", "reasons", "rubrics"]

KEPT = Path(__file__).with_name("reasons.json")


@dataclass(frozen=True)
class Rubric:
    """What an answer must say.

    Args:
        full: for all points.
        half: for half of them.
        none: what earns nothing, though it sounds like an answer.

    Source: ours
    """

    full: str
    half: str
    none: str

    def lines(self, points: int) -> list[str]:
        """Return one line for each number of points, the most first.

        Args:
            points: for a full answer.

        Source: ours
        """
        worth = (points, points / 2, 0)
        return [f"{p:g} points: {says}" for p, says in zip(worth, (self.full, self.half, self.none), strict=True)]


@dataclass(frozen=True)
class Reason:
    """A question that asks for reasons.

    Args:
        question: stands alone on a sheet.
        answer: a model.
        rubric: how answers are graded.

    Source: ours
    """

    question: str
    answer: str
    rubric: Rubric


def rubrics(name: str) -> dict[int, Rubric]:
    """Return the rubrics of a tutorial's exercises that have no checker, by their number.

    Args:
        name: its folder and file, such as ``"3_uncertain/sources.ipynb"``.

    Returns:
        Nothing if all of its exercises have a checker.

    Source: ours
    """
    return {int(number): Rubric(**said) for number, said in _kept()["tutorials"].get(name, {}).items()}


def reasons(chapter: str) -> tuple[Reason, ...]:
    """Return questions of a chapter that ask for reasons.

    Args:
        chapter: its name, such as ``"corrupted"``.

    Source: ours
    """
    rows = [dict(row) for row in _kept()["exams"].get(chapter, [])]
    return tuple(Reason(row.pop("question"), row.pop("answer"), Rubric(**row)) for row in rows)


@cache
def _kept() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(KEPT.read_text("utf-8"))
    return found
