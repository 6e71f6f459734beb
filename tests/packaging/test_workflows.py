"""The workflows are well formed, ask for little and run only what is pinned; pre-commit runs what `make check` runs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")


def unpinned(text: str) -> list[str]:
    """Return the lines that use an action without a full commit and the version it stands for."""
    return [line.strip() for line in text.splitlines() if "uses:" in line and not PINNED.search(line)]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment."""
    tool = shutil.which(command[0], path=Path(sys.executable).parent) or shutil.which(command[0])
    if tool is None:
        pytest.skip(f"{command[0]} is not installed (extra dev)")
    return subprocess.run([tool, *command[1:]], capture_output=True, text=True, cwd=ROOT, check=False)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_property_actions_are_pinned_by_commit(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "uses:" in text
    assert unpinned(text) == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_property_permissions_start_from_none_and_never_write_contents(path: Path) -> None:
    workflow = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert workflow["permissions"] == {}
    granted = {pair for job in workflow["jobs"].values() for pair in job["permissions"].items()}
    assert granted <= {("contents", "read"), ("pages", "write"), ("id-token", "write")}


def test_property_workflows_follow_the_schema() -> None:
    result = run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS))
    assert result.returncode == 0, result.stdout + result.stderr


def test_property_dependabot_and_citation_follow_their_schemas() -> None:
    result = run("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml")
    assert result.returncode == 0, result.stdout + result.stderr
    result = run("check-jsonschema", "--builtin-schema", "vendor.citation-file-format", "CITATION.cff")
    assert result.returncode == 0, result.stdout + result.stderr


def test_property_zizmor_finds_nothing() -> None:
    result = run("zizmor", "--offline", "--persona", "pedantic", ".github")
    assert result.returncode == 0, result.stdout + result.stderr


def test_limit_tampered_workflows_are_found(tmp_path: Path) -> None:
    text = WORKFLOWS[-1].read_text(encoding="utf-8")
    loose = re.sub(r"checkout@[0-9a-f]{40} # v[\d.]+", "checkout@v7", text)
    assert len(unpinned(loose)) == text.count("actions/checkout")
    careless = tmp_path / "careless.yml"
    careless.write_text(text.replace("run: make check", "run: echo ${{ github.head_ref }}"), encoding="utf-8")
    result = run("zizmor", "--offline", str(careless))
    assert result.returncode != 0
    assert "template-injection" in result.stdout
    careless.write_text(text.replace("runs-on:", "run-on:"), encoding="utf-8")
    assert run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(careless)).returncode == 1


def test_property_matrix_spans_the_supported_versions() -> None:
    matrix = yaml.safe_load((ROOT / ".github/workflows/tests.yml").read_text(encoding="utf-8"))["jobs"]["systems"][
        "strategy"
    ]["matrix"]
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    classified = sorted(re.findall(r"Python :: (3\.\d+)", project), key=lambda text: int(text[2:]))
    assert matrix["python"] == [classified[0], classified[-1]]
    assert f'requires-python = ">={classified[0]}"' in project
    assert [name.split("-")[0] for name in matrix["system"]] == ["ubuntu", "macos", "windows"]


def checks(makefile: str) -> list[str]:
    """Return the commands of the target `check`, as they are called from the root."""
    recipe = re.search(r"^check:.*\n((?:\t.*\n?)+)", makefile, re.M)
    assert recipe, "the Makefile has no target check"
    return [line.strip().replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]


def test_property_pre_commit_runs_what_make_check_runs() -> None:
    config = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    assert [repo["repo"] for repo in config["repos"]] == ["local"]
    entries = [hook["entry"] for hook in config["repos"][0]["hooks"]]
    assert entries == checks((ROOT / "Makefile").read_text(encoding="utf-8"))


def test_limit_a_check_that_pre_commit_lacks_is_seen() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    more = makefile.replace("\t$(BIN)/mypy\n", "\t$(BIN)/mypy\n\t$(BIN)/zizmor .github\n")
    assert set(checks(more)) - set(checks(makefile)) == {".venv/bin/zizmor .github"}
