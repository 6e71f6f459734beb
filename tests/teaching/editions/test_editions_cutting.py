"""Editions and assignments from a clone, by function and by command."""

import shutil

import nbformat
import pytest
from click.testing import CliRunner
from tests.contracts.files import ROOT, notebooks

from weightlore import cli
from weightlore.errors import ParameterError
from weightlore.teaching.editions import assign, cut
from weightlore.teaching.editions.cutting import tutorials

SEED = "weightlore-class-seed: moss-owl-lantern-4711-thistle\n"


@pytest.fixture
def clone(tmp_path):
    """A clone with two tutorials, and the seed of a class beside it."""
    root = tmp_path / "clone"
    for name in ("vulnerability", "resistance"):
        (root / "tutorials" / "1_corrupted").mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "tutorials" / "1_corrupted" / f"{name}.ipynb", root / "tutorials" / "1_corrupted")
    (root / "book" / "instructors").mkdir(parents=True)
    shutil.copy(ROOT / "book" / "references.bib", root / "book")
    (tmp_path / "class.seed").write_text(SEED)
    return root


def weightlore(*arguments):
    return CliRunner().invoke(cli.main, ["notebooks", *map(str, arguments)])


def test_property_all_tutorials_are_found_in_the_order_of_the_chapters():
    assert list(tutorials(ROOT)) == [path.relative_to(ROOT / "tutorials").as_posix() for path in notebooks()]


@pytest.mark.parametrize(
    "name", ["1_corrupted/resistance", "tutorials/1_corrupted/resistance.ipynb", "1_corrupted/resistance.ipynb"]
)
def test_property_a_tutorial_has_one_name_in_three_forms(clone, name):
    assert list(tutorials(clone, [name])) == ["1_corrupted/resistance.ipynb"]
    assert len(tutorials(clone, ["1_corrupted", name])) == 2


@pytest.mark.parametrize("edition", ["student", "instructor"])
def test_property_an_edition_keeps_the_folders_and_is_the_same_twice(clone, tmp_path, edition):
    for folder in ("one", "two"):
        written = cut(clone, edition, tmp_path / folder)
        assert [path.relative_to(tmp_path / folder).as_posix() for path in written] == list(tutorials(clone))
    one, two = ((tmp_path / name / "1_corrupted/resistance.ipynb").read_bytes() for name in ("one", "two"))
    assert one == two
    nbformat.validate(nbformat.reads(one.decode(), as_version=4))


def test_error_one_wrong_tag_stops_the_whole_edition(clone, tmp_path):
    path = clone / "tutorials" / "1_corrupted" / "vulnerability.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[-1].metadata["tags"] = ["solved"]
    nbformat.write(notebook, path)
    with pytest.raises(ParameterError, match=r"1_corrupted/vulnerability\.ipynb contradict.*'solved'"):
        cut(clone, "student", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda clone: cut(clone, "teacher", clone), "edition is one of 'student', 'instructor', 'slides'"),
        (lambda clone: cut(clone, "student", clone / "tutorials"), "name another folder"),
        (lambda clone: cut(clone, "student", clone / "tutorials" / "new"), "name another folder"),
        (
            lambda clone: tutorials(clone, ["9_none"]),
            "no tutorial is called '9_none'; there are 1_corrupted/resistance",
        ),
        (
            lambda clone: assign(clone, clone, "a", names=["1_corrupted"], only=["corrupted.none"]),
            "no exercise corrupted.none in 1_corrupted/resistance.ipynb",
        ),
    ],
)
def test_error_what_is_not_there_is_named(clone, made, said):
    with pytest.raises(ParameterError) as raised:
        made(clone)
    assert said in str(raised.value)


def test_property_an_assignment_asks_what_is_chosen_of_each_tutorial(clone, tmp_path):
    only = ["corrupted.trace", "corrupted.is_sam"]
    written = assign(clone, tmp_path / "course", "a", names=["1_corrupted"], only=only)
    assert [path.name for path in written] == ["resistance.ipynb", "vulnerability.ipynb", "nbgrader_config.py"]
    text = [path.read_text("utf-8") for path in written[:2]]
    assert ["corrupted.is_sam" in text[0], "corrupted.normalized" in text[0]] == [True, False]
    assert ["corrupted.trace" in text[1], "corrupted.hoelder" in text[1]] == [True, False]
    written = assign(clone, tmp_path / "course", "b", names=["1_corrupted"], only=only[:1])
    assert [path.name for path in written] == ["vulnerability.ipynb", "nbgrader_config.py"]


def test_property_a_class_is_asked_other_numbers(clone, tmp_path):
    seed_file = tmp_path / "class.seed"
    chosen = {"names": ["1_corrupted/vulnerability"], "only": ["corrupted.by_hand"]}
    public = assign(clone, tmp_path / "public", "a", **chosen)[0].read_text("utf-8")
    own = assign(clone, tmp_path / "own", "a", seed_file=seed_file, **chosen)[0].read_text("utf-8")
    assert "g = (3, -1, 2)" in public
    assert "g = (3, -1, 2)" not in own
    assert "moss-owl" not in own


def test_error_the_course_of_a_class_lies_in_no_repository(clone, tmp_path):
    (clone / ".git").mkdir()
    with pytest.raises(ParameterError, match="could publish it"):
        assign(clone, clone / "course", "a", names=["1_corrupted"], seed_file=tmp_path / "class.seed")
    assert not (clone / "course").exists()


# --- by command ----------------------------------------------------------------------------------------------------


def test_property_the_command_cuts_a_chapter(tmp_path):
    result = weightlore("edition", "student", "1_corrupted", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "2 files in" in result.output
    assert len(list((tmp_path / "out").rglob("*.ipynb"))) == 2


def test_property_the_command_says_what_comes_next(tmp_path):
    pytest.importorskip("nbgrader")
    (tmp_path / "class.seed").write_text(SEED)
    chosen = ["1_corrupted/vulnerability", "--only", "corrupted.by_hand", "--seed", tmp_path / "class.seed"]
    result = weightlore("assignment", "fragile", *chosen, "--course", tmp_path / "course")
    assert result.exit_code == 0, result.output
    assert "nbgrader generate_assignment fragile --create" in result.output
    assert (tmp_path / "course" / "source" / "fragile" / "vulnerability.ipynb").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["edition", "student", "9_none"], "no tutorial is called '9_none'"),
        (["assignment", "two words", "1_corrupted", "--course", "course"], "an assignment is named by letters"),
        (["assignment", "a", "1_corrupted", "--course", "course", "--seed", "none.seed"], "none.seed is no file"),
    ],
)
def test_error_a_wrong_argument_is_one_line(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = weightlore(*arguments)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert said in result.stderr


def test_error_a_folder_that_may_not_be_written_is_one_line(tmp_path, monkeypatch):
    def refuse(notebook, path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("nbformat.write", refuse)
    result = weightlore("edition", "student", "7_crossed/laboratory", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: you may not read or write {tmp_path / 'out'}")
    assert len(result.stderr.splitlines()) == 1


def test_error_an_assignment_needs_the_extra_classroom(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "nbgrader", None)
    result = weightlore("assignment", "a", "1_corrupted", "--course", tmp_path)
    assert result.exit_code == 1
    assert 'pip install "weightlore[classroom]"' in result.stderr
