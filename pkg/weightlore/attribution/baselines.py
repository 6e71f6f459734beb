"""Where a path starts: baselines that are chosen as pictures and then read as the network reads them.

    black, gray, white       one level everywhere
    farthest                 for each pixel the end of the range that is farther away
    uniform_noise            levels drawn alike
    gaussian_noise           the image with noise, clipped
    blurred                  the image without its details

A network that standardizes its input sees gray where a tensor is zero. So a baseline is made of *pixels*, and
``normalize`` is applied to it, the same function that is applied to images before the network reads them:

    x = normalize(pixels),   b = normalize(black(pixels) in pixels)
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite

__all__ = [
    "Standardized",
    "baseline_for",
    "black",
    "blurred",
    "farthest",
    "gaussian_blur",
    "gaussian_noise",
    "gray",
    "uniform_noise",
    "white",
]

Normalize = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Standardized:
    """The usual way from pixels to what a network reads, channel by channel.

        x = (pixels - mean) / deviation

    Args:
        mean: one number for each channel.
        deviation: one for each channel, > 0.

    Raises:
        ParameterError: if a deviation is not positive, or the two are not of one length.

    Example:
        >>> Standardized(mean=(0.5,), deviation=(0.25,))(torch.tensor([[[[0.0, 0.5, 1.0]]]]))
        tensor([[[[-2.,  0.,  2.]]]])

    Source: ours
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.mean) != len(self.deviation) or not all(one > 0 for one in self.deviation):
            raise ParameterError(
                f"mean and deviation need one number a channel, deviations > 0, got {self.mean} and {self.deviation}"
            )

    def __call__(self, pixels: Tensor) -> Tensor:
        """Return what the network reads, for pixels of shape (N, C, H, W)."""
        if pixels.ndim != 4 or pixels.shape[1] != len(self.mean):
            raise ParameterError(
                f"pixels must be images with {len(self.mean)} channels, (N, C, H, W), got {tuple(pixels.shape)}"
            )
        mean, deviation = (pixels.new_tensor(one).view(-1, 1, 1) for one in (self.mean, self.deviation))
        return (pixels - mean) / deviation


def baseline_for(x: Tensor, baseline: Tensor | float) -> Tensor:
    """Return one baseline for each example.

    Args:
        x: inputs, shape (N, ...), as the network reads them.
        baseline: a number for all entries, or shaped like x, or like one example with or without a first dimension.

    Returns:
        b, shaped like x, detached; not to be written to.

    Raises:
        ParameterError: if it has another shape or dtype, or is not finite.

    Source: ours
    """
    given = baseline if isinstance(baseline, Tensor) else torch.full_like(x[:1], float(baseline))
    if given.shape not in (x.shape, x.shape[1:], (1, *x.shape[1:])) or given.dtype != x.dtype:
        raise ParameterError(
            f"the baseline must be a number, or shaped like x {tuple(x.shape)} or one example of it, {x.dtype}, got "
            f"{tuple(given.shape)}, {given.dtype}"
        )
    return require_finite("the baseline", given.detach().to(x.device)).expand_as(x)


def _unchanged(pixels: Tensor) -> Tensor:
    return pixels


def black(pixels: Tensor, *, normalize: Normalize = _unchanged, levels: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Return a black image for each image, as the network reads it.

    Args:
        pixels: images before ``normalize``, shape (N, ...).
        normalize: what is applied to images before the network reads them.
        levels: of black and of white.

    Returns:
        The baseline, in the shape that ``normalize`` gives.

    Raises:
        ParameterError: if pixels lie outside the levels, or ``normalize`` returns what is not finite.

    Source: [sundararajan2017axiomatic], section 3, the black image
    """
    return _made(pixels, torch.full_like(pixels, levels[0]), normalize, levels)


def white(pixels: Tensor, *, normalize: Normalize = _unchanged, levels: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Return a white image for each image, as the network reads it.

    Args:
        pixels: images before ``normalize``, shape (N, ...).
        normalize: what is applied to images before the network reads them.
        levels: of black and of white.

    Returns:
        The baseline, in the shape that ``normalize`` gives.

    Raises:
        ParameterError: as ``black``.

    Source: [sturmfels2020visualizing], constant baselines
    """
    return _made(pixels, torch.full_like(pixels, levels[1]), normalize, levels)


def gray(pixels: Tensor, *, normalize: Normalize = _unchanged, levels: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Return an image halfway between black and white for each image, as the network reads it.

    Args:
        pixels: images before ``normalize``, shape (N, ...).
        normalize: what is applied to images before the network reads them.
        levels: of black and of white.

    Returns:
        The baseline, in the shape that ``normalize`` gives.

    Raises:
        ParameterError: as ``black``.

    Source: [sturmfels2020visualizing], constant baselines
    """
    return _made(pixels, torch.full_like(pixels, sum(levels) / 2), normalize, levels)


def farthest(pixels: Tensor, *, normalize: Normalize = _unchanged, levels: tuple[float, float] = (0.0, 1.0)) -> Tensor:
    """Return for each pixel black or white, whichever is farther away: no pixel equals its baseline.

    Args:
        pixels: images before ``normalize``, shape (N, ...).
        normalize: what is applied to images before the network reads them.
        levels: of black and of white.

    Returns:
        The baseline, in the shape that ``normalize`` gives.

    Raises:
        ParameterError: as ``black``.

    Example:
        >>> farthest(torch.tensor([[0.0, 0.4, 1.0]]))
        tensor([[1., 1., 0.]])

    Source: [sturmfels2020visualizing], maximum distance
    """
    near_white = pixels - levels[0] > levels[1] - pixels
    farther = torch.where(near_white, pixels.new_tensor(levels[0]), pixels.new_tensor(levels[1]))
    return _made(pixels, farther, normalize, levels)


def uniform_noise(
    pixels: Tensor,
    *,
    generator: torch.Generator,
    normalize: Normalize = _unchanged,
    levels: tuple[float, float] = (0.0, 1.0),
) -> Tensor:
    """Return an image of noise for each image, every level as likely as any other.

    Args:
        pixels: images before ``normalize``, shape (N, ...).
        generator: where the noise comes from.
        normalize: what is applied to images before the network reads them.
        levels: of black and of white.

    Returns:
        The baseline, in the shape that ``normalize`` gives.

    Raises:
        ParameterError: as ``black``.

    Source: [sturmfels2020visualizing], uniform baseline
    """
    noise = torch.rand(pixels.shape, generator=generator, dtype=torch.float64, device=generator.device).to(pixels)
    return _made(pixels, levels[0] + (levels[1] - levels[0]) * noise, normalize, levels)


def gaussian_noise(
    pixels: Tensor,
    *,
    generator: torch.Generator,
    spread: float = 0.5,
    normalize: Normalize = _unchanged,
    levels: tuple[float, float] = (0.0, 1.0),
) -> Tensor:
    """Return each image with normal noise, clipped to the levels.

    Args:
        pixels: images before ``normalize``, shape (N, ...).
        generator: where the noise comes from.
        spread: standard deviation, as a share of the range of levels, >= 0.
        normalize: what is applied to images before the network reads them.
        levels: of black and of white.

    Returns:
        The baseline, in the shape that ``normalize`` gives.

    Raises:
        ParameterError: as ``black``, or if the spread is not a finite number >= 0.

    Source: [sturmfels2020visualizing], Gaussian baseline
    """
    _require_size("spread", spread)
    noise = torch.randn(pixels.shape, generator=generator, dtype=torch.float64, device=generator.device).to(pixels)
    return _made(pixels, (pixels + spread * (levels[1] - levels[0]) * noise).clamp(*levels), normalize, levels)


def blurred(
    pixels: Tensor,
    *,
    sigma: float = 2.0,
    normalize: Normalize = _unchanged,
    levels: tuple[float, float] = (0.0, 1.0),
) -> Tensor:
    """Return each image blurred by a Gaussian whose weights add up to 1 at every pixel, also at the border.

    Args:
        pixels: images before ``normalize``, shape (N, C, H, W).
        sigma: standard deviation in pixels, >= 0.
        normalize: what is applied to images before the network reads them.
        levels: of black and of white.

    Returns:
        The baseline, in the shape that ``normalize`` gives.

    Raises:
        ParameterError: as ``black``, or if there are no images, or sigma is not a finite number >= 0.

    Source: [sturmfels2020visualizing], blurred baseline; the border is ours
    """
    return _made(pixels, gaussian_blur(pixels, sigma).clamp(*levels), normalize, levels)


def gaussian_blur(images: Tensor, sigma: float) -> Tensor:
    """Return images of any range, blurred by a Gaussian whose weights add up to 1 at every pixel.

    Args:
        images: shape (N, C, H, W).
        sigma: standard deviation in pixels, >= 0; 0 blurs nothing.

    Returns:
        New images.

    Raises:
        ParameterError: if there are no images, or sigma is not a finite number >= 0.

    Source: ours
    """
    _require_size("sigma", sigma)
    if images.ndim != 4:
        raise ParameterError(f"what is blurred must be images (N, C, H, W), got shape {tuple(images.shape)}")
    if sigma == 0:
        return images.detach().clone()
    down, across = (_mixing(side, sigma).to(images) for side in images.shape[2:])
    return down @ images.detach() @ across.T


def _mixing(side: int, sigma: float) -> Tensor:
    """Return the weights of all pixels of a line in each, shape (side, side)."""
    place = torch.arange(side, dtype=torch.float64)
    return (-(((place[:, None] - place) / sigma) ** 2) / 2).softmax(dim=1)


def _require_size(what: str, value: float) -> None:
    if not 0 <= value < float("inf"):
        raise ParameterError(f"{what} is a size and must be a finite number >= 0, got {value}")


def _made(pixels: Tensor, baseline: Tensor, normalize: Normalize, levels: tuple[float, float]) -> Tensor:
    """Check the pixels, and return the baseline as the network reads it."""
    low, high = levels
    if not low < high:
        raise ParameterError(f"levels are those of black and of white, black below white, got {levels}")
    require_finite("the pixels", pixels)
    if pixels.numel() == 0 or float(pixels.min()) < low or float(pixels.max()) > high:
        found = f"{float(pixels.min()):.3g} to {float(pixels.max()):.3g}" if pixels.numel() else "none"
        raise ParameterError(
            f"pixels must lie between the levels {low:g} and {high:g}, got {found}; give the images as they are before "
            "they are standardized, and what standardizes them as normalize"
        )
    return require_finite("the baseline", normalize(baseline.detach()))
