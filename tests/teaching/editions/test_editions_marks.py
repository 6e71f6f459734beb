"""Points: nothing, a share, all; by which mistake; and for a class by its private seed alone."""

import math
import os
import sys
import warnings

import pytest

from weightlore.errors import ParameterError
from weightlore.teaching.editions import announce_class, award, mark, reference
from weightlore.teaching.editions.instructor import exercise_named
from weightlore.teaching.editions.marks import CLASS
from weightlore.teaching.exercises import exercises, judge
from weightlore.teaching.variants import class_seed, variant

RIGHT = [3 / math.sqrt(13), 0, 2 / math.sqrt(13)]
SECRET = "moss-owl-lantern-4711-thistle"


@pytest.fixture
def seed_file(tmp_path, monkeypatch):
    monkeypatch.setenv(CLASS, "")
    monkeypatch.delenv(CLASS)
    path = tmp_path / "class.seed"
    path.write_text(f"weightlore-class-seed: {SECRET}\n")
    return path


@pytest.mark.parametrize(
    ("answer", "points"),
    [
        (None, 0),
        (..., 0),
        (RIGHT, 4),
        ([3 / 5, 0, 2 / 5], 2),  # a diagnosis of the exercise: the L1 norm
        ([-a for a in RIGHT], 2),  # a mistake of sign
        ([2 / math.sqrt(13), 0, 3 / math.sqrt(13)], 2),  # of order
        ([7, 7, 8], 0),
        ([0.5 * a for a in RIGHT], 0),  # a wrong factor explains every guess of one number
        ("three", 0),
        (lambda: 1, 0),
        (3.0, 0),
        ([math.nan] * 3, 0),
    ],
)
def test_oracle_an_answer_earns_nothing_a_half_or_all(answer, points):
    earned = mark("corrupted.by_hand", answer, points=4)
    assert (earned.points, earned.of) == (points, 4)
    assert repr(earned).startswith(f"{points} of 4 points. ")


@pytest.mark.parametrize("exercise_id", ["corrupted.lottery", "healthy.half"])
@pytest.mark.parametrize("guess", [0.0, 1.0, 1e9, -3.0])
def test_property_a_guess_of_one_number_earns_nothing(guess, exercise_id):
    reply = judge(exercise_named(exercise_id), guess)
    assert reply.verdict == "wrong"
    assert mark(exercise_id, guess, points=4).points == 0, reply


@pytest.mark.parametrize(("share", "points"), [(0.0, 0), (0.25, 1), (1.0, 4)])
def test_property_the_teacher_sets_the_share_of_a_named_mistake(share, points):
    assert mark("corrupted.by_hand", [3 / 5, 0, 2 / 5], points=4, share=share).points == points


def test_property_a_function_that_raises_or_warns_costs_no_more_than_its_answer(capsys):
    def loud(g, p):
        warnings.warn("look out", stacklevel=1)
        print("on its way", file=sys.stderr)
        return exercise_named("corrupted.hoelder").reference(g, p)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mark("corrupted.hoelder", loud, points=2).points == 2
    assert capsys.readouterr().err == "", "nbgrader gives no points where something was said on stderr"
    assert mark("corrupted.hoelder", lambda g, p: 1 / 0, points=2).points == 0


@pytest.mark.parametrize("chapter", ["healthy", "corrupted"])
def test_property_the_reference_earns_all_points(chapter):
    for exercise in exercises(chapter):
        assert mark(exercise.id, reference(exercise.id), points=2).points == 2, exercise.id


def test_property_a_class_is_marked_by_its_own_numbers(seed_file):
    own = variant("corrupted.by_hand", class_seed(seed_file))
    announce_class(seed_file, [own.id])
    assert os.environ[CLASS] == str(seed_file)
    assert mark(own.id, own.reference(), points=2).points == 2
    assert mark(own.id, reference(own.id), points=2).points == 2
    assert mark(own.id, RIGHT, points=2).points == 0, "the public answer is not the class's"


def test_error_a_class_without_its_seed_or_with_another_is_not_graded(seed_file, monkeypatch):
    own = variant("corrupted.by_hand", class_seed(seed_file)).id
    with pytest.raises(ParameterError, match="belongs to a class, whose seed is private"):
        mark(own, RIGHT, points=2)
    seed_file.write_text("weightlore-class-seed: another-line-of-text-0001\n")
    with pytest.raises(ParameterError, match="made with another seed") as raised:
        announce_class(seed_file, [own])
    assert CLASS not in os.environ, "nothing is graded then"
    assert "0001" not in str(raised.value)
    monkeypatch.setenv(CLASS, str(seed_file))
    with pytest.raises(ParameterError, match="is not of the class"):
        mark(own, RIGHT, points=2)


@pytest.mark.parametrize(
    ("points", "share", "said"), [(0, 0.5, "must be > 0"), (math.nan, 0.5, "must be > 0"), (2, 1.5, "from 0 to 1")]
)
def test_error_points_and_share_out_of_range(points, share, said):
    exercise = exercise_named("corrupted.by_hand")
    with pytest.raises(ParameterError, match=said):
        award(judge(exercise, RIGHT), exercise, points, share=share)
