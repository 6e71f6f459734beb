"""Say whether a stored measurement still belongs to the code that is to have made it.

version(claim)   a short hash of the setting and of the source that measures
"""

import ast
import functools
import hashlib
import inspect
import json
import textwrap
from collections.abc import Callable
from types import CodeType
from typing import Any, Protocol

__all__ = ["Measured", "version"]


class Measured(Protocol):
    """What has a version: a claim, or whatever else is measured in a setting.

    Source: ours
    """

    @property
    def setting(self) -> str:
        """What was measured on what."""

    @property
    def unit(self) -> str:
        """The unit of the numbers."""

    @property
    def measure(self) -> Callable[[int], Any]:
        """What returns the numbers of a seed."""


def version(claim: Measured) -> str:
    """Return a short hash of what was measured: the setting and the source of the measurement.

    Functions that the measurement calls count if they live in the same module. Comments, docstrings and layout do not
    count, nor does the rest of the package: a test measures the fast claims again.

    Args:
        claim: the claim.

    Source: ours
    """
    sources: dict[str, str] = {}
    _collect(claim.measure, sources)
    text = json.dumps([claim.setting, claim.unit, sorted(sources.items())])
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _collect(function: Any, sources: dict[str, str]) -> None:
    """Gather the sources of a function, of what a partial binds and of what it calls in its own module."""
    if isinstance(function, functools.partial):
        sources["partial"] = sources.get("partial", "") + repr((function.args, sorted(function.keywords.items())))
        function = function.func
    function = inspect.unwrap(function)
    name = getattr(function, "__qualname__", repr(type(function)))
    if name in sources:
        return
    sources[name] = _plain(inspect.getsource(function))
    for used in _names(function.__code__) if hasattr(function, "__code__") else ():
        found = inspect.unwrap(function.__globals__.get(used))  # a cached function is a function
        if inspect.isfunction(found) and found.__module__ == function.__module__:
            _collect(found, sources)
        elif isinstance(found, int | float | str | tuple):
            sources[used] = repr(found)


def _names(code: CodeType) -> set[str]:
    return set(code.co_names).union(*(_names(c) for c in code.co_consts if isinstance(c, CodeType)))


def _plain(source: str) -> str:
    """Return a source without comments, docstrings and layout; a fragment that is no statement as it is."""
    try:
        tree = ast.parse(textwrap.dedent(source))
    except SyntaxError:
        return source.strip()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)
