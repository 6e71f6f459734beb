"""What every exercise must do: take the right answer, and name each mistake that it knows.

Each function returns what was found and what is wanted; a test compares the two.
"""

from collections.abc import Mapping
from typing import Any

from weightlore.teaching import check
from weightlore.teaching.exercises import Exercise


def to_the_right_answer(exercise: Exercise) -> tuple[list[Any], list[Any]]:
    reply = check(exercise.id, exercise.reference if exercise.inputs() else exercise.reference())
    found = [reply.verdict, reply.says, check(exercise.id).says, "Answer:" in exercise.prompt]
    return found, ["right", exercise.right, exercise.nudge, True]


def to_a_mistake(exercise: Exercise, index: int, wrong: Mapping[tuple[str, int], Any]) -> tuple[list[Any], list[Any]]:
    """``wrong`` holds an answer for each diagnosis that cannot compute one itself."""
    diagnosis = exercise.diagnoses[index]
    if diagnosis.wrong is None:
        answer = wrong[exercise.id, index]
    else:
        answer = diagnosis.wrong if exercise.inputs() else diagnosis.wrong()
    reply = check(exercise.id, answer)
    return [reply.verdict, reply.diagnosis, reply.says], ["wrong", diagnosis.name, diagnosis.says]
