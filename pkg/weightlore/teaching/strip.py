"""The picture of theta: all parameters as a strip of colored pixels, before and after a fate.

Layers stand side by side; each pixel is one parameter, each column as many consecutive ones as the strip is high. Blue
is negative, white zero, orange positive. Every fate changes the strip as it changes theta:

    healthy      theta as it is
    corrupted    the columns of the 20 parameters that moved most, in ink      needs ``partner``: theta afterwards
    transferred  two strips joined by gates                                    needs ``partner``: the other theta
    uncertain    blurred: each pixel is spread over its neighbors
    explained    redrawn at random: each layer's values in another order       needs ``generator``
    sliced       four strips, one per pair of bits, the highest on top; codes as ``bitslice.quantize`` makes them
    binarized    hidden layers in two colors, one per sign
"""

import base64
import io
from dataclasses import dataclass
from html import escape
from typing import Any, Literal, get_args

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor, nn

from weightlore.bitslice import quantize
from weightlore.errors import ParameterError, require_finite
from weightlore.parameters import ParameterLayout, flatten, layout
from weightlore.teaching.style import palette

__all__ = ["Fate", "Strip", "strip"]

Fate = Literal["healthy", "corrupted", "transferred", "uncertain", "explained", "sliced", "binarized"]

GAP = 2  # empty columns between layers
STRUCK = 20  # parameters at most whose columns are struck
_WORDS = {
    "healthy": "as trained",
    "corrupted": "with {struck} of {columns} columns struck, those of the {moved} parameters that moved most",
    "transferred": "twice, source above target, joined by gates",
    "uncertain": "blurred: each value is spread over its neighbors",
    "explained": "redrawn at random within each layer",
    "sliced": "as four strips, one per pair of bits, highest first; {empty} of the digits are zero",
    "binarized": "with the hidden layers in two colors, one per sign",
}


@dataclass(frozen=True)
class Strip:
    """A picture of theta.

    Args:
        pixels: shape (height, width, 3), uint8.
        alt: alternative text.
        scale: points per pixel where it is shown.

    Source: ours
    """

    pixels: np.ndarray
    alt: str
    scale: int = 3

    def png(self) -> bytes:
        """Return the strip as PNG, enlarged by ``scale`` without blur.

        Source: ours
        """
        from PIL import Image

        grown = self.pixels.repeat(self.scale, axis=0).repeat(self.scale, axis=1)
        out = io.BytesIO()
        Image.fromarray(grown).quantize(256, dither=Image.Dither.NONE).save(out, format="png", optimize=True)
        return out.getvalue()

    def svg(self) -> str:
        """Return the strip as SVG with title, as sharp at every size.

        Source: ours
        """
        high, wide = self.pixels.shape[:2]
        image = embedded(self.pixels, 0, 0, wide * self.scale, high * self.scale)
        size = f'width="{wide * self.scale}" height="{high * self.scale}"'
        box = f'viewBox="0 0 {wide * self.scale} {high * self.scale}"'
        title = f"<title>{escape(self.alt)}</title>"
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {box} role="img">{title}{image}</svg>'

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        png = base64.b64encode(self.png()).decode()
        return {"image/png": png, "text/plain": f"Strip({self.alt!r})"}, {"image/png": {"alt": self.alt}}


def embedded(pixels: np.ndarray, x: float, y: float, wide: float, high: float) -> str:
    """Return pixels as an SVG ``image`` element that stays sharp when enlarged.

    Args:
        pixels: shape (h, w, 3), uint8.
        x: left edge.
        y: upper edge.
        wide: width on the page.
        high: height on the page.

    Source: ours
    """
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(pixels).quantize(256, dither=Image.Dither.NONE).save(out, format="png", optimize=True)
    data = base64.b64encode(out.getvalue()).decode()
    place = f'x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}"'
    sharp = 'preserveAspectRatio="none" style="image-rendering:pixelated"'
    return f'<image {place} {sharp} href="data:image/png;base64,{data}"/>'


def strip(
    theta: nn.Module | Tensor,
    *,
    height: int = 24,
    fate: Fate = "healthy",
    model: nn.Module | None = None,
    partner: Tensor | None = None,
    generator: torch.Generator | None = None,
    scale: int = 3,
) -> Strip:
    """Return the picture of a network's parameters.

    Args:
        theta: a network, or its parameters, shape (P,).
        height: pixels per column, a multiple of 4, so that every fate fits.
        fate: what has happened to theta; see the table of the module.
        model: the network whose layers a vector has; without it a vector is one layer.
        partner: theta afterwards (``"corrupted"``) or the other theta (``"transferred"``), shape (P,).
        generator: source of the order (``"explained"``).
        scale: points per pixel where the strip is shown.

    Returns:
        Pixels and alternative text. The colors end at the 98th percentile of the absolute parameters.

    Raises:
        ParameterError: for a vector of another length, an unknown fate, or a fate that lacks its partner or generator.

    Source: ours
    """
    model = theta if isinstance(theta, nn.Module) else model
    vector = flatten(theta) if isinstance(theta, nn.Module) else theta
    vector = require_finite("theta", vector.detach().to(torch.float64).reshape(-1))
    sizes = _sizes(layout(model) if model is not None else None, vector.numel())
    _require(fate, height, partner, generator, vector.numel())
    layers = [part.numpy() for part in vector.split(sizes)]
    other = [part.detach().to(torch.float64).numpy() for part in partner.split(sizes)] if partner is not None else None
    limit = float(np.quantile(np.abs(vector.numpy()), 0.98)) or 1.0
    pixels, facts = _drawn(fate, layers, other, height, limit, generator)
    count = f"{len(sizes)} layer{'s' if len(sizes) > 1 else ''}"
    colors = "Pale is zero, dark is three." if fate == "sliced" else "Blue is negative, orange positive."
    alt = f"The {vector.numel():,} parameters as a strip of {count}, {_WORDS[fate].format(**facts)}. {colors}"
    return Strip(pixels, alt, scale)


def _sizes(slots: ParameterLayout | None, size: int) -> list[int]:
    """Return how many parameters each layer has, in the order of theta."""
    if slots is None:
        return [size]
    if slots.size != size:
        raise ParameterError(
            f"theta has {size} parameters, but the model has {slots.size}; give the model it belongs to"
        )
    sizes: dict[str, int] = {}
    for slot in slots.slots:
        sizes[slot.layer] = sizes.get(slot.layer, 0) + slot.size
    return list(sizes.values())


def _require(fate: str, height: int, partner: Tensor | None, generator: torch.Generator | None, size: int) -> None:
    if fate not in get_args(Fate):
        raise ParameterError(f"no fate is called {fate!r}; the fates are {', '.join(get_args(Fate))}")
    if height < 4 or height % 4:
        raise ParameterError(f"height must be a positive multiple of 4, got {height}")
    if fate in ("corrupted", "transferred") and partner is None:
        raise ParameterError(f"fate {fate!r} needs partner, the parameters to compare with, shape ({size},)")
    if partner is not None and partner.shape != (size,):
        raise ParameterError(f"partner must have shape ({size},) like theta, got {tuple(partner.shape)}")
    if fate == "explained" and generator is None:
        raise ParameterError('fate "explained" draws an order at random and needs a generator')


def _columns(values: np.ndarray, height: int) -> np.ndarray:
    """Return a layer as columns of consecutive parameters, shape (height, columns), NaN below the last one."""
    padded = np.full(-(-len(values) // height) * height, np.nan)
    padded[: len(values)] = values
    return padded.reshape(-1, height).T


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    """Return layers side by side with a gap."""
    gap = np.full((parts[0].shape[0], GAP), np.nan)
    return np.concatenate([piece for part in parts for piece in (gap, part)][1:], axis=1)


def _colored(values: np.ndarray, limit: float, name: str = "diverging") -> np.ndarray:
    """Return colors of values from -limit, or 0 for the sequential map, to limit; the card where there is nothing."""
    low = -limit if name == "diverging" else 0.0
    place = np.clip(np.nan_to_num((values - low) / (limit - low)) * 256, 0, 255).astype(int)
    pixels = palette.rgb(name)[place]
    pixels[np.isnan(values)] = _rgb(palette.light.surface)
    return pixels


def _rgb(color: str) -> np.ndarray:
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)], dtype=np.uint8)


def _drawn(
    fate: str,
    layers: list[np.ndarray],
    other: list[np.ndarray] | None,
    height: int,
    limit: float,
    generator: torch.Generator | None,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Return the pixels of a fate, and the numbers that its words name."""
    if fate == "corrupted" and other is not None:
        return _struck(layers, other, height, limit)
    if fate == "transferred" and other is not None:
        return _gated(layers, other, height, limit), {}
    if fate == "sliced":
        return _sliced(layers, height)
    if fate == "binarized":
        layers = [
            layer if i in (0, len(layers) - 1) else np.sign(layer) * limit * 0.7 for i, layer in enumerate(layers)
        ]
    if fate == "explained":
        layers = [layer[torch.randperm(len(layer), generator=generator).numpy()] for layer in layers]
    parts = [_columns(layer, height) for layer in layers]
    if fate == "uncertain":
        parts = [_blurred(part) for part in parts]
    return _colored(_joined(parts), limit), {}


def _struck(
    layers: list[np.ndarray], other: list[np.ndarray], height: int, limit: float
) -> tuple[np.ndarray, dict[str, Any]]:
    change = np.abs(np.concatenate(other) - np.concatenate(layers))
    moved = np.argsort(-change, kind="stable")[: min(STRUCK, np.count_nonzero(change))]
    hit = np.isin(np.arange(len(change)), moved).astype(float)
    marks = np.split(hit, np.cumsum([len(layer) for layer in layers])[:-1])
    changed = _joined([_columns(mark, height) for mark in marks])
    struck = np.nan_to_num(changed).any(axis=0)
    pixels = _colored(_joined([_columns(layer, height) for layer in other]), limit)
    pixels[:, struck] = _rgb(palette.light.text)
    columns = int((~np.isnan(changed).all(axis=0)).sum())
    return pixels, {"struck": int(struck.sum()), "columns": columns, "moved": len(moved)}


def _gated(layers: list[np.ndarray], other: list[np.ndarray], height: int, limit: float) -> np.ndarray:
    """Draw both strips at half the height, and between them a gate for every few columns."""
    half = height // 2 - max(1, height // 12)
    thinned = [[_columns(layer, height)[::2][:half] for layer in side] for side in (layers, other)]
    above, below = (_colored(_joined(side), limit) for side in thinned)
    gates = np.broadcast_to(_rgb(palette.light.surface), (height - 2 * half, above.shape[1], 3)).copy()
    gates[:, 2::6] = _rgb(palette.light.text)
    return np.concatenate([above, gates, below])


def _sliced(layers: list[np.ndarray], height: int) -> tuple[np.ndarray, dict[str, Any]]:
    """Draw the four base-4 digits of the 8-bit magnitudes, highest on top; a pixel is the mean of four parameters."""
    codes = [quantize(torch.from_numpy(layer)).code.abs() for layer in layers]
    digits = [[((code >> 2 * k) & 3).numpy().astype(float) for code in codes] for k in (3, 2, 1, 0)]
    rows = []
    for digit in digits:
        full = _joined([_columns(layer, height) for layer in digit])
        rows += [full.reshape(height // 4, 4, -1).mean(axis=1), np.full((1, full.shape[1]), np.nan)]
    zeros = np.mean([(layer == 0).mean() for layer in map(np.concatenate, digits)])
    return _colored(np.concatenate(rows[:-1]), 3.0, "sequential"), {"empty": f"{100 * zeros:.0f} %"}


def _blurred(part: np.ndarray) -> np.ndarray:
    """Return columns blurred by a Gaussian of 1.5 pixels; what is empty stays empty and lends nothing."""
    known = ~np.isnan(part)
    weight = gaussian_filter(known.astype(float), 1.5)
    blurred = gaussian_filter(np.where(known, part, 0.0), 1.5) / np.maximum(weight, 1e-12)
    return np.where(known, 2.0 * blurred, np.nan)  # a mean of neighbors is small: doubled to stay visible
