"""Questions that ask for reasons: each has a model answer and a rubric, and a person gives the points."""

import os
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from tests.contracts.files import ROOT, notebooks

from weightlore.teaching.editions import Elsewhere, instructor, open_questions, reference, sheet, student, write_course
from weightlore.teaching.editions.marks import CLASS
from weightlore.teaching.variants import rubrics

TUTORIAL, CHECKED, BY_HAND = "7_crossed/laboratory.ipynb", "crossed.wager", "laboratory-4"
WHY = "**Exercise 2 (★★★). Explain.** Why\nso?"
SOLVED = "<details><summary>Solution 2</summary>\n\nBecause.\n\n</details>"


def name(path):
    return f"{path.parent.name}/{path.name}"


def read(path=ROOT / "tutorials" / TUTORIAL):
    return nbformat.read(path, as_version=4)


def asked(*cells):
    notebook = new_notebook(cells=list(cells))
    return [(q.number, q.points, q.text, q.model) for q in open_questions(notebook, "1_corrupted/mine.ipynb")]


def checked(number=1):
    text = new_markdown_cell(f"**Exercise {number} (★). Complete.** How many?")
    return [text, new_code_cell('teaching.check("a.b", answer)', metadata={"tags": ["exercise"]})]


@pytest.mark.parametrize(
    "cells",
    [
        [new_markdown_cell(f"{WHY}\n\n{SOLVED}\n\n## 9. Next")],
        [new_markdown_cell(WHY), new_markdown_cell(SOLVED, metadata={"tags": ["solution"]})],
        [*checked(), new_markdown_cell(WHY), new_markdown_cell(SOLVED), *checked(3)],
        [
            new_markdown_cell(WHY),
            new_markdown_cell(SOLVED),
            new_markdown_cell("**Exercise 3 (★★).** One?"),
            checked()[1],
        ],
    ],
)
def test_property_a_question_without_checker_is_found_with_its_solution(cells):
    assert asked(*cells) == [(2, 6, "Why\nso?", "Because.")]


def test_limit_two_in_one_cell_one_without_solution_and_none():
    both = new_markdown_cell(f"{WHY}\n\n{SOLVED}\n\n**Exercise 3 (★). Break.** And now?\n\n## 9. Next")
    assert asked(both) == [(2, 6, "Why\nso?", "Because."), (3, 2, "And now?", "")]
    assert asked(*checked()) == []


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_property_every_question_of_the_book_has_a_model_answer_and_a_rubric(path):
    found = open_questions(read(path), name(path))
    assert [q.id for q in found if not q.model] == []
    assert [q.number for q in found] == sorted(rubrics(name(path))), "in reasons.json, no more and no less"


def test_property_the_key_says_what_earns_all_half_and_none():
    (question,) = open_questions(read(), TUTORIAL)
    key = question.key()
    assert key.startswith("**Model answer.** You looked three times")
    for points, says in ((6, question.rubric.full), (3, question.rubric.half), (0, question.rubric.none)):
        assert f"- {points} points: {says}" in key


def test_property_the_teacher_sees_the_rubric_and_students_do_not():
    (question,) = open_questions(read(), TUTORIAL)
    editions = [cut(read(), TUTORIAL, elsewhere=Elsewhere(ROOT)) for cut in (instructor, student)]
    texts = ["\n".join(cell.source for cell in edition.cells) for edition in editions]
    assert [question.rubric.full in text for text in texts] == [True, False]
    assert "**Exercise 4, graded by hand: 6 points**" in texts[0]
    rubric = next(cell for cell in editions[0].cells if question.rubric.full in cell.source)
    assert "instructor" in rubric.metadata.tags


def test_property_a_sheet_may_ask_for_reasons_alone_or_for_none():
    ids = [[c.id for c in sheet(read(), TUTORIAL, only=[one]).cells][2:] for one in (CHECKED, BY_HAND)]
    assert ids[1] == ["laboratory-4-question", "laboratory-4-answer"]
    assert not any("laboratory" in one for one in ids[0])


# --- the round trip ------------------------------------------------------------------------------------------------


def nbgrader(course, *arguments):
    environment = {k: v for k, v in os.environ.items() if k not in (CLASS, "PYTEST_CURRENT_TEST")}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def answers(course, student_name, wager, words):
    made = nbformat.read(course / "release" / "reasons" / "laboratory.ipynb", as_version=4)
    cells = {cell.metadata.nbgrader.grade_id: cell for cell in made.cells}
    cells["crossed-wager-answer"].source = f"answer = {wager}"
    if words:
        cells["laboratory-4-answer"].source = words
    folder = course / "submitted" / student_name / "reasons"
    folder.mkdir(parents=True)
    nbformat.write(made, folder / "laboratory.ipynb")


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A course with one question for the machine and one for a person, handed in by two students and autograded."""
    api = pytest.importorskip("nbgrader.api")
    course = tmp_path_factory.mktemp("class") / "course"
    write_course(course, "reasons", {"laboratory": sheet(read(), TUTORIAL, only=[CHECKED, BY_HAND])})
    nbgrader(course, "generate_assignment", "reasons", "--create")
    right = reference(CHECKED)
    answers(course, "silent", right, "")
    answers(course, "wordy", right, "Three looks had three tries.")
    nbgrader(course, "autograde", "reasons")
    with api.Gradebook(f"sqlite:///{course / 'gradebook.db'}") as book:
        yield SimpleNamespace(course=course, book=book)


def grade(graded, student_name, cell="laboratory-4-answer"):
    return graded.book.find_grade(cell, "laboratory", "reasons", student_name)


@pytest.mark.slow
def test_property_students_get_neither_model_answer_nor_rubric(graded):
    text = (graded.course / "release" / "reasons" / "laboratory.ipynb").read_text("utf-8")
    (question,) = open_questions(read(), TUTORIAL)
    assert "YOUR ANSWER HERE" in text
    assert "Model answer" not in text
    assert question.rubric.full not in text


@pytest.mark.slow
def test_property_an_answer_waits_for_a_person_and_an_untouched_one_has_no_points(graded):
    assert [grade(graded, one).needs_manual_grade for one in ("silent", "wordy")] == [False, True]
    assert [grade(graded, one).auto_score for one in ("silent", "wordy")] == [0, None]
    totals = [graded.book.find_submission("reasons", one).score for one in ("silent", "wordy")]
    assert totals == [grade(graded, one, "crossed-wager-points").score for one in ("silent", "wordy")]


@pytest.mark.slow
def test_property_points_that_a_person_gives_count_in_the_total(graded):
    before = graded.book.find_submission("reasons", "wordy").score
    found = grade(graded, "wordy")
    assert (found.max_score, before) == (6, grade(graded, "wordy", "crossed-wager-points").max_score)
    found.manual_score, found.needs_manual_grade = 3, False
    graded.book.db.commit()
    submission = graded.book.find_submission("reasons", "wordy")
    assert submission.score == before + 3
    assert submission.max_score == before + 6
    assert not submission.needs_manual_grade
