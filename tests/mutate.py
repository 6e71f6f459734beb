"""Change the package in one place at a time, and see whether its tests notice.

    python tests/mutate.py corruption/budgets.py                 every change; tests mirror the package
    python tests/mutate.py teaching/claims.py --most 20          an even sample of twenty
    python tests/mutate.py parameters/groups.py --tests tests/corruption

A copy of the package is changed, never the package. Each change that no test notices is printed: it is either without
effect, or a test is missing.
"""

import argparse
import ast
import copy
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
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
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield (
            f"{ast.unparse(node)} without its sign",
            lambda n: setattr(n, "op", ast.UAdd() if isinstance(n.op, ast.USub) else n.op),
        )


def _type(node: ast.AST) -> bool:
    return "None" in ast.unparse(node)  # a union in an annotation is no arithmetic


def noticed(module: Path, text: str, tests: list[str]) -> bool:
    """Whether a test fails for a changed copy of the package."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(ROOT / "pkg", Path(folder) / "pkg", ignore=shutil.ignore_patterns("__pycache__"))
        (Path(folder) / "pkg" / "weightlore" / module).write_text(text, encoding="utf-8")
        environment = os.environ | {"PYTHONPATH": str(Path(folder) / "pkg"), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--timeout", "300", *tests]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, check=False).returncode != 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", type=Path, help="path within pkg/weightlore")
    parser.add_argument("--tests", nargs="+", help="what to run; by default the file that mirrors the module")
    parser.add_argument("--most", type=int, help="try at most so many changes, evenly spread")
    options = parser.parse_args()
    tests = options.tests or [str(ROOT / "tests" / options.module.with_name(f"test_{options.module.name}"))]
    text = (ROOT / "pkg" / "weightlore" / options.module).read_text(encoding="utf-8")
    if noticed(options.module, ast.unparse(ast.parse(text)), tests):
        raise SystemExit("the tests fail without any change; mend that first")
    found = list(mutants(text))
    chosen = found[:: max(1, -(-len(found) // options.most))] if options.most else found
    survivors = [what for what, changed in chosen if not noticed(options.module, changed, tests)]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} changes were noticed")
    print("\n".join(survivors))


if __name__ == "__main__":
    main()
