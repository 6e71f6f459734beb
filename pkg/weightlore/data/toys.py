"""Toy sets whose truth is known, so that a picture can show where a network is wrong.

two_moons            two half circles that no line can part
stripes              small images whose class is the direction of their stripes, whatever their phase
heteroscedastic_sine a sine with noise that grows with x, and a gap where nothing was seen

sine_mean, sine_noise, stripe_angles   the truth behind them
"""

import math

import torch
from torch import Tensor

from weightlore.data.split import Split
from weightlore.errors import ParameterError

__all__ = ["heteroscedastic_sine", "sine_mean", "sine_noise", "stripe_angles", "stripes", "two_moons"]


def two_moons(n: int, *, noise: float = 0.1, generator: torch.Generator) -> Split:
    """Draw points from two interleaved half circles of radius 1.

        class 0: (cos t, sin t)          class 1: (1 - cos t, 1/2 - sin t),    t uniform in [0, pi]

    Args:
        n: number of points, >= 1; the classes alternate, so that any stretch holds both in equal number.
        noise: standard deviation of the Gaussian noise on both coordinates, >= 0.
        generator: source of all randomness.

    Returns:
        x of shape (N, 2), float64; y of shape (N,), int64.

    Raises:
        ParameterError: if n < 1 or noise < 0.

    Example:
        >>> two_moons(6, generator=torch.Generator().manual_seed(0)).y
        tensor([0, 1, 0, 1, 0, 1])

    Source: ours, after a well-known figure.
    """
    _require(n, noise)
    y = torch.arange(n) % 2
    angle = math.pi * torch.rand(n, generator=generator, dtype=torch.float64)
    upper = torch.stack([angle.cos(), angle.sin()], dim=1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], dim=1)
    x = torch.where(y[:, None] == 0, upper, lower)  # (N, 2)
    return Split(x + noise * torch.randn(n, 2, generator=generator, dtype=torch.float64), y)


def stripes(
    n: int,
    *,
    size: int = 8,
    classes: int = 4,
    period: float = 4.0,
    noise: float = 0.1,
    generator: torch.Generator,
) -> Split:
    """Draw images of stripes; the direction in which they alternate is the class, their phase is chance.

        image[row, column] = 1/2 + 1/2 cos(2 pi (column cos a + row sin a) / period + phase) + noise,   a = pi class / C

    Because the phase is uniform, every pixel has the mean 1/2 in every class, and an image and its negative belong to
    the same class. No linear classifier can tell that; one layer of convolutions can.

    Args:
        n: number of images, >= 1; the classes take turns.
        size: height and width in pixels, >= 2.
        classes: number of directions C, >= 2.
        period: pixels from one stripe to the next, >= 2.
        noise: standard deviation of the Gaussian noise on each pixel, >= 0; values are cut to [0, 1] afterwards.
        generator: source of all randomness.

    Returns:
        x of shape (N, 1, size, size), float64, between 0 and 1; y of shape (N,), int64.

    Raises:
        ParameterError: if an argument is out of its range.

    Source: ours, because a class that is only in the directions is the smallest task that needs a filter.
    """
    _require(n, noise)
    if size < 2 or classes < 2 or not period >= 2:
        raise ParameterError(f"stripes need size, classes and period >= 2, got {size}, {classes} and {period}")
    y = torch.arange(n) % classes
    angle = stripe_angles(classes)[y][:, None, None]  # (N, 1, 1)
    pixel = torch.arange(size, dtype=torch.float64)
    along = pixel[None, None, :] * angle.cos() + pixel[None, :, None] * angle.sin()  # (N, size, size)
    phase = 2 * math.pi * torch.rand(n, 1, 1, generator=generator, dtype=torch.float64)
    wave = 0.5 + 0.5 * torch.cos(2 * math.pi * along / period + phase)
    dirt = noise * torch.randn(n, size, size, generator=generator, dtype=torch.float64)
    return Split((wave + dirt).clamp(0, 1)[:, None], y)


def stripe_angles(classes: int = 4) -> Tensor:
    """Return the direction of each class of ``stripes``, in radians from the horizontal axis.

    Args:
        classes: number of directions C.

    Returns:
        Shape (C,), float64, from 0 to below pi.

    Source: ours
    """
    return math.pi * torch.arange(classes, dtype=torch.float64) / classes


def heteroscedastic_sine(
    n: int, *, gap: tuple[float, float] | None = None, noise: float = 1.0, generator: torch.Generator
) -> Split:
    """Draw points of a sine whose noise grows with x, and which may have a gap that was never seen.

        y = sin(2 pi x) + noise * s(x) e,    s(x) = 0.05 + 0.25 x,    e standard normal,    x uniform in [0, 1]

    Args:
        n: number of points, >= 1, in random order.
        gap: an interval within [0, 1] without any point, such as (0.55, 0.75); ``None`` for no gap.
        noise: factor on the noise, >= 0; 0 gives points on the curve.
        generator: source of all randomness.

    Returns:
        x and y, each of shape (N, 1), float64.

    Raises:
        ParameterError: if n < 1, noise < 0, or the gap does not lie within [0, 1].

    Example:
        >>> data = heteroscedastic_sine(100, gap=(0.55, 0.75), generator=torch.Generator().manual_seed(0))
        >>> data.x.shape, bool(((data.x > 0.55) & (data.x < 0.75)).any())
        (torch.Size([100, 1]), False)

    Source: ours, because with known noise an estimate of the noise can be wrong.
    """
    _require(n, noise)
    low, high = gap if gap is not None else (1.0, 1.0)
    if not 0 <= low <= high <= 1 or high - low >= 1:
        raise ParameterError(f"the gap is an interval within [0, 1] that leaves something, got {gap}")
    x = (1 - (high - low)) * torch.rand(n, 1, generator=generator, dtype=torch.float64)
    x = torch.where(x < low, x, x + (high - low))
    draws = torch.randn(n, 1, generator=generator, dtype=torch.float64)
    return Split(x, sine_mean(x) + noise * sine_noise(x) * draws)


def sine_mean(x: Tensor) -> Tensor:
    """Return the curve behind ``heteroscedastic_sine``: sin(2 pi x).

    Args:
        x: any shape.

    Returns:
        The mean of y at x, same shape.

    Source: ours
    """
    return torch.sin(2 * math.pi * x)


def sine_noise(x: Tensor) -> Tensor:
    """Return the noise behind ``heteroscedastic_sine``: s(x) = 0.05 + 0.25 x.

    Args:
        x: any shape.

    Returns:
        The standard deviation of y at x, same shape.

    Source: ours
    """
    return 0.05 + 0.25 * x


def _require(n: int, noise: float) -> None:
    if n < 1:
        raise ParameterError(f"n is a number of examples and must be >= 1, got {n}")
    if not 0 <= noise < math.inf:
        raise ParameterError(f"noise is a standard deviation and must be finite and >= 0, got {noise}")
