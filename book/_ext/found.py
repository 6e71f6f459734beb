"""Let the search find figures: by the words of their titles, which lead to the figure, and by all that is said of them.

Sphinx indexes text, headings and the objects of its domains. A figure of a notebook is a picture, and its words stand
in its alternative text, which is neither. So each figure gets an anchor, becomes an object of a domain of its own
(the search shows its title with "figure, in ..." below it), and its words join those of the page, unseen.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains import Domain, ObjType

__all__ = ["Figures", "title"]

PANEL = re.compile(r"^Panel \d+ of \d+: ")
WORD = re.compile(r"[^\W\d_]{3,}")


class Figures(Domain):
    """Every figure of every notebook: its title, and where it stands."""

    name = "book"
    label = "Book"
    object_types: ClassVar = {"figure": ObjType("figure")}
    initial_data: ClassVar = {"figures": {}}

    def clear_doc(self, docname: str) -> None:
        """Forget the figures of a page that is read anew."""
        self.data["figures"].pop(docname, None)

    def merge_domaindata(self, docnames: list[str], otherdata: dict[str, Any]) -> None:
        """Take over what another process has read."""
        self.data["figures"].update({name: otherdata["figures"].get(name, []) for name in docnames})

    def get_objects(self) -> Iterator[tuple[str, str, str, str, str, int]]:
        """Yield each figure as the search wants it."""
        for docname, figures in self.data["figures"].items():
            for words, anchor in figures:
                yield words, words, "figure", docname, anchor, 1

    def get_type_name(self, type: ObjType, primary: bool = False) -> str:
        """Return what the search says below a title."""
        return type.lname


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the domain and the event that fills it."""
    app.add_domain(Figures)
    app.connect("doctree-read", collect, priority=950)  # after weightlore.teaching.page has set the alternative texts
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Note the figures of a notebook, set an anchor before each, and let its words be indexed."""
    if Path(app.env.doc2path(app.env.docname)).suffix != ".ipynb":
        return
    figures = app.env.get_domain("book").data["figures"].setdefault(app.env.docname, [])
    for bundle in [node for node in doctree.findall(nodes.container) if node.get("nb_element") == "mime_bundle"]:
        said = next((image["alt"] for image in bundle.findall(nodes.image) if image.get("alt")), "")
        if not said:
            continue
        anchor = f"figure-{len(figures) + 1}"
        figures.append((title(said), anchor))
        at = bundle.parent.index(bundle)
        unseen = nodes.substitution_definition("", " ".join(dict.fromkeys(WORD.findall(said))))
        bundle.parent.insert(at, [nodes.target("", "", ids=[anchor]), unseen])


def title(said: str) -> str:
    """Return the title of a figure from what is said of it: the first sentence, without the count of panels."""
    return PANEL.sub("", said).partition(". ")[0].rstrip(".")
