"""Slides: what is shown and what is said, on text made by hand and on every tutorial."""

import re
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from tests.contracts.files import ROOT, notebooks

from weightlore.errors import DataError, MissingExtra, ParameterError
from weightlore.teaching.editions import Elsewhere, slides
from weightlore.teaching.editions.folded import folds
from weightlore.teaching.editions.outline import pages, passages
from weightlore.teaching.editions.reveal import NEEDED, write_slides
from weightlore.teaching.editions.slides import CLASS_PLAN

ELSEWHERE = Elsewhere(ROOT)
ANSWER = "<details><summary>What the knob shows</summary>\n\nIt falls.\n\n</details>"
SOLVED = "<details><summary>Solution 1</summary>\n\nFour.\n\n</details>"


def ran(source, *tags, text="7"):
    outputs = [new_output("stream", name="stdout", text=text)] if text else []
    return new_code_cell(source, metadata={"tags": list(tags)}, outputs=outputs)


def made(*cells):
    start = [new_markdown_cell("# Title\n\nA hook."), ran("import torch", "setup", text="")]
    return new_notebook(cells=[*start, *cells], metadata={"weightlore": {"title": "A title"}})


def cut(*cells):
    """The slides as (kind, [what is shown], notes)."""
    show = slides(made(*cells), "1_corrupted/mine.ipynb", elsewhere=ELSEWHERE)
    found = []
    for cell in show.cells:
        kind = cell.metadata.slideshow.slide_type
        if kind in ("slide", "subslide"):
            found.append((kind, [], []))
        found[-1][2 if kind == "notes" else 1].append(cell.source)
    return found


def test_property_a_section_begins_a_slide_and_a_part_of_it_one_below():
    found = cut(new_markdown_cell("Said.\n\n## 3. The idea\n\nFirst.\n\nMore.\n\n### Closer\n\nLook.\n\n- one\n- two"))
    assert [(kind, shown) for kind, shown, _ in found] == [
        ("slide", ["# Title\n\nA hook."]),
        ("slide", ["## 3. The idea\n\nFirst."]),
        ("subslide", ["### Closer\n\nLook.\n\n- one\n- two"]),
    ]
    assert found[0][2] == ["Said."]
    assert found[1][2] == ["**Minutes 5-20 of a class of 50: blackboard.**\n\nMore."]


def test_property_a_figure_has_a_slide_of_its_own_with_all_its_code_folded():
    found = cut(new_markdown_cell("## 6. Figures"), ran("x = 3", text=""), ran("plot(x)", "figure"), ran("print(7)"))
    assert [kind for kind, _, _ in found] == ["slide", "slide", "subslide", "subslide"]
    listing, output = found[2][1]
    assert listing.startswith('<details class="wl-code"><summary>Code</summary>')
    assert "x = 3\n\n\nplot(x)" in listing
    assert output == "plot(x)"
    assert "print(7)" in found[3][1][0]


def test_property_code_is_open_in_the_section_about_it():
    found = cut(new_markdown_cell("## 5. The code\n\nIt is short.\n\nThe key step:"), ran("step()"), ran("other()"))
    assert found[2][1][0] == "The key step:"
    assert '<details class="wl-code" open>' in found[2][1][1]
    assert len(found) == 4


def test_property_the_answer_to_a_guess_is_told_at_its_knob():
    knob = [new_markdown_cell("**Guess first.** How far?\n\nIt matters."), ran("knob()", "knob")]
    found = cut(new_markdown_cell("## 7. Turn"), *knob, ran("print(7)"), new_markdown_cell(ANSWER))
    kinds = [kind for kind, _, _ in found]
    assert kinds == ["slide", "slide", "subslide", "subslide", "subslide"]
    assert found[2][1] == ["**Guess first.** How far?\n\nIt matters."]
    assert found[3][2] == ["**What the knob shows.** It falls."]
    assert all("It falls" not in text for _, shown, _ in found for text in shown)


@pytest.mark.parametrize(
    "text", ["**Guess** before you read on. Which?", "It looks so.\n\nAnd then? **Guess**: does it lose?"]
)
def test_property_what_answers_a_guess_is_on_the_next_slide(text):
    found = cut(new_markdown_cell(f"## 6. Figures\n\nFirst.\n\n{text}"), ran("print(7)"))
    asks = next(i for i, (_, shown, _) in enumerate(found) if "**Guess" in "".join(shown))
    assert "print(7)" not in found[asks][1]
    assert "print(7)" in found[asks + 1][1]
    assert all("**Guess" not in said for _, _, notes in found for said in notes)


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_property_no_slide_of_a_tutorial_has_a_guess_and_what_answers_it(path):
    name = path.relative_to(ROOT / "tutorials").as_posix()
    guessed = False
    for cell in slides(nbformat.read(path, as_version=4), name, elsewhere=ELSEWHERE).cells:
        guessed = guessed and cell.metadata.slideshow.slide_type not in ("slide", "subslide")
        assert not (guessed and cell.cell_type == "code"), cell.source
        asks = cell.cell_type == "markdown" and cell.metadata.slideshow.slide_type != "notes"
        guessed = guessed or (asks and "**Guess" in cell.source and "wl-code" not in cell.source)


def test_property_an_exercise_is_shown_with_its_nudge_and_solved_in_the_notes():
    asked = ran('answer = None\nteaching.check("corrupted.by_hand", answer)', "exercise", text="To begin with: think.")
    tail = new_markdown_cell(f"**Exercise 2 (★). Explain.** Why?\n\n{SOLVED}")
    solved = new_markdown_cell(SOLVED.replace("Four", "Five"), metadata={"tags": ["solution"]})
    found = cut(
        ran("k()", "knob"), new_markdown_cell("## 8. Exercises\n\n**Exercise 1 (★).** Sum?"), asked, solved, tail
    )
    first, second = found[-2:]
    assert first[1] == ["**Exercise 1 (★).** Sum?", 'answer = None\nteaching.check("corrupted.by_hand", answer)']
    assert first[2] == ["**Solution 1.** Five."]
    assert second[1:] == (["**Exercise 2 (★). Explain.** Why?"], ["**Solution 1.** Four."])


def test_property_notes_are_the_presenter_s_and_what_is_the_teacher_s_is_left_out():
    private = [
        new_markdown_cell("Slowly here.", metadata={"tags": ["notes", "remove-cell"]}),
        new_markdown_cell("Ask the last row.", metadata={"tags": ["instructor", "remove-cell"]}),
    ]
    found = cut(*private)
    assert found == [("slide", ["# Title\n\nA hook."], ["Slowly here."])]


def test_property_links_between_notebooks_lead_to_their_slides():
    found = cut(
        new_markdown_cell(
            "## 2. More\n\nSee [it](other.ipynb), [book](../../book/ledger.md), [us](https://a.org/b.ipynb)."
        )
    )
    shown = found[1][1][0]
    assert "[it](other.html)" in shown
    assert "weightlore/book/ledger.html" in shown
    assert "[us](https://a.org/b.ipynb)" in shown


def test_limit_fences_and_formulas_hold_together():
    source = "## 4. It\n\n```python\na = 1\n\n## no heading\n```\n\nText.\n\n$$ a\n\nb $$\n\nEnd."
    (only,) = passages(source)
    assert only.shown == "## 4. It\n\n```python\na = 1\n\n## no heading\n```\n\n$$ a\n\nb $$"
    assert only.said == "Text.\n\nEnd."
    assert (only.section, only.kind) == (4, "slide")
    assert passages("") == []
    assert passages("\n\n") == []


def test_property_what_does_not_fit_goes_on_below_and_nothing_is_lost():
    formulas = "\n\n".join(f"$$ a_{i} $$" for i in range(12))
    found = cut(new_markdown_cell(f"## 4. It\n\nFirst.\n\n{formulas}\n\nSaid."))
    assert [kind for kind, _, _ in found] == ["slide", "slide", "subslide"]
    assert "\n\n".join(shown for _, (shown,), _ in found[1:]) == f"## 4. It\n\nFirst.\n\n{formulas}"
    assert ["Said." in "".join(notes) for _, _, notes in found] == [False, True, False]
    long = " ".join(["word"] * 600)
    assert pages(f"## A\n\n{long}") == [f"## A\n\n{long}"], "a heading stays with what follows"
    assert pages("") == []


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_property_every_tutorial_makes_a_show_that_shows_no_answer(path):
    whole = nbformat.read(path, as_version=4)
    show = slides(whole, path.relative_to(ROOT / "tutorials").as_posix(), elsewhere=ELSEWHERE)
    shown = "\n\n".join(
        c.source for c in show.cells if c.metadata.slideshow.slide_type != "notes" and c.cell_type != "code"
    )
    notes = "\n\n".join(c.source for c in show.cells if c.metadata.slideshow.slide_type == "notes")
    answers = [ELSEWHERE.text(fold.text, path.parent.name) for cell in whole.cells for fold in folds(cell.source)]
    neighbors = [re.sub(r"\]\(([^):\s]+)\.ipynb", r"](\1.html", text) for text in answers]
    assert [text for text in neighbors if text not in notes] == []
    assert [text for text in neighbors if text in shown] == []
    assert [int(n) for n in re.findall(r"^## (\d+)\. ", shown, re.M)] == list(range(1, 11))
    outputs = [
        c.outputs
        for c in whole.cells
        if c.cell_type == "code" and c.outputs and "setup" not in c.metadata.get("tags", [])
    ]
    assert [c.outputs for c in show.cells if c.cell_type == "code"] == outputs
    assert all(f"**Minutes {minutes} of" in notes for minutes, _ in CLASS_PLAN.values())
    questions = re.findall(r"^\*\*(?:Guess|Exercise \d+)\b", "\n".join(c.source for c in whole.cells), re.M)
    assert len(re.findall(r"^\*\*(?:Guess|Exercise \d+)\b", shown, re.M)) == len(questions)


def test_property_the_minutes_are_those_of_the_pages_for_instructors():
    page = (ROOT / "book" / "instructors" / "index.md").read_text("utf-8")
    assert [row for row in CLASS_PLAN.values() if "| {} | {} |".format(*row) not in page] == []


def test_error_no_slides_from_contradicting_tags():
    with pytest.raises(ParameterError, match=r"mine\.ipynb contradict"):
        cut(new_markdown_cell("A picture.", metadata={"tags": ["figure"]}))


def test_error_without_the_javascript_of_others_the_message_says_how_to_get_it(tmp_path):
    (tmp_path / "static" / "vendor").mkdir(parents=True)
    with pytest.raises(DataError, match=r"slides need anywidget\.js.*`make vendor` fetches it"):
        write_slides({}, tmp_path / "slides", static=tmp_path / "static")
    assert not (tmp_path / "slides").exists()


def test_error_without_nbconvert_the_extra_is_named(tmp_path, monkeypatch):
    for name in NEEDED:
        (tmp_path / "static" / "vendor" / name).mkdir(parents=True)
    (tmp_path / "static" / "widgets-config.js").write_text("")
    monkeypatch.setitem(sys.modules, "nbconvert.exporters", None)
    show = slides(made(), "1_corrupted/mine.ipynb", elsewhere=ELSEWHERE)
    with pytest.raises(MissingExtra, match=re.escape('pip install "weightlore[lab]"')):
        write_slides({"1_corrupted/mine.ipynb": show}, tmp_path / "slides", static=tmp_path / "static")
