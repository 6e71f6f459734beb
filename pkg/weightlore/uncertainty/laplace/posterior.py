"""What a Gaussian around the trained parameters must offer, whatever the structure of its precision.

A curvature H is a sum over the data, without the prior; with a prior precision tau it becomes the posterior

    theta ~ N(theta_MAP, A^-1),   A = H + diag(tau)

    Curvature     .with_prior(tau) -> Posterior
    Posterior     .log_det, .variance(), .sample(...), .covariance(jacobian)
    Functional    .shown(model, x), .spread(...): covariances of outputs from less than Jacobians, where a structure can
    Alone         .alone(...): variances of outputs without their covariances
    prior_of      tau as a number for each parameter, checked
    prior_named   the same from numbers by names
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.parameters import ParameterLayout
from weightlore.parameters.groups import Group

__all__ = ["Alone", "Curvature", "Functional", "Posterior", "prior_named", "prior_of"]


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

    What it needs of the inputs does not depend on the prior, so that it can be kept while priors change.

    Source: ours
    """

    def shown(self, model: nn.Module, x: Tensor, *, group: Group) -> Iterator[tuple[Tensor, Any]]:
        """Return outputs (n, C) and what ``spread`` needs, piece by piece."""
        ...

    def spread(self, seen: Any) -> Tensor:
        """Return the covariances of the outputs of a piece, shape (n, C, C), float64."""
        ...


@runtime_checkable
class Alone(Functional, Protocol):
    """A posterior that knows a shorter way still where only the variances of outputs are wanted.

    Source: ours
    """

    def alone(self, seen: Any) -> Tensor:
        """Return the variances of the outputs of a piece, shape (n, C), float64."""
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


def prior_named(given: Mapping[str, float], covered: ParameterLayout) -> Tensor:
    """Return the prior precision of every parameter from numbers by names of parameters or layers.

    Args:
        given: precisions; the name of a parameter goes before that of its layer.
        covered: where the covered parameters lie.

    Returns:
        Shape (P,), float64.

    Raises:
        ParameterError: if a parameter has no number, or as ``prior_of``.

    Source: [mackay1992practical], one precision for each layer
    """
    missing = [slot.name for slot in covered.slots if slot.name not in given and slot.layer not in given]
    if missing:
        raise ParameterError(f"prior_precision names {sorted(given)}, and nothing for {missing}")
    numbers = [float(given.get(slot.name, given.get(slot.layer, 0.0))) for slot in covered.slots]
    sizes = torch.tensor([slot.size for slot in covered.slots])
    return prior_of(torch.tensor(numbers, dtype=torch.float64).repeat_interleave(sizes), covered.size)
