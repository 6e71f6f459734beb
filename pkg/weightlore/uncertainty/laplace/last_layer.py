"""The last layer alone, with all its correlations: the features before it are fixed, and the model is linear in it.

f = W (phi, 1),   H = sum_i Lambda_i (x) (phi_i, 1) (phi_i, 1)^T       in closed form, no backward pass
cov_cd = (phi, 1)^T [A^-1]_cd (phi, 1)                                 one block of the inverse for two outputs

Variances alone need the C blocks of each output with itself, and A^-1 as a whole is never formed: with A = L L^T and
X_c the columns of L^-1 that belong to output c, zero above the first of its parameters, [A^-1]_cc = X_c^T X_c.

    fit_last_layer         -> LastLayerCurvature
    LastLayerPosterior     a full Gaussian with a short way to the covariance of the outputs

The other structures take the last layer as a group: ``fit_kron(model, data, likelihood, group="readout")``.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.parameters.groups import Group
from weightlore.training.evaluation import require_fitting
from weightlore.uncertainty.laplace.blocks import Matrices, matrices_of, named
from weightlore.uncertainty.laplace.directions import Directions, unit_directions
from weightlore.uncertainty.laplace.full import FullCurvature, FullPosterior, require_room
from weightlore.uncertainty.laplace.roots import Likelihood, output_parts

__all__ = ["LastLayerCurvature", "LastLayerPosterior", "fit_last_layer"]

LARGEST = 10_000  # parameters: 0.8 GB
STRIP = 8  # features whose products with the others are formed at once


@dataclass(frozen=True, eq=False)
class LastLayerCurvature(FullCurvature):
    """The curvature of the last layer as a matrix.

    Args:
        names: of its parameters.
        hessian: H, shape (P, P), float64.
        matrices: where weights and bias lie in it.

    Source: [kristiadi2020bayesian]
    """

    matrices: Matrices

    def with_prior(self, tau: Tensor) -> "LastLayerPosterior":
        """Return the Gaussian with the precision A = H + diag(tau).

        Args:
            tau: prior precision, shape () or (P,).

        Raises:
            IndefiniteError: if A has an eigenvalue that is not above 0, which is named.
        """
        return LastLayerPosterior(super().with_prior(tau).factor, self.matrices)


@dataclass(frozen=True, eq=False)
class LastLayerPosterior(FullPosterior):
    """A Gaussian over the parameters of the last layer, with a dense precision.

    Args:
        factor: the lower Cholesky factor of A, shape (P, P), float64.
        matrices: where weights and bias lie in it.

    Source: [kristiadi2020bayesian]; [snoek2015scalable], the linear model on features
    """

    matrices: Matrices

    def shown(self, model: nn.Module, x: Tensor, *, group: Group) -> Iterator[tuple[Tensor, Tensor]]:
        """Return outputs (n, C) and features (n, I), piece by piece; no Jacobian is formed.

        Args:
            model: whose curvature was taken; used in evaluation mode and left as it is.
            x: inputs, shape (N, ...).
            group: the last layer.

        Raises:
            ParameterError: as ``directions``.
        """
        return ((found.outputs, found.inputs[0][:, 0].double()) for found in unit_directions(model, x, group=group))

    def spread(self, seen: Tensor) -> Tensor:
        """Return covariances of the outputs, J A^-1 J^T, shape (N, C, C).

        Args:
            seen: features, shape (N, I).
        """
        return _blocks(seen, self._inverse)

    def alone(self, seen: Tensor) -> Tensor:
        """Return the variances of the outputs alone, shape (N, C): a tenth of the work for ten classes.

        Args:
            seen: features, shape (N, I).
        """
        return ((seen @ self._own) * seen).sum(-1).mT

    @cached_property
    def _inverse(self) -> Tensor:
        """All blocks of A^-1, shape (C, I, C, I), found once."""
        places = self.matrices.blocks[0].places
        return torch.cholesky_inverse(self.factor)[places][..., places]

    @cached_property
    def _own(self) -> Tensor:
        """The blocks of A^-1 of each output with itself, shape (C, I, I), found once."""
        return torch.stack([self._inverse_at(row) for row in self.matrices.blocks[0].places])

    def _inverse_at(self, places: Tensor) -> Tensor:
        """Return the entries of A^-1 at some places, shape (I, I)."""
        start = int(places.min())
        units = self.factor.new_zeros(len(self.factor) - start, len(places))
        units[places - start, torch.arange(len(places), device=places.device)] = 1.0
        X = torch.linalg.solve_triangular(self.factor[start:, start:], units, upper=False)
        return X.mT @ X


def fit_last_layer(
    model: nn.Module,
    data: Split,
    likelihood: Likelihood,
    *,
    group: Group,
    noise_variance: float = 1.0,
    batch_size: int = 500,
) -> LastLayerCurvature:
    """Return the whole curvature of the last layer; here the Gauss-Newton matrix is the second derivative itself.

    Args:
        model: trained, returns (N, C) straight from a linear layer; used in evaluation mode and left as it is.
        data: N examples, those of training.
        likelihood: what the outputs mean.
        group: that layer, by name or predicate.
        noise_variance: s2 > 0, of a regression's targets.
        batch_size: examples per pass; the result does not depend on it but for rounding.

    Returns:
        The curvature, a sum over the data, in the order of the parameters.

    Raises:
        ParameterError: if the group is not the last layer, or has more than 10,000 parameters; if the data do not fit.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> fit_last_layer(healthy(), digits("validation"), "classification", group="readout").hessian.shape
        torch.Size([330, 330])

    Source: [kristiadi2020bayesian]; [snoek2015scalable]
    """
    which = matrices_of(model, group)
    require_counts(batch_size=batch_size)
    require_fitting(model, data)
    require_room(which.size, LARGEST, instead='structure="kron" or "diag" for this layer')
    places = which.blocks[0].places
    parts = partial(output_parts, likelihood=likelihood, noise_variance=noise_variance)
    _, patterns = parts(torch.zeros(1, len(places), dtype=torch.float64, device=data.x.device))
    sums = patterns.new_zeros(len(patterns), places.shape[1], places.shape[1])
    for found in unit_directions(model, data.x, group=named(which.names), batch_size=batch_size):
        _require_last(found)
        weights, _ = parts(found.outputs.double())
        _add(sums, found.inputs[0][:, 0].double(), weights)
    return LastLayerCurvature(which.names, _placed(sums, patterns, places), which)


def _add(sums: Tensor, phi: Tensor, weights: Tensor) -> None:
    """Add sum_n w_nk phi_n phi_n^T to sums (K, I, I); they are symmetric, and what lies far below the diagonal is left.

    In float64, whatever the dtype of the network: of a direction without data single precision leaves more than a small
    prior precision.
    """
    for start in range(0, phi.shape[1], STRIP):
        strip = phi[:, start : start + STRIP, None] * phi[:, None, start:]  # (N, STRIP, I - start)
        sums[:, start : start + STRIP, start:] += (weights.mT @ strip.flatten(1)).unflatten(1, strip.shape[1:])


def _placed(sums: Tensor, patterns: Tensor, places: Tensor) -> Tensor:
    """Return sum_k patterns_k (x) sums_k in the order of the parameters, (K, C, C) and (K, I, I) -> (P, P)."""
    whole = (sums.triu() + sums.triu(1).mT).flatten(1)
    order, placed = places.flatten().argsort(), sums.new_empty(places.numel(), places.numel())
    for row, pattern in zip(places, patterns.unbind(1), strict=True):
        blocks = (pattern.mT @ whole).unflatten(1, sums.shape[1:])  # (C, I, I)
        placed[row] = blocks.transpose(0, 1).flatten(1)[:, order]
    return placed


def _blocks(phi: Tensor, inverse: Tensor) -> Tensor:
    """Return phi^T inverse[c, :, d, :] phi for each example, shape (N, C, C)."""
    C, width = inverse.shape[:2]
    found = phi.new_empty(len(phi), C, C)
    for c in range(C):
        product = (phi @ inverse[c, :, c:].flatten(1)).unflatten(1, (C - c, width))
        found[:, c, c:] = found[:, c:, c] = (product @ phi[:, :, None])[..., 0]
    return found


def _require_last(found: Directions) -> None:
    """Check that what comes back to the only matrix is what was sent from the outputs."""
    C = found.outputs.shape[1]
    if len(found.matrices.blocks) == 1 and found.backward[0].shape[1:] == (C, 1, C):
        sent = found.backward[0][:, :, 0]
        if torch.equal(sent, torch.eye(C, dtype=sent.dtype, device=sent.device).expand_as(sent)):
            return
    layers = ", ".join(dict.fromkeys(block.layer for block in found.matrices.blocks))
    raise ParameterError(
        f"the outputs do not come straight from {layers or 'the network'}; choose the linear layer that makes the "
        'logits alone, such as group="readout"'
    )
