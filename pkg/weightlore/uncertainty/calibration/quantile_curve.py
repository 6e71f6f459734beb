"""Calibration of predicted numbers: is the 90 % quantile above the observation nine times in ten?

cdf_values                    F_i(y_i) (N,), what each forecast says of its observation
quantile_calibration_curve    observed frequency over level, with its mean and root mean square distance
miscalibration_area           the area between that curve and the diagonal, without a grid

y <= F^-1(q)  is  F(y) <= q,   so that all of it can be read from the values F_i(y_i)
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.regression.given import Normal
from weightlore.uncertainty.regression.spread import pit_values

__all__ = ["Forecast", "QuantileCurve", "cdf_values", "miscalibration_area", "quantile_calibration_curve"]

Forecast = Normal | Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class QuantileCurve:
    """How often observations were below a predicted quantile.

    Args:
        levels: q, shape (Q,), float64.
        observed: share of observations with y <= F^-1(q), shape (Q,), float64.

    Source: [kuleshov2018regression], calibration diagnostics
    """

    levels: Tensor
    observed: Tensor

    @property
    def mean_absolute(self) -> float:
        """Mean over the levels of |observed - level|."""
        return float((self.observed - self.levels).abs().mean())

    @property
    def root_mean_square(self) -> float:
        """Root of the mean over the levels of (observed - level)^2."""
        return float((self.observed - self.levels).square().mean().sqrt())


def cdf_values(forecast: Forecast, y: Tensor) -> Tensor:
    """Return the distribution function of each forecast at its observation.

        u_i = F_i(y_i),   Phi((y_i - mu_i) / s_i) for a normal forecast

    Args:
        forecast: a Gaussian prediction or a pair (mean, std), for normal forecasts; for any other a function from y to
            F(y), entry by entry, such as the ``cdf`` of a ``torch.distributions`` object. Where s is 0, F is a step.
        y: observations, shape (N, D) or (N,), that of the mean.

    Returns:
        u, shape (N D,), float64: all outputs in one row.

    Raises:
        ParameterError: if y is empty or not finite, shapes do not fit, or F has values outside of [0, 1].

    Source: [kuleshov2018regression], quantile calibration
    """
    if not callable(forecast):
        return pit_values(forecast, y).detach().double().flatten()
    if not isinstance(y, Tensor) or not y.is_floating_point() or y.numel() == 0:
        came = f"{tuple(y.shape)}, {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        raise ParameterError(f"y holds floating observations, at least one, got {came}")
    values = forecast(require_finite("y", y)).detach()
    if values.shape != y.shape or not bool(((values >= 0) & (values <= 1)).all()):
        raise ParameterError(
            f"a distribution function has a value in [0, 1] for each of the {tuple(y.shape)} observations, got shape "
            f"{tuple(values.shape)} or values outside; give F, not its logarithm, inverse or density"
        )
    return values.double().flatten()


def quantile_calibration_curve(forecast: Forecast, y: Tensor, *, levels: Tensor | None = None) -> QuantileCurve:
    """Return how often observations are below predicted quantiles, over the level.

        observed(q) = 1/N #{i: y_i <= F_i^-1(q)}

    A calibrated forecaster is on the diagonal; an S that is steep at both ends is one whose intervals are too narrow.

    Args:
        forecast: as in ``cdf_values``.
        y: likewise.
        levels: q, shape (Q,), in [0, 1]; ``None`` for 0.01, 0.02, ... 0.99.

    Returns:
        The curve; ``mean_absolute`` and ``root_mean_square`` are its distances from the diagonal.

    Raises:
        ParameterError: as ``cdf_values``, or if levels are not numbers in [0, 1].

    Example:
        >>> curve = quantile_calibration_curve((torch.zeros(3), torch.ones(3)), torch.tensor([-1.0, 0.0, 1.0]))
        >>> curve.observed[[9, 49, 89]]
        tensor([0.0000, 0.6667, 1.0000], dtype=torch.float64)

    Source: [kuleshov2018regression], calibration diagnostics
    """
    u = cdf_values(forecast, y)
    q = torch.arange(1, 100, dtype=torch.float64, device=u.device) / 100 if levels is None else levels.to(u)
    if q.ndim != 1 or not len(q) or not bool(((q >= 0) & (q <= 1)).all()):
        raise ParameterError(f"levels are numbers in [0, 1], shape (Q,), got {q.tolist()}")
    below = torch.searchsorted(u.sort().values, q.contiguous(), right=True)
    return QuantileCurve(q, below.double() / len(u))


def miscalibration_area(forecast: Forecast, y: Tensor) -> Tensor:
    """Return the area between the curve of all levels and the diagonal.

        integral over q from 0 to 1 of | 1/N #{i: u_i <= q} - q |

    The curve is a staircase, so that the integral is a sum of triangles and trapezoids: exact, and no levels to choose.

    Args:
        forecast: as in ``cdf_values``.
        y: likewise.

    Returns:
        The area, shape (), in [0, 1/2], in the dtype of y. About 0.3 / sqrt(N) for a perfect forecaster.

    Raises:
        ParameterError: as ``cdf_values``.

    Example:
        >>> miscalibration_area((torch.zeros(2), torch.ones(2)), torch.tensor([9.0, 9.0]))
        tensor(0.5000)

    Source: [kuleshov2018regression], for the diagram; the exact area is ours
    """
    u = cdf_values(forecast, y).sort().values
    ends = torch.cat([u.new_zeros(1), u, u.new_ones(1)])
    height = torch.arange(len(u) + 1, dtype=u.dtype, device=u.device) / len(u)  # of the stair from ends[i] to ends[i+1]
    low, high = ends[:-1] - height, ends[1:] - height
    return ((high * high.abs() - low * low.abs()).sum() / 2).to(y.dtype)  # integral of |t| from low to high
