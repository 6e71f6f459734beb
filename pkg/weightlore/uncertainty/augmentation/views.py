"""Views of an image that should not change its class: what a network is asked about again at test time.

    Augmentation(name, apply)        a named function from images to images of the same shape
    identity()                       the image itself
    shifted(rows, columns)           moved by pixels, zeros coming in
    rotated(degrees)                 turned about the center, counterclockwise
    contrasted(factor)               mean + factor (x - mean)
    blurred(sigma)                   a Gaussian of sigma pixels
    flipped(axis)                    mirrored: for digits a warning example, a mirrored 2 is no 2
    digit_views()                    a set for 8x8 digits
    drawn_views(count, ...)          turned, moved and re-contrasted at random, once and for all

All of them take gray or color images (N, C, H, W) or flat square ones (N, D), and return the same shape and dtype. Gray
levels are not cut: a contrast above 1 may leave [0, 1].
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from weightlore.errors import ParameterError, require_option
from weightlore.networks.layered import require_counts

__all__ = [
    "Augmentation",
    "Axis",
    "blurred",
    "contrasted",
    "digit_views",
    "drawn_views",
    "flipped",
    "identity",
    "rotated",
    "shifted",
]

Axis = Literal["left_right", "up_down"]
View = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Augmentation:
    """A named view.

    Args:
        name: for tables and figures.
        apply: from inputs (N, ...) to inputs of the same shape; the same every time.

    Example:
        >>> Augmentation("negative", lambda x: 1 - x)(torch.zeros(1, 64)).unique()
        tensor([1.])

    Source: [ayhan2018augmentation]
    """

    name: str
    apply: View

    def __call__(self, x: Tensor) -> Tensor:
        """Return the view of x.

        Args:
            x: inputs, shape (N, ...).

        Raises:
            ParameterError: if the view has another shape.
        """
        seen = self.apply(x)
        if seen.shape != x.shape:
            raise ParameterError(
                f"the augmentation {self.name!r} made {tuple(seen.shape)} of {tuple(x.shape)}; the network reads the "
                "shape it was trained on"
            )
        return seen


def identity() -> Augmentation:
    """Return the view that is x itself.

    Source: ours
    """
    return Augmentation("identity", lambda x: x)


def shifted(rows: float, columns: float) -> Augmentation:
    """Return the view that is moved by pixels, or by parts of one (bilinear); zeros come in at the border.

    Args:
        rows: pixels downwards, negative for upwards.
        columns: pixels to the right, negative for the left.

    Raises:
        ParameterError: if a move is not finite.

    Source: ours, because one pixel is what digits are off by
    """
    if not math.isfinite(rows) or not math.isfinite(columns):
        raise ParameterError(f"rows and columns must be finite numbers of pixels, got {rows} and {columns}")

    def view(x: Tensor) -> Tensor:
        if abs(rows) >= x.shape[2] or abs(columns) >= x.shape[3]:
            return torch.zeros_like(x)
        if rows == int(rows) and columns == int(columns):
            return functional.pad(x, (int(columns), -int(columns), int(rows), -int(rows)))
        return _resampled(x, [[1.0, 0.0, -2 * columns / x.shape[3]], [0.0, 1.0, -2 * rows / x.shape[2]]])

    return _on_images(f"shift {rows:+g} {columns:+g}", view)


def rotated(degrees: float) -> Augmentation:
    """Return the view that is turned about the center, bilinear, zeros coming in at the corners.

    Args:
        degrees: counterclockwise.

    Raises:
        ParameterError: if the angle is not finite.

    Source: ours, because writing is slanted
    """
    if not math.isfinite(degrees):
        raise ParameterError(f"degrees must be a finite angle, got {degrees}")
    angle = math.radians(degrees)

    def view(x: Tensor) -> Tensor:
        height, width = x.shape[2:]
        stretch = height / width  # a grid counts in half sides, not in pixels
        turn = [[math.cos(angle), -math.sin(angle) * stretch, 0.0], [math.sin(angle) / stretch, math.cos(angle), 0.0]]
        return _resampled(x, turn)

    return _on_images(f"rotate {degrees:+g}", view)


def contrasted(factor: float) -> Augmentation:
    """Return the view with another contrast: mean + factor (x - mean), with the mean of each image.

    Args:
        factor: > 0; 1 changes nothing.

    Raises:
        ParameterError: if the factor is no finite number > 0.

    Source: ours, because pens differ
    """
    if not 0 < factor < math.inf:
        raise ParameterError(f"factor scales the contrast and must be a finite number > 0, got {factor}")

    def view(x: Tensor) -> Tensor:
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        return mean + factor * (x - mean)

    return _on_images(f"contrast {factor:g}", view)


def blurred(sigma: float) -> Augmentation:
    """Return the view through a Gaussian; at the border its weights are renormalized, so that flat images stay.

    Args:
        sigma: standard deviation in pixels, > 0.

    Raises:
        ParameterError: if sigma is no finite number > 0.

    Source: ours, because cameras differ
    """
    if not 0 < sigma < math.inf:
        raise ParameterError(f"sigma is a width in pixels and must be a finite number > 0, got {sigma}")

    def mixing(x: Tensor, side: int) -> Tensor:
        place = torch.arange(side, dtype=x.dtype, device=x.device)
        return (-(((place[:, None] - place) / sigma) ** 2) / 2).softmax(1)

    return _on_images(f"blur {sigma:g}", lambda x: mixing(x, x.shape[2]) @ x @ mixing(x, x.shape[3]).T)


def flipped(axis: Axis) -> Augmentation:
    """Return the mirrored view. It keeps the class of photographs and breaks that of digits.

    Args:
        axis: ``"left_right"`` or ``"up_down"``.

    Raises:
        ParameterError: if there is no such axis.

    Source: ours, as the example of a view that changes the label
    """
    require_option("axis", axis, Axis)
    return _on_images(f"flip {axis}", lambda x: x.flip(3 if axis == "left_right" else 2))


def digit_views(
    *, pixels: float = 1.0, degrees: float = 15.0, contrast: float = 0.3, sigma: float = 0.5
) -> tuple[Augmentation, ...]:
    """Return sixteen views for 8x8 digits, the identity first.

    A step to each of eight sides, four turns, a weaker and a stronger contrast, and a blur. Digits fill these small
    images from border to border: a network that has never seen them moved fails on a whole pixel. So views should be
    chosen on validation data before they are averaged.

    Args:
        pixels: length of a step along rows and columns.
        degrees: largest turn to either side; half of it is turned too.
        contrast: by how much contrasts differ from 1, in [0, 1).
        sigma: of the blur, in pixels, > 0.

    Raises:
        ParameterError: if an argument is out of its range.

    Example:
        >>> len(digit_views()), digit_views()[0].name
        (16, 'identity')

    Source: ours
    """
    moves = [(rows, columns) for rows in (-1, 0, 1) for columns in (-1, 0, 1) if rows or columns]
    steps = [shifted(rows * pixels, columns * pixels) for rows, columns in moves]
    turns = [rotated(share * degrees) for share in (-1.0, -0.5, 0.5, 1.0)]
    return (identity(), *steps, *turns, contrasted(1 - contrast), contrasted(1 + contrast), blurred(sigma))


def drawn_views(
    count: int, *, degrees: float = 15.0, pixels: int = 1, contrast: float = 0.3, generator: torch.Generator
) -> tuple[Augmentation, ...]:
    """Return random views, each a turn, a move and a contrast that are drawn once and then stay.

    Args:
        count: how many; the first of them do not depend on it.
        degrees: angles are uniform between plus and minus this, >= 0.
        pixels: moves are uniform over the whole pixels up to this, >= 0.
        contrast: factors are uniform in 1 plus and minus this, in [0, 1).
        generator: source of all randomness.

    Returns:
        The views; the identity is not among them.

    Raises:
        ParameterError: if an argument is out of its range.

    Source: [ayhan2018augmentation], random views as in training; what is drawn is ours
    """
    require_counts(count=count)
    if not (0 <= degrees < math.inf and pixels >= 0 and 0 <= contrast < 1):
        raise ParameterError(
            f"degrees and pixels must be >= 0 and contrast in [0, 1), got {degrees}, {pixels} and {contrast}"
        )
    return tuple(_drawn(number, degrees, pixels, contrast, generator) for number in range(count))


def _drawn(number: int, degrees: float, pixels: int, contrast: float, generator: torch.Generator) -> Augmentation:
    """Draw one view."""
    angle, factor, down, right = torch.rand(
        4, generator=generator, dtype=torch.float64, device=generator.device
    ).tolist()
    steps = [min(int(share * (2 * pixels + 1)), 2 * pixels) - pixels for share in (down, right)]
    parts = (
        rotated((2 * angle - 1) * degrees),
        shifted(*steps),
        contrasted(1 + (2 * factor - 1) * contrast),
    )

    def view(x: Tensor) -> Tensor:
        for part in parts:
            x = part(x)
        return x

    return Augmentation(f"drawn {number}", view)


def _resampled(x: Tensor, move: list[list[float]]) -> Tensor:
    """Return images whose pixels are taken from where an affine map says, in half sides from the center."""
    moves = torch.tensor(move, dtype=x.dtype, device=x.device).expand(len(x), 2, 3)
    grid = functional.affine_grid(moves, list(x.shape), align_corners=False)
    return functional.grid_sample(x, grid, padding_mode="zeros", align_corners=False)


def _on_images(name: str, view: View) -> Augmentation:
    """Let a view of images (N, C, H, W) also see flat square ones."""

    def apply(x: Tensor) -> Tensor:
        side = math.isqrt(x.shape[-1]) if x.ndim == 2 else 0
        if not x.is_floating_point() or (x.ndim != 4 and (x.ndim != 2 or side * side != x.shape[-1])):
            raise ParameterError(
                f"{name} sees floating images (N, C, H, W) or flat square ones (N, D), got {tuple(x.shape)}, {x.dtype}"
            )
        return view(x.reshape(-1, 1, side, side) if x.ndim == 2 else x).reshape(x.shape)

    return Augmentation(name, apply)
