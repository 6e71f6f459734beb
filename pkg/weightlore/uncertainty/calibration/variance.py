"""Calibration of predicted variances: are squared errors as large as they are said to be?

ence    relative gap of root mean squares, in bins of equal mass of the predicted standard deviation
uce     absolute gap of mean squares, in bins of equal width of the predicted variance
"""

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.calibration.binning import few_examples, mass_ends
from weightlore.uncertainty.regression.given import Normal, moments_of, require_targets

__all__ = ["ence", "uce"]


def ence(forecast: Normal, y: Tensor, *, bins: int = 15) -> Tensor:
    """Return the expected normalized calibration error of standard deviations.

        1/B sum_b |RMSE_b - RMV_b| / RMV_b,   RMV_b = sqrt(mean of s^2),  RMSE_b = sqrt(mean of (y - mu)^2)

    in bins with equally many examples of about the same s. Equal s are never parted: parts that would part them are one
    bin, with the weight of all of them.

    Args:
        forecast: a Gaussian prediction, or a pair (mean, std), with s > 0.
        y: observations, in the shape of the mean, (N, D) or (N,); all outputs are taken together, so they should be in
            the same unit.
        bins: B.

    Returns:
        ENCE, shape (), at least 0; 0.1 says that errors are a tenth larger or smaller than said.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or an s is 0: no error is a multiple of it.

    Example:
        >>> ence((torch.zeros(2), torch.ones(2)), torch.tensor([2.0, -2.0]), bins=1)
        tensor(1.)

    Source: [levi2022regression], ENCE
    """
    std, squared = _errors(forecast, y)
    if not bool((std > 0).all()):
        raise ParameterError(
            f"{int((std == 0).sum())} of {len(std)} standard deviations are 0, and no error is a multiple of that; "
            "use uce, or give the forecast a smallest one"
        )
    few_examples(len(std), bins)
    ordered, order = std.sort()
    ends, parts = mass_ends(ordered, bins)
    number = torch.bucketize(torch.arange(len(std), device=ends.device), ends, right=True)
    counts = ends.diff(prepend=ends.new_zeros(1))
    said, came = (torch.bincount(number, t, len(ends)).div(counts).sqrt() for t in (ordered.square(), squared[order]))
    return (parts.double() / bins * ((came - said).abs() / said)).sum().to(y.dtype)


def uce(forecast: Normal, y: Tensor, *, bins: int = 15) -> Tensor:
    """Return the uncertainty calibration error of variances.

        sum_b n_b/N | mean of (y - mu)^2 - mean of s^2 |,   bins of equal width from the smallest to the largest s^2

    Args:
        forecast: a Gaussian prediction, or a pair (mean, std).
        y: observations, as in ``ence``.
        bins: B.

    Returns:
        UCE, shape (), at least 0, in squared units of y.

    Raises:
        ParameterError: if shapes do not fit or an entry is not finite.

    Example:
        >>> uce((torch.zeros(2), torch.ones(2)), torch.tensor([2.0, -2.0]), bins=1)
        tensor(3.)

    Source: [laves2020regression], UCE
    """
    require_counts(bins=bins)
    std, squared = _errors(forecast, y)
    few_examples(len(std), bins)
    variance = std.square()
    low, span = variance.min(), variance.max() - variance.min()
    place = (variance - low) / span if span > 0 else torch.zeros_like(variance)  # one bin where all are the same
    number = (place * bins).long().clamp(max=bins - 1)
    off = torch.bincount(number, squared - variance, bins)
    return (off.abs().sum() / len(std)).to(y.dtype)


def _errors(forecast: Normal, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return s and (y - mu)^2, both in one row, float64."""
    mean, std = (moment.detach().double().flatten() for moment in moments_of(forecast))
    require_targets(y, forecast[0] if isinstance(forecast, tuple) else forecast.mean)
    return std, (y.detach().double().flatten() - mean).square()
