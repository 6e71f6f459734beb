"""Every exercise takes the right answer, and names every mistake that it knows.

A mistake that the exercise cannot compute, but recognizes, has its answer in ``WRONG`` of the file that tests its
chapter or notebook: ``{(id, index of the diagnosis): answer}``.
"""

from importlib import import_module
from pathlib import Path

import pytest
from exercise_cases import to_a_mistake, to_the_right_answer

from weightlore.teaching.exercises import exercises

HERE = Path(__file__)
CHAPTERS = ("healthy", "corrupted", "transferred", "uncertain", "explained", "sliced", "binarized", "crossed")
EVERY = {exercise.id: exercise for chapter in CHAPTERS for exercise in exercises(chapter)}
OTHERS = [import_module(path.stem) for path in sorted(HERE.parent.glob("test_exercises*.py")) if path != HERE]
WRONG = {key: answer for module in OTHERS for key, answer in getattr(module, "WRONG", {}).items()}
MISTAKES = [(e.id, i) for e in EVERY.values() for i, _ in enumerate(e.diagnoses)]


@pytest.mark.parametrize("name", EVERY)
def test_property_the_right_answer_is_taken(name):
    found, wanted = to_the_right_answer(EVERY[name])
    assert found == wanted


@pytest.mark.parametrize(("name", "index"), MISTAKES)
def test_property_every_diagnosis_is_given(name, index):
    found, wanted = to_a_mistake(EVERY[name], index, WRONG)
    assert found == wanted


def test_property_every_wrong_answer_belongs_to_a_mistake():
    assert set(WRONG) <= set(MISTAKES)
