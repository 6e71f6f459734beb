"""The pages about a network of one's own: every block runs, and prints what stands below it."""

import contextlib
import copy
import io
import re

import pytest
import torch
from contents import ROOT

FOLDER = ROOT / "book" / "your_own_model"
PAGES = sorted(path.name for path in FOLDER.glob("*.md"))
BLOCK = re.compile(
    r"^```(python|text|\{literalinclude\} (?P<file>\w+\.py))\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL
)


def blocks(page):
    """Pairs of code and what it is said to print, in the order of the page; the two networks are made elsewhere."""
    found = []
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        if match["file"]:
            if match["file"] != "two_networks.py":
                found.append([(FOLDER / match["file"]).read_text(encoding="utf-8"), ""])
        elif match[1] == "text":
            found[-1][1] = match["body"]
        else:
            found.append([match["body"], ""])
    return found


def printed(code, names):
    stream = io.StringIO()
    with contextlib.redirect_stdout(stream):
        exec(compile(code, "page", "exec"), names)
    return stream.getvalue()


@contextlib.contextmanager
def as_a_reader():
    """A fresh session: one thread and the dtype and randomness of the pages, put back afterwards."""
    dtype, threads = torch.get_default_dtype(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def session():
    """What the page with the two networks leaves behind: its names, and the state of torch's generator."""
    with as_a_reader():
        names = {"__name__": "page"}
        printed((FOLDER / "two_networks.py").read_text(encoding="utf-8"), names)
        return names, torch.get_rng_state()


def run(page, session):
    names, state = {**session[0]}, session[1]
    names |= {name: copy.deepcopy(names[name]) for name in ("resnet", "reader")}
    with as_a_reader():
        torch.set_default_dtype(torch.float64)
        torch.set_rng_state(state)
        return [(printed(code, names), told) for code, told in blocks(page)]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES)
def test_property_a_page_prints_what_it_says(page, session):
    found = run(FOLDER / page, session)
    assert len(found) >= 3
    for shown, told in found:
        assert shown == told


@pytest.mark.parametrize("page", PAGES)
def test_property_every_page_shows_its_networks_and_short_blocks(page):
    text = (FOLDER / page).read_text(encoding="utf-8")
    assert "```{literalinclude} two_networks.py" in text
    for match in BLOCK.finditer(text):
        assert len(match["body"].splitlines()) <= 32, "ten to twenty lines a method"
        assert all(len(line) <= 120 for line in match["body"].splitlines() if match[1] == "python")


def test_property_every_fate_has_a_page_in_the_contents():
    contents = (ROOT / "_toc.yml").read_text(encoding="utf-8")
    fates = {"index", "corrupted", "transferred", "uncertain", "explained", "sliced", "binarized"}
    assert {name.removesuffix(".md") for name in PAGES} == fates
    assert all(f"book/your_own_model/{name}" in contents for name in fates)


@pytest.mark.parametrize(
    ("text", "right"),
    [("```python\nprint(1)\n```\n\n```text\n1\n```\n", True), ("```python\nprint(1)\n```\n\n```text\n2\n```\n", False)],
)
def test_limit_a_page_that_lies_is_found(tmp_path, text, right):
    (tmp_path / "page.md").write_text(text)
    [(code, told)] = blocks(tmp_path / "page.md")
    assert (printed(code, {}) == told) is right
