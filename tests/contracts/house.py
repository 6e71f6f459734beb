"""The rules of the house, as functions from a file's text to complaints, so that a test can show that each bites.

Every checker takes what it needs as arguments and returns one line for each breach. Nothing is imported to be checked.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

FOUNDATION = ("errors", "parameters", "data", "networks", "training", "stacked")
SIMULATORS = ("crossbar", "spiking")
PAPERS = ("corruption", "transfer", "uncertainty", "attribution", "bitslice", "binary")
CROSSED = ("crossed",)
ABOVE = ("teaching", "cli", "doctor")
ALLOWED = {
    **dict.fromkeys(FOUNDATION, FOUNDATION),
    **{name: (*FOUNDATION, name) for name in SIMULATORS},
    **{name: (*FOUNDATION, *SIMULATORS, name) for name in PAPERS},
    "crossed": (*FOUNDATION, *SIMULATORS, *PAPERS, *CROSSED),
    "teaching": (*FOUNDATION, *SIMULATORS, *PAPERS, *CROSSED, "teaching"),
    "doctor": (*FOUNDATION, *SIMULATORS, *PAPERS, *CROSSED, "teaching", "doctor"),
    "cli": (*FOUNDATION, *SIMULATORS, *PAPERS, *CROSSED, "teaching", "doctor", "cli"),
}
REQUIRED = {"torch", "numpy", "scipy", "sklearn", "safetensors", "pooch", "tqdm", "click"}
PICTURES = {"matplotlib", "ipywidgets", "anywidget"}
STANDARD_RANDOM = ("random", "numpy.random")
DRAWS = {
    *("rand", "randn", "randint", "randperm", "multinomial", "bernoulli", "poisson", "normal", "rand_like"),
    *("randn_like", "randint_like", "normal_", "uniform_", "bernoulli_", "exponential_", "random_", "cauchy_"),
    *("log_normal_", "geometric_"),
}
GLOBAL_SEED = re.compile(r"(torch|np|numpy|random)(\.random|\.cuda)?\.(manual_seed|seed|set_rng_state)")
WITHOUT_GENERATOR = {"rand_like", "randn_like", "randint_like"}  # torch's own take none in every version in range
CODE_LINES, FUNCTION_LINES, NAMES, POSITIONAL = 220, 35, 10, 3
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "tools", "core", "base_utils", "shared"}
KEY = re.compile(r"\[([a-z]+\d{4}[a-z]+)[\],]")
SOURCE = re.compile(r"Source: (?:ours\b|\[[a-z]+\d{4}[a-z]+\])")
COLOR = re.compile(r"#(?:[0-9a-fA-F]{8}|[0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b|(?<![.\w] )(?<![.\w])(?:rgb|hsl)a?\(")
NAMED_COLOR = re.compile(
    r"\b(?:color|c|facecolor|edgecolor|fill|stroke)\s*=\s*[\"'](?!none|currentColor|inherit|var\()[a-zA-Z]"
)
ADDRESS = re.compile(r"https?://(?!127\.0\.0\.1|localhost|www\.w3\.org/)[^\s\"'`)>\]]+")
TEST_NAME = re.compile(r"test_(oracle|property|limit|error|claim)_\w+")
FETCHING = re.compile(
    r"\b(?:requests|httpx|aiohttp|urllib3)\b|urllib\.request|http\.client|urlopen|pooch\.retrieve|!\s*(?:wget|curl|pip)|%pip"
)


def imports(text: str) -> Iterator[tuple[str, bool]]:
    """Every imported module, and whether it is imported with the file: not in a function, not for types only."""
    tree = ast.parse(text)
    later = {
        id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef | ast.AsyncFunctionDef) for n in ast.walk(f)
    }
    for block in ast.walk(tree):
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test):
            later |= {id(node) for node in ast.walk(block)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, id(node) not in later) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
            if node.module == "weightlore":
                names = [f"weightlore.{alias.name}" for alias in node.names]
            yield from ((("." * node.level) + name, id(node) not in later) for name in names)


def part_of(path: str) -> str:
    """The part of the package a file belongs to: ``pkg/weightlore/data/toys.py`` is of ``data``."""
    inside = path.split("weightlore/", 1)[1]
    return inside.split("/")[0].removesuffix(".py")


def against_the_stream(path: str, text: str) -> list[str]:
    """Imports of a part of the package that stands higher, or beside."""
    here, found = part_of(path), []
    for name, _ in imports(text):
        if name.startswith("."):
            found.append(f"{path}: relative import {name}; write the whole name")
        elif name.startswith("weightlore."):
            other = name.split(".")[1]
            if here not in ("__init__",) and other != "__version__" and other not in ALLOWED.get(here, ()):
                found.append(f"{path}: {here} must not import {other}")
    return found


def outside_libraries(path: str, text: str, standard: Iterable[str]) -> list[str]:
    """Libraries that an import of the file needs and that are no requirement of the package."""
    here, known, found = part_of(path), REQUIRED | set(standard) | {"weightlore"}, []
    for name, at_once in imports(text):
        top = name.lstrip(".").split(".")[0]
        if top in PICTURES and here != "teaching":
            found.append(f"{path}: only teaching imports {top}")
        elif at_once and top not in known and here != "teaching":
            found.append(f"{path}: {top} comes with an extra; import it in the function that needs it")
    return found


def public(text: str) -> list[ast.FunctionDef | ast.ClassDef]:
    """The public functions and classes that a module defines; overloads are types of one function only."""
    return [
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
        and not any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)
    ]


def listed(text: str) -> list[str] | None:
    """The names in ``__all__``, ``None`` if there is none."""
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and any(getattr(t, "id", "") == "__all__" for t in node.targets):
            return [str(name) for name in ast.literal_eval(node.value)]
    return None


def docstring_sources(path: str, text: str, keys: Iterable[str]) -> list[str]:
    """Public functions and classes whose docstring names no source, and keys that no reference has."""
    known, names, found = set(keys), listed(text), []
    for node in public(text):
        if names is not None and node.name not in names:
            continue
        said = ast.get_docstring(node) or ""
        last = said.rpartition("Source:")
        if not SOURCE.search(said) or "\n\n" in last[2]:
            found.append(f"{path}: {node.name} must end in 'Source: [key], where' or 'Source: ours'")
    for key in sources_of(text):
        if key not in known:
            found.append(f"{path}: [{key}] is not in book/references.bib")
    return found


def sources_of(text: str) -> set[str]:
    """The keys of references that a text names, in brackets."""
    return set(KEY.findall(text))


def code_lines(node: ast.AST, text: str) -> int:
    """Lines of code of a module or function, without blank lines, comments and docstrings."""
    lines = text.splitlines()
    first, last = getattr(node, "lineno", 1), getattr(node, "end_lineno", None) or len(lines)
    inside = set(range(first, last + 1))
    for inner in ast.walk(node):
        body = getattr(inner, "body", None)
        if (
            isinstance(inner, ast.Module | ast.ClassDef | ast.FunctionDef)
            and body
            and ast.get_docstring(inner) is not None
        ):
            inside -= set(range(body[0].lineno, (body[0].end_lineno or 0) + 1))
    return sum(bool(lines[i - 1].strip()) and not lines[i - 1].lstrip().startswith("#") for i in inside)


def body_of(node: ast.FunctionDef) -> list[ast.stmt]:
    """The statements of a function, without its docstring."""
    return node.body[1:] if ast.get_docstring(node) is not None else node.body


def too_long(path: str, text: str) -> list[str]:
    """Modules and functions that hold more than one idea."""
    tree, found = ast.parse(text), []
    if (lines := code_lines(tree, text)) > CODE_LINES:
        found.append(f"{path}: {lines} lines of code, at most {CODE_LINES}; which two ideas are in it?")
    if len(names := listed(text) or []) > NAMES:
        found.append(f"{path}: {len(names)} public names, at most {NAMES}")
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.FunctionDef)
            and (lines := sum(code_lines(n, text) for n in body_of(node))) > FUNCTION_LINES
        ):
            found.append(f"{path}: {node.name} has {lines} lines of code, at most {FUNCTION_LINES}")
    return found


def unlisted(path: str, text: str) -> list[str]:
    """A module that does not say which of its names are public."""
    return [f"{path}: no __all__"] if listed(text) is None else []


def only_names(path: str, text: str) -> list[str]:
    """What an ``__init__`` holds beside a docstring and one import of one name per line."""
    found = []
    for i, node in enumerate(ast.parse(text).body):
        if i == 0 and isinstance(node, ast.Expr):
            continue
        single = (
            isinstance(node, ast.ImportFrom) and len(node.names) == 1 and node.names[0].asname == node.names[0].name
        )
        version = isinstance(node, ast.Assign) and ast.unparse(node).startswith("__version__")
        if not single and not version:
            found.append(f"{path}: line {node.lineno} is no name; write 'from module import name as name'")
    if ast.get_docstring(ast.parse(text)) is None:
        found.append(f"{path}: no docstring")
    return found


def vague_names(paths: Iterable[str]) -> list[str]:
    """Files and folders whose name says nothing."""
    return [f"{path}: name the concept" for path in paths if {Path(part).stem for part in Path(path).parts} & VAGUE]


def hidden_randomness(path: str, text: str) -> list[str]:
    """Draws without an explicit generator, seeds of the global state, and other sources of chance."""
    found = [
        f"{path}: {name} is not torch's; draw from a torch.Generator"
        for name, _ in imports(text)
        if name in STANDARD_RANDOM
    ]
    restores = "get_rng_state" in text
    for call in (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)):
        called = ast.unparse(call.func)
        name = called.rpartition(".")[2]
        if GLOBAL_SEED.fullmatch(called) and not (name == "set_rng_state" and restores):
            found.append(f"{path}: {called} changes the global state")
        elif re.match(r"(np|numpy)\.random\.", called):
            found.append(f"{path}: {called} draws from numpy; use the torch.Generator")
        elif name in DRAWS and (called.startswith("torch.") or name.endswith("_")):
            explicit = any(k.arg == "generator" for k in call.keywords)
            if name in WITHOUT_GENERATOR or not explicit:
                found.append(f"{path}: {called} without generator=")
    return found


def other_errors(path: str, text: str) -> list[str]:
    """Bare assertions and errors that say nothing of what to do; one that is turned into ours on the spot may pass."""
    tree, found = ast.parse(text), []
    inside = [
        node
        for node in ast.walk(tree)
        if (isinstance(node, ast.With) and "reading(" in ast.unparse(node.items[0]))
        or (isinstance(node, ast.FunctionDef) and node.name.startswith("_"))
    ]
    caught = {id(inner) for node in inside for inner in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            found.append(f"{path}: assert disappears under -O; raise ParameterError")
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            name = ast.unparse(node.exc.func)
            if name in ("Exception", "ValueError", "TypeError", "RuntimeError") and id(node) not in caught:
                found.append(f"{path}: raise {name}; raise one of weightlore.errors")
            if name == "ParameterError" and len(ast.unparse(node.exc)) < 45:
                found.append(f"{path}: {ast.unparse(node.exc)}: say what was expected, what came and what to do")
    return found


def passed_through(path: str, text: str) -> list[str]:
    """Functions and methods that hand on keywords they do not know."""
    found, tree = [], ast.parse(text)
    methods = [node for owner in tree.body if isinstance(owner, ast.ClassDef) for node in owner.body]
    for node in [*tree.body, *methods]:
        if isinstance(node, ast.FunctionDef) and node.args.kwarg and not node.name.startswith("_"):
            calls = (inner for inner in ast.walk(node) if isinstance(inner, ast.Call))
            given = (ast.unparse(k.value) for call in calls for k in call.keywords if k.arg is None)
            if node.args.kwarg.arg in given:
                found.append(f"{path}: {node.name} passes **{node.args.kwarg.arg} on; name its arguments")
    return found


def by_position(path: str, text: str, shown: Iterable[str]) -> list[str]:
    """Functions shown to readers whose call cannot be read: over three arguments must be given by position."""
    found, names = [], set(shown)
    for node in public(text):
        if isinstance(node, ast.FunctionDef) and node.name in names:
            required = len(node.args.posonlyargs) + len(node.args.args) - len(node.args.defaults)
            if required > POSITIONAL:
                found.append(f"{path}: {node.name} takes {required} arguments by position, at most {POSITIONAL}")
    return found


def names_shown(text: str) -> set[str]:
    """The names that an ``__init__`` shows."""
    nodes = (node for node in ast.parse(text).body if isinstance(node, ast.ImportFrom))
    return {alias.asname or alias.name for node in nodes for alias in node.names}


def printed(path: str, text: str) -> list[str]:
    """Prints in the package, where progress belongs into a callback."""
    calls = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Call)]
    return [
        f"{path}:{n.lineno}: print; the caller decides what is shown" for n in calls if ast.unparse(n.func) == "print"
    ]


def colors(path: str, text: str) -> list[str]:
    """Colors set outside of the style file."""
    found = []
    for i, line in enumerate(text.splitlines(), start=1):
        if COLOR.search(line) or NAMED_COLOR.search(line):
            found.append(f"{path}:{i}: a color; take it from the palette: {line.strip()[:80]}")
    return found


def addresses(path: str, text: str) -> list[str]:
    """Addresses of other machines in what a page loads."""
    return [f"{path}: loads {address}" for address in ADDRESS.findall(text)]


def fetches(path: str, text: str) -> list[str]:
    """Ways of fetching something."""
    return [f"{path}: {found.group()} asks another machine" for found in FETCHING.finditer(text)]


def test_form(path: str, text: str) -> list[str]:
    """Tests whose name does not say their kind, that cannot fail, or that assert a time."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            if not TEST_NAME.fullmatch(node.name):
                found.append(f"{path}: {node.name}; names begin with test_oracle_, property_, limit_, error_ or claim_")
            if not _can_fail(node):
                found.append(f"{path}: {node.name} asserts nothing")
        if isinstance(node, ast.Call) and re.search(
            r"\b(perf_counter|process_time|monotonic)$", ast.unparse(node.func)
        ):
            found.append(f"{path}:{node.lineno}: tests assert no times; they live in benchmarks/")
    return found


def _can_fail(test: ast.FunctionDef) -> bool:
    for node in ast.walk(test):
        if isinstance(node, ast.Assert):
            return True
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            if name in ("raises", "warns", "fail") or name.startswith(("assert", "check_", "expect", "require")):
                return True
    return False


def equations(rows: list[dict[str, str]], keys: Iterable[str], sections: Iterable[str]) -> list[str]:
    """Rows that are incomplete, twice, of an unknown work, and sections of a paper that no row covers."""
    known, found = set(keys), []
    for row in rows:
        if not all(row.get(name) for name in ("id", "key", "equation", "function")):
            found.append(f"{row}: id, key, equation and function are all needed")
        elif row["key"] not in known:
            found.append(f"{row['id']}: {row['key']} is not in book/references.bib")
    ids = [row["id"] for row in rows]
    found += [f"{name} is listed twice" for name in sorted({i for i in ids if ids.count(i) > 1})]
    covered = {name.split(".")[0] for name in ids}
    return found + [f"no equation of {section} is listed" for section in sections if section not in covered]
