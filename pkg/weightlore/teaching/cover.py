"""The cover, the logo and the icon of the book, drawn from the healthy network's own parameters.

The files are the same whenever they are drawn: they come from the shipped weights alone.
"""

from html import escape
from pathlib import Path

import numpy as np
import torch

from weightlore.corruption import Budget, closed_form, loss_gradient
from weightlore.data import digits
from weightlore.networks import healthy, mlp
from weightlore.parameters import flatten
from weightlore.teaching.strip import Strip, embedded, strip
from weightlore.teaching.style import palette

__all__ = ["draw_cover", "draw_logo", "seven_strips"]

SEED = 20210203
SCALE = 3


def seven_strips(*, height: int = 24) -> dict[str, Strip]:
    """Return the seven strips of the healthy network, from healthy to binarized.

    The struck columns hold the 20 parameters that harm the network most to first order; the other network of the
    transferred strip is a fresh one; the order of the explained strip is drawn with a fixed seed.

    Args:
        height: pixels per column.

    Source: ours
    """
    model = healthy("mlp")
    theta = flatten(model)
    harm = closed_form(loss_gradient(model, digits("test")), Budget(epsilon=1.0, p=float("inf"), n=20))
    fresh = flatten(mlp(generator=torch.Generator().manual_seed(SEED)))
    order = torch.Generator().manual_seed(SEED)
    return {
        "healthy": strip(model, height=height),
        "corrupted": strip(model, height=height, fate="corrupted", partner=theta + harm.vector),
        "transferred": strip(model, height=height, fate="transferred", partner=fresh),
        "uncertain": strip(model, height=height, fate="uncertain"),
        "explained": strip(model, height=height, fate="explained", generator=order),
        "sliced": strip(model, height=height, fate="sliced"),
        "binarized": strip(model, height=height, fate="binarized"),
    }


def draw_cover(folder: Path) -> list[Path]:
    """Write the cover, ``cover.svg``: the seven strips with their names, on a card that suits light and dark pages.

    Args:
        folder: where to write; made if absent.

    Returns:
        The files written.

    Source: ours
    """
    strips, theme = seven_strips(), palette.light
    high, wide = next(iter(strips.values())).pixels.shape[:2]
    left, row, margin = 110, high * SCALE // 2 + 14, 18
    total = (left + wide * 2 + margin, 2 * margin + row * len(strips) - 14)
    alt = "Seven strips of colored pixels, one below the other, each the parameters of one network after a fate: "
    parts = [f"<title>{escape(alt + ', '.join(strips))}.</title>", _card(*total, theme.surface)]
    for place, (name, drawn) in enumerate(strips.items()):
        y = margin + place * row
        font = f'font-family="system-ui, sans-serif" font-size="15" fill="{theme.text}"'
        middle = y + high * SCALE / 4 + 5
        parts.append(f'<text x="{left - 14}" y="{middle:g}" text-anchor="end" {font}>{name}</text>')
        parts.append(embedded(drawn.pixels, left, y, wide * 2, high * SCALE / 2))
    return [_write(folder / "cover.svg", _svg(*total, "".join(parts)))]


def draw_logo(folder: Path) -> list[Path]:
    """Write the logo, ``logo.svg``, and the icon, ``favicon.svg`` and ``favicon.png``: a corner of theta's strip.

    The logo is the last layer and the name; the icon is 8 by 8 of its parameters.

    Args:
        folder: where to write; made if absent.

    Returns:
        The files written.

    Source: ours
    """
    corner = strip(healthy("mlp"), height=8).pixels[:, -40:-32]
    icon = _svg(64, 64, "<title>weightlore</title>" + _squares(corner, 0.0, 0.0, 8.0))
    font = f'font-family="system-ui, sans-serif" font-size="32" font-weight="650" fill="{palette.light.text}"'
    name = f'<text x="78" y="46" {font}>weightlore</text>'
    logo = _card(300, 72, palette.light.surface) + "<title>weightlore</title>" + _squares(corner, 8.0, 8.0, 7.0) + name
    written = [_write(folder / "logo.svg", _svg(300, 72, logo)), _write(folder / "favicon.svg", icon)]
    small = folder / "favicon.png"
    small.write_bytes(Strip(corner, "weightlore", 8).png())
    return [*written, small]


def _squares(pixels: np.ndarray, x: float, y: float, side: float) -> str:
    """Return pixels as rounded squares, sharp at every size."""
    out = []
    for (i, j), _ in np.ndenumerate(pixels[:, :, 0]):
        color = "#" + "".join(f"{int(channel):02x}" for channel in pixels[i, j])
        place = f'x="{x + j * side:g}" y="{y + i * side:g}" width="{side:g}" height="{side:g}"'
        out.append(f'<rect {place} fill="{color}"/>')
    return f'<g shape-rendering="crispEdges">{"".join(out)}</g>'


def _card(wide: float, high: float, color: str) -> str:
    return f'<rect width="{wide:g}" height="{high:g}" rx="10" fill="{color}"/>'


def _svg(wide: float, high: float, body: str) -> str:
    size = f'width="{wide:g}" height="{high:g}" viewBox="0 0 {wide:g} {high:g}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">{body}</svg>\n'


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return path
