"""Gaussians of the classes in a layer, all with one covariance: the geometry behind Mahalanobis distances.

    m_c   = mean of the features of class c
    Sigma = 1/N sum_c sum_{i in c} (phi_i - m_c)(phi_i - m_c)^T
    Sigma <- (1 - r) Sigma + r tr(Sigma)/H I                       shrinkage: the spread of directions without data
    d_c^2 = (phi - m_c)^T Sigma^{-1} (phi - m_c)

    fit_gaussians(features, y)        -> ClassGaussians:  .distances(features) -> (N, number of classes)

A class with a single example is legal: it adds a mean and no scatter. All of it is done in float64.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite

__all__ = ["ClassGaussians", "fit_gaussians"]


@dataclass(frozen=True, eq=False)
class ClassGaussians:
    """Means of classes and their common covariance.

    Args:
        means: shape (C, H), float64.
        covariance: after shrinkage, shape (H, H), float64.
        factor: its lower Cholesky factor.

    Source: [lee2018mahalanobis]
    """

    means: Tensor
    covariance: Tensor
    factor: Tensor

    def distances(self, features: Tensor) -> Tensor:
        """Return squared Mahalanobis distances to the means, shape (N, C), float64.

        Args:
            features: shape (N, H).

        Raises:
            ParameterError: if they have another width or are not finite.
        """
        if features.ndim != 2 or features.shape[1] != self.means.shape[1]:
            raise ParameterError(f"features must be (N, {self.means.shape[1]}), got {tuple(features.shape)}")
        points = require_finite("a feature", features.detach()).double()
        # L^-1 (phi - m) has the length that cholesky_solve would give, at half the work for many means.
        near, far = (torch.linalg.solve_triangular(self.factor, rows.T, upper=False).T for rows in (self.means, points))
        return torch.cdist(far, near, compute_mode="donot_use_mm_for_euclid_dist").square()


def fit_gaussians(features: Tensor, y: Tensor, *, shrinkage: float = 1e-3) -> ClassGaussians:
    """Return the Gaussians of the classes, with one covariance.

    Args:
        features: shape (N, H), N >= 1.
        y: class numbers, shape (N,); only classes that occur get a Gaussian, in the order of their numbers.
        shrinkage: r in [0, 1], relative to the mean variance: an absolute amount would drown features of small scale
            and do nothing for large ones.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or no direction has a spread that can be inverted.

    Example:
        >>> points = torch.tensor([[0.0, 0.0], [2.0, 0.0], [5.0, 1.0], [5.0, -1.0]])
        >>> fit_gaussians(points, torch.tensor([0, 0, 1, 1]), shrinkage=0.0).means
        tensor([[1., 0.],
                [5., 0.]], dtype=torch.float64)

    Source: [lee2018mahalanobis]; the relative shrinkage is ours
    """
    if features.ndim != 2 or y.shape != features.shape[:1] or not features.numel() or not 0 <= shrinkage <= 1:
        raise ParameterError(
            f"features (N, H), a class for each row and a shrinkage in [0, 1] are needed, got {tuple(features.shape)}, "
            f"{tuple(y.shape)} and {shrinkage}"
        )
    points = require_finite("a feature", features.detach()).double()
    classes, which = y.unique(return_inverse=True)
    sums = points.new_zeros(len(classes), points.shape[1]).index_add_(0, which, points)
    means = sums / which.bincount()[:, None]
    off = points - means[which]
    scatter = off.T @ off / len(points)
    spread = scatter.diagonal().mean()
    eye = torch.eye(len(scatter), dtype=scatter.dtype, device=scatter.device)
    covariance = (1 - shrinkage) * scatter + shrinkage * spread * eye
    return ClassGaussians(means, covariance, _factor(covariance, shrinkage))


def _factor(covariance: Tensor, shrinkage: float) -> Tensor:
    """Return the Cholesky factor, or say what is missing."""
    factor, failed = torch.linalg.cholesky_ex(covariance)
    widest = covariance.diagonal().amax().sqrt()
    if int(failed) or not float(factor.diagonal().amin()) > 1e-12 * float(widest):
        raise ParameterError(
            "the covariance of the features cannot be inverted: some direction has no spread within the classes, got "
            f"shrinkage {shrinkage}; use a shrinkage > 0, for example 1e-3, and classes with more than one distinct "
            "example"
        )
    return factor
