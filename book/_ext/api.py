"""The API pages: every public name of the package, from its docstring, so that no page can fall behind the code."""

import importlib
import inspect
import pkgutil
import re
import typing
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import click

__all__ = ["bibliography_keys", "page", "public_names", "tidy"]

SECTIONS = ("Args:", "Returns:", "Raises:", "Yields:", "Attributes:")
KEY = re.compile(r"\[([a-z]+\d{4}[a-z0-9]+)\]")
LITERAL = re.compile(r"(``.+?``|`[^`]+`|:cite:p:`.+?`|(?<![\w*])\*[A-Za-z][A-Za-z -]*\*(?![\w*]))")


def public_names(package: str) -> dict[str, list[tuple[str, Any]]]:
    """Return the public names of a module or package, below the module that defines them.

    Args:
        package: the import path, as in ``weightlore.corruption``.

    Returns:
        For each defining module, in the order of the package, pairs of the shortest import path and the object.
    """
    root = importlib.import_module(package)
    modules = [root]
    if hasattr(root, "__path__"):
        found = pkgutil.walk_packages(root.__path__, f"{package}.")
        modules += [importlib.import_module(m.name) for m in found if not m.name.rsplit(".", 1)[1].startswith("_")]
    by_module: dict[str, list[tuple[str, Any]]] = {}
    seen: set[int] = set()
    for module in modules:
        for name in getattr(module, "__all__", ()):
            value = getattr(module, name)
            if isinstance(value, ModuleType) or id(value) in seen:
                continue
            seen.add(id(value))
            path = package if getattr(root, name, None) is value else module.__name__
            by_module.setdefault(home(value, module), []).append((f"{path}.{name}", value))
    order = {module.__name__: i for i, module in enumerate(modules)}
    return dict(sorted(by_module.items(), key=lambda item: order.get(item[0], -1)))


def home(value: Any, module: ModuleType) -> str:
    """Return the name of the module that defines a value."""
    name = getattr(value, "__module__", None)
    known = isinstance(name, str) and name.startswith("weightlore") and (inspect.isclass(value) or callable(value))
    return name if known and not isinstance(value, click.Command) else module.__name__


def page(package: str) -> str:
    """Return the text of one API page, in MyST."""
    names = public_names(package)
    parts = [f"# {package}", about(package)]
    for module, entries in names.items():
        if module != package:
            parts += [f"## {module.removeprefix(package + '.')}", about(module)]
        parts += [entry(path, value) for path, value in entries]
    return "\n\n".join(parts) + "\n"


def about(module: str) -> str:
    """Return the docstring of a module."""
    text = inspect.cleandoc(importlib.import_module(module).__doc__ or "")
    return rst(tidy(text.splitlines(), keys=bibliography_keys()))


@cache
def bibliography_keys() -> frozenset[str]:
    """Return the keys of the bibliography."""
    text = (Path(__file__).resolve().parents[1] / "references.bib").read_text(encoding="utf-8")
    return frozenset(re.findall(r"^@\w+\{([^,\s]+),", text, re.MULTILINE))


def entry(path: str, value: Any) -> str:
    """Return what one public name adds to a page."""
    if isinstance(value, click.Command):
        with click.Context(value, info_name=path.rsplit(".", 1)[1]) as context:
            help_text = value.get_help(context)
        return rst([f".. py:function:: {path}()", "", "   ::", ""] + [f"      {x}" for x in help_text.splitlines()])
    foreign = not str(getattr(value, "__module__", "weightlore")).startswith("weightlore")
    if foreign or typing.get_origin(value) is not None:
        return rst([f".. py:data:: {path}", f"   :value: {alias(value)}"])
    if inspect.isclass(value):
        return rst([f".. autoclass:: {path}", "   :members:"])
    return rst([f".. {'autofunction' if callable(value) else 'autodata'}:: {path}"])


def alias(value: Any) -> str:
    """Return a type alias as one would write it."""
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z_])", "", repr(value))


def rst(lines: list[str]) -> str:
    """Wrap reStructuredText, which is what docstrings become, for a MyST page."""
    return "\n".join(["````{eval-rst}", *lines, "````"])


def tidy(lines: list[str], *, keys: frozenset[str] = frozenset()) -> list[str]:
    """Return a docstring as reStructuredText: formulas set off by indentation stay as they were typed.

    Args:
        lines: the docstring, without common indentation.
        keys: the bibliography's keys; a bracketed one becomes a link.
    """
    out: list[str] = []
    section, block = "", False
    for line in lines:
        indented = line.startswith((" ", "\t"))
        if line.strip() and not indented:
            block, section = False, line.strip() if line.strip() in (*SECTIONS, "Example:", "Examples:") else ""
        if indented and not section and not block:
            if out and out[-1].strip():  # the second line of a long last line
                line = line.strip()
            else:
                block = True
                out += [] if any(x.rstrip().endswith("::") for x in out[-2:-1]) else [".. code-block:: text", ""]
        out.append(line if block or section.startswith("Example") else escape(line, keys))
    return out


def escape(line: str, keys: frozenset[str]) -> str:
    """Return a line of prose in which only double back quotes and known references are markup."""
    line = KEY.sub(lambda m: f":cite:p:`{m[1]}`" if m[1] in keys else m[0], line)
    parts = LITERAL.split(line)
    parts[::2] = [re.sub(r"(?<=\w)_(?!\w)|[|*\\]", lambda m: "\\" + m[0], part) for part in parts[::2]]
    return "".join(parts)
