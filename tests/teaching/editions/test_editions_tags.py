"""The tags of tutorials: all of ours can be followed, and each contradiction is found, with notebook and cell."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from tests.contracts.files import ROOT, notebooks

from weightlore.errors import ParameterError
from weightlore.teaching.editions import TAGS, contradictions, require_tags

SOLVED = "<details><summary>Solution 1</summary>\n\nFour.\n\n</details>"
ASKED = 'answer = None\nteaching.check("corrupted.by_hand", answer)'


def code(source="1 + 1", *tags):
    return new_code_cell(source, metadata={"tags": list(tags)})


def text(source="Words.", *tags):
    return new_markdown_cell(source, metadata={"tags": list(tags)})


def made(*cells):
    return new_notebook(cells=[text("# Title"), code("import torch", "setup"), *cells])


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_property_the_tags_of_every_tutorial_can_be_followed(path):
    assert contradictions(nbformat.read(path, as_version=4)) == []


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ([code("1", "exercises")], "cell 3 has the tag 'exercises', which means nothing"),
        ([code(ASKED, "exercise", "solution")], "cell 3 is both 'exercise' and 'solution'"),
        ([code(ASKED, "exercise", "instructor", "remove-cell")], "cell 3 is both 'exercise' and 'instructor'"),
        ([text("Both.", "instructor", "notes", "remove-cell")], "cell 3 is both 'instructor' and 'notes'"),
        ([text(SOLVED, "solution", "notes", "remove-cell")], "cell 3 is both 'solution' and 'notes'"),
        ([code("plot()", "install", "figure")], "cell 3 is both 'install' and 'figure'"),
        ([text(SOLVED, "solution")], "cell 3 is a solution without an exercise before it"),
        (
            [code(ASKED, "exercise"), text(SOLVED, "solution"), text(SOLVED, "solution")],
            "cell 5 is a solution without an exercise before it",
        ),
        ([code(ASKED, "exercise"), text("Four.", "solution")], "cell 4 is a solution that is not folded"),
        ([code("answer = 4", "exercise")], "cell 3 is an exercise that asks no checker"),
        ([code(ASKED)], "cell 3 asks a checker without the tag 'exercise'"),
        ([text("A picture.", "figure")], "cell 3 is text with the tag 'figure'"),
        ([text("Ask them.", "instructor")], "cell 3 is tagged 'instructor' but the book would show it"),
        ([text("Slowly.", "notes")], "cell 3 is tagged 'notes' but the book would show it"),
        ([code("1", "setup")], "the first code cell, and no other, has the tag 'setup'; it is on cell 2, 3"),
    ],
)
def test_error_a_contradiction_is_named_with_its_notebook_and_cell(cells, said):
    notebook = made(*cells)
    assert any(line.startswith(said) for line in contradictions(notebook)), contradictions(notebook)
    with pytest.raises(ParameterError, match=r"the tags of 1_corrupted/mine\.ipynb contradict each other") as raised:
        require_tags(notebook, "1_corrupted/mine.ipynb")
    assert said in str(raised.value)


@pytest.mark.parametrize("cells", [[], [text("# Title")], [text(), code("1")]])
def test_error_a_notebook_without_setup_is_found(cells):
    found = contradictions(new_notebook(cells=cells))
    assert found == (
        ["the first code cell, and no other, has the tag 'setup'; no cell has it"]
        if any(c.cell_type == "code" for c in cells)
        else []
    )


def test_limit_what_follows_the_rules_passes():
    asked = [text("**Exercise 1 (★).** Two and two?"), code(ASKED, "exercise"), text(SOLVED, "solution")]
    explained = [text("**Exercise 2 (★★). Explain.** Why?"), text(SOLVED, "solution")]
    private = [text("Ask them.", "instructor", "remove-cell"), text("Slowly.", "notes", "remove-cell")]
    turned = [code("plot()", "figure", "knob")]
    notebook = made(*asked, *explained, *private, *turned)
    require_tags(notebook, "mine.ipynb")
    assert contradictions(notebook) == []


def test_property_every_tag_says_what_it_means_and_the_tutorials_use_the_common_ones():
    used = {
        tag
        for path in notebooks()
        for cell in nbformat.read(path, as_version=4).cells
        for tag in cell.metadata.get("tags", [])
    }
    assert used <= set(TAGS)
    assert {"setup", "figure", "knob", "exercise", "solution"} <= used
    page = (ROOT / "book" / "instructors" / "editions.md").read_text("utf-8")
    assert [tag for tag in TAGS if f"`{tag}`" not in page] == []
