"""Kronecker factors whose eigenvalues are fitted again: the best diagonal in the bases that the factors give.

S_oi = sum_n sum_k ((U_G^T J_nk U_A)_oi)^2        in place of the product of an eigenvalue of G and one of A

The products are what S would be if inputs and directions were independent. The trace is that of the Gauss-Newton
matrix, and no other diagonal in the same bases is closer to its layers' blocks in the Frobenius norm. Where a product
is zero, so is S: no example has anything in that direction, and what is found there is rounding.

    fit_ekfac    -> RotatedCurvature; the data pass twice
"""

from dataclasses import replace

import torch
from torch import nn

from weightlore.data import Split
from weightlore.parameters.groups import Group
from weightlore.uncertainty.laplace.diag import fit_in_bases
from weightlore.uncertainty.laplace.kron import fit_kron
from weightlore.uncertainty.laplace.roots import Likelihood
from weightlore.uncertainty.laplace.rotated import RotatedCurvature

__all__ = ["fit_ekfac"]


def fit_ekfac(
    model: nn.Module,
    data: Split,
    likelihood: Likelihood,
    *,
    noise_variance: float = 1.0,
    group: Group = None,
    batch_size: int = 500,
) -> RotatedCurvature:
    """Return the curvature that is diagonal in the eigenvectors of the Kronecker factors, with fitted eigenvalues.

    Args:
        model: trained, returns (N, C); used in evaluation mode and left as it is.
        data: N examples, those of training.
        likelihood: what the outputs mean.
        noise_variance: s2 > 0, of a regression's targets.
        group: which parameters, of linear and convolutional layers; ``None`` for all that require a gradient.
        batch_size: examples per pass; the result does not depend on it but for rounding.

    Returns:
        The curvature, a sum over the data.

    Raises:
        ParameterError: as ``fit_kron``.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> fit_ekfac(healthy(), digits("validation"), "classification", group="readout").values[0].shape
        torch.Size([10, 33])

    Source: [george2018ekfac]; for Laplace approximations [lee2020sparse]
    """
    kron = fit_kron(model, data, likelihood, noise_variance=noise_variance, group=group, batch_size=batch_size)
    found = fit_in_bases(
        model,
        data,
        likelihood,
        which=kron.matrices,
        bases=kron.bases,
        noise_variance=noise_variance,
        batch_size=batch_size,
    )
    values = (torch.where(product > 0, S, 0.0) for S, product in zip(found.values, kron.values, strict=True))
    return replace(found, values=tuple(values))
