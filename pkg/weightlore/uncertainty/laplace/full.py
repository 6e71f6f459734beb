"""The full precision: every parameter with every other one.

GGN      H = sum_i J_i^T Lambda_i J_i                      positive semi-definite everywhere
exact    H = the second derivative of the summed loss       indefinite away from a minimum
fisher   H = sum_i g_i g_i^T,  g_i the gradient of example i   the empirical Fisher

fit_full          -> FullCurvature, P x P numbers
clipped           the same without its negative eigenvalues
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite, require_option
from weightlore.parameters import call, flatten, layout
from weightlore.parameters.groups import Group
from weightlore.training import in_mode
from weightlore.uncertainty.laplace.jacobians import curvature_rows, jacobians
from weightlore.uncertainty.laplace.posterior import prior_of
from weightlore.uncertainty.laplace.roots import Likelihood, log_likelihoods, output_gradient

__all__ = ["CurvatureKind", "FullCurvature", "FullPosterior", "IndefiniteError", "clipped", "fit_full", "require_room"]

CurvatureKind = Literal["ggn", "exact", "fisher"]
LARGEST = 3000  # parameters


class IndefiniteError(ParameterError):
    """The curvature with the prior is no precision: an eigenvalue is not above zero.

    Args:
        smallest: the smallest eigenvalue of A.
        advice: what to do.

    Source: ours
    """

    def __init__(self, smallest: float, advice: str) -> None:
        super().__init__(f"the precision H + diag(tau) has the eigenvalue {smallest:.6g}, which must be > 0; {advice}")
        self.smallest = smallest


@dataclass(frozen=True, eq=False)
class FullCurvature:
    """The curvature as a matrix.

    Args:
        names: of the parameters.
        hessian: H, shape (P, P), float64, symmetric.

    Source: [mackay1992practical]
    """

    names: tuple[str, ...]
    hessian: Tensor

    @property
    def size(self) -> int:
        """P, how many entries the parameters have."""
        return len(self.hessian)

    def with_prior(self, tau: Tensor) -> "FullPosterior":
        """Return the Gaussian with the precision A = H + diag(tau).

        Args:
            tau: prior precision, shape () or (P,).

        Raises:
            IndefiniteError: if A has an eigenvalue that is not above 0, which is named.
        """
        A = self.hessian.clone()
        A.diagonal().add_(prior_of(tau, self.size))
        factor, failed = torch.linalg.cholesky_ex(A)
        if int(failed) or not bool(factor.diagonal().min() > 0) or _singular(factor):
            smallest = float(torch.linalg.eigvalsh(A)[0])
            raise IndefiniteError(
                smallest,
                "raise the prior precision above its size, train on to a minimum, or use the Gauss-Newton matrix "
                '(curvature="ggn"), which with a prior precision > 0 is always positive definite',
            )
        return FullPosterior(factor)


@dataclass(frozen=True, eq=False)
class FullPosterior:
    """A Gaussian with a dense precision.

    Args:
        factor: the lower Cholesky factor of A, shape (P, P), float64.

    Source: [mackay1992practical]
    """

    factor: Tensor

    @property
    def log_det(self) -> float:
        """The logarithm ln det A, in nats."""
        return 2 * float(self.factor.diagonal().log().sum())

    def variance(self) -> Tensor:
        """Return the diagonal of A^-1, shape (P,)."""
        return torch.cholesky_inverse(self.factor).diagonal()

    def sample(self, samples: int, *, generator: torch.Generator) -> Tensor:
        """Return deviations L^-T e, e ~ N(0, I), shape (S, P).

        Args:
            samples: S.
            generator: where e comes from.
        """
        noise = torch.randn(samples, len(self.factor), generator=generator, dtype=torch.float64)
        return torch.linalg.solve_triangular(self.factor.mT, noise.mT, upper=True).mT

    def covariance(self, jacobian: Tensor) -> Tensor:
        """Return J A^-1 J^T for each example, shape (N, C, C).

        Args:
            jacobian: J, shape (N, C, P).
        """
        rows = jacobian.double().flatten(0, 1)
        whitened = torch.linalg.solve_triangular(self.factor, rows.mT, upper=False).mT.view(jacobian.shape)
        return whitened @ whitened.mT


def fit_full(
    model: nn.Module,
    data: Split,
    likelihood: Likelihood,
    *,
    curvature: CurvatureKind = "ggn",
    noise_variance: float = 1.0,
    group: Group = None,
) -> FullCurvature:
    """Return the curvature of the summed loss as a matrix.

    Args:
        model: trained, returns (N, C); used in evaluation mode and left as it is.
        data: N examples, those of training.
        likelihood: what the outputs mean.
        curvature: which of the three matrices.
        noise_variance: of a regression's targets.
        group: which parameters; ``None`` for all that require a gradient.

    Returns:
        The curvature; it does not depend on how the data are cut into pieces.

    Raises:
        ParameterError: if there are more than 3,000 parameters, or the data do not fit the likelihood.

    Example:
        >>> data = Split(torch.tensor([[1.0, 0.0], [2.0, 1.0]]), torch.zeros(2, 1))
        >>> fit_full(nn.Linear(2, 1, bias=False), data, "regression").hessian
        tensor([[5., 2.],
                [2., 1.]], dtype=torch.float64)

    Source: [mackay1992practical], exact; [khan2019approximate], Gauss-Newton
    """
    require_option("curvature", curvature, CurvatureKind)
    names, P = layout(model, group).names, layout(model, group).size
    require_room(P, LARGEST, instead='structure="kron", "diag" or "lowrank", or subset="last_layer" or "subnetwork"')
    if curvature == "exact":
        return FullCurvature(names, _exact(model, data, likelihood, noise_variance, group))
    H = torch.zeros(P, P, dtype=torch.float64)
    if curvature == "ggn":
        for V in curvature_rows(model, data, likelihood, noise_variance=noise_variance, group=group):
            H.addmm_(V.mT, V)
        return FullCurvature(names, H)
    start = 0
    for f, J in jacobians(model, data.x, group=group):
        y = data.y[start : (start := start + len(f))]
        slope = output_gradient(f.double(), y, likelihood, noise_variance=noise_variance)
        g = torch.einsum("nc,ncp->np", slope, J.double())
        H.addmm_(g.mT, g)
    return FullCurvature(names, H)


def require_room(size: int, most: int, *, instead: str) -> None:
    """Check that a matrix of all pairs of parameters is not too large.

    Args:
        size: P, how many parameters.
        most: how many are allowed.
        instead: what to take for more of them.

    Raises:
        ParameterError: if there are more; the message says how much memory they would take.

    Source: ours
    """
    if size > most:
        raise ParameterError(
            f"a full precision of {size} parameters takes {8 * size * size:,} bytes, allowed are {most}; take {instead}"
        )


def clipped(curvature: FullCurvature) -> FullCurvature:
    """Return the curvature with its negative eigenvalues set to zero.

    Args:
        curvature: any.

    Source: ours, because directions in which the loss falls away tell nothing of a width; the prior alone bounds them
    """
    values, vectors = torch.linalg.eigh(curvature.hessian)
    return FullCurvature(curvature.names, (vectors * values.clamp(min=0)) @ vectors.mT)


def _exact(model: nn.Module, data: Split, likelihood: Likelihood, noise_variance: float, group: Group) -> Tensor:
    """Return the second derivative of the summed loss, by reverse over reverse."""
    theta, H = flatten(model, group), torch.zeros((), dtype=torch.float64)
    for batch in (data[rows] for rows in torch.arange(len(data)).split(200)):

        def loss(at: Tensor, batch: Split = batch) -> Tensor:
            f = call(model, at, batch.x, group)
            return -log_likelihoods(f, batch.y, likelihood, noise_variance=noise_variance).sum()

        with in_mode(model, training=False):
            H = H + torch.func.jacrev(torch.func.grad(loss), chunk_size=128)(theta).detach().double()
    return require_finite("the second derivative of the loss", (H + H.mT) / 2)


def _singular(factor: Tensor) -> bool:
    """Say whether a factor is one of rounding errors: a pivot far below the largest."""
    pivots = factor.diagonal().square()
    return bool(pivots.min() < pivots.max() * len(pivots) * math.ulp(1.0))
