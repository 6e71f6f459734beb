"""Exact regression by a Gaussian process: a prior over functions, conditioned on what was seen.

f ~ GP(0, k),   y = f(x) + noise,   noise ~ N(0, s2)

k(x*, X) (K + s2 I)^-1 y                              mean
k(x*, x*) - k(x*, X) (K + s2 I)^-1 k(X, x*)           variance of f: the model part
ln N(y; 0, K + s2 I)                                  evidence

ExactGP        fit, predict, log_evidence
rbf_kernel     a^2 exp(-|x - x'|^2 / (2 l^2)): smooth functions
linear_kernel  x . x' / tau: the functions of Bayesian linear regression
"""

import math
from collections.abc import Callable
from typing import Self

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.predictions.gaussian import GaussianPrediction
from weightlore.uncertainty.sources.rows import require_rows

__all__ = ["ExactGP", "Kernel", "linear_kernel", "rbf_kernel"]

Kernel = Callable[[Tensor, Tensor], Tensor]
MOST = 5000  # examples; the covariance of so many takes 200 MB


class ExactGP:
    """Regression by a Gaussian process with known noise, for up to 5,000 examples.

    The prior mean is zero: center the targets.

    Args:
        kernel: prior covariance of f between rows of (N, D) and of (M, D), as (N, M).
        noise_variance: s2 > 0, in squared units of the target.

    Raises:
        ParameterError: if the noise is not positive and finite.

    Example:
        >>> x = torch.tensor([[0.0], [1.0]], dtype=torch.float64)
        >>> gp = ExactGP(rbf_kernel(0.5), 0.01).fit(x, x)
        >>> gp.predict(torch.tensor([[9.0]], dtype=torch.float64)).epistemic_var
        tensor([[1.]], dtype=torch.float64)

    Source: [rasmussen2006gaussian], Algorithm 2.1
    """

    def __init__(self, kernel: Kernel, noise_variance: float) -> None:
        if not 0 < noise_variance < math.inf:
            raise ParameterError(
                f"noise_variance must be finite and > 0, got {noise_variance}; 1e-6 is as good as none"
            )
        self.kernel, self.noise_variance = kernel, float(noise_variance)
        self._fitted: tuple[Tensor, Tensor, Tensor, Tensor] | None = None  # x, y, the factor of K + s2 I, its solution

    def fit(self, x: Tensor, y: Tensor) -> Self:
        """Condition the process on data; a second call begins anew.

        Args:
            x: inputs, shape (N, D).
            y: targets, shape (N, O); the outputs share the kernel.

        Returns:
            This object.

        Raises:
            ParameterError: if shapes do not fit, an entry is not finite, there are too many examples, or the kernel
                gives no covariance.
        """
        x64, y64 = require_rows("x", x), require_rows("y", y)
        if len(x64) != len(y64) or len(x64) > MOST:
            raise ParameterError(
                f"x and y must have the same number of rows, at most {MOST}, got {len(x64)} and {len(y64)}; the "
                "covariance of N examples takes 8 N^2 bytes: fit a part of them"
            )
        covariance = self.kernel(x64, x64) + self.noise_variance * torch.eye(len(x64), dtype=torch.float64)
        factor, failed = torch.linalg.cholesky_ex(require_finite("the kernel", covariance))
        if int(failed):
            raise ParameterError(
                f"the kernel of the {len(x64)} inputs plus the noise is not positive definite; it must be symmetric "
                f"and a covariance. If inputs repeat, raise noise_variance above {self.noise_variance:g}"
            )
        self._fitted = x64, y64, factor, torch.cholesky_solve(y64, factor)
        return self

    def predict(self, x: Tensor) -> GaussianPrediction:
        """Return mean and both variances of new observations.

        Args:
            x: inputs, shape (N, D).

        Returns:
            The prediction, N examples and O outputs, in the dtype of x; the noise is its data part.

        Raises:
            ParameterError: if nothing was fitted, or x does not fit.
        """
        mean = self.kernel(self._inputs(x), self._posterior()[0]) @ self._posterior()[3]
        model = self.function_covariance(x).diagonal().clamp(min=0)[:, None].expand_as(mean)
        data = torch.full_like(mean, self.noise_variance)
        return GaussianPrediction(mean.to(x.dtype), data.to(x.dtype), model.to(x.dtype))

    def function_covariance(self, x: Tensor) -> Tensor:
        """Return the posterior covariance of f between all pairs of inputs, without the noise, shape (N, N), float64.

        Args:
            x: inputs, shape (N, D).

        Raises:
            ParameterError: if nothing was fitted, or x does not fit.
        """
        rows, (seen, _, factor, _) = self._inputs(x), self._posterior()
        half = torch.linalg.solve_triangular(factor, self.kernel(seen, rows), upper=False)
        return self.kernel(rows, rows) - half.T @ half

    def log_evidence(self) -> Tensor:
        """Return the log probability of the targets with f integrated out, summed over outputs, in nats.

            -y^T (K + s2 I)^-1 y / 2 - ln det(K + s2 I) / 2 - N/2 ln(2 pi)

        Raises:
            ParameterError: if nothing was fitted.
        """
        _, y, factor, solution = self._posterior()
        volume = 2 * factor.diagonal().log().sum() + len(y) * math.log(2 * math.pi)
        return -((y * solution).sum() + y.shape[1] * volume) / 2

    def _posterior(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        if self._fitted is None:
            raise ParameterError("the process has seen no data: call fit(x, y) first")
        return self._fitted

    def _inputs(self, x: Tensor) -> Tensor:
        return require_rows("x", x, self._posterior()[0].shape[1])


def rbf_kernel(lengthscale: float, scale: float = 1.0) -> Kernel:
    """Return the kernel of smooth functions: near inputs have alike values.

        k(x, x') = a^2 exp(-|x - x'|^2 / (2 l^2))

    Args:
        lengthscale: l > 0, in the unit of x: how far a value reaches.
        scale: a > 0, in the unit of the target: standard deviation of f where nothing was seen.

    Raises:
        ParameterError: if one is not positive and finite.

    Source: [rasmussen2006gaussian], Eq. (2.31)
    """
    if not (0 < lengthscale < math.inf and 0 < scale < math.inf):
        raise ParameterError(f"lengthscale and scale must be finite and > 0, got {lengthscale} and {scale}")

    def kernel(one: Tensor, other: Tensor) -> Tensor:
        distance = torch.cdist(one, other, compute_mode="donot_use_mm_for_euclid_dist")
        return scale**2 * torch.exp(-(distance / lengthscale).square() / 2)

    return kernel


def linear_kernel(prior_precision: float) -> Kernel:
    """Return the kernel of linear functions, with which the process is Bayesian linear regression.

        k(x, x') = x . x' / tau

    Args:
        prior_precision: tau > 0.

    Raises:
        ParameterError: if it is not positive and finite.

    Source: [rasmussen2006gaussian], Sec. 2.1.2
    """
    if not 0 < prior_precision < math.inf:
        raise ParameterError(f"prior_precision must be finite and > 0, got {prior_precision}")

    def kernel(one: Tensor, other: Tensor) -> Tensor:
        return one @ other.T / prior_precision

    return kernel
