"""Contract 1: two commands make the environment, the book and every test; done once, they are not done again."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
BOOK = (
    "-m venv .venv",
    "-r requirements.lock -e .",
    "book/_ext/vendor.py",
    "jupyter-book build . -q -W --keep-going",
    "The book lies at file://",
)
TEST = ("-m venv .venv", "-r requirements.lock -e .", "book/_ext/vendor.py", "-m pytest", "--nbval", " tests tutorials")


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run make without running any recipe, as if from a shell of its own."""
    if shutil.which("make") is None:
        pytest.skip("make is not on the PATH")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "--dry-run", "--no-print-directory", "PY=python3", "UV=uv", *arguments]  # no search for either
    return subprocess.run(command, cwd=folder, env=clean, capture_output=True, text=True, check=False)


def missing(told: str, steps: tuple[str, ...]) -> list[str]:
    """The steps that a recipe lacks, or takes in another order."""
    found, place = [], 0
    for step in steps:
        at = told.find(step, place)
        if at < 0:
            found.append(step)
        else:
            place = at
    return found


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """What a clone has before anything was made, as far as make looks at it."""
    for name in ("requirements.lock", "pyproject.toml", "_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / "Makefile").write_text(MAKEFILE, encoding="utf-8")
    for name in ("book/_ext", "tutorials", "benchmarks/results", "pkg"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("vendor.json", "vendor.py"):
        shutil.copy(ROOT / "book/_ext" / name, tmp_path / "book/_ext" / name)
    return tmp_path


@pytest.mark.parametrize(("target", "steps"), [("book", BOOK), ("test", TEST)])
def test_property_one_command_does_everything_in_a_fresh_clone(
    fresh: Path, target: str, steps: tuple[str, ...]
) -> None:
    told = make(fresh, target)
    assert told.returncode == 0, told.stderr
    assert missing(told.stdout, steps) == []


def test_property_every_test_runs_and_none_is_chosen(fresh: Path) -> None:
    (line,) = [line for line in make(fresh, "test").stdout.splitlines() if "-m pytest" in line]
    for choice in (" -k ", ' -m "', "--ignore", "--deselect", "-x "):
        assert choice not in line


def test_property_what_was_made_is_not_made_again_until_its_sources_change(fresh: Path) -> None:
    made = [fresh / name for name in (".venv/.ready", "book/_static/vendor/.ready", "_build/html/index.html")]
    for path in made:
        path.parent.mkdir(parents=True)
        path.touch()
    for path in fresh.rglob("*"):
        if path.is_file():
            os.utime(path, (1_000_000_000, 1_000_000_000))
    for age, path in enumerate(made, start=1):
        os.utime(path, (1_000_000_000 + age, 1_000_000_000 + age))
    assert missing(make(fresh, "book").stdout, BOOK) == list(BOOK[:-1])
    os.utime(fresh / "_toc.yml", (1_000_000_010, 1_000_000_010))
    assert missing(make(fresh, "book").stdout, BOOK) == list(BOOK[:3]), "a changed page builds the book anew"
    os.utime(fresh / "requirements.lock", (1_000_000_020, 1_000_000_020))
    assert missing(make(fresh, "book").stdout, BOOK) == [], "a changed lock installs anew"


@pytest.mark.parametrize(
    ("target", "steps", "old", "new"),
    [
        ("book", BOOK, " -W --keep-going", " --keep-going"),
        ("book", BOOK, "-r requirements.lock -e .", "-e ."),
        ("test", TEST, "$(NBVAL) tests tutorials", "tests"),
        ("test", TEST, "test: $(READY) $(VENDOR)", "test: $(READY)"),
    ],
)
def test_limit_a_tampered_makefile_is_found(
    fresh: Path, target: str, steps: tuple[str, ...], old: str, new: str
) -> None:
    assert MAKEFILE.count(old) >= 1
    (fresh / "Makefile").write_text(MAKEFILE.replace(old, new), encoding="utf-8")
    assert missing(make(fresh, target).stdout, steps)
