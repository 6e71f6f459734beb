"""Heat maps, digits and attribution maps over knobs."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from weightlore.errors import ParameterError
from weightlore.teaching.figures.base import Figure, KnobFigure, Knobs, at_places, flat_notes, module, over_knobs
from weightlore.teaching.figures.knob import Knob, as_knobs, number
from weightlore.teaching.figures.packing import Bits, Packer, as_array
from weightlore.teaching.style import palette

__all__ = ["Colors", "ImageFigure"]

Colors = Literal["sequential", "diverging", "gray"]
MOST_PANELS = 6


class ImageFigure(KnobFigure):
    """Images side by side that change while the reader turns at most four knobs.

    Args:
        values: ``{name: array}``, at most six panels of one size (H, W); a single array is one panel. Each array has
            one axis per knob (in their order; length 1 where a knob does not change this panel), then H and W. An array
            of shape (H, W) is the same at every position. NaN is a hole.
        knobs: ``{label: values}``, or a sequence of ``Knob(label, values, unit="", start=None)``.
        title: a sentence that states the finding.
        colors: ``"sequential"`` (pale to dark), ``"diverging"`` (blue, white at zero, orange) or ``"gray"`` (white to
            black, for digits); for all panels, or ``{name: colors}``.
        limits: (low, high) of the colors for all panels, or ``{name: (low, high)}``; by default the panel's extremes
            over all positions, and symmetric around zero for ``"diverging"``.
        rows: words for the H rows, printed beside them.
        columns: words for the W columns, printed above them.
        xlabel: what runs across the columns.
        ylabel: what runs down the rows.
        numbers: whether the value is printed in each cell, where there is room (small matrices).
        mark: (row, column) whose values are read out first.
        notes: sentences about what is seen, nested with one level per knob, shown below at their position.
        bits: 16 for codes of 65535 steps over all positions of a panel, 8 for 255 (half the size; values are read out
            with two digits then), 32 for float32.
        controls: whether the figure shows its own sliders.

    Raises:
        ParameterError: for shapes that do not fit, infinite values, unknown colors or more than 100 kB.

    Example::

        ImageFigure(
            {"digit": digits, "attribution": maps},       # (10, 1, 8, 8) and (10, 3, 8, 8)
            {"digit": range(10), "method": ["gradient", "smooth", "integrated"]},
            title="All methods point to the same strokes",
            colors={"digit": "gray", "attribution": "diverging"},
        )

    Source: ours
    """

    _esm = module("image")

    def __init__(
        self,
        values: Mapping[str, Any] | Any,
        knobs: Knobs,
        *,
        title: str,
        colors: Colors | Mapping[str, Colors] = "sequential",
        limits: tuple[float, float] | Mapping[str, tuple[float, float]] | None = None,
        rows: Sequence[str] | None = None,
        columns: Sequence[str] | None = None,
        xlabel: str = "",
        ylabel: str = "",
        numbers: bool = False,
        mark: tuple[int, int] = (0, 0),
        notes: Any = None,
        bits: Bits = 16,
        controls: bool = True,
    ) -> None:
        turned = as_knobs(knobs)
        self._panels, self._size = _panels(values, turned)
        self._colors = {name: _color(name, colors) for name in self._panels}
        self._limits = {name: self._limit(name, limits) for name in self._panels}
        self._words = _words("rows", rows, self._size[0]), _words("columns", columns, self._size[1])
        if not (0 <= mark[0] < self._size[0] and 0 <= mark[1] < self._size[1]):
            raise ParameterError(f"mark is (row, column) inside {self._size}, got {mark}")
        packer = Packer()
        spec = {
            "kind": "image",
            "title": title,
            "size": list(self._size),
            "panels": [self._pack(packer, name, bits) for name in self._panels],
            "maps": {name: list(palette.maps[name]) for name in sorted(set(self._colors.values()))},
            "ink": list(palette.marks),
            "rows": self._words[0],
            "columns": self._words[1],
            "xlabel": xlabel,
            "ylabel": ylabel,
            "numbers": numbers,
            "notes": flat_notes(notes, turned),
        }
        super().__init__(spec, packer.data, turned, mark=mark[0] * self._size[1] + mark[1], controls=controls)

    def _pack(self, packer: Packer, name: str, bits: Bits) -> dict[str, Any]:
        block = packer.add(self._panels[name], bits=bits)
        return {"name": name, "colors": self._colors[name], "limits": list(self._limits[name]), "values": block}

    def _limit(self, name: str, limits: Any) -> tuple[float, float]:
        """Return the limits of a panel's colors."""
        given = limits.get(name) if isinstance(limits, Mapping) else limits
        if given is not None:
            low, high = map(float, given)
            if not low < high:
                raise ParameterError(f"limits are (low, high) with low < high, got {given} for panel {name!r}")
            return low, high
        known = self._panels[name][~np.isnan(self._panels[name])]
        low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
        if self._colors[name] == "diverging":
            high = max(abs(low), abs(high)) or 1.0
            low = -high
        return low, high if high > low else low + 1.0

    def values_at(self, position: Mapping[str, Any] | None = None) -> dict[str, np.ndarray]:
        """Return the panels at a position, in full precision.

        Args:
            position: ``{label: value}``; knobs not named are taken where they stand now.

        Returns:
            ``{name: array of shape (H, W)}``.

        Source: ours
        """
        places = self._places(position or {})
        return {name: at_places(values, places).copy() for name, values in self._panels.items()}

    def _draw(self) -> Figure:
        count = len(self._panels)
        across = min(count, 3)
        down = -(-count // across)
        height = self._size[0] / self._size[1] * (6.0 / across - 0.7) + 0.4
        figure = Figure(figsize=(6.0, min(7.0, 0.4 + down * height)), layout="compressed")
        figure.suptitle(self.spec["title"], fontsize=palette.size + 1, fontweight="bold", x=0.01, ha="left")
        panels = figure.subplots(down, across, squeeze=False).ravel()
        for axes, (name, values) in zip(panels, self.values_at().items(), strict=False):
            self._draw_panel(figure, axes, name, values)
        for axes in panels[count:]:
            axes.remove()
        return figure

    def _draw_panel(self, figure: Figure, axes: Any, name: str, values: np.ndarray) -> None:
        low, high = self._limits[name]
        image = axes.imshow(values, cmap=palette.colormap(self._colors[name]), vmin=low, vmax=high)
        axes.set_title(name, fontweight="normal", fontsize=palette.size)
        axes.set(xlabel=self.spec["xlabel"], ylabel=self.spec["ylabel"])
        axes.grid(False)
        axes.spines[:].set_visible(False)
        rows, columns = self._words
        axes.set_yticks(range(len(rows or ())), rows or ())
        axes.set_xticks(range(len(columns or ())), columns or (), rotation=90 if columns and len(columns) > 4 else 0)
        if self.spec["numbers"]:
            self._draw_numbers(axes, image, values)
        figure.colorbar(image, ax=axes, ticks=[low, high])

    def _draw_numbers(self, axes: Any, image: Any, values: np.ndarray) -> None:
        for (i, j), value in np.ndenumerate(values):
            if not np.isnan(value):
                bright = image.to_rgba(value, bytes=True)[:3] @ np.array([0.299, 0.587, 0.114]) > 128
                color = palette.light.text if bright else palette.light.background
                axes.text(
                    j,
                    i,
                    number(float(f"{value:.1e}")),
                    ha="center",
                    va="center",
                    color=color,
                    fontsize=palette.size - 2,
                )


def _panels(values: Any, knobs: tuple[Knob, ...]) -> tuple[dict[str, np.ndarray], tuple[int, int]]:
    """Return the panels with one axis per knob, and their size."""
    named = values if isinstance(values, Mapping) else {"values": values}
    if not 1 <= len(named) <= MOST_PANELS:
        raise ParameterError(f"a figure has 1 to {MOST_PANELS} panels, got {len(named)}; make a knob of what differs")
    arrays = {name: as_array(name, v) for name, v in named.items()}
    first, array = next(iter(arrays.items()))
    if array.ndim < 2:
        raise ParameterError(f"panel {first!r} must end in two axes, rows and columns; got shape {array.shape}")
    size = (array.shape[-2], array.shape[-1])
    return {name: over_knobs(f"panel {name!r}", a, knobs, size) for name, a in arrays.items()}, size


def _color(name: str, colors: Any) -> str:
    chosen = colors.get(name, "sequential") if isinstance(colors, Mapping) else colors
    if chosen not in palette.maps:
        raise ParameterError(f"colors of panel {name!r} must be one of {', '.join(palette.maps)}; got {chosen!r}")
    return chosen


def _words(what: str, words: Sequence[str] | None, count: int) -> list[str] | None:
    if words is not None and len(words) != count:
        raise ParameterError(f"{what} needs one word for each of {count}, got {len(words)}")
    return None if words is None else [str(word) for word in words]
