"""From maps to pictures: what the eye is given, as tensors; drawing is for others.

A picture is a map scaled to the limits of its colors. Every choice on the way can make maps of a trained and of a
random network look alike, or different:

    limit_by_percentile   where the colors end: a percentile of the magnitudes
    limit_by_mass         the same by the mass of attribution that is cut off
    absolute_gray         |s| / v in [0, 1]: positive and negative evidence look the same
    signed_diverging      s / v in [-1, 1]: zero is in the middle of the colors
    off_center            a faulty diverging picture, for the gallery: zero is tinted positive
    min_max               (s - min) / (max - min): zero lands anywhere
    positive_unit         s cut to [0, 1]: right for probabilities, wrong for logits
    overlay, multiplied   map and image in one: any map takes the shape of the image

A map without contrast gives a picture of zeros and is marked as degenerate.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.attribution.similarity import Channels, reduce_channels
from weightlore.errors import ParameterError

__all__ = [
    "Picture",
    "absolute_gray",
    "limit_by_mass",
    "limit_by_percentile",
    "min_max",
    "multiplied",
    "off_center",
    "overlay",
    "positive_unit",
    "signed_diverging",
]


@dataclass(frozen=True, eq=False)
class Picture:
    """Maps ready to be drawn with colors that span fixed limits.

    Args:
        values: shape (N, H, W), or (N, D) for maps without channels, within the limits.
        low: value at which the colors begin.
        high: value at which they end.
        scale: attribution that one unit of the values stands for, shape (N,); pictures drawn side by side hide that one
            map is a thousand times weaker unless this is shown.
        degenerate: whether the map has no contrast to be scaled by, shape (N,), booleans.

    Source: ours
    """

    values: Tensor
    low: float
    high: float
    scale: Tensor
    degenerate: Tensor


def limit_by_percentile(maps: Tensor, percentile: float = 99.0, *, channels: Channels = "sum") -> Tensor:
    """Return the percentile of the magnitudes of each map.

    Between two magnitudes it is interpolated, as by NumPy. 100 cuts nothing: one outlier then darkens all the rest.

    Args:
        maps: shape (N, D) or (N, C, H, W), finite.
        percentile: in [0, 100].
        channels: how the channels become one map first.

    Returns:
        v, shape (N,), >= 0.

    Raises:
        ParameterError: if the percentile is out of range, or a map cannot be used.

    Example:
        >>> limit_by_percentile(torch.tensor([[-4.0, 1.0, 2.0, 3.0, 0.0]]), 75.0)
        tensor([3.])

    Source: [adebayo2018sanity], the code of its maps
    """
    return _percentile(reduce_channels(maps, channels).abs(), percentile)


def limit_by_mass(maps: Tensor, cut: float = 0.02, *, channels: Channels = "sum") -> Tensor:
    """Return the magnitude above which the given share of all attribution lies.

        v = smallest |s_i| with  sum over |s_j| <= |s_i| of |s_j|  >=  (1 - cut) sum_j |s_j|

    Args:
        maps: shape (N, D) or (N, C, H, W), finite.
        cut: share of the mass, not of the pixels, in [0, 1).
        channels: how the channels become one map first.

    Returns:
        v, shape (N,), >= 0.

    Raises:
        ParameterError: if the share is out of range, or a map cannot be used.

    Example:
        >>> limit_by_mass(torch.tensor([[6.0, -3.0, 1.0, 0.0]]), 0.5)
        tensor([6.])

    Source: [kokhlikyan2020captum], outliers; the code of [sundararajan2017axiomatic] limits by mass too
    """
    if not 0 <= cut < 1:
        raise ParameterError(f"cut is a share of the attribution, in [0, 1), got {cut}")
    ordered = reduce_channels(maps, channels).abs().flatten(1).sort(1).values
    mass = ordered.double().cumsum(1)
    enough = mass >= (1 - cut) * mass[:, -1:]
    return ordered.gather(1, enough.int().argmax(1, keepdim=True)).squeeze(1)


def absolute_gray(maps: Tensor, limits: Tensor | None = None, *, channels: Channels = "abs_sum") -> Picture:
    """Return magnitudes for a gray scale.

        |s| / v, cut to [0, 1]

    Args:
        maps: shape (N, D) or (N, C, H, W), finite.
        limits: v > 0 of each map, shape (N,), or one for all, shape (); ``None`` for the 99th percentile of its
            magnitudes.
        channels: how the channels become one map.

    Returns:
        A picture between 0 and 1.

    Raises:
        ParameterError: if a map cannot be used, or the limits have another shape.

    Source: [adebayo2018sanity], the gray pictures; here zero is always black
    """
    values = reduce_channels(maps, channels).abs()
    return _scaled(values, limits, low=0.0)


def signed_diverging(maps: Tensor, limits: Tensor | None = None, *, channels: Channels = "sum") -> Picture:
    """Return signed values for colors that diverge from zero.

        s / v, cut to [-1, 1]

    Args:
        maps: shape (N, D) or (N, C, H, W), finite.
        limits: v > 0 of each map, shape (N,), or one for all, shape (), so that a weak map looks weak; ``None`` for the
            99th percentile of its magnitudes.
        channels: how the channels become one map.

    Returns:
        A picture between -1 and 1, zero in the middle.

    Raises:
        ParameterError: if a map cannot be used, or the limits have another shape.

    Source: ours, because it is the picture that [sundararajan2018note] asks for with its sign kept
    """
    return _scaled(reduce_channels(maps, channels), limits, low=-1.0)


def off_center(maps: Tensor, percentile: float = 99.0, *, channels: Channels = "sum") -> Picture:
    """Return a diverging picture whose zero is not in the middle of the colors: a mistake to be looked at.

        (s + w) / (2 w), cut to [-1, 1],   w = |percentile of s|

    Zero lands at 1/2, so that with colors from -1 to 1 all background is tinted positive. The percentile is that of the
    signed values: where it is near zero the picture saturates.

    Args:
        maps: shape (N, D) or (N, C, H, W), finite.
        percentile: in [0, 100].
        channels: how the channels become one map.

    Returns:
        A picture between -1 and 1.

    Raises:
        ParameterError: if a map cannot be used, or the percentile is out of range.

    Source: [adebayo2018sanity], the code of its diverging pictures
    """
    values = reduce_channels(maps, channels)
    span = _percentile(values, percentile).abs()
    width, degenerate = _nonzero(span)
    scaled = (_by_row(values, width) / _shaped(2 * width, values)).clamp(-1.0, 1.0)
    return Picture(scaled.masked_fill(_shaped(degenerate, values), 0.0), -1.0, 1.0, 2 * span, degenerate)


def min_max(maps: Tensor, *, channels: Channels = "sum") -> Picture:
    """Return values stretched to [0, 1].

        (s - min s) / (max s - min s)

    The zero of a signed map lands on a gray that depends on the map.

    Args:
        maps: shape (N, D) or (N, C, H, W), finite.
        channels: how the channels become one map.

    Returns:
        A picture between 0 and 1.

    Raises:
        ParameterError: if a map cannot be used.

    Source: [adebayo2018sanity], the code before structural similarity
    """
    values = reduce_channels(maps, channels)
    low, high = torch.aminmax(values.flatten(1), dim=1)
    width, degenerate = _nonzero(high - low)
    scaled = (_by_row(values, -low) / _shaped(width, values)).clamp(0.0, 1.0)
    return Picture(scaled, 0.0, 1.0, high - low, degenerate)


def positive_unit(maps: Tensor, *, channels: Channels = "sum") -> Picture:
    """Return positive values cut at 1, without any scaling.

        s, cut to [0, 1]

    Attributions of probabilities lie within [-1, 1] and survive; those of logits may all be cut.

    Args:
        maps: shape (N, D) or (N, C, H, W), finite.
        channels: how the channels become one map.

    Returns:
        A picture between 0 and 1; degenerate where nothing is positive.

    Raises:
        ParameterError: if a map cannot be used.

    Source: [sundararajan2017axiomatic], the code of its positive pictures
    """
    values = reduce_channels(maps, channels).clamp(0.0, 1.0)
    return Picture(values, 0.0, 1.0, values.new_ones(len(values)), values.flatten(1).amax(1) == 0)


def overlay(images: Tensor, picture: Picture, *, weight: float = 0.5) -> Tensor:
    """Return image and picture mixed.

        (1 - weight) image + weight (picture - low) / (high - low)

    Whatever the map, the mixture shows the object: overlay a map of pure noise beside it.

    Args:
        images: gray, in [0, 1], in the shape of the picture's values, or with one channel, (N, 1, H, W).
        picture: of as many maps.
        weight: of the picture, in [0, 1].

    Returns:
        In [0, 1], in the shape of the picture's values.

    Raises:
        ParameterError: if shape, range or weight do not fit.

    Source: ours, because it shows what mixing adds
    """
    if not 0 <= weight <= 1:
        raise ParameterError(f"weight is the share of the picture, in [0, 1], got {weight}")
    return torch.lerp(_gray(images, picture), (picture.values - picture.low) / (picture.high - picture.low), weight)


def multiplied(images: Tensor, picture: Picture) -> Tensor:
    """Return the picture times the image: black stays black, and any map takes the shape of the image.

    Args:
        images: as for ``overlay``.
        picture: of as many maps.

    Returns:
        In the shape and between the limits of the picture.

    Raises:
        ParameterError: if shape or range do not fit.

    Source: ours, because it shows what masking adds
    """
    return _gray(images, picture) * picture.values


def _scaled(values: Tensor, limits: Tensor | None, *, low: float) -> Picture:
    """Divide by the limits and cut; a limit of zero leaves the signs."""
    limit = _percentile(values.abs(), 99.0) if limits is None else limits.to(values)
    if limit.shape not in ((), (len(values),)) or not bool((limit >= 0).all()):
        raise ParameterError(
            f"limits must be one number >= 0 for all maps, or one for each, ({len(values)},), got "
            f"{tuple(limit.shape)}, smallest {float(limit.min()):g}"
        )
    limit = limit.expand(len(values))
    width, degenerate = _nonzero(limit)
    shaped = _shaped(degenerate, values)
    scaled = (values / _shaped(width, values)).clamp(low, 1.0).where(~shaped, values.sign())
    return Picture(scaled, low, 1.0, limit, degenerate)


def _percentile(values: Tensor, percentile: float) -> Tensor:
    """Return the percentile of each row, interpolated between its two neighbors."""
    if not 0 <= percentile <= 100:
        raise ParameterError(f"percentile must lie between 0 and 100, got {percentile}")
    ordered = values.flatten(1).sort(1).values
    place = percentile / 100 * (ordered.shape[1] - 1)
    low = int(place)
    return torch.lerp(ordered[:, low], ordered[:, min(low + 1, ordered.shape[1] - 1)], place - low)


def _nonzero(width: Tensor) -> tuple[Tensor, Tensor]:
    """Return widths to divide by, and where they were zero and are one instead."""
    degenerate = width == 0
    return width.masked_fill(degenerate, 1.0), degenerate


def _shaped(numbers: Tensor, values: Tensor) -> Tensor:
    return numbers.reshape(-1, *[1] * (values.ndim - 1))


def _by_row(values: Tensor, added: Tensor) -> Tensor:
    return values + _shaped(added, values)


def _gray(images: Tensor, picture: Picture) -> Tensor:
    image = images.squeeze(1) if images.ndim == picture.values.ndim + 1 else images
    if image.shape != picture.values.shape:
        raise ParameterError(
            f"the images must be gray and have the picture's shape {tuple(picture.values.shape)}, "
            f"got {tuple(images.shape)}"
        )
    low, high = (float(end) for end in torch.aminmax(image))
    if not (low >= 0 and high <= 1):
        raise ParameterError(f"the images must lie within [0, 1] to be mixed with colors, got {low:g} to {high:g}")
    return image.to(picture.values)
