"""A stored notebook that does not say what comes out is found, whatever was changed in it."""

import base64
import copy
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output
from PIL import Image

from weightlore.teaching import compare, freeze
from weightlore.teaching.notebooks import STATE

ROOT = Path(__file__).parents[2]
SETUP = "import torch\nimport matplotlib.pyplot as plt\nfrom weightlore.teaching import CurveFigure"
KNOB = """x = [0.0, 1.0, 2.0]
CurveFigure([[0.0, 1.0, 4.0], [0.0, 2.0, 8.0]], x, {"slope": [1, 2]},
            title="Twice the slope, twice the height", xlabel="x", ylabel="y")"""
SHOWN = "pictures, widgets and alt texts"


def tiny() -> nbformat.NotebookNode:
    cells = [
        new_code_cell(SETUP + "\ntorch.set_num_threads(1)\ntorch.set_default_dtype(torch.float64)"),
        new_code_cell("print('accuracy', 0.974)\nobject()"),
        new_code_cell("plt.plot([0, 1], [1, 2])\nplt.title('It rises')\nplt.show()", metadata={"tags": ["figure"]}),
        new_code_cell(KNOB, metadata={"tags": ["knob"]}),
    ]
    promises = {"minutes": 1, "seconds": 60, "memory_mb": 600, "objectives": ["see"], "prerequisites": ["none"]}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "weightlore": promises | {"paper": None}})


def number(notebook):
    notebook.cells[1].outputs[0].text = notebook.cells[1].outputs[0].text.replace("0.974", "0.984")


def output(notebook):
    del notebook.cells[1].outputs[0]


def picture(notebook):
    white = io.BytesIO()
    old = Image.open(io.BytesIO(base64.b64decode(notebook.cells[2].outputs[0].data["image/png"])))
    Image.new("RGBA", old.size, "white").save(white, "png")
    notebook.cells[2].outputs[0].data["image/png"] = base64.b64encode(white.getvalue()).decode()


def alt(notebook):
    notebook.cells[2].metadata.mystnb.image.alt = "It falls."


def pieces(notebook):
    """The same text as it may arrive: in two parts. No tampering."""
    text = notebook.cells[1].outputs[0].text
    parts = [new_output("stream", name="stdout", text=part) for part in (text[:5], text[5:])]
    notebook.cells[1].outputs[:1] = parts


def states(notebook):
    return notebook.metadata.widgets[STATE]["state"]


def widget_data(notebook):
    record = next(record for record in states(notebook).values() if record.get("buffers"))
    raw = base64.b64decode(record["buffers"][0]["data"])
    record["buffers"][0]["data"] = base64.b64encode(bytes(len(raw))).decode()


def widget_title(notebook):
    record = next(record for record in states(notebook).values() if "spec" in record["state"])
    record["state"]["spec"]["title"] = "Nothing happens"


def widget_state(notebook):
    del notebook.metadata["widgets"]


TAMPERS = {f.__name__: f for f in (number, output, picture, alt, widget_data, widget_title, widget_state)}
TEXT = {"number", "output"}  # what nbval itself sees


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    path = tmp_path_factory.mktemp("frozen") / "tiny.ipynb"
    nbformat.write(tiny(), path)
    return freeze(path)


def tampered(notebook, tamper):
    notebook = copy.deepcopy(notebook)
    tamper(notebook)
    return notebook


@pytest.mark.slow
@pytest.mark.parametrize("name", TAMPERS)
def test_property_compare_finds_every_tampering(frozen, name):
    assert compare(frozen, frozen) == []
    assert compare(tampered(frozen, TAMPERS[name]), frozen)


@pytest.mark.slow
def test_property_a_deleted_widget_state_is_missed_by_no_count(frozen):
    lines = compare(tampered(frozen, widget_state), frozen)
    assert any("is not stored" in line for line in lines)


@pytest.fixture(scope="module")
def verdicts(frozen, tmp_path_factory):
    """Which tests of ``make test`` fail, for each tampering, in one run over all of them."""
    folder = tmp_path_factory.mktemp("tampered")
    for name, tamper in {"none": lambda notebook: None, "pieces": pieces, **TAMPERS}.items():
        nbformat.write(tampered(frozen, tamper), folder / f"{name}.ipynb")
    options = ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", str(ROOT / "tests" / "sanitize.cfg")]
    command = [sys.executable, "-m", "pytest", "-p", "tests.tutorials.judged", "-q", "-rA", "-p", "no:cacheprovider"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    done = subprocess.run(
        [*command, *options, str(folder)], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    found = re.findall(
        r"^(PASSED|FAILED|ERROR) (?:.*/)?(\w+)\.ipynb::(Cell \d+|[a-z ,]+?)(?: - .*)?$", done.stdout, re.M
    )
    assert found, done.stdout + done.stderr
    return {
        name: {test for verdict, n, test in found if n == name and verdict != "PASSED"}
        for name in [*TAMPERS, "none", "pieces"]
    }


@pytest.mark.slow
def test_limit_an_untouched_notebook_passes(verdicts):
    assert verdicts["none"] == set()
    assert verdicts["pieces"] == set(), "nor does it matter how a text arrived"


@pytest.mark.slow
@pytest.mark.parametrize("name", TAMPERS)
def test_property_make_test_finds_every_tampering(verdicts, name):
    assert SHOWN in verdicts[name]
    assert ("Cell 1" in verdicts[name]) == (name in TEXT)


def test_property_what_is_sanitized_is_no_result():
    """The patterns hide where an object lies, and not a single number, time or rate."""
    text = (ROOT / "tests" / "sanitize.cfg").read_text()
    patterns = re.findall(r"^regex: (.*)$", text, re.M)
    assert len(patterns) == len(re.findall(r"^\[", text, re.M)) == 2
    for said in ("0.974", "12 s", "3.5 ms", "100 it/s", "P=6570", "1e-05", "0x1f", json.dumps({"a": 1.5})):
        assert not any(re.search(pattern, said) for pattern in patterns), said
    assert any(re.search(pattern, "<object object at 0x7f12ab34cd56>") for pattern in patterns)
