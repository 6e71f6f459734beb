"""The examples of docstrings: each runs and says what stands there, and every method of the survey has one."""

import doctest
import importlib
import inspect
import types

import pytest
import torch
from tests.contracts.files import package
from tests.uncertainty import coverage


def dotted(path):
    """The name of the module in a file of the package."""
    return path.removeprefix("pkg/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")


SHOWN = [dotted(path) for path, text in package().items() if ">>> " in text]


def complaints(module):
    """What the examples of a module say beside what stands there."""
    found = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for example in doctest.DocTestFinder().find(module):
        runner.run(example, out=found.append)
    return found


def without_call(value):
    """Whether a function or class has no example in which its name stands; methods are shown with their class."""
    if isinstance(value, property) or (inspect.isfunction(value) and "." in value.__qualname__):
        return False
    examples = doctest.DocTestParser().get_examples(inspect.getdoc(value) or "")
    return not any(value.__name__ in example.source for example in examples)


@pytest.mark.parametrize("name", SHOWN)
def test_property_examples_run_as_they_stand(name):
    with torch.random.fork_rng(devices=[]):
        assert complaints(importlib.import_module(name)) == []


@pytest.mark.parametrize("row", coverage.rows(), ids=lambda row: row["id"])
def test_property_a_method_of_the_survey_has_an_example(row):
    assert [name for name in row["names"].split() if without_call(coverage.found(name))] == []


@pytest.mark.parametrize(("text", "says"), [(">>> 1 + 1\n3\n", "Expected"), (">>> nothing\n", "NameError")])
def test_property_an_example_that_does_not_run_is_found(text, says):
    module = types.ModuleType("wrong", text)
    assert any(says in line for line in complaints(module))
    assert complaints(types.ModuleType("right", ">>> 1 + 1\n2\n")) == []


def test_property_a_function_without_example_is_found():
    assert without_call(dotted)
    assert without_call(types.FunctionType(dotted.__code__, {}, "f"))
    assert not without_call(coverage.found("uncertainty.deterministic.duq"))
