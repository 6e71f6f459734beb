"""What a Gaussian around the trained parameters must offer, whatever the structure of its precision.

A curvature H is a sum over the data, without the prior; with a prior precision tau it becomes the posterior

    theta ~ N(theta_MAP, A^-1),   A = H + diag(tau)

    Curvature     .with_prior(tau) -> Posterior
    Posterior     .log_det, .variance(), .sample(...), .covariance(jacobian)
    Functional    .functional(model, x): outputs and their covariances without Jacobians, where a structure can
    Spread        .variances(model, x): outputs and their variances alone
    prior_of      tau as a number for each parameter, checked
"""

import math
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError

__all__ = ["Curvature", "Functional", "Posterior", "Spread", "prior_of"]


@runtime_checkable
class Posterior(Protocol):
    """A Gaussian over P parameters with mean zero: deviations from the trained ones.

    Source: [mackay1992practical]; the interface is ours, so that predictions do not depend on the structure
    """

    @property
    def log_det(self) -> float:
        """Return ln det A, in nats."""
        ...

    def variance(self) -> Tensor:
        """Return the diagonal of A^-1, shape (P,), float64."""
        ...

    def sample(self, samples: int, *, generator: torch.Generator) -> Tensor:
        """Return deviations from the trained parameters, shape (S, P), float64."""
        ...

    def covariance(self, jacobian: Tensor) -> Tensor:
        """Return J A^-1 J^T for each example, (N, C, P) -> (N, C, C), float64."""
        ...


@runtime_checkable
class Functional(Protocol):
    """A posterior that knows a shorter way to the covariances of outputs than J A^-1 J^T.

    Source: ours
    """

    def functional(self, model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs (N, C) and their covariances (N, C, C), float64."""
        ...


@runtime_checkable
class Spread(Protocol):
    """A posterior that knows a shorter way still where only the variances of outputs are wanted.

    Source: ours
    """

    def variances(self, model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return outputs (N, C) and their variances (N, C), float64."""
        ...


@runtime_checkable
class Curvature(Protocol):
    """The curvature H of the summed loss, without the prior.

    Source: [mackay1992practical]; the interface is ours
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the parameters that it covers, in the order of their entries."""
        ...

    @property
    def size(self) -> int:
        """Return P, how many entries there are."""
        ...

    def with_prior(self, tau: Tensor) -> Posterior:
        """Return the posterior for a prior precision, one number or one for each entry, shape (P,)."""
        ...


def prior_of(tau: Tensor | float, size: int) -> Tensor:
    """Return the prior precision of every parameter.

    Args:
        tau: precision, 1 / variance of a parameter before the data: one number, or one for each, shape (P,).
        size: P.

    Returns:
        Shape (P,), float64.

    Raises:
        ParameterError: if the shape does not fit, or an entry is negative, NaN or infinite. Zero is let through: a
            structure refuses it where its curvature has no inverse.

    Source: [mackay1992practical]
    """
    given = torch.as_tensor(tau, dtype=torch.float64)
    if given.ndim > 1 or (given.ndim == 1 and len(given) != size):
        raise ParameterError(
            f"the prior precision is one number, or one for each of {size} parameters, got shape {tuple(given.shape)}"
        )
    if not bool(((given >= 0) & (given < math.inf)).all()):
        raise ParameterError(
            f"a prior precision is at least 0 and finite, got {float(given.min()):g} to {float(given.max()):g}; "
            "it is 1 / variance: 1 lets weights be about 1, 100 about 0.1"
        )
    return given.expand(size)
