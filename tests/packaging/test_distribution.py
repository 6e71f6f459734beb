"""What is installed is what is needed: sdist and wheel hold every file that the package reads, and nothing heavy."""

import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "pkg/weightlore"
LEDGER = ROOT / "book/ledger"
READ = ("*.py", "*.js", "*.css", "*.json", "*.safetensors", "*.mplstyle", "*.svg", "*.typed")
LARGEST, TOTAL = 1_000_000, 6_000_000  # bytes; the healthy weights are the largest, the sources the most

pytestmark = pytest.mark.slow


def needed() -> set[str]:
    """Return the files that the installed package must hold, relative to its parent."""
    files = {path for pattern in READ for path in PACKAGE.rglob(pattern) if "__pycache__" not in path.parts}
    names = {path.relative_to(PACKAGE.parent).as_posix() for path in files}
    return names | {f"weightlore/ledger/{name}" for name in stored()}


def stored() -> set[str]:
    """Return the ledgers, and the studies beside them that notebooks draw; what only a claim reads lies elsewhere."""
    return {path.relative_to(LEDGER).as_posix() for path in LEDGER.rglob("*.json")}


def lacking(wanted: set[str], held: dict[str, int]) -> list[str]:
    """Return what a distribution lacks, and what in it is too heavy or does not belong."""
    complaints = [f"lacks {name}" for name in sorted(wanted - held.keys())]
    complaints += [f"{name} has {size} bytes" for name, size in held.items() if size > LARGEST]
    complaints += [f"holds {name}" for name in held if name.endswith((".pyc", ".ipynb", ".pt", ".npz"))]
    if sum(held.values()) > TOTAL:
        complaints.append(f"has {sum(held.values())} bytes in all, at most {TOTAL} are allowed")
    return complaints


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The sdist, and the wheel built from it, without any download."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return {"sdist": next(folder.glob("*.tar.gz")), "wheel": next(folder.glob("*.whl"))}


@pytest.fixture(scope="module")
def wheel(built: dict[str, Path]) -> dict[str, int]:
    with zipfile.ZipFile(built["wheel"]) as archive:
        return {info.filename: info.file_size for info in archive.infolist()}


@pytest.fixture(scope="module")
def sdist(built: dict[str, Path]) -> dict[str, int]:
    with tarfile.open(built["sdist"]) as archive:
        return {member.name.partition("/")[2]: member.size for member in archive.getmembers()}


def test_property_wheel_holds_what_the_package_reads_and_nothing_heavy(wheel: dict[str, int]) -> None:
    wanted = needed()
    for pattern in (".js", ".css", ".safetensors", "py.typed"):
        assert any(name.endswith(pattern) for name in wanted), f"the package has no {pattern}"
    assert lacking(wanted, wheel) == []
    assert {Path(name).parent.name for name in stored()} == {"", "frontier"}, "what the package does not read"


def test_property_wheel_holds_the_license_and_only_the_package(wheel: dict[str, int]) -> None:
    tops = {name.partition("/")[0] for name in wheel}
    info = next(top for top in tops if top.endswith(".dist-info"))
    assert tops == {"weightlore", info}
    assert f"{info}/licenses/LICENSE" in wheel
    assert f"{info}/entry_points.txt" in wheel


def test_property_sdist_holds_the_sources_and_both_licenses(sdist: dict[str, int]) -> None:
    wanted = {f"pkg/{name}" for name in needed() if not name.startswith("weightlore/ledger/")}
    wanted |= {f"book/ledger/{name}" for name in stored()}
    wanted |= {"LICENSE", "LICENSE-text", "CITATION.cff", "CHANGELOG.md", "README.md", "pyproject.toml"}
    assert lacking(wanted, sdist) == []


def test_limit_a_tampered_wheel_is_found(wheel: dict[str, int]) -> None:
    weights = next(name for name in wheel if name.endswith(".safetensors"))
    without = {name: size for name, size in wheel.items() if name != weights}
    assert lacking(needed(), without) == [f"lacks {weights}"]
    assert lacking(needed(), wheel | {"weightlore/model.pt": 5}) == ["holds weightlore/model.pt"]
    heavy = wheel | {"weightlore/data.json": 4_000_000}
    assert [line.split(" has ")[0] for line in lacking(needed(), heavy)][:1] == ["weightlore/data.json"]


CHECK = """
import sys, weightlore
from pathlib import Path
from importlib import import_module, metadata
here = Path(weightlore.__file__).resolve()
assert str(here).startswith(str(Path(sys.prefix).resolve())), here
assert metadata.version("weightlore") == weightlore.__version__
for name in ("parameters", "data", "networks", "training", "corruption", "teaching", "cli"):
    import_module("weightlore." + name)
from weightlore.networks import healthy
from weightlore.parameters import flatten
from weightlore.teaching import palette
from weightlore.teaching.ledgers import chapters
print(flatten(healthy("mlp")).numel(), *chapters())
"""


def test_property_wheel_installs_into_an_empty_environment_and_works(built: dict[str, Path], tmp_path: Path) -> None:
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    purelib = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(built["wheel"])], check=True)
    # The libraries of this environment are visible behind those of the empty one; its .pth files are not read.
    Path(purelib, "others.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run([python, "-c", CHECK], capture_output=True, text=True, cwd=tmp_path, env=clean, check=False)
    assert result.returncode == 0, result.stderr
    count, *ledgers = result.stdout.split()
    assert count == "6570"
    assert ledgers == sorted(path.stem for path in LEDGER.glob("*.json"))
    script = python.with_name("weightlore.exe" if os.name == "nt" else "weightlore")
    listed = subprocess.run([script, "--version"], capture_output=True, text=True, cwd=tmp_path, env=clean, check=True)
    assert "weightlore" in listed.stdout
