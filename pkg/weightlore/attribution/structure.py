"""How alike two pictures look: structural similarity and histograms of oriented gradients.

Both compare pictures and not maps: what was done to make the picture, gray or signed around a centered zero, is
part of the answer. They come from scikit-image (extra ``images``).

    ssim_similarity   mean over windows of agreement in mean, contrast and structure [wang2004ssim]
    hog_similarity    rank correlation of histograms of edge directions [dalal2005hog]

An edge direction is taken modulo 180 degrees, so a picture and its negative have the same histograms: the second
measure is blind to the sign by construction. Pictures without contrast have no structure to compare and give NaN.
"""

from collections.abc import Callable
from typing import Any, Literal

import torch
from torch import Tensor

from weightlore.attribution.ranks import Ranked, ranked
from weightlore.errors import MissingExtra, ParameterError, require_finite
from weightlore.networks.layered import require_counts

__all__ = ["hog_similarity", "ssim_similarity"]

WIDEST = 11  # pixels: the window of the paper, whose Gaussian has a standard deviation of 1.5


def ssim_similarity(
    a: Tensor,
    b: Tensor,
    *,
    data_range: float,
    window: int = WIDEST,
    weights: Literal["gaussian", "uniform"] = "gaussian",
    sample_covariance: bool = True,
) -> Tensor:
    """Return the structural similarity of two pictures for each image.

        SSIM = mean over windows of (2 m m' + C1)(2 c + C2) / ((m^2 + m'^2 + C1)(v + v' + C2))

    with means m, variances v and covariance c of a window, C1 = (0.01 range)^2 and C2 = (0.03 range)^2. It was made for
    pictures whose values are not negative: of one around zero and its negative both factors change their sign, so that
    their product may well be positive.

    Args:
        a: pictures, shape (N, H, W), finite.
        b: pictures of the same shape.
        data_range: distance between the two ends of the colors: 1 for gray in [0, 1], 2 for diverging in [-1, 1].
        window: width of the window in pixels, odd, at most H and W; 3 for pictures of 8x8.
        weights: a Gaussian whose standard deviation is 1.5 pixels for a window of 11, and in proportion for others, or
            the same weight for all pixels of a window.
        sample_covariance: whether variances divide by the number of pixels minus 1.

    Returns:
        SSIM, shape (N,), float64, in [-1, 1]; NaN where one of the pictures is constant.

    Raises:
        ParameterError: if shapes do not fit, a picture is not finite, or an option is out of range.
        MissingExtra: without scikit-image.

    Source: [wang2004ssim], as used in [adebayo2018sanity]; the narrower Gaussian for small windows is ours
    """
    _require_pictures(a, b)
    if (
        isinstance(window, bool)
        or not isinstance(window, int)
        or window % 2 == 0
        or not 3 <= window <= min(a.shape[1:])
    ):
        raise ParameterError(
            f"window is an odd number of pixels from 3 to the {min(a.shape[1:])} of the pictures, got {window!r}"
        )
    if weights not in ("gaussian", "uniform"):
        raise ParameterError(f"weights is 'gaussian' or 'uniform', got {weights!r}")
    if not 0 < data_range < float("inf"):
        raise ParameterError(f"data_range is the distance between the ends of the colors, above 0, got {data_range}")
    measure = _skimage("metrics").structural_similarity

    def similarity(one: Any, other: Any) -> float:
        value = measure(
            one,
            other,
            win_size=window,
            gaussian_weights=weights == "gaussian",
            sigma=1.5 * (window // 2) / (WIDEST // 2),
            use_sample_covariance=sample_covariance,
            data_range=data_range,
        )
        return float(value)

    return _each(similarity, a, b)


def hog_similarity(
    a: Tensor, b: Tensor, *, cell: int, orientations: int = 9, block: int = 3, norm: Literal["L2-Hys", "L1"] = "L2-Hys"
) -> Tensor:
    """Return the rank correlation of histograms of oriented gradients for each image.

    Args:
        a: pictures, shape (N, H, W), finite.
        b: pictures of the same shape.
        cell: pixels on each side of a cell, of which a picture must hold a block in both directions: 16 for pictures
            of 299x299, 7 for 28x28, 2 for 8x8.
        orientations: directions that are told apart, modulo 180 degrees.
        block: cells on each side of a block, within which histograms are normalized.
        norm: how they are.

    Returns:
        Spearman's correlation of the two histograms, shape (N,), float64; NaN where one of the pictures is constant or
        its histogram is.

    Raises:
        ParameterError: if shapes do not fit, a picture is not finite, or a block does not fit into a picture.
        MissingExtra: without scikit-image.

    Source: [dalal2005hog], as used in [adebayo2018sanity]
    """
    _require_pictures(a, b)
    require_counts(cell=cell, orientations=orientations, block=block)
    if min(a.shape[1:]) // cell < block:
        raise ParameterError(
            f"pictures of {a.shape[1]}x{a.shape[2]} hold fewer than {block} cells of {cell} pixels in a row; take "
            "smaller cells or blocks"
        )
    describe = _skimage("feature").hog

    def histograms(pictures: Tensor) -> Ranked:
        found = [
            describe(
                picture,
                orientations=orientations,
                pixels_per_cell=(cell, cell),
                cells_per_block=(block, block),
                block_norm=norm,
            )
            for picture in pictures.detach().cpu().double().numpy()
        ]
        return ranked(torch.stack([torch.from_numpy(vector) for vector in found]), [None])[0]

    return histograms(a).correlation(histograms(b)).to(a.device).where(~(_flat(a) | _flat(b)), torch.nan)


def _each(similarity: Callable[[Any, Any], float], a: Tensor, b: Tensor) -> Tensor:
    """Compare picture by picture; NaN where one of the two is constant."""
    pairs = zip(*(pictures.detach().cpu().double().numpy() for pictures in (a, b)), strict=True)
    values = torch.tensor([similarity(one, other) for one, other in pairs], dtype=torch.float64, device=a.device)
    return values.where(~(_flat(a) | _flat(b)), torch.nan)


def _flat(pictures: Tensor) -> Tensor:
    low, high = torch.aminmax(pictures.flatten(1), dim=1)
    return low == high


def _require_pictures(a: Tensor, b: Tensor) -> None:
    if a.shape != b.shape or a.ndim != 3 or a.numel() == 0:
        raise ParameterError(
            f"two stacks of pictures of one shape (N, H, W) are compared, got {tuple(a.shape)} and {tuple(b.shape)}"
        )
    require_finite("a picture", a)
    require_finite("a picture", b)


def _skimage(part: str) -> Any:
    try:
        import skimage.feature
        import skimage.metrics
    except ImportError as error:
        raise MissingExtra("skimage", "images") from error
    return getattr(skimage, part)
