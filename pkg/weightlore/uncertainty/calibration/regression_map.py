"""Recalibrate predicted numbers: bend the predicted distribution, or stretch it.

    u_n = F_n(y_n)                                    gaussian_levels: uniform if the forecasts are calibrated
    R(u) = share of held-out u_n that are <= u        IsotonicCDF,   quantile q becomes F^-1( R^-1(q) )
    s^2 = mean (y - m)^2 / v                          StdScaling,    variance v becomes s^2 v

The first can repair any shape of error that all forecasts share, the second only a common factor; it needs far fewer
data for it.
"""

from typing import Self

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.calibration.calibrator import not_fitted
from weightlore.uncertainty.calibration.piecewise import Knots
from weightlore.uncertainty.predictions import GaussianPrediction

__all__ = ["IsotonicCDF", "StdScaling", "gaussian_levels"]


class IsotonicCDF:
    """Map predicted levels to the levels that were observed.

        R(u) = 1/N #{n : u_n <= u} at the held-out levels and linear between them, R(0) = 0, R(1) = 1

    Attributes:
        map: R, a polygon; ``None`` before ``fit``.

    Example:
        >>> repair = IsotonicCDF().fit(torch.tensor([0.4, 0.5]))
        >>> repair(torch.tensor([0.2, 0.45])), repair.inverse(torch.tensor([0.5]))
        (tensor([0.2500, 0.7500]), tensor([0.4000]))

    Source: [kuleshov2018regression], Algorithm 1
    """

    def __init__(self) -> None:
        self.map: Knots | None = None

    def fit(self, levels: Tensor) -> Self:
        """Learn the map from the levels at which held-out targets were found.

        The shares never fall, so that their isotonic regression on the levels is they themselves. Targets beyond every
        forecast, at level 0 or 1, leave a jump there.

        Args:
            levels: u, predicted probability of a value up to the target, in [0, 1], shape (N,), or (N, D) where one map
                serves all outputs.

        Returns:
            The map itself.

        Raises:
            ParameterError: if the levels are not of that form.
        """
        places, counts = _require_levels("levels", levels).flatten().double().cpu().unique(return_counts=True)
        shares = counts.cumsum(0).double() / counts.sum()
        x, y = [places], [shares]
        if places[0] > 0:
            x, y = [places.new_zeros(1), *x], [shares.new_zeros(1), *y]
        if places[-1] < 1:
            x, y = [*x, places.new_ones(1)], [*y, shares.new_ones(1)]
        self.map = Knots(torch.cat(x), torch.cat(y))
        return self

    def __call__(self, levels: Tensor) -> Tensor:
        """Return R(u), the recalibrated levels, for predicted levels of any shape and in their dtype."""
        return self._fitted()(_require_levels("levels", levels)).to(levels)

    def inverse(self, q: Tensor) -> Tensor:
        """Return the predicted level to look up for a wanted one: R^-1(q) = min { u : R(u) >= q }.

        Args:
            q: wanted levels, any shape, in [0, 1].

        Returns:
            Levels in the shape and dtype of q.

        Raises:
            ParameterError: if a level is outside [0, 1].
        """
        knots, wanted = self._fitted(), _require_levels("q", q).double().cpu().contiguous()
        high = torch.searchsorted(knots.y, wanted).clamp(max=len(knots.y) - 1)
        low = (high - 1).clamp(min=0)
        rise = knots.y[high] - knots.y[low]
        share = torch.where(rise > 0, (wanted - knots.y[low]) / rise, 1.0).clamp(0, 1)
        return torch.lerp(knots.x[low], knots.x[high], share).to(q)

    def quantile(self, prediction: GaussianPrediction, q: Tensor) -> Tensor:
        """Return recalibrated quantiles of Gaussian forecasts, F^-1( R^-1(q) ).

        Args:
            prediction: N forecasts of D numbers.
            q: wanted levels, shape (Q,), in [0, 1].

        Returns:
            Shape (Q, N, D); infinite where R^-1(q) is 0 or 1.

        Raises:
            ParameterError: if a level is outside [0, 1] or the levels are no vector.
        """
        if q.ndim != 1:
            raise ParameterError(f"q must be a vector of levels (Q,), got shape {tuple(q.shape)}; one level is q[None]")
        units = torch.special.ndtri(self.inverse(q).to(prediction.mean))
        return prediction.mean + prediction.std * units[:, None, None]

    def _fitted(self) -> Knots:
        if self.map is None:
            raise not_fitted(self)
        return self.map


class StdScaling:
    """Multiply predicted standard deviations by one factor for each output.

        s^2 = 1/N sum_n (y_n - m_n)^2 / v_n

    This is the factor with the largest Gaussian likelihood, in closed form. The parts of the variance keep their
    proportion, and members move away from their mean, or toward it, by the same factor.

    Attributes:
        scale: s, shape (D,); ``None`` before ``fit``.

    Example:
        >>> m, v = torch.zeros(2, 1), torch.ones(2, 1)
        >>> forecast = GaussianPrediction(m, v, 0 * v)
        >>> StdScaling().fit(forecast, torch.tensor([[2.0], [-2.0]]))(forecast).std[0]
        tensor([2.])

    Source: [laves2020regression] and [levi2022regression], scaling of the standard deviation
    """

    def __init__(self) -> None:
        self.scale: Tensor | None = None

    def fit(self, prediction: GaussianPrediction, y: Tensor) -> Self:
        """Find the factors on held-out data.

        Args:
            prediction: N forecasts of D numbers, with variances > 0.
            y: targets, shape (N, D), in the unit of the mean.

        Returns:
            The map itself.

        Raises:
            ParameterError: if targets have another shape, a variance is 0, or the forecasts hit every target exactly.
        """
        _require_targets(prediction, y)
        found = ((y.double() - prediction.mean.double()) ** 2 / prediction.variance.double()).mean(0)
        if bool((found == 0).any()):
            raise ParameterError(
                "all targets of an output were hit exactly, and no factor is small enough; fit on data that the "
                f"network has not been trained on, got {len(y)} examples"
            )
        self.scale = found.sqrt()
        return self

    def __call__(self, prediction: GaussianPrediction) -> GaussianPrediction:
        """Return the forecasts with stretched variances; means stay."""
        if self.scale is None:
            raise not_fitted(self)
        if prediction.mean.shape[1] != len(self.scale):
            raise ParameterError(
                f"factors were fitted for {len(self.scale)} outputs, got forecasts of {prediction.mean.shape[1]}; "
                "fit anew"
            )
        s, mean, means, variances = self.scale.to(prediction.mean), prediction.mean, None, None
        if prediction.member_means is not None and prediction.member_vars is not None:
            means, variances = mean + s * (prediction.member_means - mean), s**2 * prediction.member_vars
        return GaussianPrediction(
            mean, s**2 * prediction.aleatoric_var, s**2 * prediction.epistemic_var, means, variances
        )


def gaussian_levels(prediction: GaussianPrediction, y: Tensor) -> Tensor:
    """Return the predicted probability of a value up to each target.

        u = Phi( (y - m) / sqrt(v) )

    Args:
        prediction: N forecasts of D numbers, with variances > 0.
        y: targets, shape (N, D), in the unit of the mean.

    Returns:
        u, shape (N, D), in [0, 1].

    Raises:
        ParameterError: if targets have another shape, or a variance is 0.

    Example:
        >>> zero, one = torch.zeros(1, 1), torch.ones(1, 1)
        >>> gaussian_levels(GaussianPrediction(zero, one, zero), zero)
        tensor([[0.5000]])

    Source: [kuleshov2018regression], Algorithm 1, for Gaussian forecasts
    """
    _require_targets(prediction, y)
    return torch.special.ndtr((y.to(prediction.mean) - prediction.mean) / prediction.std)


def _require_targets(prediction: GaussianPrediction, y: Tensor) -> None:
    if not isinstance(y, Tensor) or not y.is_floating_point() or y.shape != prediction.mean.shape:
        came = f"{tuple(y.shape)}, {y.dtype}" if isinstance(y, Tensor) else type(y).__name__
        raise ParameterError(
            f"targets must be a floating tensor of the shape of the forecasts, {tuple(prediction.mean.shape)}, got "
            f"{came}; one output is y[:, None]"
        )
    require_finite("targets", y)
    if not float(prediction.variance.min()) > 0:
        raise ParameterError(
            "variances must be > 0 to be scaled or to give levels, but one is 0; add the variance of the noise, got "
            f"{int((prediction.variance <= 0).sum())} of them"
        )


def _require_levels(name: str, levels: Tensor) -> Tensor:
    if not isinstance(levels, Tensor) or not levels.is_floating_point() or levels.numel() == 0:
        came = f"{tuple(levels.shape)}, {levels.dtype}" if isinstance(levels, Tensor) else type(levels).__name__
        raise ParameterError(f"{name} must be a floating tensor of probabilities, got {came}")
    low, high = float(require_finite(name, levels).min()), float(levels.max())
    if low < 0 or high > 1:
        raise ParameterError(f"{name} are probabilities in [0, 1], got {low:.3g} to {high:.3g}; pass F(y), not y")
    return levels.detach()
