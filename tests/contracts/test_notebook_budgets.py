"""Contract 10: every tutorial declares its budget and keeps it; sizes and form are checked without running anything."""

import copy
import re

import nbformat
import pytest
from tests.contracts.files import keys, notebooks

from weightlore.teaching import budget


def unknown_papers(notebook, known) -> list[str]:
    """Papers in a notebook's metadata that no reference has."""
    paper = notebook.metadata.get("weightlore", {}).get("paper")
    return [name for name in ([paper] if isinstance(paper, str) else paper or []) if name not in known]


def unmarked(notebook) -> list[str]:
    """Exercises that are stored answered: a checker that says anything but its first nudge."""
    found = []
    for number, cell in enumerate(notebook.cells, start=1):
        if cell.cell_type == "code" and "exercise" in cell.metadata.get("tags", []):
            said = "".join(str(output.get("data", {}).get("text/plain", "")) for output in cell.outputs)
            if "check(" in cell.source and not said.startswith("To begin with:"):
                found.append(f"cell {number} is stored with an answer: {said[:60]}")
    return found


def sections(notebook) -> list[int]:
    """The numbers of the sections, in the order in which a reader meets them."""
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    return [int(number) for number in re.findall(r"^## (\d+)\. \S", prose, re.M)]


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_property_a_tutorial_has_its_ten_sections(path):
    assert sections(nbformat.read(path, as_version=4)) == list(range(1, 11))


def test_property_a_lost_section_is_found():
    cells = [nbformat.v4.new_markdown_cell(f"Text.\n\n## {n}. Title\n\n### 3. Not one") for n in (1, 2, 4)]
    cells.append(nbformat.v4.new_code_cell("## 3. Not one"))
    assert sections(nbformat.v4.new_notebook(cells=cells)) == [1, 2, 4]


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_property_a_tutorial_keeps_its_budget(path):
    notebook = nbformat.read(path, as_version=4)
    assert budget(notebook) == []
    assert unknown_papers(notebook, keys()) == []
    assert unmarked(notebook) == []


def test_property_an_undeclared_budget_is_found():
    empty = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print(1)")])
    assert len([line for line in budget(empty) if "is missing" in line]) == 6


def test_property_an_unknown_paper_and_an_answered_exercise_are_found():
    output = nbformat.v4.new_output("execute_result", data={"text/plain": "Right. So it is."}, execution_count=1)
    cell = nbformat.v4.new_code_cell("check('a.b', 3)", outputs=[output], metadata={"tags": ["exercise"]})
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"weightlore": {"paper": "nobody1999nothing"}})
    assert unknown_papers(notebook, {"sun2021corruption"}) == ["nobody1999nothing"]
    assert unmarked(notebook)
    good = copy.deepcopy(notebook)
    good.cells[0].outputs[0].data["text/plain"] = "To begin with: think."
    assert unmarked(good) == []
