"""pyproject.toml, requirements.lock and environment.yml ask for the same libraries, in the same ranges."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCKED = ("book", "lab", "fast", "images", "dev")
READERS = ("book", "lab")
CONDA = {"torch": "pytorch"}


def needed(project: str, extras: tuple[str, ...]) -> dict[str, Requirement]:
    """Return what the package and some of its extras need, by name; references to other extras are followed."""
    table = tomllib.loads(project)["project"]
    found: dict[str, Requirement] = {}
    lines, seen = list(table["dependencies"]), set()
    queue = list(extras)
    while queue:
        extra = queue.pop()
        if extra not in seen:
            seen.add(extra)
            lines += table["optional-dependencies"][extra]
    for line in lines:
        requirement = Requirement(line)
        if requirement.name == table["name"]:
            found |= needed(project, tuple(sorted(requirement.extras)))
        else:
            found[canonicalize_name(requirement.name)] = requirement
    return found


def lock_complaints(project: str, lock: str) -> list[str]:
    """Return what the lock lacks, or holds in a version outside the range."""
    versions: dict[str, list[str]] = {}
    for line in lock.splitlines():
        if line and not line.startswith("#"):
            name, _, version = line.partition(";")[0].strip().partition("==")
            versions.setdefault(canonicalize_name(name), []).append(version)
    complaints = []
    for name, requirement in needed(project, LOCKED).items():
        if name not in versions:
            complaints.append(f"{name} is not in the lock; run `make lock`")
        complaints += [
            f"{name}=={version} is outside {requirement.specifier}; run `make lock`"
            for version in versions.get(name, ())
            if not requirement.specifier.contains(version, prereleases=True)
        ]
    return complaints


def environment_complaints(project: str, environment: str) -> list[str]:
    """Return where the environment differs from what a reader needs, and lines that do not say what they are for."""
    entries = yaml.safe_load(environment)["dependencies"]
    pip = next(entry["pip"] for entry in entries if isinstance(entry, dict))
    lines = [entry for entry in entries if isinstance(entry, str)] + [
        entry for entry in pip if not entry.startswith("-")
    ]
    listed = {Requirement(line).name: Requirement(line).specifier for line in lines}
    python = tomllib.loads(project)["project"]["requires-python"]
    wanted = {CONDA.get(name, name): entry.specifier for name, entry in needed(project, READERS).items()}
    wanted |= {"pip": Requirement("pip").specifier, "python": Requirement(f"python{python}").specifier}
    complaints = [f"{name} is missing" for name in sorted(wanted.keys() - listed.keys())]
    complaints += [f"{name} is not needed" for name in sorted(listed.keys() - wanted.keys())]
    complaints += [
        f"{name}{listed[name]} differs from {name}{wanted[name]}"
        for name in sorted(wanted.keys() & listed.keys())
        if wanted[name] != listed[name]
    ]
    if f"-e .[{','.join(READERS)}]" not in pip:
        complaints.append(f"the package itself is missing: -e .[{','.join(READERS)}]")
    complaints += [
        f"no reason: {line.strip()}"
        for line in environment.splitlines()
        if re.match(r"\s+- (?!conda-forge|pip:)", line) and not re.search(r"  # \S", line)
    ]
    return complaints


@pytest.fixture
def project() -> str:
    return (ROOT / "pyproject.toml").read_text(encoding="utf-8")


@pytest.fixture
def lock() -> str:
    return (ROOT / "requirements.lock").read_text(encoding="utf-8")


@pytest.fixture
def environment() -> str:
    return (ROOT / "environment.yml").read_text(encoding="utf-8")


def test_property_lock_holds_everything_in_range(project: str, lock: str) -> None:
    assert lock_complaints(project, lock) == []


def test_property_environment_is_what_a_reader_needs(project: str, environment: str) -> None:
    assert environment_complaints(project, environment) == []


def test_property_lock_pins_every_line_and_names_no_place(lock: str) -> None:
    lines = [line for line in lock.splitlines() if not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9._-]+==[\w.]+( ; .+)?", line)] == []


def test_property_package_needs_only_eight_libraries(project: str) -> None:
    names = set(needed(project, ()))
    assert names == {"torch", "numpy", "scipy", "scikit-learn", "safetensors", "pooch", "tqdm", "click"}
    assert all("==" not in str(requirement) for requirement in needed(project, LOCKED).values())


def test_property_every_dependency_says_why(project: str) -> None:
    block = project[project.index("dependencies = [") : project.index("[project.scripts]")]
    lines = [line for line in block.splitlines() if re.match(r'\s+"(?!weightlore)', line)]
    assert len(lines) > 30
    assert [line for line in lines if not re.search(r"# \S", line)] == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (r"(?m)^numba==.*\n", "", "numba is not in the lock"),
        (
            r"(?m)^scipy==[\w.]+ ; python_full_version <.*$",
            "scipy==1.2.0 ; python_full_version < '3.12'",
            "scipy==1.2.0",
        ),
        (r"(?m)^jupyter-book==.*$", "jupyter-book==2.0.1", "jupyter-book==2.0.1 is outside"),
    ],
)
def test_limit_a_tampered_lock_is_found(project: str, lock: str, old: str, new: str, complaint: str) -> None:
    complaints = lock_complaints(project, re.sub(old, new, lock))
    assert len(complaints) == 1
    assert complaint in complaints[0]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        (r"(?m)^  - scipy.*\n", "", "scipy is missing"),
        (r"pytorch>=2\.6", "pytorch>=2.7", "pytorch>=2.7 differs from pytorch>=2.6"),
        (r"(?m)^  - click", "  - pandas>=2  # why\n  - click", "pandas is not needed"),
        (r"(pillow>=10\.2)\s+#.*", r"\1", "no reason: - pillow>=10.2"),
        (r"-e \.\[book,lab\]", "weightlore", "the package itself is missing"),
    ],
)
def test_limit_a_tampered_environment_is_found(
    project: str, environment: str, old: str, new: str, complaint: str
) -> None:
    complaints = environment_complaints(project, re.sub(old, new, environment))
    assert any(complaint in line for line in complaints), complaints


def test_limit_a_new_dependency_is_missed_everywhere(project: str, lock: str, environment: str) -> None:
    more = project.replace('  "click>=', '  "newcomer>=1",\n  "click>=')
    assert lock_complaints(more, lock) == ["newcomer is not in the lock; run `make lock`"]
    assert environment_complaints(more, environment) == ["newcomer is missing"]
