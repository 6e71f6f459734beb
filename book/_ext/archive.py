"""Pack the built book into one zip that opens from disk: no server, no network, every knob turns.

What no page loads stays out: source maps, translations of the theme's buttons, fonts in formats that only old browsers
ask for. The bytes depend on the pages alone: entries are sorted and carry one date.
"""

import fnmatch
import zipfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["pack", "wanted"]

DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip can say
LEFT_OUT = (
    ".buildinfo",
    "objects.inv",
    "*.map",
    "*.eot",
    "_static/locales/*",
    "_static/*webpack-macros.html",
    "_static/sphinx-thebe.js",
    "_static/vendor/.ready",
    "_static/vendor/fontawesome/webfonts/*.ttf",
)
NOTE = """{title}, version {version}

Unpack this archive, keep its files together, and open index.html in a browser.
No server and no network is needed: figures turn, formulas are set, and the search finds titles, functions and figures.

On a phone, unpack it with the file manager and open index.html from there with a browser that may read its folder.
Where that is not allowed, the file weightlore-tour-{version}.html beside this archive is one file that needs no other,
and the EPUB holds the whole text with a picture of each figure.

The text is under CC BY 4.0, the code under the MIT license.
"""


def wanted(html: Path) -> Iterator[Path]:
    """Yield every file of the built book that a page may need, sorted."""
    for path in sorted(html.rglob("*")):
        name = path.relative_to(html).as_posix()
        if path.is_file() and not any(fnmatch.fnmatchcase(name, pattern) for pattern in LEFT_OUT):
            yield path


def pack(html: Path, target: Path, *, title: str, version: str) -> Path:
    """Write the archive, with everything in one folder and a note on how to open it."""
    folder = target.stem
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        add(archive, f"{folder}/README.txt", NOTE.format(title=title, version=version).encode())
        for path in wanted(html):
            add(archive, f"{folder}/{path.relative_to(html).as_posix()}", path.read_bytes())
    return target


def add(archive: zipfile.ZipFile, name: str, content: bytes, *, stored: bool = False) -> None:
    """Add one file, as any computer on any day would; ``stored`` without compression."""
    entry = zipfile.ZipInfo(name, DATE)
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
