"""The palette keeps its promises: distance for every kind of color vision, contrast in both themes, one style file."""

import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from itertools import combinations
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from weightlore.errors import ParameterError
from weightlore.teaching import style
from weightlore.teaching.showing import use_style
from weightlore.teaching.style import contrast, css_variables, palette

# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB
VISION = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
THEMES = {"light": palette.light, "dark": palette.dark}


def linear(color: str) -> np.ndarray:
    s = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def seen(color: str, vision: str) -> np.ndarray:
    """The color in OKLab, as this kind of vision sees it."""
    rgb = np.clip(np.asarray(VISION[vision]) @ linear(color), 0, 1)
    cones = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                      [0.0883024619, 0.2817188376, 0.6299787005]]) @ rgb  # fmt: skip
    return np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                     [0.0259040371, 0.7827717662, -0.8086757660]]) @ np.cbrt(cones)  # fmt: skip


def distance(first: str, second: str, vision: str) -> float:
    return float(np.linalg.norm(seen(first, vision) - seen(second, vision)))


def test_oracle_distance_and_contrast_of_known_colors():
    assert distance("#000000", "#ffffff", "usual") == pytest.approx(1.0, abs=1e-4)
    assert contrast("#000000", "#ffffff") == pytest.approx(21.0)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.005)
    red, olive = "#c83200", "#5f6e00"  # a pair that deuteranopia brings together: the matrices do simulate it
    assert distance(red, olive, "usual") > 2 * distance(red, olive, "deuteranopia")


@pytest.mark.parametrize("vision", VISION)
@pytest.mark.parametrize("theme", THEMES)
def test_property_series_differ_for_every_vision(theme, vision):
    pairs = {(a, b): distance(a, b, vision) for a, b in combinations(THEMES[theme].series, 2)}
    assert min(pairs.values()) > 0.09, min(pairs, key=pairs.get)


@pytest.mark.parametrize("theme", THEMES)
def test_property_contrast_on_page_and_card(theme):
    colors = THEMES[theme]
    for ground in (colors.background, colors.surface):
        assert min(contrast(c, ground) for c in (*colors.series, colors.accent)) >= 3
        assert min(contrast(c, ground) for c in (colors.text, colors.muted)) >= 4.5


@pytest.mark.parametrize("vision", VISION)
def test_property_maps_run_evenly_from_light_to_dark(vision):
    for name in ("sequential", "gray"):
        lightness = [seen(c, vision)[0] for c in palette.maps[name]]
        assert max(np.diff(lightness)) < 0
    lightness = [seen(c, vision)[0] for c in palette.maps["diverging"]]
    middle = len(lightness) // 2
    assert min(np.diff(lightness[: middle + 1])) > 0
    assert max(np.diff(lightness[middle:])) < 0
    ends = palette.maps["diverging"]
    for near, far in zip(ends[:middle], reversed(ends[middle + 1 :]), strict=True):
        assert distance(near, far, vision) > 0.09


def test_oracle_maps_have_their_anchors():
    for name, anchors in palette.maps.items():
        rgb = palette.rgb(name)
        assert rgb.shape == (256, 3)
        for place, anchor in ((0, anchors[0]), (255, anchors[-1])):
            assert tuple(rgb[place]) == tuple(int(anchor[i : i + 2], 16) for i in (1, 3, 5))


def test_property_frozen_and_complete():
    with pytest.raises(FrozenInstanceError):
        palette.size = 3
    assert len(palette.names) == len(palette.dashes) == len(palette.markers) == len(palette.light.series)
    assert len(set(palette.dashes)) == len(palette.dashes)
    assert palette.color("blue") == palette.light.series[0]


def test_error_unknown_color_and_map_name_the_known():
    with pytest.raises(ParameterError, match="blue, orange"):
        palette.color("mauve")
    with pytest.raises(ParameterError, match="sequential, diverging, gray"):
        palette.colormap("jet")


def test_property_use_style_sets_what_it_says_whatever_stood_there():
    with mpl.rc_context():
        use_style()
        first = dict(mpl.rcParams)
        mpl.rcParams.update({"lines.linewidth": 9.0, "axes.facecolor": "red"})
        use_style()
        assert dict(mpl.rcParams) == first
        figure = Figure()
        lines = [figure.subplots().plot([0, 1])[0]]
        assert lines[0].get_color() == palette.light.series[0]
        assert figure.get_facecolor() == mpl.colors.to_rgba(palette.light.surface)


def test_property_css_has_every_role_of_both_themes():
    css = css_variables(".x")
    for theme in THEMES.values():
        for color in (theme.background, theme.text, theme.muted, theme.grid, theme.accent, *theme.series):
            assert color in css
    assert css.count("--wl-s5:") == 3  # light, dark by the page, dark by the system


def test_property_no_color_is_set_anywhere_else():
    folder = Path(style.__file__).parent
    pattern = re.compile(r"[\"'`:\s]#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})\b|\brgba?\(\d")
    files = [p for p in folder.rglob("*") if p.suffix in {".py", ".js", ".css"}]
    assert len(files) > 8
    assert [p.name for p in files if pattern.search(p.read_text(encoding="utf-8"))] == []


def test_error_without_matplotlib_names_the_extra():
    code = "import sys; sys.modules['matplotlib'] = None\nimport weightlore.teaching.style"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "weightlore[book]" in done.stderr
