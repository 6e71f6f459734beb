"""Say what is wrong with an answer, not only that it is.

An *exercise* knows how to compute its answer from the package, and a list of *diagnoses*: answers that one gets by a
particular mistake. A wrong answer is compared with these first, then with what mistakes of sign, factor, order, shape
or clipping would make of the right one.

    check("corrupted.by_hand", answer)   the reply: a nudge, a diagnosis with a hint, or "right" and a further thought
    judge(exercise, answer)              the same for an exercise that is at hand, such as a variant of a public one
"""

import html
import importlib
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from weightlore.errors import ParameterError
from weightlore.teaching.exercises.general import close, general, ill_formed

__all__ = ["Diagnosis", "Exercise", "Reply", "check", "exercises", "judge"]


@dataclass(frozen=True)
class Diagnosis:
    """A mistake, and how it shows.

    Args:
        name: one or two words, such as ``"sign"``.
        says: what the learner reads: what was done, and why it differs from what was asked.
        wrong: computes the answer that the mistake leads to, with the inputs of a function exercise as arguments.
        matches: or else, whether an answer shows the mistake.

    Source: ours
    """

    name: str
    says: str
    wrong: Callable[..., Any] | None = None
    matches: Callable[[Any], bool] | None = None


@dataclass(frozen=True)
class Exercise:
    """A question whose answer can be checked.

    Args:
        id: chapter and name, such as ``"corrupted.by_hand"``.
        prompt: the question, with the form of the answer.
        nudge: the first help, before any answer.
        hint: the second help, after a wrong answer that no diagnosis explains.
        right: a further thought for those who have it.
        reference: computes the answer from the package; with ``inputs``, it is the function that is asked for.
        diagnoses: the mistakes, the most particular first.
        inputs: on which a function is tried, each a tuple of arguments; empty if the answer is a value.
        accept: whether an answer is right, where more than one is; ``None`` to compare with the reference.
        tolerance: relative, of the largest number in the answer.
        given: what the tutorial has said and a sheet of paper must say before the question; "" if it stands alone.

    Source: ours
    """

    id: str
    prompt: str
    nudge: str
    hint: str
    right: str
    reference: Callable[..., Any]
    diagnoses: tuple[Diagnosis, ...] = ()
    inputs: Callable[[], Sequence[tuple[Any, ...]]] = tuple
    accept: Callable[[Any], bool] | None = None
    tolerance: float = 1e-3
    given: str = ""


@dataclass(frozen=True)
class Reply:
    """What the checker answers; a notebook shows it as text that a screen reader announces.

    Args:
        exercise: id.
        verdict: whether there was an answer, and whether it is right.
        diagnosis: name of the mistake, "" if there is none or it is not known.
        says: the text.

    Source: ours
    """

    exercise: str
    verdict: Literal["unanswered", "wrong", "right"]
    diagnosis: str
    says: str

    @property
    def head(self) -> str:
        """The first words."""
        if self.verdict == "wrong":
            return f"Not yet: {self.diagnosis}." if self.diagnosis else "Not yet."
        return "Right." if self.verdict == "right" else "To begin with:"

    def __repr__(self) -> str:
        return f"{self.head} {self.says}"

    def _repr_html_(self) -> str:
        head, says = html.escape(self.head), html.escape(self.says)
        return f'<div role="status" class="weightlore-reply"><p><strong>{head}</strong> {says}</p></div>'


def check(exercise_id: str, answer: Any = None) -> Reply:
    """Return what a good colleague would say to an answer.

    Args:
        exercise_id: such as ``"corrupted.by_hand"``.
        answer: a number, an array, a tensor or a function, as the exercise asks; ``None`` or ``...`` for a first nudge.

    Returns:
        The reply. Nothing that an answer does or raises raises here.

    Raises:
        ParameterError: if there is no such exercise; the message lists those of the chapter.

    Source: ours
    """
    return judge(_find(exercise_id), answer)


def judge(exercise: Exercise, answer: Any = None) -> Reply:
    """Return the same for an exercise that is at hand, such as a variant of a public one.

    Args:
        exercise: with a question, a reference and diagnoses.
        answer: as for ``check``.

    Returns:
        The reply. Nothing that an answer does or raises raises here.

    Source: ours
    """
    if answer is None or answer is ...:
        return Reply(exercise.id, "unanswered", "", exercise.nudge)
    try:
        name, says = _judged(exercise, answer)
    except Exception as error:  # whatever a learner's function raises is a reply
        name, says = "exception", f"Your answer raised {type(error).__name__}: {error}. {exercise.hint}"
    if name == "right":
        return Reply(exercise.id, "right", "", exercise.right)
    return Reply(exercise.id, "wrong", name, says or exercise.hint)


def exercises(chapter: str) -> tuple[Exercise, ...]:
    """Return the exercises of a chapter.

    Args:
        chapter: the first part of the ids, such as ``"corrupted"``.

    Raises:
        ParameterError: if the chapter has none; the message lists those that have.

    Source: ours
    """
    chapters = [module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)])]
    chapters = [name for name in chapters if name not in ("checker", "general")]
    if chapter not in chapters:
        raise ParameterError(f"no chapter {chapter!r} has exercises, there are {chapters}")
    names = vars(importlib.import_module(f"{__package__}.{chapter}"))
    return tuple(thing for thing in names.values() if isinstance(thing, Exercise))


def _find(exercise_id: str) -> Exercise:
    known = {exercise.id: exercise for exercise in exercises(exercise_id.partition(".")[0])}
    if exercise_id not in known:
        raise ParameterError(f"no exercise {exercise_id!r}, the chapter has {list(known)}")
    return known[exercise_id]


def _judged(exercise: Exercise, answer: Any) -> tuple[str, str]:
    """Return ("right", "") or the name of a mistake and what to say of it; the name may be empty."""
    inputs = exercise.inputs()
    if inputs and not callable(answer):
        return "no function", f"The answer is a function here; yours is a {type(answer).__name__}. {exercise.prompt}"
    found = [answer(*arguments) for arguments in inputs] if inputs else [answer]
    expected = [exercise.reference(*arguments) for arguments in inputs or [()]]
    if not inputs and (trouble := ill_formed(answer, expected[0], exercise.tolerance)):
        return trouble
    if exercise.accept is not None:
        right = exercise.accept(answer)
        return ("right", "") if right else _particular(exercise, answer, found, inputs) or ("", "")
    if all(close(a, b, exercise.tolerance) for a, b in zip(found, expected, strict=True)):
        return "right", ""
    return _particular(exercise, answer, found, inputs) or general(found, expected, exercise.tolerance) or ("", "")


def _particular(
    exercise: Exercise, answer: Any, found: Sequence[Any], inputs: Sequence[tuple[Any, ...]]
) -> tuple[str, str] | None:
    """Return the first diagnosis that explains the answer."""
    for diagnosis in exercise.diagnoses:
        wrong = diagnosis.wrong
        if diagnosis.matches is not None:
            shows = diagnosis.matches(answer)
        else:
            expected = [wrong(*arguments) for arguments in inputs or [()]] if wrong else []
            shows = bool(found) and all(close(a, b, exercise.tolerance) for a, b in zip(found, expected, strict=True))
        if shows:
            return diagnosis.name, diagnosis.says
    return None
