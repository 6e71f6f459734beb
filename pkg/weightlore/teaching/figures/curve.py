"""Curves over knobs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from weightlore.errors import MissingExtra, ParameterError
from weightlore.teaching.figures.base import Figure, KnobFigure, Knobs, at_places, flat_notes, module, over_knobs
from weightlore.teaching.figures.knob import Knob, as_knobs
from weightlore.teaching.figures.packing import Bits, Packer, as_array
from weightlore.teaching.style import palette

try:
    from matplotlib.ticker import NullFormatter
except ImportError as error:  # pragma: no cover - tested in a child process
    raise MissingExtra("matplotlib", "book") from error

__all__ = ["CurveFigure"]

Scale = Literal["linear", "log"]
Place = Literal["inside", "below"]


class CurveFigure(KnobFigure):
    """Curves that change while the reader turns at most four knobs.

    Args:
        values: ``{name: array}``, at most six curves; a single array is one curve called ``ylabel``. Each array has one
            axis per knob (in their order; length 1 where a knob does not move this curve) and then one of length n. An
            array of shape (n,) is the same at every position. NaN is a gap.
        x: n numbers in increasing order, or n words (categories).
        knobs: ``{label: values}``, or a sequence of ``Knob(label, values, unit="", start=None)``.
        title: a sentence that states the finding.
        xlabel: name of x, with its unit.
        ylabel: name of the values, with their unit.
        bands: ``{name of a curve: (low, high)}``, arrays shaped like the curve's: its spread.
        references: ``{name: y}``, dotted lines to compare with: a number, or an array like those of ``values``.
        lines: ``{name: x}``, vertical dotted lines.
        style: ``"lines"``, ``"points"`` or ``"bars"``.
        xscale: ``"linear"`` or ``"log"``.
        yscale: the same; all values must be positive then.
        ylim: (low, high) of the y axis; by default it holds everything that can appear, so that the axis never jumps.
        mark: the x at which values are read out first (the nearest one is taken); by default the last.
        notes: sentences about what is seen, nested with one level per knob, shown under the curves at their position.
        bits: 16 for codes of 65535 steps over all positions, 8 for 255 steps, 32 for float32 (always on a log axis).
        controls: whether the figure shows its own sliders.
        legend: where the picture for readers without JavaScript names its curves: ``"inside"`` the axes, where the
            curves leave room, or ``"below"`` them; in a browser the names always stand below.

    Raises:
        ParameterError: for shapes that do not fit, infinite values, more than six curves or more than 100 kB.

    Example::

        CurveFigure(
            {"worst": worst, "random": random},        # (3 knob values, 21 points) each
            epsilons,                                  # (21,)
            {"layers corrupted": [1, 2, 3]},
            title="The worst direction hurts ten times as much as a random one",
            xlabel="epsilon",
            ylabel="test accuracy",
            bands={"random": (low, high)},
            references={"chance": 0.1},
        )

    Source: ours
    """

    _esm = module("curve")

    def __init__(
        self,
        values: Mapping[str, Any] | Any,
        x: Sequence[Any] | np.ndarray,
        knobs: Knobs,
        *,
        title: str,
        xlabel: str,
        ylabel: str,
        bands: Mapping[str, tuple[Any, Any]] | None = None,
        references: Mapping[str, Any] | None = None,
        lines: Mapping[str, float] | None = None,
        style: Literal["lines", "points", "bars"] = "lines",
        xscale: Scale = "linear",
        yscale: Scale = "linear",
        ylim: tuple[float, float] | None = None,
        mark: Any = None,
        notes: Any = None,
        bits: Bits = 16,
        controls: bool = True,
        legend: Place = "inside",
    ) -> None:
        turned = as_knobs(knobs)
        self._categories, self._x = _axis(x)
        self._curves = _curves(values, ylabel, turned, len(self._x))
        self._bands = _bands(bands or {}, self._curves, turned, len(self._x))
        self._references = {k: _reference(k, v, turned, len(self._x)) for k, v in (references or {}).items()}
        self._lines = {name: float(place) for name, place in (lines or {}).items()}
        self._style, self._scales, self._legend = style, (xscale, yscale), legend
        self._require_scales()
        self._ylim = tuple(map(float, ylim)) if ylim is not None else self._limits()
        packer = Packer()
        spec = self._pack(packer, 32 if yscale == "log" else bits)
        spec |= {"title": title, "xlabel": xlabel, "ylabel": ylabel, "notes": flat_notes(notes, turned)}
        super().__init__(spec, packer.data, turned, mark=self._place(mark), controls=controls)

    def _pack(self, packer: Packer, bits: Bits) -> dict[str, Any]:
        """Return the description of the figure for the browser, and put its numbers into the packer."""
        curves = []
        for name, values in self._curves.items():
            record: dict[str, Any] = {"name": name, "values": packer.add(values, bits=bits)}
            if name in self._bands:
                low, high = self._bands[name]
                record |= {"low": packer.add(low, bits=bits), "high": packer.add(high, bits=bits)}
            curves.append(record)
        return {
            "kind": "curves",
            "style": self._style,
            "x": packer.add(self._x, bits=32),
            "categories": self._categories,
            "curves": curves,
            "references": [{"name": k, "values": packer.add(v, bits=32)} for k, v in self._references.items()],
            "lines": [{"name": k, "x": v} for k, v in self._lines.items()],
            "xscale": self._scales[0],
            "yscale": self._scales[1],
            "xlim": self._xlimits(),
            "ylim": list(self._ylim),
            "dashes": list(palette.dashes),
        }

    def _all(self) -> np.ndarray:
        arrays = [*self._curves.values(), *(edge for pair in self._bands.values() for edge in pair)]
        everything = np.concatenate([a.ravel() for a in [*arrays, *self._references.values()]])
        return everything[~np.isnan(everything)]

    def _limits(self) -> tuple[float, float]:
        """Return limits of y that hold everything that can appear, with some air."""
        everything = self._all()
        low, high = (float(everything.min()), float(everything.max())) if everything.size else (0.0, 1.0)
        if self._scales[1] == "log":
            air = (high / low) ** 0.04 if high > low else 2.0
            return low / air, high * air
        if self._style == "bars":
            low, high = min(low, 0.0), max(high, 0.0)
        air = 0.04 * (high - low) or abs(high) * 0.1 or 1.0
        return (low if self._style == "bars" and low == 0 else low - air), high + air

    def _xlimits(self) -> list[float]:
        places = [*self._x, *self._lines.values()]
        low, high = float(min(places)), float(max(places))
        if self._style == "bars":
            half = 0.5 if self._categories or len(self._x) < 2 else float(np.diff(self._x).min()) / 2
            return [low - half, high + half]
        air = 0.5 if low == high else 0.0
        return [low - air, high + air] if self._scales[0] == "linear" else [low, high if high > low else 2 * low]

    def _require_scales(self) -> None:
        for axis, scale, numbers in (("x", self._scales[0], self._x), ("y", self._scales[1], self._all())):
            if scale not in ("linear", "log"):
                raise ParameterError(f'{axis}scale must be "linear" or "log", got {scale!r}')
            if scale == "log" and (numbers <= 0).any():
                raise ParameterError(
                    f"a log axis needs positive numbers, but {int((numbers <= 0).sum())} of {axis} are not; "
                    f'replace them by NaN or use {axis}scale="linear"'
                )
        if self._style not in ("lines", "points", "bars"):
            raise ParameterError(f'style must be "lines", "points" or "bars", got {self._style!r}')
        if self._legend not in ("inside", "below"):
            raise ParameterError(f'legend must be "inside" or "below", got {self._legend!r}')

    def _place(self, mark: Any) -> int:
        if mark is None:
            return len(self._x) - 1
        if self._categories:
            return Knob("x", self._categories).index(mark)
        return int(np.abs(self._x - float(mark)).argmin())

    @property
    def x(self) -> np.ndarray | list[str]:
        """The x values, shape (n,), or the categories."""
        return list(self._categories) if self._categories else self._x.copy()

    def values_at(self, position: Mapping[str, Any] | None = None) -> dict[str, np.ndarray]:
        """Return the curves at a position, in full precision.

        Args:
            position: ``{label: value}``; knobs not named are taken where they stand now.

        Returns:
            ``{name: array of shape (n,)}``.

        Source: ours
        """
        places = self._places(position or {})
        return {name: at_places(values, places).copy() for name, values in self._curves.items()}

    def _draw(self) -> Figure:
        figure = Figure(figsize=(6.0, 3.6))
        axes = figure.subplots()
        places = self._places({})
        width = 0.8 * (np.diff(self._x).min() if len(self._x) > 1 else 1.0) / len(self._curves)
        for i, (name, values) in enumerate(self._curves.items()):
            color, now = palette.light.series[i], at_places(values, places)
            if self._style == "bars":
                shift = (i - (len(self._curves) - 1) / 2) * width
                axes.bar(self._x + shift, now, width, color=color, label=name)
            else:
                (line,) = axes.plot(self._x, now, color=color, label=name)
                if self._style == "points":
                    line.set(linestyle="none", marker=palette.markers[i])
            if name in self._bands:
                low, high = (at_places(edge, places) for edge in self._bands[name])
                axes.fill_between(self._x, low, high, color=color, alpha=0.22, linewidth=0)
        for name, values in self._references.items():
            y = at_places(values, places)
            axes.plot(self._x, np.broadcast_to(y, self._x.shape), ":", color=palette.light.muted, label=name)
        for name, place in self._lines.items():
            axes.axvline(place, linestyle=":", color=palette.light.muted, label=name)
            axes.annotate(name, (place, 0.97), xycoords=("data", "axes fraction"), va="top", ha="left")
        axes.set(xscale=self._scales[0], yscale=self._scales[1], xlim=self._xlimits(), ylim=self._ylim)
        for axis in (axes.xaxis, axes.yaxis):
            if axis.get_scale() == "log" and _powers_within(*axis.get_view_interval()) > 1:
                axis.set_minor_formatter(NullFormatter())  # two powers of ten are enough; between them names collide
        axes.set(xlabel=self.spec["xlabel"], ylabel=self.spec["ylabel"], title=self.spec["title"])
        if self._categories:
            axes.set_xticks(self._x, self._categories)
        self._draw_legend(figure)
        return figure

    def _draw_legend(self, figure: Figure) -> None:
        names, (axes,) = [*self._curves, *self._references], figure.axes
        if len(names) < 2:
            return
        drawn = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        handles = [drawn[name] for name in names]
        if self._legend == "inside":
            axes.legend(handles, names)
        else:
            figure.legend(handles, names, loc="outside lower center", ncols=2)


def _powers_within(low: float, high: float) -> int:
    """Return how many powers of ten lie between two positive numbers."""
    return math.floor(math.log10(high) + 1e-9) - math.ceil(math.log10(low) - 1e-9) + 1


def _axis(x: Sequence[Any] | np.ndarray) -> tuple[list[str] | None, np.ndarray]:
    """Return categories (or nothing) and the numbers of x."""
    listed = list(x)
    if listed and all(isinstance(place, str) for place in listed):
        return listed, np.arange(len(listed), dtype=np.float64)
    numbers = as_array("x", x)
    if numbers.ndim != 1 or not numbers.size or np.isnan(numbers).any() or (np.diff(numbers) <= 0).any():
        raise ParameterError(f"x must be a vector of increasing numbers, or words; got shape {numbers.shape}")
    return None, numbers


def _curves(values: Any, ylabel: str, knobs: tuple[Knob, ...], n: int) -> dict[str, np.ndarray]:
    named = values if isinstance(values, Mapping) else {ylabel: values}
    most = len(palette.light.series)
    if not 1 <= len(named) <= most:
        raise ParameterError(f"a figure has 1 to {most} curves, got {len(named)}; make a knob of what tells them apart")
    return {name: over_knobs(f"curve {name!r}", as_array(name, v), knobs, (n,)) for name, v in named.items()}


def _bands(
    bands: Mapping[str, tuple[Any, Any]], curves: Mapping[str, np.ndarray], knobs: tuple[Knob, ...], n: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    if unknown := set(bands) - set(curves):
        raise ParameterError(f"band {sorted(unknown)[0]!r} belongs to no curve; the curves are {', '.join(curves)}")
    out = {}
    for name, pair in bands.items():
        low, high = (over_knobs(f"band of {name!r}", as_array(name, edge), knobs, (n,)) for edge in pair)
        if (low > high).any():
            raise ParameterError(f"band of {name!r} must be (low, high), but low exceeds high somewhere; swap them")
        out[name] = (low, high)
    return out


def _reference(name: str, value: Any, knobs: tuple[Knob, ...], n: int) -> np.ndarray:
    array = as_array(f"reference {name!r}", value)
    if array.ndim == 0:
        return array.reshape((1,) * len(knobs) + (1,))
    return over_knobs(f"reference {name!r}", array, knobs, (n,))
