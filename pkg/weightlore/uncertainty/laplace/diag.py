"""A precision without correlations: one number for each parameter.

S_p = (sum_i J_i^T Lambda_i J_i)_pp = sum_i sum_k (d (r_ik . f_i) / d theta_p)^2,   Lambda_i = sum_k r_ik r_ik^T

It is the diagonal of the Gauss-Newton matrix exactly: squares of what each example and each column of a root sends
back, never of the gradient of a batch, which would square the sum.

    fit_diag            -> RotatedCurvature without bases
    fit_in_bases        the same in bases that are given: the diagonal of the turned matrix
    root_directions     inputs of the layers and what the columns of the roots send back, batch by batch
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.networks.layered import require_counts
from weightlore.parameters.groups import Group
from weightlore.training.evaluation import require_fitting
from weightlore.uncertainty.laplace.blocks import Matrices, matrices_of, named
from weightlore.uncertainty.laplace.directions import Directions, directions
from weightlore.uncertainty.laplace.roots import Likelihood, output_root
from weightlore.uncertainty.laplace.rotated import RotatedCurvature, Turned, squared_entries

__all__ = ["fit_diag", "fit_in_bases", "root_directions"]


def fit_diag(
    model: nn.Module,
    data: Split,
    likelihood: Likelihood,
    *,
    noise_variance: float = 1.0,
    group: Group = None,
    batch_size: int = 500,
) -> RotatedCurvature:
    """Return the diagonal of the Gauss-Newton matrix.

    Args:
        model: trained, returns (N, C); used in evaluation mode and left as it is.
        data: N examples, those of training; the Gauss-Newton matrix does not depend on the targets.
        likelihood: what the outputs mean.
        noise_variance: s2 > 0, of a regression's targets.
        group: which parameters, of linear and convolutional layers; ``None`` for all that require a gradient.
        batch_size: examples per pass; the result does not depend on it but for rounding.

    Returns:
        The curvature, a sum over the data.

    Raises:
        ParameterError: if a layer has no matrix (see ``matrices_of``), or the data do not fit.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> fit_diag(healthy(), digits("validation"), "classification").values[2].shape
        torch.Size([10, 33])

    Source: [denker1990transforming], the diagonal; [ritter2018laplace]
    """
    which = matrices_of(model, group)
    plain = (None,) * len(which.blocks)
    return fit_in_bases(
        model, data, likelihood, which=which, bases=plain, noise_variance=noise_variance, batch_size=batch_size
    )


def fit_in_bases(
    model: nn.Module,
    data: Split,
    likelihood: Likelihood,
    *,
    which: Matrices,
    bases: tuple[Turned, ...],
    noise_variance: float = 1.0,
    batch_size: int = 500,
) -> RotatedCurvature:
    """Return the curvature that is diagonal in given bases, with the diagonal that the Gauss-Newton matrix has there.

        S_oi = sum_n sum_k ((U_G^T J_nk U_A)_oi)^2

    Args:
        model: as for ``fit_diag``, like the rest.
        data: N examples.
        likelihood: what the outputs mean.
        which: the matrices of the layers.
        bases: U_A and U_G of each, ``None`` for the axes themselves.
        noise_variance: of a regression's targets.
        batch_size: examples per pass.

    Raises:
        ParameterError: as ``fit_diag``.

    Source: [george2018ekfac]
    """
    values = [torch.zeros(block.places.shape, dtype=torch.float64, device=data.x.device) for block in which.blocks]
    for found in root_directions(
        model, data, likelihood, noise_variance=noise_variance, group=named(which.names), batch_size=batch_size
    ):
        for S, a, g, turned in zip(values, found.inputs, found.backward, bases, strict=True):
            S += squared_entries(a, g, turned)
    return RotatedCurvature(which, tuple(values), bases)


def root_directions(
    model: nn.Module,
    data: Split,
    likelihood: Likelihood,
    *,
    noise_variance: float = 1.0,
    group: Group = None,
    batch_size: int = 500,
) -> Iterator[Directions]:
    """Return inputs of the layers, and what the columns of a root of each Lambda send back, batch by batch.

    Args:
        model: returns (N, C).
        data: N examples.
        likelihood: what the outputs mean.
        noise_variance: of a regression's targets.
        group: which parameters.
        batch_size: examples per pass.

    Yields:
        Directions whose derivatives J_k have sum_k J_k J_k^T = J^T Lambda J.

    Raises:
        ParameterError: as ``directions``, or if the data do not fit.

    Source: [martens2015kfac], with the exact sum over columns in place of sampled targets
    """
    require_counts(batch_size=batch_size)
    require_fitting(model, data)

    def root(f: Tensor) -> Tensor:
        return output_root(f, likelihood, noise_variance=noise_variance)

    for rows in data.x.split(batch_size):
        yield directions(model, rows, root, group=group)
