"""Draw an exam from the seed of a class.

    exam(seed, ("corrupted", "sliced"), 4)               two questions of each, with answers that are computed
    exam(seed, ("corrupted", "sliced"), 4, arguments=1)    and one that asks for reasons, with a rubric

The numbers differ from those of the homework of the same class: an exam has a seed of its own, made from the class's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from weightlore.errors import ParameterError
from weightlore.teaching.exercises.checker import Exercise
from weightlore.teaching.exercises.general import as_numbers
from weightlore.teaching.variants.chance import several
from weightlore.teaching.variants.drawing import hashed, variant
from weightlore.teaching.variants.families import families
from weightlore.teaching.variants.reasons import Reason, reasons

__all__ = ["CHAPTERS", "Argument", "Exam", "Question", "chapter_named", "exam"]

CHAPTERS = ("healthy", "corrupted", "transferred", "uncertain", "explained", "sliced", "binarized", "crossed")
USUAL = 3  # questions of a chapter
ON_PAPER = 24  # numbers; a longer answer is for the notebook


@dataclass(frozen=True)
class Question:
    """One question of an exam.

    Args:
        chapter: its place in ``CHAPTERS``.
        exercise: a variant, with its answer and diagnoses.
        instead: why it asks another question than the book's exercise, "" if it asks the same one.

    Source: ours
    """

    chapter: int
    exercise: Exercise
    instead: str


@dataclass(frozen=True)
class Argument:
    """One question of an exam that asks for reasons.

    Args:
        chapter: its place in ``CHAPTERS``.
        reason: the question, a model answer and a rubric.

    Source: ours
    """

    chapter: int
    reason: Reason


@dataclass(frozen=True)
class Exam:
    """Questions that belong together.

    Args:
        mark: four characters by which sheet and key are known to belong together.
        questions: in the order of the chapters.
        arguments: the questions that ask for reasons, after these.

    Source: ours
    """

    mark: str
    questions: tuple[Question, ...]
    arguments: tuple[Argument, ...] = ()

    @property
    def chapters(self) -> tuple[int, ...]:
        """The chapters that are asked about, in order."""
        return tuple(sorted({question.chapter for question in self.questions}))


def chapter_named(name: str) -> str:
    """Return a chapter by its number or name.

    Args:
        name: such as ``"1"`` or ``"corrupted"``.

    Raises:
        ParameterError: if no such chapter has exercises; the message lists those that have.

    Source: ours
    """
    numbers = {str(number): chapter for number, chapter in enumerate(CHAPTERS)}
    chapter = numbers.get(name, name)
    if chapter not in CHAPTERS:
        known = ", ".join(f"{number} {chapter}" for number, chapter in numbers.items())
        raise ParameterError(f"chapter {name!r} has no exercises and so no exam; there are {known}")
    return chapter


def exam(seed: int, chapters: Sequence[str], questions: int | None = None, *, arguments: int = 0) -> Exam:
    """Return an exam on some chapters.

    Args:
        seed: of the class, such as ``class_seed`` reads it from a private file.
        chapters: numbers or names, such as ``("1", "sliced")``; each counts once.
        questions: how many, as many of each chapter as that allows; ``None`` for three of each, or all that it has.
        arguments: how many more ask for reasons, whatever their chapter. They and their model answers are public, and
            graded by hand.

    Returns:
        Questions whose answer fits a sheet of paper: a few numbers, or a function. The same arguments give the same
        exam on every machine.

    Raises:
        ParameterError: if there is no chapter, one that has no variants, or less than is asked for.

    Source: ours
    """
    names = sorted({chapter_named(chapter) for chapter in chapters}, key=CHAPTERS.index)
    if not names:
        raise ParameterError("an exam is about one chapter at least, got none; name some, such as 1 and 5")
    shares = [USUAL] * len(names) if questions is None else _shares(questions, len(names))
    own, found = hashed("exam", seed), list[Question]()
    for chapter, share in zip(names, shares, strict=True):
        drawn = _drawn(chapter, share, own)
        if questions is not None and len(drawn) < share:
            raise ParameterError(
                f"chapter {CHAPTERS.index(chapter)} ({chapter}) has {len(drawn)} exercises that fit a sheet of paper, "
                f"{share} were asked for; ask for fewer questions or for more chapters"
            )
        found += drawn
    mark = f"{hashed('mark', own, *names, *shares, arguments):016x}"[:4]
    return Exam(mark, tuple(found), _argued(names, arguments, own))


def _shares(count: int, chapters: int) -> list[int]:
    """How many questions each chapter has; the first ones have one more where it does not divide."""
    if count < chapters:
        raise ParameterError(f"{chapters} chapters need as many questions at least, got {count}; ask for more")
    return [count // chapters + (i < count % chapters) for i in range(chapters)]


def _drawn(chapter: str, count: int, seed: int) -> list[Question]:
    """Draw questions of a chapter, fewer where fewer fit a sheet of paper."""
    known = families(chapter)
    number = CHAPTERS.index(chapter)
    if not known:
        raise ParameterError(
            f"the exercises of chapter {number} ({chapter}) have no variants, and their answers are public; "
            "leave the chapter out"
        )
    generator = torch.Generator().manual_seed(hashed("questions", chapter, seed))
    found: list[Question] = []
    for name in several(generator, list(known), len(known)):
        if len(found) < count and known[name].on_paper and _fits(exercise := variant(name, seed)):
            found.append(Question(number, exercise, known[name].instead))
    return found


def _argued(chapters: Sequence[str], count: int, seed: int) -> tuple[Argument, ...]:
    known = [Argument(CHAPTERS.index(chapter), reason) for chapter in chapters for reason in reasons(chapter)]
    if not 0 <= count <= len(known):
        raise ParameterError(
            f"{', '.join(chapters)}: {len(known)} questions ask for reasons, {count} were asked for; ask for fewer or "
            "for more chapters"
        )
    generator = torch.Generator().manual_seed(hashed("reasons", seed))
    return tuple(sorted(several(generator, known, count), key=lambda one: one.chapter))


def _fits(exercise: Exercise) -> bool:
    return bool(exercise.inputs()) or as_numbers(exercise.reference())[0].size <= ON_PAPER
