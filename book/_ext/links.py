"""Check that every link of the built book leads somewhere: to a file that exists and an anchor that it has.

python book/_ext/links.py _build/html

That holds for links within the book, for those that go by its published address, for those into the repository's files,
and for what style sheets load. An anchor that a page has twice leads to one of two places, so it is found, too.
"""

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

__all__ = ["Page", "broken", "external", "pages", "read", "repeated", "roundabout", "styles"]

ROOT = Path(__file__).resolve().parents[2]
SITE = "https://weightlore.github.io/weightlore/"
FILES = re.compile(r"https://github\.com/weightlore/weightlore/(?:blob|edit|tree|raw)/main/([^?#]*)")
LOADED_BY_STYLE = re.compile(r"url\(\s*['\"]?([^'\")]+)")


class Page(HTMLParser):
    """What a page offers and asks for.

    Attributes:
        anchors: the ids and names that a link may point to.
        twice: ids that stand more than once in the page.
        links: addresses of links.
        resources: addresses that the browser loads without being asked.
    """

    LOADED: ClassVar = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
    POINTERS = ("canonical", "search", "next", "prev", "index", "author", "copyright")  # a <link> that loads nothing

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.twice: set[str] = set()
        self.links: list[str] = []
        self.resources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        named = dict(attrs)
        if named.get("id") in self.anchors:
            self.twice.add(str(named["id"]))
        self.anchors.update(value for key in ("id", "name") if (value := named.get(key)))
        if tag == "a" and named.get("href"):
            self.links.append(str(named["href"]))
        value = named.get(self.LOADED.get(tag, ""))
        if value:
            pointer = tag == "link" and named.get("rel") in self.POINTERS
            (self.links if pointer else self.resources).append(value)


def read(path: Path) -> Page:
    """Return what one file offers and asks for."""
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def pages(html: Path) -> dict[Path, Page]:
    """Return every page of a built book; the theme's templates are none."""
    return {path: read(path) for path in sorted(html.rglob("*.html")) if "_static" not in path.parts}


def broken(html: Path) -> Iterator[tuple[Path, str]]:
    """Yield each page with an address in it that leads nowhere."""
    found = pages(html)
    for path, page in found.items():
        for address in {*page.links, *page.resources}:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path.resolve()
            if not leads(target, parts.fragment, found):
                yield path.relative_to(html), address


def leads(target: Path, fragment: str, found: dict[Path, Page]) -> bool:
    """Say whether a file is there and, where it is a page, has the anchor that is asked for."""
    anchors = found[target].anchors if target in found else None
    return target.exists() and (anchors is None or not fragment or unquote(fragment) in anchors)


def roundabout(html: Path) -> Iterator[tuple[Path, str]]:
    """Yield each page with a link by the published address, or to a file of the repository, that finds nothing."""
    found = pages(html)
    for path, page in found.items():
        for address in set(page.links):
            file = FILES.match(address)
            if file and not (ROOT / unquote(file[1])).exists():
                yield path.relative_to(html), address
            elif address.startswith(SITE):
                parts = urlsplit(address.removeprefix(SITE))
                if not leads((html / (unquote(parts.path) or "index.html")).resolve(), parts.fragment, found):
                    yield path.relative_to(html), address


def repeated(html: Path) -> Iterator[tuple[Path, str]]:
    """Yield each page with an id that it has twice."""
    for path, page in pages(html).items():
        yield from ((path.relative_to(html), f"#{name}") for name in sorted(page.twice))


def styles(html: Path) -> Iterator[tuple[Path, str]]:
    """Yield each style sheet with an address that it loads from another host, or that is not there."""
    for path in sorted(html.rglob("*.css")):
        for address in set(LOADED_BY_STYLE.findall(path.read_text(encoding="utf-8", errors="replace"))):
            parts = urlsplit(address)
            if parts.scheme != "data" and (parts.netloc or not (path.parent / unquote(parts.path)).exists()):
                yield path.relative_to(html), address


def external(html: Path) -> Iterator[tuple[Path, str]]:
    """Yield each page with an address of another host that the browser would load from there."""
    for path, page in pages(html).items():
        for address in page.resources:
            if urlsplit(address).netloc:
                yield path.relative_to(html), address


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    bad = [line for check in (broken, external, roundabout, repeated, styles) for line in check(folder)]
    for where, address in bad:
        print(f"{where}: {address}", file=sys.stderr)
    count = sum(len(page.links) for page in pages(folder).values())
    print(f"{count} links between {len(pages(folder))} pages, {len(bad)} broken")
    sys.exit(bool(bad))
