"""A predicted number with two variances: the noise in the data, and what the model does not know.

GaussianPrediction(mean, aleatoric_var, epistemic_var)      N examples, D outputs
GaussianPrediction.from_members(means, variances)           by the law of total variance
.variance, .std, .parts                                     the sum, its root, the two roots

Var(y) = 1/S sum_s v_s + 1/S sum_s (mu_s - mu)^2
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite

__all__ = ["GaussianPrediction"]


@dataclass(frozen=True, eq=False)
class GaussianPrediction:
    """Mean and variances of D numbers for each of N examples.

    Args:
        mean: shape (N, D).
        aleatoric_var: variance of the noise, shape (N, D), >= 0, in squared units of the mean.
        epistemic_var: variance of what the model does not know, shape (N, D), >= 0.
        member_means: mu_s, shape (S, N, D), where members made the prediction.
        member_vars: v_s, shape (S, N, D), likewise.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or a variance is negative.

    Example:
        >>> one = torch.ones(1, 1)
        >>> GaussianPrediction(0 * one, 9 * one, 16 * one).std
        tensor([[5.]])

    Source: [depeweg2018decomposition], variances
    """

    mean: Tensor
    aleatoric_var: Tensor
    epistemic_var: Tensor
    member_means: Tensor | None = None
    member_vars: Tensor | None = None

    def __post_init__(self) -> None:
        _require("the mean", self.mean, 2)
        for name in ("aleatoric_var", "epistemic_var"):
            _require(name, getattr(self, name), 2, shape=self.mean.shape, variance=True)
        members = (self.member_means, self.member_vars)
        if (members[0] is None) != (members[1] is None):
            raise ParameterError("members have means and variances, got one of them only; give both or neither")
        if self.member_means is not None and self.member_vars is not None:
            _require("member_means", self.member_means, 3)
            shape = torch.Size((len(self.member_means), *self.mean.shape))
            _require("member_means", self.member_means, 3, shape=shape)
            _require("member_vars", self.member_vars, 3, shape=shape, variance=True)

    @classmethod
    def from_members(cls, means: Tensor, variances: Tensor) -> "GaussianPrediction":
        """Return the Gaussian with the moments of the equal mixture of the members.

            mu = 1/S sum_s mu_s,   aleatoric = 1/S sum_s v_s,   epistemic = 1/S sum_s (mu_s - mu)^2

        Args:
            means: mu_s, shape (S, N, D).
            variances: v_s, shape (S, N, D), >= 0.

        Raises:
            ParameterError: if shapes do not fit, an entry is not finite, or a variance is negative.
        """
        _require("the means", means, 3)
        _require("the variances", variances, 3, shape=means.shape, variance=True)
        spread = means.var(0, correction=0)
        return cls(means.mean(0), variances.mean(0), spread, means, variances)

    @property
    def variance(self) -> Tensor:
        """Sum of both variances, shape (N, D)."""
        return self.aleatoric_var + self.epistemic_var

    @property
    def std(self) -> Tensor:
        """Standard deviation of a new observation, shape (N, D), in the unit of the mean."""
        return self.variance.sqrt()

    @property
    def parts(self) -> tuple[Tensor, Tensor]:
        """Its aleatoric and its epistemic standard deviation; their squares add up, they themselves do not."""
        return self.aleatoric_var.sqrt(), self.epistemic_var.sqrt()


def _require(name: str, value: Tensor, axes: int, *, shape: torch.Size | None = None, variance: bool = False) -> None:
    letters = "(S, N, D)" if axes == 3 else "(N, D)"
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.ndim != axes or value.numel() == 0:
        came = f"{tuple(value.shape)}, {value.dtype}" if isinstance(value, Tensor) else type(value).__name__
        raise ParameterError(
            f"{name} must be a floating tensor of shape {letters}, got {came}; one output is y[..., None]"
        )
    if shape is not None and value.shape != shape:
        raise ParameterError(
            f"{name} must have the shape that goes with the means, {tuple(shape)}, got {tuple(value.shape)}"
        )
    require_finite(name, value)
    if variance and float(value.detach().min()) < 0:
        raise ParameterError(f"{name} is a variance and must be >= 0, got {float(value.detach().min()):g}")
