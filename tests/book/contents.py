"""What the tests of the book ask for: where things lie, and which pages there are."""

from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / ".cache" / "book-tests" / "axe.min.js"


def toc_pages() -> list[str]:
    """Every page of the table of contents, as its path below the built book."""

    def walk(node):
        if isinstance(node, dict):
            yield from (node[key] for key in ("root", "file") if key in node)
            yield from (page for key in ("parts", "chapters", "sections") for page in walk(node.get(key, [])))
        elif isinstance(node, list):
            yield from (page for child in node for page in walk(child))

    names = walk(yaml.safe_load((ROOT / "_toc.yml").read_text()))
    return [name.removesuffix(".ipynb").removesuffix(".md") + ".html" for name in names]


def chapter_pages() -> list[str]:
    """The pages that are notebooks."""
    return [page for page in toc_pages() if page.startswith("tutorials/")]
