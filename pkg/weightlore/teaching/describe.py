"""Words and tables for a picture, made from the data that were plotted.

    describe(figure)    Description(alt, table)

Lines, error bars, bands, bars, histograms, outlines, scatter plots, images and color meshes are read from matplotlib's
own objects, so the words cannot say something else than the picture.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from weightlore.errors import MissingExtra, ParameterError

try:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection, PolyCollection, QuadMesh
    from matplotlib.container import BarContainer, ErrorbarContainer
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D
    from matplotlib.patches import Polygon
except ImportError as error:  # pragma: no cover - tested in a child process
    raise MissingExtra("matplotlib", "book") from error

from weightlore.teaching.figures.knob import number

__all__ = ["Description", "describe"]

MOST_ROWS = 24
MOST_CELLS = 300
ROUNDING = 1e-12  # of the largest value: what is smaller is zero


@dataclass(frozen=True)
class Description:
    """A picture in words.

    Args:
        alt: alternative text, plain.
        table: the plotted numbers as HTML, folded (``<details>``); long series are thinned evenly.

    Source: ours
    """

    alt: str
    table: str

    def _repr_html_(self) -> str:
        return self.table


@dataclass(frozen=True)
class _Series:
    """One thing on the axes: its sentence, and its columns for the table."""

    words: str
    name: str
    columns: tuple[tuple[str, np.ndarray], ...]


def describe(drawn: Figure | Axes) -> Description:
    """Return alternative text and a foldable data table of a matplotlib figure or axes.

    Args:
        drawn: what was drawn on; a figure with several axes is described panel by panel, color bars left out.

    Raises:
        ParameterError: if it is not matplotlib's, or nothing was drawn on it.

    Source: ours
    """
    if not isinstance(drawn, Figure | Axes):
        raise ParameterError(f"describe takes a matplotlib Figure or Axes, got {type(drawn).__name__}")
    panels = [drawn] if isinstance(drawn, Axes) else [a for a in drawn.axes if not _is_colorbar(a) and a.axison]
    panels += [] if isinstance(drawn, Axes) else [a for a in drawn.axes if not a.axison and a.images]
    told = [(axes, list(_series(axes))) for axes in panels]
    told = [(axes, series) for axes, series in told if series]
    if not told:
        raise ParameterError(
            "there is nothing to describe: nothing was drawn on the figure; call describe after plotting"
        )
    head = drawn.get_suptitle() if isinstance(drawn, Figure) else ""
    sentences = [_sentence(head)] if head else []
    for place, (axes, series) in enumerate(told):
        panel = f"Panel {place + 1} of {len(told)}: " if len(told) > 1 else ""
        sentences.append(panel + _words(axes, series))
    return Description(" ".join(sentences), _fold("".join(_table(axes, series) for axes, series in told)))


def _is_colorbar(axes: Axes) -> bool:
    return hasattr(axes, "_colorbar") or axes.get_label() == "<colorbar>"


def _sentence(text: str) -> str:
    text = " ".join(text.split())
    return text if not text or text[-1] in ".!?" else text + "."


def _words(axes: Axes, series: list[_Series]) -> str:
    """Return title, axes and one sentence per series."""
    title = axes.get_title(loc="left") or axes.get_title() or axes.get_title(loc="right")
    across, up = axes.get_xlabel(), axes.get_ylabel()
    against = f"{up or 'Values'} against {across}." if across else _sentence(up)
    logs = [f"The {which} axis is logarithmic." for which in "xy" if getattr(axes, f"get_{which}scale")() == "log"]
    parts = [_sentence(title), against, *logs, *(_sentence(s.words) for s in series)]
    return " ".join(part for part in parts if part)


def _series(axes: Axes) -> Iterator[_Series]:
    """Yield everything on the axes that carries data."""
    bars = [c for c in axes.containers if isinstance(c, BarContainer)]
    errors = [c for c in axes.containers if isinstance(c, ErrorbarContainer)]
    named = {id(c.lines[0]): str(c.get_label()) for c in errors if c.lines[0] is not None}
    for place, line in enumerate(axes.get_lines()):
        if line.get_visible() and len(np.atleast_1d(line.get_xdata())):
            yield _line(axes, line, _name(named.get(id(line), str(line.get_label())), f"curve {place + 1}"))
    for place, container in enumerate(bars):
        yield _bars(
            axes, container, _name(str(container.get_label()), f"bars {place + 1}" if len(bars) > 1 else "bars")
        )
    for patch in axes.patches:
        if isinstance(patch, Polygon) and patch.get_visible():
            yield _outline(axes, patch)
    for collection in axes.collections:
        if isinstance(collection, PathCollection):
            yield _scatter(axes, collection)
        elif isinstance(collection, QuadMesh):
            yield _image(_numbers(collection.get_array()), "color map")
        elif isinstance(collection, PolyCollection) and len(collection.get_paths()):
            yield _band(collection)
    for image in axes.get_images():
        yield _image(_numbers(image.get_array()), "image")


def _numbers(drawn: Any) -> np.ndarray:
    """Return what matplotlib holds as float64, masked entries as NaN."""
    return np.ma.filled(np.ma.asarray(drawn, dtype=float), np.nan)


def _name(label: str, otherwise: str) -> str:
    return otherwise if not label or label.startswith("_") else label


def _ticks(axes: Axes, x: np.ndarray) -> list[str]:
    """Return x in words: the labels of the ticks where the axis has fixed words, numbers otherwise."""
    words = {float(p): t.get_text() for p, t in zip(axes.get_xticks(), axes.get_xticklabels(), strict=False)}
    fixed = any(t and not _is_number(t) for t in words.values())
    return [words.get(float(v), "") or number(float(v)) if fixed else number(float(v)) for v in x]


def _is_number(text: str) -> bool:
    try:
        float(text.replace("−", "-").strip("$"))
    except ValueError:
        return "mathdefault" in text
    return True


def trend(x: list[str], y: np.ndarray) -> str:
    """Return in words how values run: where they start and end, and their extremes if those lie between.

    Args:
        x: the places in words, length n.
        y: the values, shape (n,), NaN where missing.

    Source: ours
    """
    known = np.flatnonzero(~np.isnan(y))
    if not known.size:
        return "no values"
    first, last = known[0], known[-1]
    steps, values = np.diff(y[known]), y[known]
    if first == last:
        return f"{number(y[first])} at {x[first]}"
    if (steps == 0).all():
        return f"constant at {number(y[first])} from {x[first]} to {x[last]}"
    ends = f"from {number(y[first])} at {x[first]} to {number(y[last])} at {x[last]}"
    if (steps >= 0).all():
        return f"rises {ends}"
    if (steps <= 0).all():
        return f"falls {ends}"
    low, high = known[values.argmin()], known[values.argmax()]
    return f"goes {ends}, lowest {number(y[low])} at {x[low]}, highest {number(y[high])} at {x[high]}"


def _line(axes: Axes, line: Line2D, name: str) -> _Series:
    x = _exact(_numbers(line.get_xdata(orig=False)), axes.get_xscale())
    y = _exact(_numbers(line.get_ydata(orig=False)), axes.get_yscale())
    if line.get_transform() == axes.get_xaxis_transform(which="grid"):
        return _Series(f"A vertical line, {name}, at {number(x[0])}", name, ())
    if line.get_transform() == axes.get_yaxis_transform(which="grid"):
        return _Series(f"A horizontal line, {name}, at {number(y[0])}", name, ())
    columns = ((axes.get_xlabel() or "x", x), (name, y))
    if len(x) == 1 and str(line.get_label()).startswith("_"):
        return _Series(f"A point at {number(x[0])}, {number(y[0])}", name, columns)
    if (np.diff(x) < 0).any() and (np.diff(x) > 0).any():
        closed = np.allclose((x[0], y[0]), (x[-1], y[-1]))
        return _Series(f"{name}, a {'closed ' if closed else ''}curve, {_box(x, y)}", name, columns)
    return _Series(f"{name} {trend(_ticks(axes, x), y)}", name, columns)


def _outline(axes: Axes, patch: Polygon) -> _Series:
    """Describe an outline, such as a histogram drawn by its steps."""
    x, y = patch.get_xy().T
    name = _name(str(patch.get_label()), "outline")
    words = f"{name}, an outline, {_box(x, y)}, highest at {number(x[int(np.nanargmax(y))])}"
    return _Series(words, name, ((axes.get_xlabel() or "x", x), (name, y)))


def _exact(values: np.ndarray, scale: str) -> np.ndarray:
    """Return values with zeros where only rounding is left; on a logarithmic axis small ones are meant."""
    known = np.abs(values[np.isfinite(values)])
    small = np.abs(values) < ROUNDING * known.max(initial=0.0)
    return values if scale == "log" else np.where(small, 0.0, values)


def _bars(axes: Axes, container: BarContainer, name: str) -> _Series:
    """Describe bars, or a histogram where many bars touch."""
    flat = container.orientation == "horizontal"
    start = np.array([p.get_y() if flat else p.get_x() for p in container.patches], dtype=float)
    width = np.array([p.get_height() if flat else p.get_width() for p in container.patches], dtype=float)
    size = np.array([p.get_width() if flat else p.get_height() for p in container.patches], dtype=float)
    if len(size) > 3 and np.allclose(start[:-1] + width[:-1], start[1:]):
        top, edges = int(size.argmax()), f"{number(start[0])} to {number(start[-1] + width[-1])}"
        peak = f"{number(start[top])} to {number(start[top] + width[top])}"
        words = f"Histogram {name} of {len(size)} bins over {edges}, highest {number(size[top])} in the bin {peak}"
        return _Series(words, name, (("from", start), ("to", start + width), (name, size)))
    middle = start + width / 2
    places = [number(float(m)) for m in middle] if flat else _bar_names(axes, middle)
    if len(size) <= 8:
        words = f"Bars, {name}: " + ", ".join(f"{p} {number(s)}" for p, s in zip(places, size, strict=True))
    else:
        low, high = int(size.argmin()), int(size.argmax())
        lowest, highest = f"{number(size[low])} at {places[low]}", f"{number(size[high])} at {places[high]}"
        words = f"{len(size)} bars, {name}, from {lowest} to {highest}"
    return _Series(words, name, ((axes.get_xlabel() or "place", np.array(places)), (name, size)))


def _bar_names(axes: Axes, middle: np.ndarray) -> list[str]:
    """Return the words of the ticks nearest to the bars, where the axis has words."""
    ticks = np.asarray(axes.get_xticks(), dtype=float)
    if not ticks.size:
        return [number(float(m)) for m in middle]
    near = ticks[np.abs(ticks[:, None] - middle).argmin(axis=0)]
    words = _ticks(axes, near)
    return words if any(not _is_number(w) for w in words) else [number(float(m)) for m in middle]


def _scatter(axes: Axes, collection: PathCollection) -> _Series:
    points = _numbers(collection.get_offsets())
    x, y = points[:, 0], points[:, 1]
    name = _name(str(collection.get_label()), "points")
    words = f"{len(points)} points, {name}, {_box(x, y)}"
    if len(points) > 2 and x.std() > 0 and y.std() > 0:
        words += f", correlation {np.corrcoef(x, y)[0, 1]:.2f}"
    return _Series(words, name, ((axes.get_xlabel() or "x", x), (axes.get_ylabel() or "y", y)))


def _box(x: np.ndarray, y: np.ndarray) -> str:
    return f"x from {_extent(x)}, y from {_extent(y)}"


def _extent(values: np.ndarray) -> str:
    return f"{number(np.nanmin(values))} to {number(np.nanmax(values))}" if np.isfinite(values).any() else "missing"


def _band(collection: PolyCollection) -> _Series:
    points = np.concatenate([np.asarray(path.vertices) for path in collection.get_paths()])
    name = _name(str(collection.get_label()), "")
    called = f", {name}," if name else ""
    words = f"A shaded band{called} spans x {_extent(points[:, 0])} and y {_extent(points[:, 1])}"
    return _Series(words, name, ())


def _image(values: np.ndarray, what: str) -> _Series:
    rows, columns = values.shape[:2]
    if values.ndim == 3:
        return _Series(f"A picture of {rows} by {columns} pixels", what, ())
    if not np.isfinite(values).any():
        return _Series(f"An {what} of {rows} by {columns} missing values", what, ())
    (i, j), (k, m) = (np.unravel_index(f(values), values.shape) for f in (np.nanargmin, np.nanargmax))
    words = (
        f"{what.capitalize()} of {rows} rows and {columns} columns, values from {number(values[i, j])} "
        f"(row {i}, column {j}) to {number(values[k, m])} (row {k}, column {m}), mean {number(np.nanmean(values))}"
    )
    cells = () if values.size > MOST_CELLS else tuple((f"column {c}", values[:, c]) for c in range(columns))
    return _Series(words, what, (("row", np.arange(rows)), *cells) if cells else ())


def _table(axes: Axes, series: list[_Series]) -> str:
    """Return the tables of one panel; curves over the same x share one."""
    shared: dict[bytes, list[tuple[str, np.ndarray]]] = {}
    for s in series:
        if s.columns:
            key = repr((s.columns[0][0], len(s.columns), s.columns[0][1].tolist())).encode()
            table = shared.setdefault(key, [s.columns[0]])
            table.extend(s.columns[1:])
    return "".join(_rows(columns, axes.get_title(loc="left") or axes.get_title()) for columns in shared.values())


def _rows(columns: list[tuple[str, np.ndarray]], caption: str) -> str:
    n = len(columns[0][1])
    kept = np.unique(np.linspace(0, n - 1, min(n, MOST_ROWS)).round().astype(int))
    thinned = f" ({len(kept)} of {n} rows)" if len(kept) < n else ""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name, _ in columns)
    body = "".join("<tr>" + "".join(_cell(values[i]) for _, values in columns) + "</tr>" for i in kept)
    title = f"<caption>{escape(caption)}{thinned}</caption>"
    return f"<table>{title}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    return f"<td>{escape(value if isinstance(value, str) else number(float(value)))}</td>"


def _fold(tables: str) -> str:
    return f'<details class="wl-table"><summary>Data</summary>{tables}</details>' if tables else ""
