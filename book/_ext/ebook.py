"""Make an EPUB 3 of the plain pages: one XHTML file a page, MathML formulas, pictures, a cover and contents.

The form is that of EPUB 3.3: ``mimetype`` first and not compressed, ``META-INF/container.xml``, one package file that
names every other file, and a navigation document. The bytes depend on the pages and on the date that is given.
"""

import base64
import hashlib
import html
import posixpath
import re
import uuid
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from archive import add
from chapters import Part
from plain import Plain, key, style_sheet

__all__ = ["epub", "navigation", "package"]

TYPES = {".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".webp": "image/webp", ".gif": "image/gif"}
WRITTEN_IN = re.compile(r'src="data:image/png;base64,([^"]+)"')
HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
PAGE = (
    HEAD
    + """<!DOCTYPE html>
<html xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops" lang="en" xml:lang="en">
<head><title>{title}</title><link rel="stylesheet" type="text/css" href="ebook.css"/></head>
<body>{body}</body></html>
"""
)
CONTAINER = (
    HEAD
    + """<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container">
<rootfiles><rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/></rootfiles></container>
"""
)
PACKAGE = (
    HEAD
    + """<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="id" xml:lang="en">
<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:identifier id="id">urn:uuid:{uuid}</dc:identifier>
<dc:title>{title}</dc:title>
<dc:language>en</dc:language>
<dc:creator>The weightlore authors</dc:creator>
<dc:rights>CC BY 4.0</dc:rights>
<dc:source>{site}</dc:source>
<dc:description>Version {version}. On the web, the knobs of its figures turn.</dc:description>
<meta property="dcterms:modified">{modified}</meta>
<meta property="schema:accessMode">textual</meta>
<meta property="schema:accessMode">visual</meta>
<meta property="schema:accessModeSufficient">textual</meta>
<meta property="schema:accessibilityFeature">alternativeText</meta>
<meta property="schema:accessibilityFeature">MathML</meta>
<meta property="schema:accessibilityFeature">structuralNavigation</meta>
<meta property="schema:accessibilityFeature">tableOfContents</meta>
<meta property="schema:accessibilityHazard">none</meta>
<meta property="schema:accessibilitySummary">Figures have alternative texts made from their data.</meta>
</metadata>
<manifest>
{items}
</manifest>
<spine>
{spine}
</spine>
</package>
"""
)


def epub(
    root: Path,
    parts: Sequence[Part],
    pages: Sequence[Plain],
    target: Path,
    *,
    cover: bytes,
    title: str,
    version: str,
    site: str,
    modified: str,
) -> Path:
    """Write the e-book.

    Args:
        root: the folder of the built book, for its pictures.
        parts: the parts of the book, for the contents.
        pages: the pages, in their order.
        target: the file to write.
        cover: a picture in PNG.
        title: the title of the book.
        version: its version.
        site: where the book is published.
        modified: when it was made, as ``2026-01-31T12:00:00Z``.
    """
    pages, drawn = take_out(pages)
    images = pictures(pages)
    facts = {"title": html.escape(title), "version": version, "site": site, "modified": modified}
    with zipfile.ZipFile(target, "w") as archive:
        add(archive, "mimetype", b"application/epub+zip", stored=True)
        add(archive, "META-INF/container.xml", CONTAINER.encode())
        add(archive, "EPUB/package.opf", package(pages, sorted([*images, *drawn]), **facts).encode())
        add(archive, "EPUB/nav.xhtml", navigation(parts, pages).encode())
        add(archive, "EPUB/ebook.css", style_sheet("ebook.css").encode())
        add(archive, "EPUB/cover.png", cover, stored=True)
        front = f'<div class="cover"><img src="cover.png" alt="{facts["title"]}"/></div>'
        add(archive, "EPUB/cover.xhtml", PAGE.format(title="Cover", body=front).encode())
        for page in pages:
            text = PAGE.format(title=html.escape(page.title), body=page.ebook)
            add(archive, f"EPUB/{place(page)}", text.encode())
        for name, address in sorted(images.items()):
            add(archive, f"EPUB/images/{name}", (root / address).read_bytes(), stored=name.endswith(".png"))
        for name, content in sorted(drawn.items()):
            add(archive, f"EPUB/images/{name}", content, stored=True)
    return target


def take_out(pages: Sequence[Plain]) -> tuple[list[Plain], dict[str, bytes]]:
    """Return the pages with the pictures that are written into them as files of their own, and these files by name."""
    drawn: dict[str, bytes] = {}

    def name(match: re.Match[str]) -> str:
        content = base64.b64decode(match[1])
        file = f"{hashlib.sha256(content).hexdigest()[:20]}.png"
        drawn[file] = content
        return f'src="images/{file}"'

    return [replace(page, ebook=WRITTEN_IN.sub(name, page.ebook)) for page in pages], drawn


def place(page: Plain) -> str:
    """Return the name of a page's file in the e-book."""
    return f"{key(page.page)}.xhtml"


def pictures(pages: Sequence[Plain]) -> dict[str, str]:
    """Return the address of each picture by its name."""
    return {posixpath.basename(address): address for page in pages for address in page.images}


def package(pages: Sequence[Plain], images: Sequence[str], **facts: str) -> str:
    """Return the package file: what the book is, every file in it, and the order of reading."""
    items = [
        '<item id="nav" href="nav.xhtml" media-type="application/xhtml+xml" properties="nav"/>',
        '<item id="style" href="ebook.css" media-type="text/css"/>',
        '<item id="cover-image" href="cover.png" media-type="image/png" properties="cover-image"/>',
        '<item id="cover" href="cover.xhtml" media-type="application/xhtml+xml"/>',
    ]
    for page in pages:
        uses = " ".join(name for name, used in page.uses.items() if used)
        properties = f' properties="{uses}"' if uses else ""
        items.append(
            f'<item id="p-{key(page.page)}" href="{place(page)}" media-type="application/xhtml+xml"{properties}/>'
        )
    for number, name in enumerate(images):
        kind = TYPES[Path(name).suffix.lower()]
        items.append(f'<item id="i-{number}" href="images/{name}" media-type="{kind}"/>')
    spine = ["cover", *(f"p-{key(page.page)}" for page in pages)]
    refs = "\n".join(f'<itemref idref="{name}"/>' for name in spine)
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{facts['site']}#{facts['version']}")
    return PACKAGE.format(uuid=name, items="\n".join(items), spine=refs, **facts)


def navigation(parts: Sequence[Part], pages: Sequence[Plain]) -> str:
    """Return the contents: the parts, their pages, and the sections of each."""
    known = {page.page: page for page in pages}
    entries = []
    for part in parts:
        inside = "".join(entry(known[page]) for page in part.pages if page in known)
        if inside:
            entries.append(
                f"<li><span>{html.escape(part.caption)}</span><ol>{inside}</ol></li>" if part.caption else inside
            )
    body = f'<nav epub:type="toc" id="toc"><h1>Contents</h1><ol>{"".join(entries)}</ol></nav>'
    return PAGE.format(title="Contents", body=body)


def entry(page: Plain) -> str:
    """Return a page in the contents, with its sections below it."""
    sections = "".join(
        f'<li><a href="{place(page)}#{anchor}">{html.escape(text)}</a></li>' for text, anchor in page.heads
    )
    below = f"<ol>{sections}</ol>" if sections else ""
    return f'<li><a href="{place(page)}">{html.escape(page.title)}</a>{below}</li>'
