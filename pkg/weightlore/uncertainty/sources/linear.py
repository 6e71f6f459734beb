"""Bayesian linear regression: the model whose posterior is known exactly, and against which others are tested.

y = x . theta + noise,   theta ~ N(0, diag(tau)^-1),   noise ~ N(0, s2)

A = diag(tau) + X^T X / s2               precision of the posterior
m = A^-1 X^T y / s2                      its mean
s2 + x^T A^-1 x                          variance of a new observation: data + model
ln N(y; 0, s2 I + X diag(tau)^-1 X^T)    evidence

BayesianLinearRegression     fit, predict, sample, log_evidence
with_bias                    a column of ones before the inputs
"""

import math
from typing import Self

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.predictions.gaussian import GaussianPrediction
from weightlore.uncertainty.sources.rows import require_rows

__all__ = ["BayesianLinearRegression", "with_bias"]


class BayesianLinearRegression:
    """Linear regression with a Gaussian prior on the parameters and known noise.

    A bias is a column of ones in x (``with_bias``). Several targets share the inputs, the noise and so the covariance.

    Args:
        prior_precision: tau > 0, one number or one for each input, shape (D,); 1 / tau is the variance of a parameter.
        noise_variance: s2 > 0, in squared units of the target.

    Raises:
        ParameterError: if one is not positive and finite.

    Example:
        >>> x, y = torch.tensor([[1.0], [1.0]]), torch.tensor([[2.0], [4.0]])
        >>> round(BayesianLinearRegression(1.0, 1.0).fit(x, y).mean.item(), 6)
        2.0

    Source: [bishop2006pattern], Eq. (3.50)-(3.54), (3.58)-(3.59)
    """

    def __init__(self, prior_precision: float | Tensor, noise_variance: float) -> None:
        self.prior_precision = torch.as_tensor(prior_precision, dtype=torch.float64)
        self.noise_variance = float(noise_variance)
        positive = bool((self.prior_precision.isfinite() & (self.prior_precision > 0)).all())
        if self.prior_precision.ndim > 1 or not positive or not 0 < self.noise_variance < math.inf:
            raise ParameterError(
                "prior_precision (one number, or one for each input) and noise_variance must be finite and > 0, "
                f"got {prior_precision} and {noise_variance}"
            )
        self._fitted: tuple[Tensor, Tensor, Tensor, Tensor] | None = None  # x, y, the factor of A, m

    def fit(self, x: Tensor, y: Tensor) -> Self:
        """Find the posterior; a second call begins anew.

        Args:
            x: inputs, shape (N, D).
            y: targets, shape (N, O), in the unit of the predictions.

        Returns:
            This object.

        Raises:
            ParameterError: if shapes do not fit, or an entry is not finite.
        """
        x64, y64 = require_rows("x", x), require_rows("y", y)
        if len(x64) != len(y64) or self.prior_precision.shape not in ((), (x64.shape[1],)):
            raise ParameterError(
                f"x (N, D), y (N, O) and one prior precision or D of them go together, got {tuple(x.shape)}, "
                f"{tuple(y.shape)} and {tuple(self.prior_precision.shape)}"
            )
        tau = self.prior_precision.expand(x64.shape[1])
        factor = torch.linalg.cholesky(torch.diag(tau) + x64.T @ x64 / self.noise_variance)
        mean = torch.cholesky_solve(x64.T @ y64 / self.noise_variance, factor)
        self._fitted = x64, y64, factor, mean
        return self

    @property
    def mean(self) -> Tensor:
        """m, mean and mode of the posterior, shape (D, O), float64."""
        return self._posterior()[3]

    @property
    def precision(self) -> Tensor:
        """A, shape (D, D), float64, the same for every output."""
        factor = self._posterior()[2]
        return factor @ factor.T

    @property
    def covariance(self) -> Tensor:
        """A^-1, shape (D, D), float64, the same for every output."""
        return torch.cholesky_inverse(self._posterior()[2])

    def predict(self, x: Tensor) -> GaussianPrediction:
        """Return mean and both variances of new observations.

            x . m,   s2,   x^T A^-1 x

        Args:
            x: inputs, shape (N, D).

        Returns:
            The prediction, N examples and O outputs, in the dtype of x.

        Raises:
            ParameterError: if nothing was fitted, or x does not fit.
        """
        mean = require_rows("x", x, len(self.mean)) @ self.mean
        model = self._half(x).square().sum(0)[:, None].expand_as(mean)
        data = torch.full_like(mean, self.noise_variance)
        return GaussianPrediction(mean.to(x.dtype), data.to(x.dtype), model.to(x.dtype))

    def function_covariance(self, x: Tensor) -> Tensor:
        """Return the covariance of x . theta between all pairs of inputs, without the noise, shape (N, N), float64.

            X A^-1 X^T

        Args:
            x: inputs, shape (N, D).

        Raises:
            ParameterError: if nothing was fitted, or x does not fit.
        """
        half = self._half(x)
        return half.T @ half

    def sample(self, count: int, *, generator: torch.Generator) -> Tensor:
        """Draw parameters from the posterior.

        Args:
            count: S, >= 1.
            generator: source of all randomness.

        Returns:
            Shape (S, D, O), float64.

        Raises:
            ParameterError: if nothing was fitted, or the count is below 1.
        """
        if count < 1:
            raise ParameterError(f"count is a number of samples and must be >= 1, got {count}")
        _, _, factor, mean = self._posterior()
        z = torch.randn(count, *mean.shape, generator=generator, dtype=torch.float64)
        return mean + torch.linalg.solve_triangular(factor.T, z, upper=True)

    def log_evidence(self) -> Tensor:
        """Return the log probability of the targets with all parameters integrated out, summed over outputs, in nats.

            -N/2 ln(2 pi s2) - |y - X m|^2 / (2 s2) - m^T diag(tau) m / 2 + (sum ln tau - ln det A) / 2

        Raises:
            ParameterError: if nothing was fitted.
        """
        x, y, factor, mean = self._posterior()
        tau = self.prior_precision.expand(len(mean))
        misfit = (y - x @ mean).square().sum() / self.noise_variance + (tau[:, None] * mean.square()).sum()
        volume = (
            tau.log().sum() - 2 * factor.diagonal().log().sum() - len(x) * math.log(2 * math.pi * self.noise_variance)
        )
        return (y.shape[1] * volume - misfit) / 2

    def _half(self, x: Tensor) -> Tensor:
        """Return L^-1 X^T with A = L L^T, shape (D, N)."""
        factor = self._posterior()[2]
        return torch.linalg.solve_triangular(factor, require_rows("x", x, len(factor)).T, upper=False)

    def _posterior(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self._fitted is None:
            raise ParameterError("there is no posterior before the data: call fit(x, y) first")
        return self._fitted


def with_bias(x: Tensor) -> Tensor:
    """Return the inputs with a column of ones before them.

    Args:
        x: shape (N, D).

    Returns:
        Shape (N, 1 + D), in the dtype of x.

    Raises:
        ParameterError: if x has another shape or is not finite.

    Example:
        >>> with_bias(torch.tensor([[2.0], [3.0]]))
        tensor([[1., 2.],
                [1., 3.]])

    Source: [bishop2006pattern], Sec. 3.1
    """
    require_rows("x", x)
    return torch.cat([torch.ones_like(x[:, :1]), x], dim=1)
