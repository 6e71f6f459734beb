"""How many points an answer earns.

A sheet that is graded asks here, in the cells that students cannot change: nothing for no answer, a share of the points
for a mistake that the checker can name, all of them for the right answer.

    award(reply, exercise, points)         the rule
    mark("corrupted.by_hand", answer)      what a graded sheet calls, in public or for a class
    reference("corrupted.by_hand")         the right answer, with which a teacher tries a sheet
    announce_class(seed_file, ids)         says whose class is graded, before the grading begins
"""

import contextlib
import io
import os
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weightlore.errors import ParameterError
from weightlore.teaching.editions.instructor import exercise_named
from weightlore.teaching.exercises import Exercise, Reply, judge
from weightlore.teaching.variants import class_seed, variant

__all__ = ["CLASS", "Mark", "announce_class", "award", "mark", "reference", "strangers"]

CLASS = "WEIGHTLORE_CLASS_SEED"  # names the file with the seed, in the process that grades
NAMED = ("sign", "order", "transposed", "clipping", "offset", "rounding")  # made of the right numbers


@dataclass(frozen=True)
class Mark:
    """What an answer earned, and why.

    Args:
        points: earned.
        of: points that could be earned.
        says: what the checker said.

    Source: ours
    """

    points: float
    of: float
    says: str

    def __repr__(self) -> str:
        return f"{self.points:g} of {self.of:g} points. {self.says}"


def award(reply: Reply, exercise: Exercise, points: float, *, share: float = 0.5) -> float:
    """Return the points of an answer.

    All for a right one. A share for the very answer to which a mistake leads that the exercise foresees, and for the
    right numbers with a wrong sign, order, orientation, offset, clipping or rounding. Nothing for anything else, also
    where the checker has words for it: "too few" or a wrong factor would explain a guess.

    Args:
        reply: what the checker said.
        exercise: which it said it of.
        points: of the exercise, > 0.
        share: of the points for a mistake that has a name, from 0 to 1.

    Raises:
        ParameterError: if points or share are out of range.

    Source: ours, because a mistake that can be named shows that most of the way was gone.
    """
    if not points > 0:
        raise ParameterError(f"the points of an exercise must be > 0, got {points}; leave it out to give none")
    if not 0 <= share <= 1:
        raise ParameterError(f"share is the part of the points for a named mistake, from 0 to 1, got {share}")
    if reply.verdict == "right":
        return float(points)
    own = [diagnosis for diagnosis in exercise.diagnoses if diagnosis.says == reply.says]
    earns = any(diagnosis.wrong is not None for diagnosis in own) if own else reply.diagnosis in NAMED
    return points * share if reply.verdict == "wrong" and earns else 0.0


def mark(exercise_id: str, answer: Any, *, points: float, share: float = 0.5) -> Mark:
    """Return what an answer earns.

    Args:
        exercise_id: as in the book, ``"corrupted.by_hand"``, or of a class, ``"corrupted.by_hand@1a2b"``; then the
            environment names the file with the seed.
        answer: what the student gave; ``None`` for nothing.
        points: of the exercise.
        share: as for ``award``.

    Returns:
        The mark. Warnings and messages of a student's function are kept from the page, where they would cost points.

    Raises:
        ParameterError: if there is no such exercise, or the seed of its class is missing or another one.

    Source: ours
    """
    exercise = _asked(exercise_id)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        reply = judge(exercise, answer)
    return Mark(award(reply, exercise, points, share=share), float(points), repr(reply))


def reference(exercise_id: str) -> Any:
    """Return the right answer: numbers, or the function that is asked for.

    Args:
        exercise_id: as for ``mark``.

    Raises:
        ParameterError: as ``mark`` does.

    Source: ours
    """
    exercise = _asked(exercise_id)
    return exercise.reference if exercise.inputs() else exercise.reference()


def announce_class(seed_file: Path | str, ids: Iterable[str]) -> None:
    """Say whose class is graded, so that ``mark`` finds its variants, and check that it is the class of the sheet.

    Args:
        seed_file: the private file, as ``class_seed`` reads it.
        ids: of the exercises of a sheet, with what the seed added to them.

    Raises:
        ParameterError: if the file is missing, or the sheet was made with another seed; nothing is graded then.

    Source: ours
    """
    for found in strangers(seed_file, ids):
        raise ParameterError(
            f"the sheet was made with another seed than the one in {seed_file}: {found} is not of this class. "
            "Put the class's file back, or make and hand out the sheet anew"
        )
    os.environ[CLASS] = str(Path(seed_file).expanduser().resolve())


def strangers(seed_file: Path | str, ids: Iterable[str]) -> list[str]:
    """Return the exercises that do not belong to a class.

    Args:
        seed_file: the private file, as ``class_seed`` reads it.
        ids: of exercises, with what the seed of their class added to them.

    Raises:
        ParameterError: if the file is missing or has no seed in it.

    Source: ours
    """
    seed = class_seed(seed_file)
    return [found for found in ids if variant(found.partition("@")[0], seed).id != found]


def _asked(exercise_id: str) -> Exercise:
    """Return the exercise that a sheet asks for; one of a class needs its seed."""
    name, _, of_class = exercise_id.partition("@")
    if not of_class:
        return exercise_named(name)
    if CLASS not in os.environ:
        raise ParameterError(
            f"{exercise_id} belongs to a class, whose seed is private; grade it in the folder of the course, where "
            f"nbgrader_config.py names the seed's file, or let {CLASS} name that file"
        )
    exercise = variant(name, class_seed(os.environ[CLASS]))
    if exercise.id != exercise_id:
        raise ParameterError(f"{exercise_id} is not of the class whose seed {CLASS} names, that has {exercise.id}")
    return exercise
