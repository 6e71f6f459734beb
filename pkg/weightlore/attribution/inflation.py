"""How much of a rank correlation comes from the background alone: closed forms.

Let a share p of the pixels be exact zeros in both maps, because there the image equals the baseline, and q = 1 - p the
share of active ones. Magnitudes put all zeros into one block of ties at the bottom, in both maps alike:

    rho_abs,all    = (3 p + q^2 rho_abs,active) / (3 p + q^2)          inflated_correlation, active_correlation
    rho_signed,all = 12 p q (u - 1/2)(v - 1/2) / (1 - p^3)             skewed_correlation

with u and v the shares of negative pixels among the active ones. The first says why unrelated maps of handwritten
digits score 0.99; the second why dropping only the absolute value is not enough [sundararajan2018note]. What is left
in rho_abs,active comes from the factor |x - b| that all integrated gradients share:

    log|A| = L + G  =>  corr = Var L / (Var L + Var G)                 shared_factor_correlation, spearman_of_normal

A border of background raises p and changes no attribution: bordered.
"""

from math import asin, isfinite, pi

import torch
from torch import Tensor

from weightlore.attribution.similarity import active_pixels
from weightlore.errors import ParameterError

__all__ = [
    "active_correlation",
    "background_share",
    "bordered",
    "inflated_correlation",
    "shared_factor_correlation",
    "skewed_correlation",
    "spearman_of_normal",
]

Number = float | Tensor


def inflated_correlation(background: Number, active: Number = 0.0, *, pixels: Number | None = None) -> Tensor:
    """Return the rank correlation of magnitudes over all pixels, given that over the active ones.

        rho_abs,all = (3 p + q^2 rho) / (3 p + q^2) = 1 - (1 - p)^3 / (1 - p^3) (1 - rho),   q = 1 - p

    Derivation: in units of n^2 the ranks vary by (1 - p^3) / 12. The two groups, zeros and active pixels, lie p/2 and
    q/2 from the mean and contribute p q / 4, the same in both maps; within the active pixels q^3 / 12 is left, of
    which rho is shared. For n pixels, m = q n active without ties and z = p n zeros, exactly

        rho_abs,all = (3 z m n + (m^3 - m) rho) / (3 z m n + m^3 - m)

    Args:
        background: p, share of the pixels that are zero in both maps, in [0, 1].
        active: rho, rank correlation of magnitudes over the active pixels, in [-1, 1]; 0 for unrelated maps.
        pixels: n, for the exact value; ``None`` for the limit of many.

    Returns:
        rho_abs,all, float64, in the shape to which the arguments broadcast; NaN where p = 1: all is constant.

    Raises:
        ParameterError: if an argument is out of range.

    Example:
        >>> inflated_correlation(torch.tensor([0.5, 0.81, 0.9]))
        tensor([0.8571, 0.9854, 0.9963], dtype=torch.float64)

    Source: ours, because it says what [sundararajan2018note] objects to in numbers
    """
    p, rho = _within("background", background, 0.0, 1.0), _within("active", active, -1.0, 1.0)
    between, within = _parts(p, pixels)
    return (between + within * rho) / (between + within)


def active_correlation(background: Number, measured: Number, *, pixels: Number | None = None) -> Tensor:
    """Return the rank correlation of magnitudes over the active pixels, given that over all.

        rho = 1 - (1 - p^3) / (1 - p)^3 (1 - rho_abs,all)

    Args:
        background: p, share of the pixels that are zero in both maps, in [0, 1].
        measured: rho_abs,all, in [-1, 1].
        pixels: n, for the exact value; ``None`` for the limit of many.

    Returns:
        rho, float64; below -1 where no pair of maps with this background has such a correlation, NaN where p = 1.

    Raises:
        ParameterError: if an argument is out of range.

    Example:
        >>> active_correlation(0.81, 0.9854)
        tensor(0.0026, dtype=torch.float64)

    Source: ours, because a published correlation can so be freed of its background
    """
    p, rho = _within("background", background, 0.0, 1.0), _within("measured", measured, -1.0, 1.0)
    between, within = _parts(p, pixels)
    return 1 - (between + within) / within * (1 - rho)


def skewed_correlation(background: Number, negative: Number, other_negative: Number) -> Tensor:
    """Return the rank correlation of signed maps over all pixels, where nothing but their background is shared.

        rho_signed,all = 12 p q (u - 1/2) (v - 1/2) / (1 - p^3)

    Zero exactly if one map has as many positive as negative pixels; u = v = 0 gives ``inflated_correlation``.

    Args:
        background: p, share of the pixels that are zero in both maps, in [0, 1].
        negative: u, share of negative pixels among the active ones, in [0, 1].
        other_negative: v, the same of the other map.

    Returns:
        rho_signed,all, float64, for many pixels; NaN where p = 1.

    Raises:
        ParameterError: if an argument is out of range.

    Example:
        >>> skewed_correlation(0.81, 0.2, 0.2)
        tensor(0.3547, dtype=torch.float64)

    Source: ours, because it is our reading of why [sundararajan2018note] requires both corrections
    """
    p = _within("background", background, 0.0, 1.0)
    u, v = _within("negative", negative, 0.0, 1.0), _within("other_negative", other_negative, 0.0, 1.0)
    return 12 * p * (1 - p) * (u - 0.5) * (v - 0.5) / (1 - p**3)


def shared_factor_correlation(shared: float, own: float, other_own: float | None = None) -> float:
    """Return the correlation of log-magnitudes that have a factor in common.

        log|A| = L + G,  log|B| = L + H,  L, G, H independent:
        corr = Var L / sqrt((Var L + Var G)(Var L + Var H))

    Args:
        shared: Var L, of the logarithm of the common factor |x - b|, >= 0.
        own: Var G, of the logarithm of what is A's own, >= 0.
        other_own: Var H, of what is B's own; ``None`` for the same as ``own``.

    Returns:
        Pearson's correlation of log|A| and log|B|, in [0, 1]; ``spearman_of_normal`` makes it that of the ranks.

    Raises:
        ParameterError: if a variance is negative, or nothing varies.

    Example:
        >>> shared_factor_correlation(1.0, 3.0)
        0.25

    Source: ours, because it says why magnitudes of active pixels stay correlated
    """
    other = own if other_own is None else other_own
    if not all(isfinite(v) and v >= 0 for v in (shared, own, other)) or min(shared + own, shared + other) == 0:
        raise ParameterError(
            f"variances are finite, >= 0, and of each map one is above 0; got shared {shared}, own {own} and {other}"
        )
    return shared / ((shared + own) * (shared + other)) ** 0.5


def spearman_of_normal(pearson: float) -> float:
    """Return the rank correlation of two jointly normal quantities, and of whatever rises with them.

        rho = 6 / pi arcsin(r / 2)

    Args:
        pearson: r, their correlation, in [-1, 1].

    Returns:
        rho, in [-1, 1].

    Raises:
        ParameterError: if r is out of range.

    Example:
        >>> round(spearman_of_normal(0.25), 4)
        0.2394

    Source: ours; a classical identity
    """
    if not -1 <= pearson <= 1:
        raise ParameterError(f"a correlation lies between -1 and 1, got {pearson}")
    return 6 / pi * asin(pearson / 2)


def background_share(x: Tensor, baseline: Tensor | float) -> Tensor:
    """Return p, the share of the pixels that equal the baseline in all channels.

    Args:
        x: images, shape (N, D) or (N, C, H, W), finite.
        baseline: a number, one image, or one for each image.

    Returns:
        p of each image, shape (N,), float64.

    Raises:
        ParameterError: as ``active_pixels``.

    Example:
        >>> background_share(torch.tensor([[0.0, 0.0, 0.0, 2.0]]), 0.0)
        tensor([0.7500], dtype=torch.float64)

    Source: ours, because it is the one number that the closed forms need
    """
    return 1 - active_pixels(x, baseline).flatten(1).double().mean(1)


def bordered(images: Tensor, width: int, *, value: float = 0.0) -> Tensor:
    """Return images or maps with a border all around.

    With the baseline's value around the image and zeros around its attribution, p rises and no attribution changes.

    Args:
        images: shape (..., H, W).
        width: pixels on each side, >= 0.
        value: of the border.

    Returns:
        Shape (..., H + 2 width, W + 2 width).

    Raises:
        ParameterError: if the width is no whole number >= 0, or the images have no height and width.

    Example:
        >>> bordered(torch.ones(1, 2, 2), 1).sum(), bordered(torch.ones(1, 2, 2), 1).shape
        (tensor(4.), torch.Size([1, 4, 4]))

    Source: ours, because it moves a published correlation without touching what is measured
    """
    if isinstance(width, bool) or not isinstance(width, int) or width < 0:
        raise ParameterError(f"width counts pixels and must be a whole number >= 0, got {width!r}")
    if images.ndim < 2:
        raise ParameterError(f"images must have height and width, (..., H, W), got shape {tuple(images.shape)}")
    return torch.nn.functional.pad(images, (width,) * 4, value=value)


def _parts(p: Tensor, pixels: Number | None) -> tuple[Tensor, Tensor]:
    """Return, in common units, how much of the variance of ranks lies between the groups and within the active one."""
    if pixels is None:
        return 3 * p * (1 - p), (1 - p) ** 3
    n = torch.as_tensor(pixels, dtype=torch.float64)
    if not bool((n >= 1).all()):
        raise ParameterError(f"pixels counts the pixels of an image, at least 1, got {pixels}")
    active = (1 - p) * n
    return 3 * p * n * active * n, active**3 - active


def _within(name: str, value: Number, low: float, high: float) -> Tensor:
    found = torch.as_tensor(value, dtype=torch.float64)
    if not bool(((found >= low) & (found <= high)).all()):  # NaN fails too
        raise ParameterError(f"{name} must lie between {low:g} and {high:g}, got {value}")
    return found
