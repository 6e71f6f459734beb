"""Change the package in one place at a time, and see whether its tests notice.

    python tests/mutate.py corruption/budgets.py                 every change; tests mirror the package
    python tests/mutate.py teaching/claims.py --most 20          an even sample of twenty
    python tests/mutate.py parameters/groups.py --tests tests/corruption
    python tests/mutate.py --cores --most 10                     the functional cores of cores.csv; writes mutation.json

The last is long, and goes on where it stopped: what mutation.json holds of an unchanged module is not tried again.
A copy of the package is changed, never the package. Each change that no test notices is printed: it is either without
effect, or a test is missing.
"""

import argparse
import ast
import copy
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
CORES, RESULTS = ROOT / "tests" / "cores.csv", ROOT / "tests" / "mutation.json"
SWAPS = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}


def mutants(text: str) -> Iterator[tuple[str, str]]:
    """Every change of one operator, number, truth value or "not", as (what, changed text)."""
    tree = ast.parse(text)
    for index, node in enumerate(ast.walk(tree)):
        for what, change in _changes(node):
            changed = copy.deepcopy(tree)
            target = list(ast.walk(changed))[index]
            change(target)
            yield f"line {getattr(node, 'lineno', 0)}: {what}", ast.unparse(changed)


def _changes(node):
    if isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and type(node.op) in SWAPS and not _type(node):
        new = SWAPS[type(node.op)]
        yield f"{ast.unparse(node)} with {new.__name__}", lambda n: setattr(n, "op", new())
    if isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS:
        new = SWAPS[type(node.ops[0])]
        yield f"{ast.unparse(node)} with {new.__name__}", lambda n: n.ops.__setitem__(0, new())
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield f"{node.value} plus one", lambda n: setattr(n, "value", n.value + 1)
    if isinstance(node, ast.Constant) and type(node.value) is bool:
        yield f"not {node.value}", lambda n: setattr(n, "value", not n.value)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield f"{ast.unparse(node)} without its sign", lambda n: setattr(n, "op", ast.UAdd())
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield f"{ast.unparse(node)} twice", lambda n: setattr(n, "operand", ast.UnaryOp(ast.Not(), n.operand))


def _type(node: ast.AST) -> bool:
    return "None" in ast.unparse(node)  # a union in an annotation is no arithmetic


def noticed(module: Path, text: str, tests: list[str]) -> bool:
    """Whether a test fails for a changed copy of the package."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "pkg", Path(folder) / "pkg", ignore=shutil.ignore_patterns("__pycache__"))
        (Path(folder) / "pkg" / "weightlore" / module).write_text(text, encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": str(Path(folder) / "pkg"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-x",
            "-p",
            "no:cacheprovider",
            "-m",
            "not slow",
            "--timeout",
            "120",
            *tests,
        ]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode != 0


def tried(module: Path, tests: list[str], most: int | None) -> dict[str, object]:
    """Try an even sample of the changes of a module and return how many there were and which no test noticed."""
    text = (ROOT / "pkg" / "weightlore" / module).read_text(encoding="utf-8")
    if noticed(module, ast.unparse(ast.parse(text)), tests):
        raise SystemExit(f"the tests of {module} fail without any change; mend that first")
    found = list(mutants(text))
    chosen = found[:: max(1, -(-len(found) // most))] if most else found
    survivors = [what for what, changed in chosen if not noticed(module, changed, tests)]
    return {"digest": digest(module, tests), "tried": len(chosen), "survivors": survivors}


def digest(module: Path, tests: list[str]) -> str:
    """A short name for the present state of a module and its tests."""
    files = [ROOT / "pkg" / "weightlore" / module, *(ROOT / test for test in tests)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def cores() -> dict[str, list[str]]:
    """The functional cores, each with the tests that must notice its changes."""
    with CORES.open(encoding="utf-8") as file:
        return {row["module"]: row["tests"].split() for row in csv.DictReader(file)}


def score(most: int | None) -> None:
    """Try every core that has changed since it was last tried, and write the results as they come."""
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    for module, tests in cores().items():
        if results.get(module, {}).get("digest") == digest(Path(module), tests):
            continue
        results[module] = tried(Path(module), tests, most)
        known = {name: results[name] for name in cores() if name in results}
        RESULTS.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
        print(module, results[module]["tried"], results[module]["survivors"], flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", type=Path, nargs="?", help="path within pkg/weightlore")
    parser.add_argument("--tests", nargs="+", help="what to run; by default the file that mirrors the module")
    parser.add_argument("--most", type=int, help="try at most so many changes of a module, evenly spread")
    parser.add_argument("--cores", action="store_true", help="try the modules of cores.csv")
    options = parser.parse_args()
    if options.cores:
        return score(options.most)
    if options.module is None:
        parser.error("name a module, or --cores")
    tests = options.tests or [f"tests/{options.module.with_name('test_' + options.module.name)}"]
    result = tried(options.module, tests, options.most)
    print(f"{result['tried'] - len(result['survivors'])} of {result['tried']} changes were noticed")
    return print("\n".join(result["survivors"]))


if __name__ == "__main__":
    main()
