"""Canonical form, comparison and budgets of notebooks, on notebooks made by hand; execution on one tiny notebook."""

import base64
import copy
import io
import os
import random
import subprocess
import sys
import uuid

import nbformat
import numpy as np
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image, ImageDraw

from weightlore.errors import ParameterError
from weightlore.teaching import budget, canonical, compare, execute, freeze
from weightlore.teaching.figures.packing import Packer
from weightlore.teaching.notebooks import STATE, VIEW, run_offline

PROMISES = {
    "minutes": 5,
    "seconds": 10,
    "memory_mb": 500,
    "objectives": ["say what theta is"],
    "prerequisites": ["Python"],
    "paper": "sun2021corruption",
}
FIRST = "import torch\ntorch.set_num_threads(1)\ntorch.set_default_dtype(torch.float64)"
X = np.linspace(0, 1, 50)


def png(shift=0, size=(60, 40)):
    picture = Image.new("RGB", size, "white")
    ImageDraw.Draw(picture).rectangle((10 + shift, 10, 40 + shift, 30), fill="black")
    file = io.BytesIO()
    picture.save(file, "png")
    return base64.b64encode(file.getvalue()).decode()


def widget(values, ids, bits=16):
    """State of a figure with a layout and a link, under the given ids."""
    figure, layout, link = ids
    packer = Packer()
    spec = {"title": "It rises", "curves": [{"values": packer.add(np.asarray(values), bits=bits)}]}
    data = {"data": base64.b64encode(packer.data).decode(), "path": ["data"], "encoding": "base64"}
    record = {"spec": spec, "layout": f"IPY_MODEL_{layout}", "i0": 3, "width": 0.5}
    return {
        link: {"model_name": "LinkModel", "state": {"source": [f"IPY_MODEL_{figure}", "i0"]}},
        figure: {"model_name": "AnyModel", "state": record, "buffers": [data]},
        layout: {"model_name": "LayoutModel", "state": {"width": None}},
    }


def made(*, values=X**2, shift=0, ids=None, text="accuracy 0.974\n", bits=16, alt="It rises from 0 to 1."):
    """A notebook with a printed number, a picture and a widget."""
    ids = ids or [uuid.UUID(int=random.Random(i).getrandbits(128)).hex for i in range(3)]
    shown = {"output_type": "display_data", "data": {"image/png": png(shift)}, "metadata": {"image/png": {"alt": alt}}}
    view = {"model_id": ids[0], "version_major": 2, "version_minor": 0}
    picture = new_code_cell("plt.show()", execution_count=3, outputs=[nbformat.from_dict(shown)])
    picture.metadata = nbformat.from_dict({"tags": ["figure"], "mystnb": {"image": {"alt": alt}}})
    cells = [
        new_markdown_cell("# Title"),
        new_code_cell(FIRST, execution_count=1),
        new_code_cell("print(a)", execution_count=2, outputs=[new_output("stream", name="stdout", text=text)]),
        picture,
        new_code_cell("figure", execution_count=4, outputs=[new_output("display_data", data={VIEW: view})]),
    ]
    for i, cell in enumerate(cells):
        cell["id"] = f"cell-{i}"
    states = {STATE: {"state": widget(values, ids, bits), "version_major": 2, "version_minor": 0}}
    return nbformat.from_dict(new_notebook(cells=cells, metadata={"weightlore": dict(PROMISES), "widgets": states}))


def state(notebook, model):
    records = notebook.metadata.widgets[STATE]["state"].values()
    return next(record for record in records if record["model_name"] == model)


def hexes(seed):
    return [uuid.UUID(int=random.Random(seed + i).getrandbits(128)).hex for i in range(3)]


def test_property_random_ids_do_not_matter():
    one, other = made(ids=hexes(1)), made(ids=hexes(100))
    assert one != other
    assert canonical(one) == canonical(other)
    assert compare(one, other) == []


def test_property_canonical_is_idempotent_and_leaves_its_argument():
    notebook = made()
    before = copy.deepcopy(notebook)
    assert canonical(canonical(notebook)) == canonical(notebook)
    assert notebook == before
    assert list(canonical(notebook).metadata.widgets[STATE]["state"]) == [f"{i:032x}" for i in range(3)]


def test_property_execution_times_and_versions_are_left_out():
    notebook = made()
    notebook.cells[1].metadata["execution"] = {"iopub.status.busy": "2021-02-03T04:05:06"}
    notebook.metadata["language_info"] = {"name": "python", "version": "3.12.1"}
    assert canonical(notebook).metadata.language_info == {"name": "python"}
    assert canonical(notebook).cells == canonical(made()).cells


def test_property_what_is_printed_is_one_text_however_it_arrived():
    pieces = made()
    pieces.cells[2].outputs = [new_output("stream", name="stdout", text=t) for t in ("accuracy ", "0.974\n")]
    assert canonical(pieces) == canonical(made())
    assert compare(pieces, made()) == []
    pieces.cells[2].outputs[1].name = "stderr"
    assert compare(pieces, made())


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"text": "accuracy 0.975\n"}, "cell 3: stdout was"),
        ({"text": ""}, "cell 3"),
        ({"shift": 12}, "cell 4: image/png differs"),
        ({"values": X**2 * 1.01}, "'spec.curves.0.values' of AnyModel"),
        ({"values": X * 0}, "'spec.curves.0.values' of AnyModel"),
        ({"values": X[:40]}, "'spec.curves.0.values' of AnyModel"),
        ({"alt": "It falls from 1 to 0."}, "cell 4: the alt text"),
        ({"alt": "It rises from 0 to 2."}, "cell 4: the alt text"),
    ],
)
def test_property_what_a_reader_would_see_is_compared(changes, said):
    found = compare(made(**changes), made())
    assert any(said in line for line in found), found


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_property_rounding_of_another_processor_is_no_difference(bits):
    noisy = X**2 * (1 + 1e-7 * np.sin(1000 * X))
    assert compare(made(values=X**2, bits=bits), made(values=noisy, bits=bits)) == []


def test_property_alt_texts_may_round_otherwise():
    assert compare(made(alt="It rises to 0.974."), made(alt="It rises to 0.975.")) == []
    assert compare(made(alt="It rises to 0.974."), made(alt="It rises to 0.914."))


@pytest.mark.parametrize(
    "tamper",
    [
        lambda nb: nb.metadata.pop("widgets"),
        lambda nb: nb.cells[2].outputs.clear(),
        lambda nb: nb.cells[2].update(execution_count=None),
        lambda nb: nb.cells.pop(),
        lambda nb: nb.cells[2].update(source="print(b)"),
        lambda nb: nb.cells[3].metadata.pop("mystnb"),
        lambda nb: state(nb, "AnyModel")["state"].update(i0=4),
        lambda nb: state(nb, "AnyModel")["state"].update(i0=True),
        lambda nb: state(nb, "AnyModel")["state"].update(width=0.6),
        lambda nb: state(nb, "AnyModel")["state"].pop("width"),
        lambda nb: state(nb, "AnyModel")["state"]["spec"].update(title="It falls"),
        lambda nb: state(nb, "AnyModel").update(buffers=[]),
        lambda nb: state(nb, "AnyModel")["buffers"][0].update(data="AAAA"),
        lambda nb: state(nb, "LinkModel").update(model_name="DirectionalLinkModel"),
        lambda nb: state(nb, "LayoutModel")["state"].update(width="10px"),
    ],
)
def test_property_every_tampering_is_found(tamper):
    honest = made()
    tampered = copy.deepcopy(honest)
    tamper(tampered)
    assert compare(tampered, honest)
    assert compare(honest, honest) == []


def test_property_where_an_object_lies_is_no_difference_but_a_number_is():
    assert compare(made(text="<a at 0x7f0012345678>\n"), made(text="<a at 0x7f0087654321>\n")) == []
    assert compare(made(text="0x7f0012345678\n"), made(text="0x7f0087654321\n"))


def test_property_an_honest_notebook_keeps_its_budget():
    assert budget(made()) == []
    assert budget(made(), seconds=29) == []


@pytest.mark.parametrize("key", PROMISES)
def test_property_every_promise_must_be_made(key):
    notebook = made()
    del notebook.metadata.weightlore[key]
    assert any(f"weightlore.{key} is missing" in line for line in budget(notebook))
    notebook.metadata.weightlore[key] = {}
    assert any(f"weightlore.{key} must be" in line for line in budget(notebook))


def with_source(source, number=2):
    notebook = made()
    notebook.cells[number].source = source
    return notebook


@pytest.mark.parametrize(
    ("notebook", "said"),
    [
        (with_source("\n".join(f"a = {i}" for i in range(9))), "has 9 lines"),
        (with_source("plt.plot(x);"), "ends in ';'"),
        (with_source("def f(x):\n    a = x\n    b = a\n    c = b\n    d = c\n    return d"), "defines f"),
        (with_source("%time f()"), "measured time"),
        (with_source("from time import perf_counter"), "measured time"),
        (with_source("import torch", 1), "set_num_threads(1)"),
        (with_source("import torch\ntorch.set_num_threads(1)", 1), "set_default_dtype(torch.float64)"),
        (with_source("a = ("), "is not Python"),
        (made(text="100%|####| 3/3 [00:01<00:00, 2.51it/s]"), "measured time"),
    ],
)
def test_property_what_a_tutorial_must_not_do_is_said(notebook, said):
    assert any(said in line for line in budget(notebook)), budget(notebook)


def test_property_sizes_are_limited():
    notebook = made()
    notebook.cells[2].outputs[0].text = "x" * 500_000
    assert any("at most 500000" in line for line in budget(notebook))
    notebook = made()
    state(notebook, "AnyModel")["buffers"][0]["data"] = "A" * 300_001
    assert any("300001 bytes of widget data" in line for line in budget(notebook))
    notebook = made()
    notebook.cells += [new_code_cell("1") for _ in range(37)]
    assert any("41 code cells" in line for line in budget(notebook))


def test_property_the_safety_stop_is_three_times_the_declared_seconds():
    assert any("over 3 times the declared 10 s" in line for line in budget(made(), seconds=31))
    notebook = made()
    notebook.metadata.weightlore["measured"] = {"seconds": 31}
    assert any("ran 31 s" in line for line in budget(notebook))


def test_property_a_picture_has_a_tag_and_an_alt_text():
    notebook = made()
    notebook.cells[3].metadata = nbformat.from_dict({})
    said = "\n".join(budget(notebook))
    assert "tag 'figure'" in said
    assert "alt text" in said


def test_limit_magics_are_allowed():
    assert budget(with_source("%matplotlib inline\nprint(a)")) == []


BLOCKED = """import socket
try:
    socket.create_connection(("192.0.2.1", 80), timeout=1)
except OSError as error:
    print(error)"""
THREADS = "import os\nprint(os.environ['OMP_NUM_THREADS'], os.environ['PYTHONHASHSEED'])"
SLIDER = "import ipywidgets\nipywidgets.FloatSlider(value=2.5)"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "tiny.ipynb"
    cells = [new_code_cell(source) for source in (BLOCKED, THREADS, SLIDER)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": kernel, "weightlore": PROMISES}), path)
    return path


def test_property_execution_is_offline_in_one_thread_and_keeps_widgets(tiny):
    before = tiny.read_bytes(), dict(os.environ)
    notebook = execute(tiny)
    assert "without network" in notebook.cells[0].outputs[0].text
    assert notebook.cells[1].outputs[0].text == "1 0\n"
    assert state(notebook, "FloatSliderModel")["state"]["value"] == 2.5
    assert set(notebook.metadata.weightlore.measured) <= {"seconds", "memory_mb"}
    assert (tiny.read_bytes(), dict(os.environ)) == before
    assert compare(notebook, notebook) == []


@pytest.mark.slow
def test_limit_a_kernel_that_ends_slowly_still_reports_what_it_spent(tmp_path):
    path = tmp_path / "slow.ipynb"
    cell = new_code_cell("import atexit, time\natexit.register(time.sleep, 8)")
    nbformat.write(new_notebook(cells=[cell]), path)
    spent = execute(path).metadata.weightlore.measured
    assert set(spent) == ({"seconds"} if os.name == "nt" else {"seconds", "memory_mb"})


def test_error_a_cell_that_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "broken.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1 / 0")]), path)
    before = path.read_bytes()
    with pytest.raises(Exception, match="ZeroDivisionError"):
        freeze(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["broken.ipynb"]


def test_error_a_figure_cell_without_a_figure_is_refused(tmp_path):
    path = tmp_path / "empty.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell("1", metadata={"tags": ["figure"]})]), path)
    with pytest.raises(ParameterError, match=r"cell 1 of empty\.ipynb is tagged 'figure'"):
        freeze(path)


def offline(code):
    done = subprocess.run([sys.executable, "-c", code], env=run_offline(), capture_output=True, text=True, check=False)
    return done.stdout.strip() + done.stderr.strip()


@pytest.mark.parametrize(
    "call",
    [
        "socket.create_connection(('192.0.2.1', 80), timeout=1)",
        "socket.socket().connect(('8.8.8.8', 53))",
        "socket.socket().connect_ex(('8.8.8.8', 53))",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('8.8.8.8', 53))",
        "socket.getaddrinfo('example.org', 80)",
        "urllib.request.urlopen('http://example.org')",
        "socket.socket(socket.AF_INET6).connect(('2001:db8::1', 80))",
    ],
)
def test_property_every_way_out_is_blocked(call):
    assert "without network" in offline(f"import socket, urllib.request\n{call}")


def test_property_loopback_is_open():
    code = "import socket\ns = socket.create_server(('127.0.0.1', 0))\n"
    code += "c = socket.create_connection(s.getsockname())\nprint('open')\n"
    code += "socket.create_connection(('localhost', s.getsockname()[1]))\nprint('too')"
    assert offline(code) == "open\ntoo"
