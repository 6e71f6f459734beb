"""No tracked file names a package index, a folder of somebody's machine or a secret."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Written in pieces, so that this file does not match itself.
DOT = r"\."
HOSTS = (
    "files" + DOT + "pythonhosted",
    "pypi" + DOT + "org/simple",
    "registry" + DOT + "(?:npmjs|yarnpkg)",
    "conda" + DOT + "anaconda" + DOT + "org",
    "download" + DOT + "pytorch" + DOT + "org/whl",
)
FOLDERS = (
    "/home" + r"/(?!runner\b)\w+",
    "/Users" + r"/\w+",
    "/root" + "/",
    r"[A-Z]:\\+" + "Users",
    "/work" + "/main",
    r"\.\./" + "shared",
    "/opt" + "/wheels",
    "/tmp" + r"/\w+",
)
SECRETS = ("gh[pousr]_" + "[A-Za-z0-9]{36}", "-----BEGIN " + "[A-Z ]*PRIVATE KEY", "AKIA" + "[0-9A-Z]{16}")
FORBIDDEN = re.compile("|".join(f"(?:{pattern})" for pattern in HOSTS + FOLDERS + SECRETS))


def found(text: str) -> list[str]:
    """Return what a public file must not say."""
    return [match[0] for match in FORBIDDEN.finditer(text)]


def tracked() -> list[Path]:
    """Return the files that git tracks."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a clone: git says which files are public")
    names = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


def test_property_no_tracked_file_names_a_machine_or_an_index() -> None:
    files = tracked()
    assert ROOT / "pyproject.toml" in files
    complaints = {
        str(path.relative_to(ROOT)): lines
        for path in files
        if (lines := found(path.read_text(encoding="utf-8", errors="ignore")))
    }
    assert complaints == {}


@pytest.mark.parametrize(
    "parts",
    [
        ("https://files.", "pythonhosted.org/packages/ab/torch.whl"),
        ("--index-url https://pypi.", "org/simple"),
        ('"resolved": "https://registry.', 'npmjs.org/mathjax"'),
        ("see /home", "/alice/weights"),
        ("/Users", "/bob/weights"),
        ("C:\\", "Users\\carol"),
        ("/root", "/.cache"),
        ("WEIGHTLORE_DATA_MIRROR=..", "/shared/data"),
        ("-----BEGIN RSA ", "PRIVATE KEY-----"),
    ],
    ids=lambda parts: parts[0],
)
def test_limit_a_tampered_text_is_found(parts: tuple[str, str]) -> None:
    assert found("".join(parts)) != []


def test_limit_public_addresses_are_allowed() -> None:
    assert found("https://pypi.org/project/weightlore and https://github.com/weightlore, ~/.cache, /usr/bin/env") == []
