"""A full precision over a few parameters; all others stay where they are.

widest            the m parameters with the largest variance under a diagonal precision
fit_subnetwork    the full Gauss-Newton matrix of those
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.parameters import layout
from weightlore.parameters.groups import Group
from weightlore.uncertainty.laplace.full import LARGEST, FullCurvature, FullPosterior, require_room
from weightlore.uncertainty.laplace.jacobians import curvature_rows, jacobians
from weightlore.uncertainty.laplace.posterior import prior_of
from weightlore.uncertainty.laplace.roots import Likelihood

__all__ = ["SubnetworkCurvature", "SubnetworkPosterior", "fit_subnetwork", "widest"]


@dataclass(frozen=True, eq=False)
class SubnetworkCurvature:
    """The curvature of m of P parameters.

    Args:
        inner: that of the m alone.
        indices: which they are, shape (m,), int64, ascending.
        names: of all parameters.
        size: P.

    Source: [daxberger2021subnetwork]
    """

    inner: FullCurvature
    indices: Tensor
    names: tuple[str, ...]
    size: int

    def with_prior(self, tau: Tensor) -> "SubnetworkPosterior":
        """Return the Gaussian over the m parameters.

        Args:
            tau: prior precision, shape () or (P,).

        Raises:
            IndefiniteError: as ``FullCurvature.with_prior``.
        """
        return SubnetworkPosterior(
            self.inner.with_prior(prior_of(tau, self.size)[self.indices]), self.indices, self.size
        )


@dataclass(frozen=True, eq=False)
class SubnetworkPosterior:
    """A Gaussian over m of P parameters; the others have no spread.

    Args:
        inner: over the m parameters.
        indices: which they are, shape (m,).
        size: P.

    Source: [daxberger2021subnetwork]
    """

    inner: FullPosterior
    indices: Tensor
    size: int

    @property
    def log_det(self) -> float:
        """The logarithm ln det A of the m parameters, in nats."""
        return self.inner.log_det

    def variance(self) -> Tensor:
        """Return the variances, zero for what stays, shape (P,)."""
        return torch.zeros(self.size, dtype=torch.float64).index_copy(0, self.indices, self.inner.variance())

    def sample(self, samples: int, *, generator: torch.Generator) -> Tensor:
        """Return deviations, zero for what stays, shape (S, P).

        Args:
            samples: S.
            generator: where they come from.
        """
        drawn = self.inner.sample(samples, generator=generator)
        return torch.zeros(samples, self.size, dtype=torch.float64).index_copy(1, self.indices, drawn)

    def covariance(self, jacobian: Tensor) -> Tensor:
        """Return J A^-1 J^T over the m parameters, shape (N, C, C).

        Args:
            jacobian: J of all parameters, shape (N, C, P).
        """
        return self.spread(jacobian[..., self.indices])

    def shown(self, model: nn.Module, x: Tensor, *, group: Group) -> Iterator[tuple[Tensor, Tensor]]:
        """Return outputs (n, C) and their Jacobian in the m parameters, shape (n, C, m), piece by piece.

        Args:
            model: whose curvature was taken; used in evaluation mode and left as it is.
            x: inputs, shape (N, ...).
            group: all P parameters.

        Raises:
            ParameterError: as ``jacobians``.
        """
        return ((f, J[..., self.indices]) for f, J in jacobians(model, x, group=group))

    def spread(self, seen: Tensor) -> Tensor:
        """Return J A^-1 J^T for each example, shape (N, C, C).

        Args:
            seen: J of the m parameters, shape (N, C, m).
        """
        return self.inner.covariance(seen)


def widest(diagonal: Tensor, tau: Tensor | float, count: int) -> Tensor:
    """Return which parameters have the largest variance under a diagonal precision.

        argmax_m of 1 / (H_ii + tau_i)

    Args:
        diagonal: of H, shape (P,).
        tau: prior precision, one number or shape (P,).
        count: m, 1 to P.

    Returns:
        Indices, shape (m,), int64, ascending; of equals the first.

    Raises:
        ParameterError: if m is out of range.

    Source: [daxberger2021subnetwork]
    """
    require_counts(size=count)
    if count > len(diagonal):
        raise ParameterError(f"size={count} parameters are more than the {len(diagonal)} that there are")
    precision = diagonal + prior_of(tau, len(diagonal))
    return precision.sort(stable=True).indices[:count].sort().values


def fit_subnetwork(
    model: nn.Module,
    data: Split,
    likelihood: Likelihood,
    *,
    size: int,
    tau: Tensor | float,
    noise_variance: float = 1.0,
    group: Group = None,
) -> SubnetworkCurvature:
    """Return the full Gauss-Newton matrix of the parameters that a diagonal Laplace approximation spreads most.

    The data pass twice: for the diagonal, and for the matrix of the chosen.

    Args:
        model: trained, returns (N, C); used in evaluation mode and left as it is.
        data: N examples, those of training.
        likelihood: what the outputs mean.
        size: m.
        tau: prior precision by which the variances are compared.
        noise_variance: of a regression's targets.
        group: among which parameters; ``None`` for all that require a gradient.

    Raises:
        ParameterError: if m is out of range, or larger than a full precision may be.

    Example:
        >>> data = Split(torch.tensor([[1.0, 3.0]]), torch.zeros(1, 1))
        >>> fit_subnetwork(nn.Linear(2, 1, bias=False), data, "regression", size=1, tau=1.0).indices
        tensor([0])

    Source: [daxberger2021subnetwork]
    """
    require_room(size, LARGEST, instead="a smaller size")
    P = layout(model, group).size
    rows = partial(curvature_rows, model, data, likelihood, noise_variance=noise_variance, group=group)
    diagonal = torch.zeros(P, dtype=torch.float64)
    for V in rows():
        diagonal += V.square().sum(0)
    indices = widest(diagonal, tau, size)
    H = torch.zeros(size, size, dtype=torch.float64)
    for V in rows():
        chosen = V[:, indices]
        H.addmm_(chosen.mT, chosen)
    names = layout(model, group).names
    return SubnetworkCurvature(FullCurvature(names, H), indices, names, P)
