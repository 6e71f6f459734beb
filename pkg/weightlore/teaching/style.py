"""The one place that sets colors and type: a palette for pictures, widgets and diagrams.

Everything is read from ``palette.json``. Two themes, light and dark, have the same roles: a background, a surface (the
card that a figure stands on), text, muted text, grid lines, an accent and six series colors. The series keep apart for
readers with deuteranopia, protanopia or tritanopia, and stand out from background and surface; a test measures both.

    palette.light.series[0]      color of the first curve
    palette.dashes[0]            its dash pattern, so that color is never the only sign
    palette.rgb("diverging")     256 colors of a map, zero in the middle
    rc_parameters()              the same for matplotlib
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from weightlore.errors import MissingExtra, ParameterError

try:
    import matplotlib as mpl
    from cycler import cycler
    from matplotlib.colors import Colormap, LinearSegmentedColormap
except ImportError as error:  # pragma: no cover - tested in a child process
    raise MissingExtra("matplotlib", "book") from error

__all__ = ["Palette", "Theme", "contrast", "css_variables", "palette", "rc_parameters"]

STYLE_FILE = Path(__file__).parent / "palette.json"


@dataclass(frozen=True)
class Theme:
    """The colors of one theme as ``#rrggbb``.

    Args:
        background: the page.
        surface: the card of a figure.
        text: words; contrast to background and surface at least 4.5.
        muted: axes and ticks; contrast at least 4.5 as well.
        grid: lines that may be overlooked.
        accent: what the reader moves.
        series: six colors of curves; contrast at least 3.

    Source: ours
    """

    background: str
    surface: str
    text: str
    muted: str
    grid: str
    accent: str
    series: tuple[str, ...]


@dataclass(frozen=True)
class Palette:
    """All colors of the project, frozen.

    Args:
        light: colors on a light page; also those of every stored picture, which brings its own light card.
        dark: colors on a dark page, for figures drawn in the browser.
        names: names of the six series, in order.
        dashes: dash pattern of each series in pixels, empty for a solid line.
        markers: matplotlib marker of each series.
        maps: anchors of the color maps ``sequential``, ``diverging`` and ``gray``, evenly spaced.
        marks: of numbers on the colors of a map; one of the two has a contrast of at least 4.5 to any color.
        font: font families, first choice first.
        size: size of the text in points.

    Source: ours
    """

    light: Theme
    dark: Theme
    names: tuple[str, ...]
    dashes: tuple[str, ...]
    markers: tuple[str, ...]
    maps: dict[str, tuple[str, ...]]
    marks: tuple[str, str]
    font: tuple[str, ...]
    size: float

    def color(self, name: str) -> str:
        """Return the series color of this name in the light theme.

        Args:
            name: one of ``palette.names``.

        Raises:
            ParameterError: for another name; the message lists the names.

        Source: ours
        """
        if name not in self.names:
            raise ParameterError(f"no series is called {name!r}; the names are {', '.join(self.names)}")
        return self.light.series[self.names.index(name)]

    def colormap(self, name: str) -> Colormap:
        """Return a matplotlib color map: ``sequential``, ``diverging`` (zero in the middle) or ``gray``.

        Args:
            name: the map.

        Raises:
            ParameterError: for another name; the message lists the maps.

        Source: ours
        """
        if name not in self.maps:
            raise ParameterError(f"no color map is called {name!r}; the maps are {', '.join(self.maps)}")
        colormap = LinearSegmentedColormap.from_list(f"weightlore_{name}", list(self.maps[name]), N=256)
        return colormap.with_extremes(bad=self.light.grid)

    def rgb(self, name: str) -> np.ndarray:
        """Return the 256 colors of a map, shape (256, 3), uint8.

        Args:
            name: the map, as in ``colormap``.

        Source: ours
        """
        return (self.colormap(name)(np.arange(256))[:, :3] * 255).round().astype(np.uint8)


def _theme(record: dict) -> Theme:
    return Theme(**{**record, "series": tuple(record["series"])})


@lru_cache
def _read(path: Path = STYLE_FILE) -> Palette:
    record = json.loads(path.read_text(encoding="utf-8"))
    return Palette(
        light=_theme(record["light"]),
        dark=_theme(record["dark"]),
        names=tuple(record["names"]),
        dashes=tuple(record["dashes"]),
        markers=tuple(record["markers"]),
        maps={name: tuple(anchors) for name, anchors in record["maps"].items()},
        marks=(record["marks"][0], record["marks"][1]),
        font=tuple(record["font"]),
        size=record["size"],
    )


palette = _read()


def _luminance(color: str) -> float:
    channels = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first: str, second: str) -> float:
    """Return the contrast of two colors, from 1 (equal) to 21 (black and white).

        contrast = (Y_bright + 0.05) / (Y_dark + 0.05) ,   Y the relative luminance

    Args:
        first: a color as ``#rrggbb``.
        second: another.

    Source: ours, because the rule of the web accessibility guidelines (WCAG 2.1, contrast ratio) fits in two lines
    """
    low, high = sorted((_luminance(first), _luminance(second)))
    return (high + 0.05) / (low + 0.05)


def _declarations(theme: Theme) -> str:
    roles = {role: getattr(theme, role) for role in ("background", "surface", "text", "muted", "grid", "accent")}
    roles |= {f"s{i}": color for i, color in enumerate(theme.series)}
    return ";".join(f"--wl-{role}:{color}" for role, color in roles.items())


def css_variables(selector: str = ".wl-figure") -> str:
    """Return the two themes as CSS custom properties ``--wl-text``, ``--wl-s0`` and so on.

    Light is the default; a page is dark when it says so (``data-theme``, JupyterLab's ``data-jp-theme-light``) or,
    where it says nothing, when the reader's system does.

    Args:
        selector: what the properties are set on.

    Source: ours
    """
    dark = _declarations(palette.dark)
    system = f"html:not([data-theme]):not(:has([data-jp-theme-light])) {selector}"
    return (
        f"{selector}{{{_declarations(palette.light)}}}\n"
        f'[data-theme="dark"] {selector},[data-jp-theme-light="false"] {selector}{{{dark}}}\n'
        f"@media (prefers-color-scheme:dark){{{system}{{{dark}}}}}\n"
    )


def rc_parameters() -> dict:
    """Return matplotlib's settings in our style, as ``use_style`` sets them.

    Source: ours
    """
    theme = palette.light
    for name in palette.maps:
        if f"weightlore_{name}" not in mpl.colormaps:
            mpl.colormaps.register(palette.colormap(name))
    cycle = cycler(color=theme.series) + cycler(linestyle=_linestyles())
    return {
        "figure.figsize": (6.0, 3.6),
        "figure.dpi": 100,
        "figure.facecolor": theme.surface,
        "figure.constrained_layout.use": True,
        "savefig.facecolor": theme.surface,
        "axes.facecolor": theme.surface,
        "axes.edgecolor": theme.muted,
        "axes.labelcolor": theme.text,
        "axes.titlecolor": theme.text,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.titlesize": palette.size + 1,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycle,
        "grid.color": theme.grid,
        "text.color": theme.text,
        "xtick.color": theme.muted,
        "ytick.color": theme.muted,
        "font.family": list(palette.font),
        "font.size": palette.size,
        "legend.frameon": False,
        "lines.linewidth": 2.0,
        "image.cmap": "weightlore_sequential",
        "image.interpolation": "nearest",
        "svg.hashsalt": "weightlore",
    }


def _linestyles() -> list:
    """Return the dash patterns in matplotlib's form, the pixels halved because a line is two points wide."""
    return [(0, tuple(float(n) / 2 for n in dash.split())) if dash else "-" for dash in palette.dashes]
