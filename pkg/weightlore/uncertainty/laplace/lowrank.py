"""A few directions that the data determine, and the prior for all others.

H ~ Q diag(l) Q^T,   Q (P, r) orthonormal
A^-1 = 1/tau (I - Q diag(l / (l + tau)) Q^T),   ln det A = P ln tau + sum ln(1 + l / tau)

fit_lowrank    the r largest eigenvalues of the Gauss-Newton matrix, which is never formed
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.parameters import layout
from weightlore.parameters.groups import Group
from weightlore.uncertainty.laplace.jacobians import curvature_rows, jacobians
from weightlore.uncertainty.laplace.posterior import prior_of
from weightlore.uncertainty.laplace.roots import Likelihood

__all__ = ["LowRankCurvature", "LowRankPosterior", "fit_lowrank"]

SPARE = 10  # directions kept beyond the rank while the data pass by
NOTHING = 1e-12  # of the largest eigenvalue


@dataclass(frozen=True, eq=False)
class LowRankCurvature:
    """The largest eigenvalues of the curvature.

    Args:
        names: of the parameters.
        vectors: Q, shape (P, r), float64, orthonormal.
        values: l, shape (r,), from the largest to the smallest.

    Source: [maddox2020dimensionality], [lee2020sparse]
    """

    names: tuple[str, ...]
    vectors: Tensor
    values: Tensor

    @property
    def size(self) -> int:
        """P, how many entries the parameters have."""
        return len(self.vectors)

    def with_prior(self, tau: Tensor) -> "LowRankPosterior":
        """Return the Gaussian with the precision Q diag(l) Q^T + tau I.

        Args:
            tau: prior precision, one number > 0, or a tensor of equal ones.

        Raises:
            ParameterError: if tau is zero or differs between parameters.
        """
        prior = prior_of(tau, self.size)
        if not bool((prior == prior[0]).all()) or float(prior[0]) == 0:
            raise ParameterError(
                f"a low rank needs one prior precision > 0 for all parameters, got {float(prior.min()):g} to "
                f'{float(prior.max()):g}; structures "full", "diag" and "kron" take one for each'
            )
        return LowRankPosterior(self.vectors, self.values, float(prior[0]))


@dataclass(frozen=True, eq=False)
class LowRankPosterior:
    """A Gaussian with the precision Q diag(l) Q^T + tau I.

    Args:
        vectors: Q, shape (P, r).
        values: l, shape (r,).
        tau: > 0.

    Source: [maddox2020dimensionality]
    """

    vectors: Tensor
    values: Tensor
    tau: float

    @property
    def log_det(self) -> float:
        """The logarithm ln det A, in nats."""
        bound = torch.tensor(self.tau, dtype=torch.float64)
        return float(len(self.vectors) * bound.log() + (self.values / bound).log1p().sum())

    def variance(self) -> Tensor:
        """Return the diagonal of A^-1, shape (P,)."""
        return (1 - self.vectors.square() @ self._known) / self.tau

    def sample(self, samples: int, *, generator: torch.Generator) -> Tensor:
        """Return deviations A^-1/2 e, e ~ N(0, I), shape (S, P).

        Args:
            samples: S.
            generator: where e comes from.
        """
        noise = torch.randn(samples, len(self.vectors), generator=generator, dtype=torch.float64)
        short = 1 - (1 - self._known).sqrt()
        return (noise - (noise @ self.vectors * short) @ self.vectors.mT) / self.tau**0.5

    def covariance(self, jacobian: Tensor) -> Tensor:
        """Return J A^-1 J^T for each example, shape (N, C, C).

        Args:
            jacobian: J, shape (N, C, P).
        """
        return self.spread(self._reduced(jacobian))

    def shown(self, model: nn.Module, x: Tensor, *, group: Group) -> Iterator[tuple[Tensor, Tensor]]:
        """Return outputs (n, C), and J Q beside J J^T, shape (n, C, r + C), piece by piece.

        Args:
            model: whose curvature was taken; used in evaluation mode and left as it is.
            x: inputs, shape (N, ...).
            group: the covered parameters.

        Raises:
            ParameterError: as ``jacobians``.
        """
        return ((f, self._reduced(J)) for f, J in jacobians(model, x, group=group))

    def spread(self, seen: Tensor) -> Tensor:
        """Return J A^-1 J^T for each example, shape (N, C, C).

        Args:
            seen: J Q beside J J^T, shape (N, C, r + C).
        """
        turned, squared = seen.split([len(self.values), seen.shape[1]], -1)
        return (squared - (turned * self._known) @ turned.mT) / self.tau

    def _reduced(self, jacobian: Tensor) -> Tensor:
        J = jacobian.double()
        return torch.cat([J @ self.vectors, J @ J.mT], -1)

    @property
    def _known(self) -> Tensor:
        return self.values / (self.values + self.tau)


def fit_lowrank(
    model: nn.Module,
    data: Split,
    likelihood: Likelihood,
    *,
    rank: int,
    noise_variance: float = 1.0,
    group: Group = None,
) -> LowRankCurvature:
    """Return the r directions of largest curvature.

    The rows of R^T J pass by in pieces; after each, the best r + 10 directions of what has been seen are kept. That is
    exact if r is at least the rank of the matrix, and close where the eigenvalues fall.

    Args:
        model: trained, returns (N, C); used in evaluation mode and left as it is.
        data: N examples, those of training.
        likelihood: what the outputs mean.
        rank: r >= 1; more than there are directions gives those that there are.
        noise_variance: of a regression's targets.
        group: which parameters; ``None`` for all that require a gradient.

    Returns:
        The curvature; memory is that of (r + 10) P numbers and one piece.

    Raises:
        ParameterError: if the rank is no whole number >= 1, or the data do not fit the likelihood.

    Example:
        >>> data = Split(torch.tensor([[1.0], [2.0]]), torch.zeros(2, 1))
        >>> round(float(fit_lowrank(nn.Linear(1, 1, bias=False), data, "regression", rank=1).values), 3)
        5.0

    Source: [maddox2020dimensionality], [lee2020sparse]; in pieces, which is ours
    """
    require_counts(rank=rank)
    kept = torch.zeros(0, layout(model, group).size, dtype=torch.float64)
    for V in curvature_rows(model, data, likelihood, noise_variance=noise_variance, group=group, entries=2**21):
        kept = _largest(torch.cat([kept, V]), rank + SPARE)
    kept = _largest(kept, rank)
    values = kept.square().sum(1)
    return LowRankCurvature(layout(model, group).names, (kept / values.sqrt()[:, None]).mT, values)


def _largest(rows: Tensor, count: int) -> Tensor:
    """Return rows with orthogonal directions whose outer products are the best approximation of those given."""
    if len(rows) > rows.shape[1]:
        values, vectors = torch.linalg.eigh(rows.mT @ rows)
        values, directions = values.flip(0)[:count], vectors.flip(1)[:, :count].mT
    else:
        values, vectors = torch.linalg.eigh(rows @ rows.mT)
        values, vectors = values.flip(0)[:count], vectors.flip(1)[:, :count]
        scale = values.clamp(min=0).sqrt()
        directions = (vectors.mT @ rows) / torch.where(scale > 0, scale, 1.0)[:, None]
    real = values > NOTHING * values[:1]
    return directions[real] * values[real].sqrt()[:, None]
