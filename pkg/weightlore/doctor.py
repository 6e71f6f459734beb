"""Say what is installed, what is missing and how to get it.

Needs nothing but the standard library to start, so that it can also examine an environment in which something is
broken. What the package asks for is read from its own metadata, never from a second list.

    diagnose()   everything below, at once
    libraries()  each library that the package names, with the version found and the range asked for
    chromium()   the browser that draws the pages under test
"""

import os
import platform
import re
import shutil
import sys
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from weightlore import __version__

__all__ = ["Diagnosis", "Library", "chromium", "clone", "diagnose", "libraries"]

State = Literal["ok", "missing", "out of range"]

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
BROKEN = "torch cannot be imported"
MAC_BROWSER = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


@dataclass(frozen=True)
class Library:
    """One library that the package names.

    Args:
        name: as on the package index.
        wanted: the versions that will do, such as ``">=2.6"``.
        extra: the extra that brings it, ``""`` for what the package always needs.
        version: the version found, ``None`` where there is none.
        state: ``"ok"``, ``"missing"`` or ``"out of range"``.

    Source: ours
    """

    name: str
    wanted: str
    extra: str
    version: str | None
    state: State


@dataclass(frozen=True)
class Diagnosis:
    """What was found on this machine.

    Args:
        version: of weightlore.
        python: version of Python and its path.
        system: operating system and processor.
        threads: threads and instruction set that torch uses, or why it cannot say.
        browser: path of Chromium or Chrome, ``None`` where there is none.
        data: folder of fetched data.
        mirror: folder that stands in for the network, ``None`` where none is set.
        clone: root of the clone that holds the book, ``None`` outside one.
        libraries: everything that the package names.
        problems: what must be mended before the package works; empty where all is well.

    Source: ours
    """

    version: str
    python: str
    system: str
    threads: str
    browser: str | None
    data: str
    mirror: str | None
    clone: str | None
    libraries: tuple[Library, ...]
    problems: tuple[str, ...]

    def extras(self) -> dict[str, tuple[str, ...]]:
        """For each extra the libraries that are missing or out of range; an empty tuple where it is complete."""
        names = sorted({library.extra for library in self.libraries} - {""})
        return {
            name: tuple(lib.name for lib in self.libraries if lib.extra == name and lib.state != "ok") for name in names
        }

    def rows(self) -> list[tuple[str, str]]:
        """What to tell a person: the facts, what is always needed, then extra by extra what to install."""
        facts = ("version", "python", "system", "threads", "browser", "data", "mirror", "clone")
        rows = [(name, str(getattr(self, name) or "none")) for name in facts]
        rows += [
            (lib.name, f"{lib.version or lib.state} (needs {lib.wanted})") for lib in self.libraries if not lib.extra
        ]
        for extra, missing in self.extras().items():
            command = f'{", ".join(missing)} missing: pip install "weightlore[{extra}]"'
            rows.append((f"[{extra}]", command if missing else "complete"))
        return rows


def diagnose() -> Diagnosis:
    """Look at the interpreter, the libraries, the browser and the data folders, and change nothing.

    Returns:
        What was found. Extras that are missing are no problem; a library that the package always needs is one.

    Source: ours
    """
    found, folder, mirror = libraries(), _data_folder(), os.environ.get("WEIGHTLORE_DATA_MIRROR")
    root, browser, threads = clone(), chromium(), _threads()
    return Diagnosis(
        version=__version__,
        python=f"{platform.python_version()} ({sys.executable})",
        system=f"{platform.system()} {platform.machine()}",
        threads=threads,
        browser=None if browser is None else str(browser),
        data=folder,
        mirror=mirror,
        clone=None if root is None else str(root),
        libraries=found,
        problems=tuple(_problems(found, threads, mirror)),
    )


def libraries() -> tuple[Library, ...]:
    """List every library that the package names, needed ones first, then extra by extra.

    Raises:
        PackageNotFoundError: if weightlore itself is not installed, only found on the path.

    Source: ours
    """
    named = [_parse(line) for line in metadata.requires("weightlore") or ()]
    return tuple(_examine(*entry) for entry in sorted(named, key=lambda entry: (entry[2], entry[0])))


def chromium() -> Path | None:
    """Find the Chromium or Chrome of this system; none is ever downloaded.

    Source: ours
    """
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None and MAC_BROWSER.exists():
        return MAC_BROWSER
    return None if found is None else Path(found)


def clone() -> Path | None:
    """Find the clone that holds the book: above the current folder, else above the package.

    Returns:
        Its root, or ``None`` where the package was installed without one.

    Source: ours
    """
    starts = (Path.cwd(), Path(__file__).resolve().parent)
    folders = (folder for start in starts for folder in (start, *start.parents))
    return next((folder for folder in folders if (folder / "pkg/weightlore/doctor.py").is_file()), None)


def _parse(line: str) -> tuple[str, str, str]:
    """Split a line of metadata, ``"anywidget>=0.9.13; extra == 'book'"``, into name, range and extra."""
    requirement, _, marker = line.partition(";")
    name, wanted = re.fullmatch(r"\s*([\w.-]+)\s*(?:\[[^]]*])?\s*(.*?)\s*", requirement).groups()  # type: ignore[union-attr]
    extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", marker)
    return name, wanted, extra[1] if extra else ""


def _examine(name: str, wanted: str, extra: str) -> Library:
    try:
        version = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Library(name, wanted, extra, None, "missing")
    return Library(name, wanted, extra, version, "ok" if _within(version, wanted) else "out of range")


def _within(version: str, wanted: str) -> bool:
    try:
        from packaging.specifiers import SpecifierSet  # pooch brings it, but an examined environment may be broken
    except ImportError:
        return True
    return SpecifierSet(wanted).contains(version, prereleases=True)


def _threads() -> str:
    try:
        import torch
    except (ImportError, OSError) as error:
        return f"{BROKEN}: {error}"
    device = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{torch.get_num_threads()} of {os.cpu_count()}, {torch.backends.cpu.get_cpu_capability()}{device}"


def _data_folder() -> str:
    try:
        from weightlore.data import data_folder
    except (ImportError, OSError) as error:
        return f"unknown: {error}"
    return str(data_folder())


def _problems(found: tuple[Library, ...], threads: str, mirror: str | None) -> list[str]:
    problems = [threads] if threads.startswith(BROKEN) else []
    for library in found:
        if library.extra == "" and library.state != "ok":
            what = "is missing" if library.version is None else f"{library.version} is out of range"
            command = f'pip install "{library.name}{library.wanted}"'
            problems.append(f"{library.name} {what}; weightlore needs {library.name}{library.wanted}: {command}")
    if mirror and not Path(mirror).is_dir():
        problems.append(f"WEIGHTLORE_DATA_MIRROR names {mirror}, which is no folder; unset it or correct it")
    return problems
