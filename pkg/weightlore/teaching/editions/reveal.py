"""Write slide shows as pages that need no network: reveal.js, formulas and widgets lie beside them.

    write_slides(shows, folder, static=...)    one page for each show, a list of them, and what they load

The folder can be copied to a memory stick and opened from there. Arrow keys and the space bar turn the pages, S opens
the presenter's window with the notes, Esc shows all slides, ? the other keys.
"""

import html
import shutil
from collections.abc import Mapping
from pathlib import Path

from weightlore.errors import DataError, MissingExtra
from weightlore.teaching.notebooks import Notebook
from weightlore.teaching.style import css_variables

__all__ = ["NEEDED", "write_slides"]

HERE = Path(__file__).parent
NEEDED = ("anywidget.js", "embed-amd.js", "fonts", "mathjax", "require.js", "reveal")
PLAIN = """body { background: var(--wl-background); color: var(--wl-text); }
body { margin: 2em; font: 18px/1.5 system-ui, sans-serif; }
a { color: var(--wl-accent); } li { margin: 0.4em 0; }"""
INDEX = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Slides: six fates of a network's parameters</title>
<style>{css}</style></head>
<body>
<main>
<h1>Slides</h1>
<p>Arrow keys turn the pages, S opens the presenter's window, Esc shows all slides. No network is needed.</p>
<ul>
{lines}
</ul>
</main>
</body>
</html>
"""


def write_slides(shows: Mapping[str, Notebook], folder: Path, *, static: Path) -> list[Path]:
    """Write slide shows and everything that they load.

    Args:
        shows: as ``slides`` makes them, by folder and file of the tutorial, such as ``"1_corrupted/resistance.ipynb"``.
        folder: where to; files of the same names are replaced, others stay.
        static: the folder of the book with the JavaScript of others below ``vendor``.

    Returns:
        The pages, the list of them last.

    Raises:
        DataError: if the JavaScript of others was not fetched yet.
        MissingExtra: without nbconvert.

    Source: ours
    """
    lacking = [name for name in NEEDED if not (static / "vendor" / name).exists()]
    if lacking:
        raise DataError(f"slides need {', '.join(lacking)}, which {static / 'vendor'} lacks; `make vendor` fetches it")
    for name in NEEDED:
        source, target = static / "vendor" / name, folder / "vendor" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
    shutil.copy(static / "widgets-config.js", folder)
    pages = {name: folder / Path(name).with_suffix(".html") for name in shows}
    for name, page in pages.items():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(_page(shows[name], "../" * name.count("/")), encoding="utf-8")
    index = folder / "index.html"
    index.write_text(_index(shows), encoding="utf-8")
    return [*pages.values(), index]


def _page(show: Notebook, up: str) -> str:
    """Return the page of a show; ``up`` is the way from it to the folder that holds ``vendor``."""
    try:
        from nbconvert.exporters import SlidesExporter  # not of the extra that builds the book
    except ImportError as error:
        raise MissingExtra("nbconvert", "lab") from error
    exporter = SlidesExporter(template_file=str(HERE / "slides.html.j2"), exclude_input_prompt=True)
    css = css_variables("body") + (HERE / "slides.css").read_text("utf-8")
    body, _ = exporter.from_notebook_node(_spoken(show), resources={"show": {"up": up, "css": css}})
    return str(body)


def _spoken(show: Notebook) -> Notebook:
    """Return the show with words for its pictures, where the exporter looks for them."""
    for cell in show.cells:
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
        for output in cell.get("outputs", []):
            if alt and "image/png" in output.get("data", {}):
                output.metadata.setdefault("image/png", {})["alt"] = alt
    return show


def _index(shows: Mapping[str, Notebook]) -> str:
    rows = []
    for name, show in shows.items():
        title, address = html.escape(str(show.metadata.get("title", name))), Path(name).with_suffix(".html").as_posix()
        count = sum(c.metadata["slideshow"]["slide_type"] in ("slide", "subslide") for c in show.cells)
        rows.append(f'<li><a href="{html.escape(address)}">{title}</a>, {count} slides</li>')
    return INDEX.format(lines="\n".join(rows), css=css_variables("body") + PLAIN)
