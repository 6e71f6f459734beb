"""Show figures of notebooks on the tour: the same stored widgets, found by their titles, without a kernel.

A page with figures of several notebooks needs one store of widget models. So each figure is cut out of the state of its
notebook, its models get names of their own, and all of them travel in the head of the page, as MyST-NB writes them for
a notebook. Without scripts, the page shows the stored picture.
"""

import html
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

__all__ = ["STOPS", "Stop", "figure", "models", "stored"]

ROOT = Path(__file__).resolve().parents[2]
PAGE = "book/tour"
STATE = "application/vnd.jupyter.widget-state+json"
VIEW = "application/vnd.jupyter.widget-view+json"
# Where the tour stops: a notebook, and the beginning of the title of one of its figures.
STOPS = {
    "corrupted": ("tutorials/1_corrupted/vulnerability.ipynb", "Two ways to spend a length"),
    "explained": ("tutorials/4_explained/sensitivity.ipynb", "The same attributions, framed"),
    "binarized": ("tutorials/6_binarized/latency.ipynb", "Where the steps go"),
}


@dataclass(frozen=True)
class Stop:
    """A figure of the tour.

    Attributes:
        model: the name of its widget model.
        picture: the stored picture, base64.
        words: the alternative text of the picture.
        state: its models by name.
    """

    model: str
    picture: str
    words: str
    state: dict[str, Any]


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the event that brings the models and the scripts to the page."""
    app.connect("html-page-context", equip)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def equip(app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: Any) -> None:
    """Add the widget models, and the scripts that notebooks have, to the page of the tour."""
    if pagename == PAGE:
        app.add_js_file(None, type=STATE, body=models())
        for path, attributes in app.config.nb_ipywidgets_js.items():
            app.add_js_file(path, **attributes)


def models() -> str:
    """Return the widget models of all stops, as a page carries them."""
    state = {name: model for stop in STOPS for name, model in stored(stop).state.items()}
    return json.dumps({"state": state, "version_major": 2, "version_minor": 0}).replace("</", "<\\/")


def figure(stop: str) -> str:
    """Return one figure as raw HTML in Markdown: the place of the widget, and a picture for readers without scripts."""
    found = stored(stop)
    view = json.dumps({"model_id": found.model, "version_major": 2, "version_minor": 0})
    picture = f'<img class="wl-still" src="data:image/png;base64,{found.picture}" alt="{html.escape(found.words)}">'
    lines = ["```{raw} html", f'<div class="wl-stop" id="{stop}-figure">', f'<script type="{VIEW}">{view}</script>']
    return "\n".join([*lines, f"<noscript>{picture}</noscript>", "</div>", "```"])


@cache
def stored(stop: str) -> Stop:
    """Return the figure of a stop as its notebook stores it."""
    path, beginning = STOPS[stop]
    notebook = json.loads((ROOT / path).read_text(encoding="utf-8"))
    state = notebook["metadata"]["widgets"][STATE]["state"]
    titles = []
    for output in (o for cell in notebook["cells"] for o in cell.get("outputs", []) if VIEW in o.get("data", {})):
        words = output["metadata"]["image/png"]["alt"]
        titles.append(words.partition(". ")[0])
        if words.startswith(beginning):
            picture = output["data"]["image/png"].replace("\n", "")
            return cut_out(stop, output["data"][VIEW]["model_id"], state, picture, words)
    raise ValueError(f"{path} has no figure whose title begins with {beginning!r}; correct STOPS. It has {titles}")


def cut_out(stop: str, model: str, state: dict[str, Any], picture: str, words: str) -> Stop:
    """Return a figure with the models that it needs, each named after the stop."""
    wanted, seen = [model], set()
    while wanted:
        name = wanted.pop()
        seen.add(name)
        wanted += [other for other in state if f"IPY_MODEL_{other}" in json.dumps(state[name]) and other not in seen]
    text = json.dumps({name: state[name] for name in seen})
    for name in seen:
        text = text.replace(name, f"{stop}-{name}")
    return Stop(f"{stop}-{model}", picture, words, json.loads(text))
