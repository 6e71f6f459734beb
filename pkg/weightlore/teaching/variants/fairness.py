"""Whether a variant is fair: its answer is right, new, and no mistake passes for another.

A draw can be unlucky. With g = (3, -3, 2) two entries are equally large; with n = 3 of 3 "all entries move" is no
mistake. Such a draw is found by asking the checker what it would reply to each answer that the exercise knows.

    faults(exercise, public)    what is wrong with it; nothing if it is fair
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from weightlore.teaching.exercises.checker import Diagnosis, Exercise, judge
from weightlore.teaching.exercises.general import as_numbers

__all__ = ["faults", "reference"]


def faults(exercise: Exercise, public: Exercise) -> list[str]:
    """Return what is wrong with a variant, one line each.

    Args:
        exercise: the variant.
        public: the exercise whose solution everybody can read.

    Returns:
        Nothing if its own answer is right and made of numbers, the public answer is wrong, and each mistake that the
        exercise can compute is found and is told from the others.

    Source: ours
    """
    exercise = _remembering(exercise)
    found = [] if judge(exercise, reference(exercise)).verdict == "right" else ["its own answer is judged wrong"]
    found += ["its answer is not a number"] if _without_number(exercise) else []
    found += ["the public answer is right"] if _solved(exercise, public) else []
    return found + [line for diagnosis in exercise.diagnoses if (line := _confused(exercise, diagnosis))]


def reference(exercise: Exercise) -> Any:
    """Return the right answer: a value, or the function that is asked for.

    Args:
        exercise: any.

    Source: ours
    """
    return exercise.reference if exercise.inputs() else exercise.reference()


def _remembering(exercise: Exercise) -> Exercise:
    """Return the exercise with answers that are computed once for each of its inputs."""
    inputs = list(exercise.inputs())
    diagnoses = [
        diagnosis if diagnosis.wrong is None else replace(diagnosis, wrong=_remembered(diagnosis.wrong, inputs))
        for diagnosis in exercise.diagnoses
    ]
    once = _remembered(exercise.reference, inputs)
    return replace(exercise, reference=once, diagnoses=tuple(diagnoses), inputs=lambda: inputs)


def _remembered(function: Callable[..., Any], inputs: Sequence[tuple[Any, ...]]) -> Callable[..., Any]:
    known: dict[int, Any] = {}

    def answer(*arguments: Any) -> Any:
        for i, those in enumerate(inputs or [()]):
            if len(those) == len(arguments) and all(a is b for a, b in zip(arguments, those, strict=True)):
                known[i] = known[i] if i in known else function(*arguments)
                return known[i]
        return function(*arguments)  # on other inputs, such as those of ``accept``

    return answer


def _without_number(exercise: Exercise) -> bool:
    answers = [exercise.reference(*arguments) for arguments in exercise.inputs() or [()]]
    return any(trouble is not None for _, trouble in map(as_numbers, answers))


def _solved(exercise: Exercise, public: Exercise) -> bool:
    if bool(exercise.inputs()) != bool(public.inputs()):
        return False  # a function is asked for, and the public answer is a value, or the other way round
    return judge(exercise, reference(public)).verdict == "right"


def _confused(exercise: Exercise, diagnosis: Diagnosis) -> str:
    """Say what the checker replies to a mistake, if that is not what the mistake is."""
    if diagnosis.wrong is None:
        return ""
    reply = judge(exercise, diagnosis.wrong if exercise.inputs() else diagnosis.wrong())
    if (reply.verdict, reply.diagnosis, reply.says) == ("wrong", diagnosis.name, diagnosis.says):
        return ""
    return f"{diagnosis.name!r} ({diagnosis.says}) is answered with {reply!r}"
