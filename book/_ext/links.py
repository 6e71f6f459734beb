"""Check that every link within the built book leads somewhere: to a file that exists and an anchor that it has.

python book/_ext/links.py _build/html
"""

import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote, urlsplit

__all__ = ["Page", "broken", "external", "pages", "read"]


class Page(HTMLParser):
    """What a page offers and asks for.

    Attributes:
        anchors: the ids and names that a link may point to.
        links: addresses of links.
        resources: addresses that the browser loads without being asked.
    """

    LOADED: ClassVar = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
    POINTERS = ("canonical", "search", "next", "prev", "index", "author", "copyright")  # a <link> that loads nothing

    def __init__(self) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.resources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note one element."""
        named = dict(attrs)
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
            anchors = found[target].anchors if target in found else None
            wanted = unquote(parts.fragment)
            if not target.exists() or (anchors is not None and wanted and wanted not in anchors):
                yield path.relative_to(html), address


def external(html: Path) -> Iterator[tuple[Path, str]]:
    """Yield each page with an address of another host that the browser would load from there."""
    for path, page in pages(html).items():
        for address in page.resources:
            if urlsplit(address).netloc:
                yield path.relative_to(html), address


if __name__ == "__main__":
    folder = Path(sys.argv[1]).resolve()
    bad = [*broken(folder), *external(folder)]
    for where, address in bad:
        print(f"{where}: {address}", file=sys.stderr)
    count = sum(len(page.links) for page in pages(folder).values())
    print(f"{count} links between {len(pages(folder))} pages, {len(bad)} broken")
    sys.exit(bool(bad))
