"""The first cell of a tutorial installs the package on Colab, and does nothing elsewhere."""

import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from weightlore.teaching.editions import contradictions
from weightlore.teaching.installing import INSTALL, INSTALL_TAGS, with_install

ROOT = Path(__file__).parents[2]
TUTORIALS = sorted((ROOT / "tutorials").glob("*/*.ipynb"))


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_property_every_tutorial_begins_with_it(path):
    first = next(cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code")
    assert first.source == INSTALL
    assert first.metadata.tags == INSTALL_TAGS
    assert first.outputs == []


def test_property_it_does_nothing_where_the_package_is():
    assert "google.colab" not in sys.modules
    exec(INSTALL, {})  # get_ipython is not defined here, so that a call would raise


def test_property_it_installs_this_repository_on_colab(monkeypatch):
    asked, widgets = [], []
    output = SimpleNamespace(enable_custom_widget_manager=lambda: widgets.append("on"))
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace(output=output))
    shell = SimpleNamespace(run_line_magic=lambda *words: asked.append(words))
    exec(INSTALL, {"get_ipython": lambda: shell})
    address = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    assert asked == [("pip", f"install -q 'weightlore[book] @ git+{address}'")]
    assert widgets == ["on"]


def test_property_it_is_put_before_all_code_and_once():
    setup = new_code_cell("import torch", metadata={"tags": ["setup"]}, execution_count=1)
    notebook = new_notebook(cells=[new_markdown_cell("# Title"), setup, new_code_cell("1", execution_count=2)])
    made = with_install(notebook)
    assert [cell.source for cell in made.cells] == ["# Title", INSTALL, "import torch", "1"]
    assert [cell.execution_count for cell in made.cells[1:]] == [1, 2, 3]
    assert with_install(made) == made
    assert contradictions(made) == []
    assert len(notebook.cells) == 3


@pytest.mark.parametrize("cells", [[], [new_markdown_cell("# Title")]])
def test_limit_a_notebook_without_code_gets_it_at_the_end(cells):
    made = with_install(new_notebook(cells=cells))
    assert [cell.source for cell in made.cells] == [*(cell.source for cell in cells), INSTALL]
    assert with_install(made) == made


def test_error_installing_after_the_setup_is_found():
    late = new_code_cell(INSTALL, metadata={"tags": list(INSTALL_TAGS)})
    notebook = new_notebook(cells=[new_code_cell("import torch", metadata={"tags": ["setup"]}), late])
    assert contradictions(notebook) == ["cell 2 installs the package after it was used; put it before the setup"]
