"""Contract 2 and the one direction: imports flow one way, and an optional library is imported where it is used."""

import sys

import pytest
from tests.contracts import house
from tests.contracts.files import package


@pytest.mark.parametrize("path", package())
def test_property_imports_flow_one_way(path):
    assert house.against_the_stream(path, package()[path]) == []


@pytest.mark.parametrize("path", package())
def test_property_the_package_needs_only_what_it_requires(path):
    assert house.outside_libraries(path, package()[path], sys.stdlib_module_names) == []


def test_property_the_requirements_are_those_of_the_project():
    import tomllib

    from packaging.requirements import Requirement
    from tests.contracts.files import ROOT

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = {Requirement(line).name.replace("scikit-learn", "sklearn") for line in project["dependencies"]}
    assert names == house.REQUIRED
    assert all("==" not in line for line in project["dependencies"]), "ranges, never pins"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pkg/weightlore/corruption/x.py", "from weightlore.transfer import PTU"),
        ("pkg/weightlore/corruption/x.py", "from weightlore import teaching"),
        ("pkg/weightlore/crossbar/x.py", "import weightlore.bitslice.quantize"),
        ("pkg/weightlore/spiking/x.py", "def f():\n    from weightlore.crossbar import matmul"),
        ("pkg/weightlore/data/x.py", "from weightlore.corruption import Budget"),
        ("pkg/weightlore/parameters/placing.py", "from weightlore.teaching import palette"),
        ("pkg/weightlore/data/x.py", "from .split import Split"),
        ("pkg/weightlore/teaching/x.py", "from weightlore.cli import main"),
        ("pkg/weightlore/corruption/x.py", "from weightlore.crossed import cross"),
        ("pkg/weightlore/crossed/x.py", "from weightlore.teaching import Claim"),
    ],
)
def test_property_an_import_against_the_stream_is_found(path, text):
    assert house.against_the_stream(path, text)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pkg/weightlore/corruption/x.py", "import matplotlib.pyplot as plt"),
        ("pkg/weightlore/corruption/x.py", "def f():\n    import ipywidgets"),
        ("pkg/weightlore/data/x.py", "import pandas"),
        ("pkg/weightlore/crossbar/x.py", "from numba import njit"),
    ],
)
def test_property_a_library_of_an_extra_is_found(path, text):
    assert house.outside_libraries(path, text, sys.stdlib_module_names)


def test_limit_what_may_be_imported_passes():
    good = "import torch\nfrom weightlore.data import digits\n\ndef f():\n    import numba\n"
    assert house.against_the_stream("pkg/weightlore/corruption/x.py", good) == []
    assert house.outside_libraries("pkg/weightlore/corruption/x.py", good, sys.stdlib_module_names) == []
    simulators = "from weightlore.crossbar import matmul\nfrom weightlore.spiking import simulate\n"
    assert house.against_the_stream("pkg/weightlore/binary/x.py", simulators) == []
    papers = "from weightlore.binary import rounded_binary\nfrom weightlore.corruption import Budget\n"
    assert house.against_the_stream("pkg/weightlore/crossed/x.py", papers) == []
    assert house.against_the_stream("pkg/weightlore/teaching/x.py", "from weightlore.crossed import cross") == []
