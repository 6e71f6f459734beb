"""Make what a reader takes along: the whole book as a zip, a PDF of each chapter, an EPUB, the tour as one file.

python book/_ext/release.py _build/html _build/release

Everything is made from the built pages, so it says what they say. See ``archive``, ``single``, ``printed``, ``ebook``.
"""

import datetime
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import archive
import chapters
import ebook
import plain
import printed
import single
import tour
import versions
import yaml

__all__ = ["cover", "make", "read_pages"]

ROOT = Path(__file__).resolve().parents[2]
COVER = """<body style="margin:0;padding:110px 90px;font-family:sans-serif">
<h1 style="font-size:84px;line-height:1.15;margin:0 0 90px">{title}</h1><img src="{strips}" style="width:1020px">
<p style="font-size:36px;margin-top:90px">The weightlore authors</p></body>"""


def settings() -> dict[str, str]:
    """Return what the files say about the book: its title, where it is published, and its version."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return {
        "title": config["title"],
        "site": config["html"]["baseurl"].rstrip("/") + "/",
        "version": versions.version(),
    }


def read_pages(chromium: Any, html: Path, parts: Sequence[chapters.Part], *, site: str) -> list[plain.Plain]:
    """Return the pages that the e-book has: all but the reference of the package, which is looked up on the web."""
    pages = [page for part in parts for page in part.pages if "/api/" not in page]
    printed_in = {page: part.name for part in parts if part.is_chapter for page in part.pages}
    places = {page: f"{plain.key(page)}.xhtml" for page in pages}
    return list(plain.read(chromium, html, pages, places, site=site, printed=printed_in))


def cover(chromium: Any, html: Path, title: str, draft: Path) -> bytes:
    """Return the cover of the e-book as PNG, the title above the strips; ``draft`` is a file that may be written."""
    strips = (html / "_static" / "cover.svg").resolve().as_uri()
    draft.write_text(COVER.format(title=title, strips=strips), encoding="utf-8")
    page = chromium.new_page(viewport={"width": 1200, "height": 1600})
    page.goto(draft.resolve().as_uri())
    picture = page.screenshot()
    page.close()
    draft.unlink()
    return picture


def tour_in_one_file(chromium: Any, html: Path, target: Path, *, title: str, version: str, site: str) -> Path:
    """Write the tour as one file, and return its path; all its links lead to the web."""
    (page,) = plain.read(chromium, html, [f"{tour.PAGE}.html"], {}, site=site, printed={})
    target.write_text(single.document(page, book=title, version=version, site=site), encoding="utf-8")
    return target


def make(html: Path, target: Path, chromium: Any, *, say: Callable[[str], None] = lambda line: None) -> list[Path]:
    """Write the zip, the tour, the PDFs and the EPUB, and return their paths."""
    facts = settings()
    title, version, site = facts["title"], facts["version"], facts["site"]
    target.mkdir(parents=True, exist_ok=True)
    made = [archive.pack(html, target / f"weightlore-book-{version}.zip", title=title, version=version)]
    say(f"{made[0].name}: read the pages ...")
    parts = chapters.contents()
    pages = read_pages(chromium, html, parts, site=site)
    made.append(tour_in_one_file(chromium, html, target / f"weightlore-tour-{version}.html", **facts))
    for part in (part for part in parts if part.is_chapter):
        own = [page for page in pages if page.page in part.pages]
        text = printed.document(part, own, html.resolve(), book=title, version=version, site=site)
        path = target / f"weightlore-{part.name}-{version}.pdf"
        made.append(printed.pdf(chromium, text, path.resolve(), foot=f"{title}, {version} · {part.caption}"))
        say(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB")
    path = target / f"weightlore-{version}.epub"
    picture = cover(chromium, html, title, path.with_suffix(".html"))
    return [*made, ebook.epub(html, parts, pages, path, cover=picture, modified=now(), **facts)]


def now() -> str:
    """Return the time, or what SOURCE_DATE_EPOCH says instead of it, so that a release can be made twice."""
    stamp = os.environ.get("SOURCE_DATE_EPOCH")
    moment = datetime.datetime.fromtimestamp(int(stamp), datetime.UTC) if stamp else datetime.datetime.now(datetime.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


if __name__ == "__main__":
    with plain.browser() as chromium:
        for path in make(Path(sys.argv[1]), Path(sys.argv[2]), chromium, say=print):
            print(f"{path}  {path.stat().st_size / 1e6:.1f} MB")
