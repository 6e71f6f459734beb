"""The student and the instructor edition, cut from every tutorial and from one made by hand."""

import copy
import json
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from tests.contracts.files import ROOT, notebooks

from weightlore.errors import ParameterError
from weightlore.teaching.editions import Elsewhere, instructor, student
from weightlore.teaching.editions.folded import folds, unfolded, without
from weightlore.teaching.editions.instructor import exercise_named, misconceptions

ELSEWHERE = Elsewhere(ROOT)
ANSWER = "<details><summary>What the knob shows</summary>\n\nIt falls.\n\n</details>"
SOLVED = "<details><summary>Solution 1</summary>\n\nThe secret is four.\n\n</details>"


def made():
    asked = 'answer = None\nteaching.check("corrupted.by_hand", answer)'
    nudge = nbformat.v4.new_output("execute_result", data={"text/plain": "To begin with: think."}, execution_count=1)
    return new_notebook(
        cells=[
            new_markdown_cell("# Title\n\nSee [the ledger](../../book/ledger.md#one) and [more](other.ipynb)."),
            new_code_cell("import torch", metadata={"tags": ["setup"]}),
            new_markdown_cell(f"{ANSWER}\n\n**Exercise 1 (★).** Two and two?"),
            new_code_cell(asked, metadata={"tags": ["exercise"]}, outputs=[nudge]),
            new_markdown_cell(SOLVED, metadata={"tags": ["solution"]}),
            new_markdown_cell(f"**Exercise 2 (★★). Explain.** Why?\n\n{SOLVED}\n\n## 9. Next"),
            new_markdown_cell("Ask the last row.", metadata={"tags": ["instructor", "remove-cell"]}),
        ],
        metadata={"weightlore": {"minutes": 20, "objectives": ["add"]}},
    )


def name(path):
    return path.relative_to(ROOT / "tutorials").as_posix()


def said(notebook):
    return "\n".join(cell.source for cell in notebook.cells)


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_property_students_get_every_exercise_and_no_solution(path):
    whole = nbformat.read(path, as_version=4)
    before = copy.deepcopy(whole)
    cut = student(whole, name(path), elsewhere=ELSEWHERE)
    assert whole == before
    nbformat.validate(cut)
    solutions = [fold.text for cell in whole.cells for fold in folds(cell.source) if fold.is_solution]
    assert solutions
    assert [text for text in solutions if ELSEWHERE.text(text, "x") in said(cut)] == []
    assert "Solution" not in said(cut)
    code = [(c.source, c.outputs) for c in whole.cells if c.cell_type == "code"]
    assert [(c.source, c.outputs) for c in cut.cells if c.cell_type == "code"] == code
    assert re.findall(r"\*\*Exercise \d+", said(cut)) == re.findall(r"\*\*Exercise \d+", said(whole))
    answers = [fold.title for cell in whole.cells for fold in folds(cell.source) if not fold.is_solution]
    assert [fold.title for cell in cut.cells for fold in folds(cell.source)] == answers
    assert cut.metadata == whole.metadata


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_property_nothing_of_an_edition_needs_the_book(path):
    whole = nbformat.read(path, as_version=4)
    for cut in (student(whole, name(path), elsewhere=ELSEWHERE), instructor(whole, name(path), elsewhere=ELSEWHERE)):
        text = "\n".join(cell.source for cell in cut.cells if cell.cell_type == "markdown")
        assert "{cite" not in text
        assert re.findall(r"\]\([^)]*\.md[)#]", text) == []
        near = [link for link in re.findall(r"\]\(([^)]+\.ipynb)", text) if not link.startswith("http")]
        assert [link for link in near if not (path.parent / link).exists()] == []


def test_property_links_of_a_page_for_instructors_lead_to_the_published_book():
    page = (
        "## What they will believe\n\n| misconception | x |\n|---|---|\n| See [it](../ledger.md) |\n"
        "| [there](../../tutorials/1_corrupted/resistance.ipynb) | {cite:t}`foret2021sam` |"
    )
    first = instructor(made(), "1_corrupted/mine.ipynb", elsewhere=ELSEWHERE, page=page).cells[0].source
    assert "[it](https://weightlore.github.io/weightlore/book/ledger.html)" in first
    assert "[there](https://weightlore.github.io/weightlore/tutorials/1_corrupted/resistance.html)" in first
    assert "Foret et al. (2021)" in first


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_property_the_teacher_sees_everything_and_what_the_checkers_know(path):
    whole, plan = nbformat.read(path, as_version=4), ROOT / "book" / "instructors" / f"{path.parent.name}.md"
    page = plan.read_text("utf-8") if plan.exists() else ""
    cut = instructor(whole, name(path), elsewhere=ELSEWHERE, page=page)
    nbformat.validate(cut)
    assert "<details>" not in said(cut)
    assert said(cut).count("<details open>") == said(whole).count("<details>")
    assert ("| misconception |" in cut.cells[0].source) == bool(page)
    for found in re.findall(r'check\("([\w.]+)"', said(whole)):
        exercise = exercise_named(found)
        assert f"`{found}`" in said(cut)
        assert all(diagnosis.says.replace("|", r"\|") in said(cut) for diagnosis in exercise.diagnoses)
    own = [cell for cell in cut.cells if "instructor" not in cell.metadata.get("tags", [])]
    assert [c.cell_type for c in own] == [c.cell_type for c in whole.cells]
    again = instructor(whole, name(path), elsewhere=ELSEWHERE, page=page)
    assert json.dumps(cut) == json.dumps(again), "a second cut is the same, cell ids too"


def test_property_solutions_go_wherever_they_stand_and_answers_to_guesses_stay():
    cut = student(made(), "1_corrupted/mine.ipynb", elsewhere=ELSEWHERE)
    assert "secret" not in json.dumps(cut)
    assert "Ask the last row" not in json.dumps(cut)
    assert "It falls." in said(cut)
    assert cut.cells[-1].source == "**Exercise 2 (★★). Explain.** Why?\n\n## 9. Next"
    assert cut.cells[3].outputs[0].data["text/plain"] == "To begin with: think."


def test_property_links_lead_to_the_published_book():
    first = student(made(), "1_corrupted/mine.ipynb", elsewhere=ELSEWHERE).cells[0].source
    assert "](https://weightlore.github.io/weightlore/book/ledger.html#one)" in first
    assert "[more](other.ipynb)" in first
    assert (
        ELSEWHERE.text("[x](https://example.org/a.md) [y](#here)", "1_corrupted")
        == "[x](https://example.org/a.md) [y](#here)"
    )


def test_oracle_citations_are_names_and_years():
    text = "{cite:t}`sun2021corruption` and {cite:p}`foret2021sam, kwon2021asam`."
    assert ELSEWHERE.text(text, "1_corrupted") == "Sun et al. (2021) and (Foret et al., 2021; Kwon et al., 2021)."


def test_error_an_unknown_work_is_named():
    with pytest.raises(ParameterError, match=r"'nobody1999nothing' is cited.*references\.bib"):
        ELSEWHERE.text("{cite:t}`nobody1999nothing`", "1_corrupted")


@pytest.mark.parametrize("cut", [student, instructor])
def test_error_no_edition_is_cut_from_contradicting_tags(cut):
    notebook = made()
    notebook.cells[3].metadata.tags.append("solution")
    with pytest.raises(ParameterError, match=r"mine\.ipynb contradict.*cell 4 is both"):
        cut(notebook, "1_corrupted/mine.ipynb", elsewhere=ELSEWHERE)


def test_error_an_exercise_that_is_not_there_is_named():
    notebook = made()
    notebook.cells[3].source = 'teaching.check("corrupted.nothing", None)'
    with pytest.raises(ParameterError, match=r"no exercise 'corrupted\.nothing'"):
        instructor(notebook, "1_corrupted/mine.ipynb", elsewhere=ELSEWHERE)


def test_property_the_teacher_of_a_chapter_without_a_page_gets_the_link_alone():
    cut = instructor(made(), "1_corrupted/mine.ipynb", elsewhere=ELSEWHERE)
    assert "book/instructors/1_corrupted.html" in cut.cells[0].source
    assert "believe" not in cut.cells[0].source
    assert misconceptions("# Nothing") == ""
    assert cut.cells[0].metadata.tags == ["instructor", "remove-cell"]


def test_limit_text_without_folds_is_left_to_the_letter():
    text = "\n\nA < b\n\n\n\nand no more.\n"
    assert without(text, lambda fold: False) == text
    assert unfolded(text) == text
    assert folds(text) == []
    assert without(f"{ANSWER}\n\n{SOLVED}\n", lambda fold: not fold.is_solution) == ANSWER
    assert unfolded(unfolded(ANSWER)) == ANSWER.replace("<details>", "<details open>")
