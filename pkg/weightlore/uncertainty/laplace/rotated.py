"""Precisions that are diagonal after a rotation of each layer: diagonal, Kronecker, corrected.

The matrix W of a layer is turned by two orthogonal bases, and its entries are then independent:

    H = (U_A (x) U_G) diag(S) (U_A (x) U_G)^T,   A^-1: 1 / (S_oi + tau) for entry (o, i) of U_G^T W U_A

Without bases it is a diagonal. The covariance of the outputs needs no Jacobian where a layer has one place:

    C_kl = sum over layers and o of (U_G^T g_k)_o (U_G^T g_l)_o s_o,   s_o = sum_i (U_A^T a)_i^2 / (S_oi + tau)

    RotatedCurvature    S and the bases
    RotatedPosterior    the Gaussian that they and a prior make
    squared_entries     sum over examples and columns of the squared derivatives, turned
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.parameters.groups import Group
from weightlore.uncertainty.laplace.blocks import Matrices
from weightlore.uncertainty.laplace.directions import Directions, unit_directions
from weightlore.uncertainty.laplace.posterior import prior_of

__all__ = ["Bases", "RotatedCurvature", "RotatedPosterior", "squared_entries"]

ENTRIES = 2**23  # of the derivatives that are formed at once: 64 MiB


@dataclass(frozen=True, eq=False)
class Bases:
    """Two orthogonal bases of the matrix of a layer, as columns.

    Args:
        inputs: U_A, shape (in, in), float64.
        outputs: U_G, shape (out, out), float64.

    Source: [george2018ekfac], Kronecker-factored eigenbasis
    """

    inputs: Tensor
    outputs: Tensor


Turned = Bases | None


@dataclass(frozen=True, eq=False)
class RotatedCurvature:
    """A curvature that is diagonal in bases of each layer.

    Args:
        matrices: of the layers.
        values: S of each, shape (out, in), at least 0, float64.
        bases: of each, or ``None`` where the parameters themselves are the axes.

    Source: [ritter2018laplace]; [george2018ekfac]
    """

    matrices: Matrices
    values: tuple[Tensor, ...]
    bases: tuple[Turned, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parameters, in the order of their entries."""
        return self.matrices.names

    @property
    def size(self) -> int:
        """P, how many entries the parameters have."""
        return self.matrices.size

    def with_prior(self, tau: Tensor | float) -> "RotatedPosterior":
        """Return the Gaussian with the precision A = H + diag(tau): its values are S + tau, exactly.

        Args:
            tau: prior precision, shape () or (P,); where a layer is turned, one number for all of its entries.

        Raises:
            ParameterError: if tau differs within a turned layer, or leaves a precision at zero.
        """
        precision = prior_of(tau, self.size)
        sums = []
        for block, S, bases in zip(self.matrices.blocks, self.values, self.bases, strict=True):
            own = precision.to(S.device)[block.places]
            if bases is not None and bool((own != own[0, 0]).any()):
                raise ParameterError(
                    f"the prior precision differs within the layer {block.layer}: turned, it would not be diagonal; "
                    'give one number for each layer, or take structure="diag"'
                )
            sums.append(S + own)
        least = min(float(A.min()) for A in sums)
        if not least > 0:
            raise ParameterError(
                f"the smallest precision is {least:g}, which must be > 0: the data say nothing of some direction (a "
                "unit that is never active, a constant added to all logits); give a prior precision > 0"
            )
        return RotatedPosterior(self.matrices, tuple(sums), self.bases)


@dataclass(frozen=True, eq=False)
class RotatedPosterior:
    """A Gaussian whose precision is diagonal in bases of each layer.

    Args:
        matrices: of the layers.
        precisions: S + tau of each, shape (out, in), float64, > 0.
        bases: of each.

    Source: [ritter2018laplace]; [george2018ekfac]
    """

    matrices: Matrices
    precisions: tuple[Tensor, ...]
    bases: tuple[Turned, ...]

    @property
    def log_det(self) -> float:
        """The logarithm ln det A, in nats."""
        return sum(float(A.log().sum()) for A in self.precisions)

    def variance(self) -> Tensor:
        """Return the diagonal of A^-1, shape (P,)."""
        found = self.precisions[0].new_empty(self.matrices.size)
        for block, A, bases in zip(self.matrices.blocks, self.precisions, self.bases, strict=True):
            inverse = 1 / A
            found[block.places] = inverse if bases is None else bases.outputs**2 @ inverse @ (bases.inputs**2).mT
        return found

    def sample(self, samples: int, *, generator: torch.Generator) -> Tensor:
        """Return deviations U_G (e / sqrt(S + tau)) U_A^T, e ~ N(0, I), shape (S, P).

        Args:
            samples: S.
            generator: where e comes from.
        """
        like = self.precisions[0]
        noise = torch.randn(
            samples, self.matrices.size, generator=generator, dtype=like.dtype, device=generator.device
        ).to(like.device)
        found = torch.empty_like(noise)
        for block, A, bases in zip(self.matrices.blocks, self.precisions, self.bases, strict=True):
            drawn = noise[:, block.places] / A.sqrt()
            found[:, block.places] = drawn if bases is None else bases.outputs @ drawn @ bases.inputs.mT
        return found

    def covariance(self, jacobian: Tensor) -> Tensor:
        """Return J A^-1 J^T for each example, shape (N, C, C).

        Args:
            jacobian: J, shape (N, C, P).
        """
        N, C = jacobian.shape[:2]
        found = self.precisions[0].new_zeros(N, C, C)
        for block, A, bases in zip(self.matrices.blocks, self.precisions, self.bases, strict=True):
            J = jacobian.double()[..., block.places]
            turned = J if bases is None else bases.outputs.mT @ J @ bases.inputs
            found += _weighted(turned, 1 / A)
        return found

    def shown(self, model: nn.Module, x: Tensor, *, group: Group) -> Iterator[tuple[Tensor, Directions]]:
        """Return outputs (n, C) and the directions of the layers, piece by piece; no Jacobian is formed.

        Args:
            model: whose curvature was taken; used in evaluation mode and left as it is.
            x: inputs, shape (N, ...).
            group: the covered parameters.

        Raises:
            ParameterError: as ``directions``.
        """
        return ((found.outputs, found) for found in unit_directions(model, x, group=group))

    def spread(self, seen: Directions) -> Tensor:
        """Return J A^-1 J^T for each example from inputs and directions of the layers, shape (N, K, K).

        Args:
            seen: directions of the outputs or of any columns, for the same parameters.
        """
        N, K = seen.backward[0].shape[:2]
        found = self.precisions[0].new_zeros(N, K, K)
        each = zip(seen.inputs, seen.backward, self.precisions, self.bases, strict=True)
        for a, g, A, bases in each:
            rows, back = _turned(a, g, bases)
            if a.shape[1] == 1:
                back, scale = back[:, :, 0], rows[:, 0] ** 2 @ (1 / A).mT
                found += (back * scale[:, None]) @ back.mT
            else:
                found += torch.cat([_weighted(J, 1 / A) for J in _derivatives(rows, back)])
        return found


def squared_entries(a: Tensor, g: Tensor, bases: Turned = None) -> Tensor:
    """Return the squared derivatives in the matrix of a layer, summed over examples and columns.

        S_oi = sum_n sum_k ((U_G^T (sum_t g_nkt a_nt^T) U_A)_oi)^2

    Args:
        a: inputs, shape (N, T, in).
        g: directions, shape (N, K, T, out).
        bases: in which the entries are taken; ``None`` for the parameters themselves.

    Returns:
        S, shape (out, in), float64. Without bases the products are made in the dtype of the inputs.

    Example:
        >>> squared_entries(torch.tensor([[[2.0]]]), torch.tensor([[[[3.0]], [[1.0]]]]))
        tensor([[40.]], dtype=torch.float64)

    Source: [george2018ekfac], the second moments in an eigenbasis; without one the diagonal of [denker1990transforming]
    """
    if bases is not None:
        a, g = _turned(a, g, bases)
    if a.shape[1] == 1:
        return (g[:, :, 0].square().sum(1).mT @ a[:, 0].square()).double()
    found = torch.zeros(g.shape[3], a.shape[2], dtype=torch.float64, device=a.device)
    for J in _derivatives(a, g):
        found += J.square().sum((0, 1))
    return found


def _turned(a: Tensor, g: Tensor, bases: Turned) -> tuple[Tensor, Tensor]:
    """Return inputs and directions in the bases, float64."""
    rows, back = a.double(), g.double()
    return (rows, back) if bases is None else (rows @ bases.inputs, back @ bases.outputs)


def _derivatives(a: Tensor, g: Tensor) -> Iterator[Tensor]:
    """Return the sums over places of the outer products, shape (n, K, out, in), in pieces of bounded size."""
    piece = max(1, ENTRIES // (g.shape[1] * g.shape[3] * a.shape[2]))
    for rows, back in zip(a.split(piece), g.split(piece), strict=True):
        yield back.mT @ rows[:, None]


def _weighted(J: Tensor, weights: Tensor) -> Tensor:
    """Return the products of derivatives (n, K, out, in) with one another, weighted entry by entry, shape (n, K, K)."""
    half = (J * weights.sqrt()).flatten(2)
    return half @ half.mT
