"""Sheets for nbgrader: their form, and the round trip from a private seed to marks and feedback."""

import csv
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import nbformat
import pytest
from tests.contracts.files import ROOT, notebooks

from weightlore import teaching
from weightlore.errors import ParameterError
from weightlore.teaching.editions import open_questions, questions, sheet, write_course
from weightlore.teaching.editions.instructor import exercise_named
from weightlore.teaching.editions.marks import CLASS
from weightlore.teaching.exercises import check
from weightlore.teaching.variants import class_seed, variant

TUTORIAL = "1_corrupted/vulnerability.ipynb"
SECRET = "moss-owl-lantern-4711-thistle"
BY_HAND, HOELDER = "corrupted.by_hand", "corrupted.hoelder"


def read(name=TUTORIAL):
    return nbformat.read(ROOT / "tutorials" / name, as_version=4)


def cut(*ids):
    """A tutorial with some of its exercises, and without what takes long to import."""
    notebook = read()
    notebook.cells = [
        cell
        for cell in notebook.cells
        if "setup" in cell.metadata.get("tags", []) or any(f'"{name}"' in cell.source for name in ids)
    ]
    return notebook


@pytest.fixture
def seed_file(tmp_path):
    path = tmp_path / "class.seed"
    path.write_text(f"weightlore-class-seed: {SECRET}\n")
    return path


def marked(cells):
    return {cell.metadata.nbgrader.grade_id: cell for cell in cells}


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_property_every_tutorial_makes_a_sheet(path):
    notebook = nbformat.read(path, as_version=4)
    made = sheet(notebook, f"{path.parent.name}/{path.name}")
    nbformat.validate(made)
    asked, by_hand = questions(notebook), open_questions(notebook, f"{path.parent.name}/{path.name}")
    cells = marked(made.cells)
    assert len(cells) == len(made.cells) == 2 + 3 * len(asked) + 2 * len(by_hand), "every cell has an id of its own"
    graded = [
        cell.metadata.nbgrader for cell in made.cells if cell.metadata.nbgrader.grade and cell.cell_type == "code"
    ]
    assert [cell.points for cell in graded] == [2 * stars for stars in asked.values()]
    assert all(cell.locked and not cell.solution for cell in graded)
    for question in by_hand:
        cell = cells[f"{question.id}-answer"]
        said = {name: cell.metadata.nbgrader[name] for name in ("grade", "solution", "locked", "task", "points")}
        assert cell.cell_type == "markdown"
        assert said == {"grade": True, "solution": True, "locked": False, "task": False, "points": question.points}
    assert all(c.metadata.nbgrader.solution != c.metadata.nbgrader.locked for c in made.cells)
    for name in asked:
        assert re.search(r"\(\d+ points\)\.\*\* \S", cells[re.sub(r"\W", "-", name) + "-question"].source)
        compile(cells[re.sub(r"\W", "-", name) + "-answer"].source, name, "exec")
        compile(cells[re.sub(r"\W", "-", name) + "-points"].source, name, "exec")
    compile(cells["imports"].source, "imports", "exec")


def test_property_stars_are_points_and_hints_stay():
    assert questions(read()) == {
        "corrupted.by_hand": 1, "corrupted.by_hand_inf": 1, "corrupted.n_free": 1, "corrupted.hoelder": 2,
        "corrupted.lottery": 2, "corrupted.worst_norm": 2, "corrupted.trace": 3,
    }  # fmt: skip
    cells = marked(sheet(read(), TUTORIAL).cells)
    assert cells["corrupted-hoelder-answer"].source.startswith("answer = None  # def answer(g, p): ...\n")
    assert cells["corrupted-hoelder-answer"].source.endswith(f'teaching.check("{HOELDER}", answer)')
    assert r"\|\|top\_n(g)\|\|\_q" in cells["corrupted-n_free-question"].source


def test_property_a_class_gets_its_own_questions_and_no_public_checker(seed_file):
    seed = class_seed(seed_file)
    cells = marked(sheet(cut(BY_HAND), TUTORIAL, exercise_of=lambda name: variant(name, seed)).cells)
    own = variant(BY_HAND, seed)
    drawn = re.search(r"g = (\([^)]*\))", own.prompt)[1]
    assert drawn in cells["corrupted-by_hand-question"].source
    assert "teaching.check" not in cells["corrupted-by_hand-answer"].source
    assert own.id in cells["corrupted-by_hand-points"].source
    assert own.id.count("@") == 1


def marks_of(made, capsys):
    """What the teacher's sheet earns when it is run, each exercise: points, of how many, and what is said."""
    names = {"teaching": teaching}
    for cell in made.cells:
        if cell.cell_type == "code" and cell.metadata.nbgrader.grade_id != "imports":
            exec(cell.source, names)
    assert "answer" not in names, "no answer is left for the next exercise"
    return re.findall(r"^([\d.]+) of (\d+) points\. (.*)$", capsys.readouterr().out, re.M)


SLOW_SHEETS = ("healthy",)  # walks through theta until half of the accuracy is lost


@pytest.mark.parametrize("whose", ["everybody", "a class"])
@pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=[pytest.mark.slow] * (p.stem in SLOW_SHEETS), id=p.stem) for p in notebooks()],
)
def test_property_the_teacher_s_sheet_earns_all_points(path, whose, seed_file, monkeypatch, capsys):
    monkeypatch.setenv(CLASS, str(seed_file))
    notebook, seed = nbformat.read(path, as_version=4), class_seed(seed_file)
    made = sheet(
        notebook,
        f"{path.parent.name}/{path.name}",
        **({"exercise_of": lambda name: variant(name, seed)} if whose == "a class" else {}),
    )
    found = marks_of(made, capsys)
    assert [int(full) for _, full, _ in found] == [2 * stars for stars in questions(notebook).values()]
    assert [line for line in found if line[0] != line[1]] == []


def test_error_a_tutorial_without_exercises_makes_no_sheet():
    with pytest.raises(ParameterError, match="nothing of it can be graded"):
        sheet(cut(), "mine.ipynb")


def test_property_a_second_assignment_leaves_the_first(tmp_path, seed_file):
    seed = class_seed(seed_file)
    for name, asked in (("first", BY_HAND), ("second", HOELDER)):
        made = sheet(cut(asked), TUTORIAL, exercise_of=lambda found: variant(found, seed))
        write_course(tmp_path / "course", name, {"vulnerability": made}, seed_file=seed_file)
    settings = (tmp_path / "course" / "nbgrader_config.py").read_text()
    assert f"{BY_HAND}@" in settings
    assert f"{HOELDER}@" in settings
    assert len(list((tmp_path / "course").rglob("*.ipynb"))) == 2


def test_error_what_was_handed_out_is_not_changed(tmp_path):
    (tmp_path / "release" / "first").mkdir(parents=True)
    with pytest.raises(ParameterError, match="'first' was released"):
        write_course(tmp_path, "first", {"vulnerability": sheet(cut(BY_HAND), TUTORIAL)})


def settings_of(course):
    return (course / "nbgrader_config.py").read_text("utf-8")


def test_property_an_assignment_without_a_seed_leaves_the_class_of_the_others(tmp_path, seed_file):
    own = sheet(cut(BY_HAND), TUTORIAL, exercise_of=lambda name: variant(name, class_seed(seed_file)))
    write_course(tmp_path / "course", "marked", {"vulnerability": own}, seed_file=seed_file)
    write_course(tmp_path / "course", "practice", {"vulnerability": sheet(cut(HOELDER), TUTORIAL)})
    assert f"{BY_HAND}@" in settings_of(tmp_path / "course")
    assert str(seed_file) in settings_of(tmp_path / "course")


@pytest.mark.parametrize("known", ["", "c = get_config()\nc.Mine.wish = 3\n"])
def test_property_settings_of_the_teacher_stay(tmp_path, known):
    course, made = tmp_path / "course", {"vulnerability": sheet(cut(BY_HAND), TUTORIAL)}
    if known:
        course.mkdir()
        (course / "nbgrader_config.py").write_text(known)
    write_course(course, "first", made)
    first = settings_of(course)
    assert first.startswith(known or '"""Settings of nbgrader')
    (course / "nbgrader_config.py").write_text(first + "c.Execute.timeout = 7\n")
    write_course(course, "second", made)
    assert settings_of(course) == first + "c.Execute.timeout = 7\n", "below our part, so that it has the last word"
    compile(first, "nbgrader_config.py", "exec")


def test_property_an_assignment_that_was_not_handed_out_is_made_anew_from_another_seed(tmp_path, seed_file):
    for text in (SECRET, "another-line-of-text-0001"):
        seed_file.write_text(f"weightlore-class-seed: {text}\n")
        seed = class_seed(seed_file)
        made = sheet(cut(BY_HAND), TUTORIAL, exercise_of=lambda name, seed=seed: variant(name, seed))
        write_course(tmp_path / "course", "first", {"vulnerability": made}, seed_file=seed_file)
    assert settings_of(tmp_path / "course").count(f"{BY_HAND}@") == 1
    assert variant(BY_HAND, seed).id in settings_of(tmp_path / "course")


def test_error_a_course_has_one_seed(tmp_path, seed_file):
    made = sheet(cut(BY_HAND), TUTORIAL, exercise_of=lambda name: variant(name, class_seed(seed_file)))
    write_course(tmp_path / "course", "first", {"vulnerability": made}, seed_file=seed_file)
    before = settings_of(tmp_path / "course")
    seed_file.write_text("weightlore-class-seed: another-line-of-text-0001\n")
    other = sheet(cut(HOELDER), TUTORIAL, exercise_of=lambda name: variant(name, class_seed(seed_file)))
    with pytest.raises(ParameterError, match="'first' of this course was made with another seed"):
        write_course(tmp_path / "course", "second", {"vulnerability": other}, seed_file=seed_file)
    assert settings_of(tmp_path / "course") == before
    assert not (tmp_path / "course" / "source" / "second").exists()


def test_error_a_sheet_of_an_earlier_try_is_not_handed_out_along(tmp_path):
    made = sheet(cut(BY_HAND), TUTORIAL)
    write_course(tmp_path, "first", {"vulnerability": made, "resistance": made})
    with pytest.raises(ParameterError, match=r"holds resistance\.ipynb too"):
        write_course(tmp_path, "first", {"vulnerability": made})


@pytest.mark.parametrize("name", ["", "two words", "../up", "-x"])
def test_error_an_assignment_has_a_plain_name(tmp_path, name):
    with pytest.raises(ParameterError, match="an assignment is named by letters"):
        write_course(tmp_path, name, {})


def test_error_a_sheet_of_a_class_needs_its_seed(tmp_path, seed_file):
    seed = class_seed(seed_file)
    made = sheet(cut(BY_HAND), TUTORIAL, exercise_of=lambda name: variant(name, seed))
    with pytest.raises(ParameterError, match="say which file holds it"):
        write_course(tmp_path / "course", "first", {"vulnerability": made})


# --- the round trip ------------------------------------------------------------------------------------------------


def nbgrader(course, *arguments):
    environment = {k: v for k, v in os.environ.items() if k not in (CLASS, "PYTEST_CURRENT_TEST")}
    command = [sys.executable, "-m", "nbgrader", *arguments]
    done = subprocess.run(command, cwd=course, env=environment, capture_output=True, text=True, timeout=600)
    return done.returncode, done.stdout + done.stderr


def hand_in(course, student, answers, change=lambda notebook: notebook):
    """Put a student's notebook where nbgrader collects it."""
    notebook = nbformat.read(course / "release" / "fragile" / "vulnerability.ipynb", as_version=4)
    cells = marked(notebook.cells)
    for name, line in answers.items():
        cell = cells[re.sub(r"\W", "-", name) + "-answer"]
        cell.source = re.sub(r"^answer = None.*$", lambda _, line=line: line, cell.source, flags=re.M)
    change(notebook)
    folder = course / "submitted" / student / "fragile"
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / "vulnerability.ipynb")


def grades(course):
    assert nbgrader(course, "export")[0] == 0
    with (course / "grades.csv").open(newline="") as file:
        return {row["student_id"]: float(row["score"]) for row in csv.DictReader(file)}


def change_the_checkers(notebook):
    """Give oneself all points of one exercise, and remove the cell that grades the other."""
    cells = marked(notebook.cells)
    cells["corrupted-hoelder-points"].source = "2.0"
    notebook.cells.remove(cells["corrupted-by_hand-points"])


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """A course of a class with a private seed, handed out, handed in by five students, graded, with feedback."""
    pytest.importorskip("nbgrader")
    base = tmp_path_factory.mktemp("class")
    course, seed_file = base / "course", base / "class.seed"
    seed_file.write_text(f"weightlore-class-seed: {SECRET}\n")
    seed = class_seed(seed_file)
    own = variant(BY_HAND, seed)
    made = sheet(cut(BY_HAND, HOELDER), TUTORIAL, exercise_of=lambda name: variant(name, seed))
    write_course(course, "fragile", {"vulnerability": made}, seed_file=seed_file)
    settings = course / "nbgrader_config.py"
    settings.write_text(settings.read_text().replace("c.Execute.timeout = 60", "c.Execute.timeout = 45"))
    status, output = nbgrader(course, "generate_assignment", "fragile", "--create")
    assert status == 0, output
    right = f"answer = {own.reference().tolist()}"
    foreseen = next(d for d in own.diagnoses if d.wrong is not None).wrong()
    hand_in(course, "empty", {})
    hand_in(course, "wrong", {BY_HAND: f"answer = {[float(v) for v in foreseen]}"})
    hand_in(course, "right", {BY_HAND: right})
    hand_in(course, "endless", {BY_HAND: right, HOELDER: "while True: pass"})
    hand_in(course, "changed", {BY_HAND: right}, change_the_checkers)
    status, said = nbgrader(course, "autograde", "fragile")
    assert status == 0, said
    status, output = nbgrader(course, "generate_feedback", "fragile")
    assert status == 0, output
    return SimpleNamespace(course=course, seed_file=seed_file, said=said, grades=grades(course))


@pytest.mark.slow
def test_property_an_empty_a_wrong_and_a_right_submission_earn_nothing_half_and_all(graded):
    found = graded.grades
    assert (found["empty"], found["wrong"], found["right"]) == (0, 1, 2)


@pytest.mark.slow
def test_limit_a_loop_without_end_is_cut_off_and_the_others_are_graded(graded):
    assert graded.grades["endless"] == 2, "the other exercise of the same student too"
    assert "Timeout waiting for execute reply (45s)" in graded.said
    kept = nbformat.read(graded.course / "autograded" / "endless" / "fragile" / "vulnerability.ipynb", as_version=4)
    cell = marked(kept.cells)["corrupted-hoelder-answer"]
    assert any(output.get("ename") in ("KeyboardInterrupt", "CellTimeoutError") for output in cell.outputs)


@pytest.mark.slow
def test_limit_a_changed_or_removed_checker_is_put_back(graded):
    assert graded.grades["changed"] == 2, "the right answer counts, the points that one gives oneself do not"
    assert "Missing grade cell corrupted-by_hand-points" in graded.said
    kept = nbformat.read(graded.course / "autograded" / "changed" / "fragile" / "vulnerability.ipynb", as_version=4)
    for name in (BY_HAND, HOELDER):
        assert f'mark("{name}@' in marked(kept.cells)[re.sub(r"\W", "-", name) + "-points"].source


@pytest.mark.slow
def test_property_feedback_says_what_was_wrong(graded):
    found = (graded.course / "feedback").rglob("*.html")
    pages = {path.parent.parent.name: path.read_text("utf-8") for path in found}
    assert "1 of 2 points. Not yet:" in pages["wrong"]
    assert "2 of 2 points. Right." in pages["right"]
    assert len(pages) == 5


@pytest.mark.slow
def test_property_no_file_for_students_says_the_seed_or_an_answer(graded):
    course, seed_file = graded.course, graded.seed_file
    number = class_seed(seed_file)
    secrets = [SECRET, str(number), f"{number:x}", seed_file.name, CLASS]
    students = [*(course / "release").rglob("*"), *(course / "feedback").rglob("*")]
    texts = [path.read_text("utf-8") for path in students if path.is_file()]
    assert len(texts) == 6
    assert [secret for secret in secrets if any(secret in text for text in texts)] == []
    released = (course / "release" / "fragile" / "vulnerability.ipynb").read_text("utf-8")
    assert "SOLUTION" not in released
    assert "HIDDEN" not in released
    assert "reference" not in released
    assert "mark(" not in released
    handed = marked(nbformat.reads(released, as_version=4).cells)
    assert handed["corrupted-hoelder-answer"].source.strip() == "answer = None  # def answer(g, p): ..."


@pytest.mark.slow
def test_error_another_seed_stops_the_grading_and_changes_no_mark(graded):
    course, seed_file = graded.course, graded.seed_file
    line = seed_file.read_text()
    for text in ("weightlore-class-seed: another-line-of-text-0001\n", None):
        seed_file.unlink() if text is None else seed_file.write_text(text)
        try:
            status, output = nbgrader(course, "autograde", "fragile", "--force")
        finally:
            seed_file.write_text(line)
        assert status != 0
        assert "Nothing was done." in output
    assert grades(course) == graded.grades


@pytest.mark.slow
def test_oracle_the_teacher_s_own_answers_earn_all_points_in_public(tmp_path):
    pytest.importorskip("nbgrader")
    made = sheet(cut(BY_HAND, HOELDER), TUTORIAL)
    write_course(tmp_path, "fragile", {"vulnerability": made})
    assert nbgrader(tmp_path, "generate_assignment", "fragile", "--create")[0] == 0
    released = nbformat.read(tmp_path / "release" / "fragile" / "vulnerability.ipynb", as_version=4)
    assert f'teaching.check("{BY_HAND}", answer)' in marked(released.cells)["corrupted-by_hand-answer"].source
    folder = tmp_path / "submitted" / "teacher" / "fragile"
    folder.mkdir(parents=True)
    nbformat.write(made, folder / "vulnerability.ipynb")
    assert nbgrader(tmp_path, "autograde", "fragile")[0] == 0
    assert grades(tmp_path) == {"teacher": 4}
    assert check(BY_HAND, exercise_named(BY_HAND).reference()).verdict == "right"


def stem(name):
    return name.partition("/")[2].removesuffix(".ipynb")


@pytest.mark.slow
def test_property_nbgrader_hands_out_every_sheet_without_an_answer(tmp_path):
    pytest.importorskip("nbgrader")
    seed_file = tmp_path / "class.seed"
    seed_file.write_text(f"weightlore-class-seed: {SECRET}\n")
    seed = class_seed(seed_file)
    read = {f"{path.parent.name}/{path.name}": nbformat.read(path, as_version=4) for path in notebooks()}
    made = {name: sheet(one, name, exercise_of=lambda found: variant(found, seed)) for name, one in read.items()}
    write_course(tmp_path / "course", "all", {stem(name): one for name, one in made.items()}, seed_file=seed_file)
    status, output = nbgrader(tmp_path / "course", "generate_assignment", "all", "--create")
    assert status == 0, output
    assert len(list((tmp_path / "course" / "release" / "all").glob("*.ipynb"))) == len(read)
    for name, notebook in read.items():
        handed = nbformat.read(tmp_path / "course" / "release" / "all" / f"{stem(name)}.ipynb", as_version=4)
        nbformat.validate(handed)
        text = "\n".join(cell.source for cell in handed.cells)
        assert [word for word in ("reference(", "mark(", "SOLUTION", "HIDDEN", "@", CLASS) if word in text] == []
        assert all(question.key() not in text for question in open_questions(notebook, name))
        given = [cell for cell in handed.cells if cell.cell_type == "code" and cell.metadata.nbgrader.solution]
        assert len(given) == len(questions(notebook))
        assert all(cell.source.startswith("answer = None") for cell in given)
