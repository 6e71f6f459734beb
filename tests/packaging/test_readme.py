"""What the README and CONTRIBUTING say is so: the example runs, commands and files exist, places agree."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from weightlore import __version__
from weightlore.cli import main

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Return the fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def targets(makefile: str) -> set[str]:
    """Return what `make` can be asked for by name."""
    return set(re.findall(r"^([a-z-]+):", makefile, re.M))


def broken_links(text: str, folder: Path) -> list[str]:
    """Return links and pictures that lead to no file of the repository."""
    links = re.findall(r"\]\(([^)#]+)\)", text)
    return [link for link in links if "://" not in link and not (folder / link).exists()]


def run_example(example: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", example], capture_output=True, text=True, cwd=ROOT, check=False)


def test_oracle_the_example_prints_what_stands_below_it() -> None:
    (example,), (shown,) = blocks(README, "python"), blocks(README, "text")
    assert len(example.strip().splitlines()) <= 11  # ten lines and the empty one
    result = run_example(example)
    assert result.returncode == 0, result.stderr
    assert result.stdout == shown


def test_limit_a_tampered_example_is_found() -> None:
    (example,), (shown,) = blocks(README, "python"), blocks(README, "text")
    assert run_example(example.replace("epsilon=0.8", "epsilon=1.2")).stdout != shown


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_property_make_targets_and_links_exist(text: str) -> None:
    named = set(re.findall(r"(?:`|^)(?:UV_TORCH_BACKEND=cpu )?make ([a-z-]+)", text, re.M))
    assert {"book", "test"} <= named
    assert named - targets((ROOT / "Makefile").read_text(encoding="utf-8")) == set()
    assert broken_links(text, ROOT) == []


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_property_commands_of_the_command_line_exist(text: str) -> None:
    for command in set(re.findall(r"weightlore ((?:doctor|data|notebooks|book|lab)(?: [a-z]+\b)?)", text)):
        words = [word for word in command.split() if word not in ("alone",)]
        result = CliRunner().invoke(main, [*words, "--help"])
        assert result.exit_code == 0, f"weightlore {command}: {result.output}"


def test_limit_a_tampered_text_is_found() -> None:
    assert broken_links("see [this](NOTHERE.md) and [that](LICENSE)", ROOT) == ["NOTHERE.md"]
    assert "deploy" not in targets((ROOT / "Makefile").read_text(encoding="utf-8"))


def test_property_files_that_contributing_names_exist() -> None:
    named = set(re.findall(r"`((?:book|tests|pkg|tutorials|benchmarks)/[\w./-]*)`", CONTRIBUTING))
    assert len(named) >= 5
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_property_name_version_and_address_stand_in_one_form() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert project["version"] == citation["version"] == __version__
    assert f"version = {{{__version__}}}" in README
    assert citation["authors"] == project["authors"] == [{"name": "The weightlore authors"}]
    address = project["urls"]["Repository"]
    assert citation["repository-code"] == address
    assert citation["url"] == project["urls"]["Documentation"]
    for text in (README, (ROOT / "_config.yml").read_text(encoding="utf-8")):
        assert address in text
        assert set(re.findall(r"https://github\.com/weightlore/[\w-]+", text)) == {address}


def test_property_how_tos_take_under_ten_steps() -> None:
    sections = re.findall(r"^## Add (.*)\n\n((?:.+\n)+)", CONTRIBUTING, re.M)
    assert [name for name, _ in sections] == ["a method", "a figure", "a claim", "a chapter"]
    for name, text in sections:
        assert len(re.findall(r"^\d+\. ", text, re.M)) < 10, name
