"""How alike two maps are: rank correlation, with every choice that decides the answer said aloud.

The same two maps can score 0.9 or 0.0. It depends on whether the sign is dropped before ranking, and on whether pixels
count that are zero only because they equal the baseline [sundararajan2018note]. So neither choice has a default:

    reduce_channels   (N, C, H, W) -> (N, H, W): signed sum, sum of magnitudes, mean, or nothing
    active_pixels     where x differs from the baseline in any channel
    rank_similarity   Pearson's correlation of mid-ranks, image by image (Spearman)
    average           mean over the images where it is defined, and how many those are

A constant map has no ranks to speak of, and two points always lie on a line: such images give NaN and are counted,
never taken for 0 or 1.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from weightlore.attribution.ranks import ranked
from weightlore.errors import ParameterError, require_finite, require_option

__all__ = [
    "Average",
    "Channels",
    "Mask",
    "Sign",
    "active_pixels",
    "average",
    "kept_pixels",
    "rank_similarity",
    "reduce_channels",
    "signed",
]

Sign = Literal["signed", "abs", "pos"]
Mask = Literal["all", "active"]
Channels = Literal["sum", "abs_sum", "mean", "none"]


def rank_similarity(
    a: Tensor,
    b: Tensor,
    *,
    sign: Sign,
    mask: Mask,
    x: Tensor | None = None,
    baseline: Tensor | float | None = None,
    channels: Channels = "sum",
) -> Tensor:
    """Return the rank correlation of two maps for each image.

        rho = corr(ranks(s(a)), ranks(s(b))) over the pixels that count,   s(a) = a, |a| or max(a, 0)

    Args:
        a: maps, shape (N, D) or (N, C, H, W), finite.
        b: maps of the same shape.
        sign: ``"signed"`` ranks a, ``"abs"`` ranks |a|, ``"pos"`` ranks max(a, 0); after the reduction of channels.
        mask: ``"all"`` pixels, or those that are ``"active"``: where x differs from the baseline in any channel.
        x: the images, for ``mask="active"``.
        baseline: their baseline, for ``mask="active"``: a number, one image, or one for each image.
        channels: how the channels of (N, C, H, W) become one map before ranking; ``"none"`` ranks all entries, and
            serves for maps of any other shape.

    Returns:
        rho, shape (N,), float64, in [-1, 1]; NaN where one of the maps is constant, or fewer than 3 pixels count.

    Raises:
        ParameterError: if shapes do not fit, a map is not finite, or the active pixels are asked for without x and
            baseline.

    Example:
        >>> a = torch.tensor([[0.0, 3.0, -2.0, 1.0]])
        >>> rank_similarity(a, -a, sign="signed", mask="all"), rank_similarity(a, -a, sign="abs", mask="all")
        (tensor([-1.], dtype=torch.float64), tensor([1.], dtype=torch.float64))

    Source: [sundararajan2018note], which asks for ``"signed"`` and ``"active"``; Spearman's correlation as in
        [adebayo2018sanity]
    """
    if a.shape != b.shape:
        raise ParameterError(f"two maps of one shape can be compared, got {tuple(a.shape)} and {tuple(b.shape)}")
    keep = kept_pixels(mask, x, baseline, channels)
    one, other = (ranked(signed(reduce_channels(maps, channels), sign), [keep])[0] for maps in (a, b))
    return one.correlation(other)


def reduce_channels(maps: Tensor, channels: Channels = "sum") -> Tensor:
    """Return one map for each image.

        sum_c a_c,   sum_c |a_c|,   1/C sum_c a_c

    Args:
        maps: shape (N, C, H, W); maps (N, D) without channels come back as they are, their magnitudes for
            ``"abs_sum"``.
        channels: ``"sum"``, ``"abs_sum"``, ``"mean"``, or ``"none"`` for maps of any shape as they are.

    Returns:
        Shape (N, H, W), or that of the maps.

    Raises:
        ParameterError: if the maps have another shape or are not finite, or there is no such reduction.

    Source: ours, because sum of magnitudes (gray pictures), signed sum (diverging pictures) and mean are all in use
    """
    require_option("channels", channels, Channels)
    if not isinstance(maps, Tensor) or not maps.is_floating_point() or maps.ndim < 2 or maps.numel() == 0:
        came = f"{tuple(maps.shape)}, {maps.dtype}" if isinstance(maps, Tensor) else type(maps).__name__
        raise ParameterError(f"maps must be a floating tensor with a row for each image, (N, ...), got {came}")
    require_finite("a map", maps)
    if channels == "none":
        return maps
    if maps.ndim not in (2, 4):
        raise ParameterError(
            f"maps must have shape (N, D) or (N, C, H, W) for channels={channels!r}, got {tuple(maps.shape)}; "
            'insert the channel, maps[:, None], or say channels="none"'
        )
    maps = maps.abs() if channels == "abs_sum" else maps
    if maps.ndim == 2:
        return maps
    return maps.mean(1) if channels == "mean" else maps.sum(1)


def active_pixels(x: Tensor, baseline: Tensor | float, channels: Channels = "sum") -> Tensor:
    """Return where an image differs from its baseline: the only pixels whose attribution tells of the parameters.

        active_i = any over channels of x_i != b_i

    Integrated gradients are zero elsewhere whatever theta is.

    Args:
        x: images, shape (N, D) or (N, C, H, W), finite.
        baseline: a number, one image (1, ...) or one without the first dimension, or one for each image.
        channels: with ``"none"`` each channel counts for itself, otherwise all of a pixel count together.

    Returns:
        Booleans, shape (N, D), (N, H, W), or that of x with ``"none"``.

    Raises:
        ParameterError: if x is not finite, or the baseline is not or has another shape.

    Source: [sundararajan2018note]
    """
    require_option("channels", channels, Channels)
    differs = require_finite("x", x) != _baseline(x, baseline)
    return differs.any(1) if differs.ndim == 4 and channels != "none" else differs


@dataclass(frozen=True)
class Average:
    """The mean of similarities, and over how many images it was taken.

    Args:
        mean: over the images where the similarity is defined; NaN if there is none.
        spread: standard deviation over these images (divided by their number); NaN if there is none.
        defined: how many these are.
        undefined: how many images gave NaN.

    Source: ours
    """

    mean: float
    spread: float
    defined: int
    undefined: int


def average(values: Tensor) -> Average:
    """Return mean and spread of similarities over the images where they are defined.

    Args:
        values: any shape, NaN where a similarity is not defined.

    Returns:
        The mean, with the number of values that had to be left out.

    Raises:
        ParameterError: if there are no values, or one is infinite.

    Example:
        >>> average(torch.tensor([0.5, torch.nan, 1.0]))
        Average(mean=0.75, spread=0.25, defined=2, undefined=1)

    Source: ours, because a map without ranks is neither alike nor unlike
    """
    if values.numel() == 0 or bool(values.isinf().any()):
        raise ParameterError(
            f"similarities are numbers or NaN, at least one; got {values.numel()} values, "
            f"{int(values.isinf().sum())} of them infinite"
        )
    known = values[~values.isnan()].double()
    if not len(known):
        return Average(torch.nan, torch.nan, 0, values.numel())
    return Average(float(known.mean()), float(known.std(correction=0)), len(known), values.numel() - len(known))


def signed(maps: Tensor, sign: Sign) -> Tensor:
    """Return what is ranked: the maps, their magnitudes, or their positive part.

    Args:
        maps: any shape.
        sign: ``"signed"``, ``"abs"`` or ``"pos"``.

    Raises:
        ParameterError: if there is no such choice.

    Source: [sundararajan2018note], first analysis choice
    """
    require_option("sign", sign, Sign)
    return maps if sign == "signed" else maps.abs() if sign == "abs" else maps.clamp(min=0)


def kept_pixels(
    mask: Mask, x: Tensor | None, baseline: Tensor | float | None, channels: Channels = "sum"
) -> Tensor | None:
    """Return which pixels count, ``None`` for all.

    Args:
        mask: ``"all"`` or ``"active"``.
        x: images, for ``"active"``.
        baseline: as in ``active_pixels``, for ``"active"``.
        channels: as in ``active_pixels``.

    Raises:
        ParameterError: if there is no such mask, or x or the baseline is missing.

    Source: [sundararajan2018note], second analysis choice
    """
    require_option("mask", mask, Mask)
    if mask == "all":
        return None
    if x is None or baseline is None:
        raise ParameterError('mask="active" compares x with its baseline; give both, x=... and baseline=...')
    return active_pixels(x, baseline, channels)


def _baseline(x: Tensor, baseline: Tensor | float) -> Tensor:
    """Return the baseline in a shape that is compared with x."""
    value = torch.as_tensor(baseline, dtype=x.dtype, device=x.device)
    if value.shape not in ((), x.shape[1:], (1, *x.shape[1:]), x.shape):
        raise ParameterError(
            f"a baseline is a number, one image of shape {tuple(x.shape[1:])}, or one for each image, "
            f"{tuple(x.shape)}; got shape {tuple(value.shape)}"
        )
    return require_finite("the baseline", value)
