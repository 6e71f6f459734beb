"""A Sphinx extension: pictures of notebooks with their words, and figures with knobs for readers without JavaScript.

MyST-NB prints one form of every output: of a widget its live view, of a picture an image without words. This extension
adds what the notebook stores with the output:

    image/png, image/svg+xml     alternative text and, folded, the table of the data (see ``describe``)
    widget with a picture        <noscript> with the picture and its alternative text

and to every page the palette as CSS properties, so that style sheets and drawings can follow the theme.

Use it in ``conf.py`` after ``myst_nb``, or in ``_config.yml`` under ``sphinx: extra_extensions``:

    extensions = ["myst_nb", "weightlore.teaching.page"]
"""

import hashlib
import os
from binascii import a2b_base64
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx.application import Sphinx

from weightlore.teaching.style import css_variables

__all__ = ["setup"]

VIEW = "application/vnd.jupyter.widget-view+json"
PICTURES = ("image/png", "image/svg+xml")
STYLE = (
    "<style>.wl-table{font-size:.8em;max-width:100%;overflow-x:auto}.wl-table summary{cursor:pointer;min-height:24px}"
    ".wl-table table{margin:.3em 0;width:auto}.wl-table td,.wl-table th{padding:1px 10px;text-align:right;"
    "font-variant-numeric:tabular-nums}.wl-table caption{text-align:left}.cell_output img{border-radius:8px}"
    "html[data-theme=dark] .bd-content div.cell_output img{padding:0;background:none;filter:brightness(.93)}</style>"
)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the extension with Sphinx.

    Args:
        app: the application.

    Source: ours
    """
    app.connect("doctree-read", _complete, priority=900)  # after MyST-NB and the collector of images
    app.connect("html-page-context", _style)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _style(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Add the palette to every page (``var(--wl-text)``), and to notebook pages the rules for tables and pictures.

    In the dark, pictures stay as they are: they bring a card of their own.
    """
    context["metatags"] = context.get("metatags", "") + f"<style>{css_variables('body')}</style>"
    if doctree is not None and Path(app.env.doc2path(page)).suffix == ".ipynb":
        context["metatags"] += STYLE


def _complete(app: Sphinx, doctree: nodes.document) -> None:
    """Give every picture of a notebook its words, and every figure with knobs its picture."""
    path = Path(app.env.doc2path(app.env.docname))
    if path.suffix != ".ipynb":
        return
    known = stored_words(nbformat.read(path, as_version=4))
    for bundle in list(doctree.findall(_is_bundle)):
        parts = {part["mime_type"]: part for part in bundle.children if isinstance(part, nodes.container)}
        for kind in PICTURES:
            image = next(iter(parts[kind].findall(nodes.image)), None) if kind in parts else None
            if image is not None:
                _tell(parts[kind], image, known.get(Path(image["uri"]).stem, {}))
                if VIEW in parts:
                    parts[VIEW].extend([_html("<noscript>"), image.deepcopy(), _html("</noscript>")])
                    break


def _is_bundle(node: nodes.Node) -> bool:
    return isinstance(node, nodes.container) and node.get("nb_element") == "mime_bundle"


def _html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def _tell(part: nodes.container, image: nodes.image, words: dict[str, str]) -> None:
    """Set the alternative text of an image and put its table after it."""
    if words.get("alt"):
        image["alt"] = words["alt"]
    if words.get("table"):
        part.append(_html(words["table"]))


def stored_words(notebook: nbformat.NotebookNode) -> dict[str, dict[str, str]]:
    """Return what the notebook stores about its pictures: ``{hash of the picture: {"alt": ..., "table": ...}}``.

    MyST-NB names the file of a picture by the SHA-256 of its bytes; that is how words and picture meet again.

    Args:
        notebook: a notebook with outputs.

    Source: ours
    """
    found = {}
    for output in (o for cell in notebook.cells for o in cell.get("outputs", [])):
        for kind in PICTURES:
            content = output.get("data", {}).get(kind)
            if content:
                png = kind == "image/png"
                data = a2b_base64(content) if png else os.linesep.join(content.splitlines()).encode()
                found[hashlib.sha256(data).hexdigest()] = dict(output.metadata.get(kind, {}))
    return found
