"""Classes that are Gaussian clouds: the one problem whose best possible answer is known at every point.

GaussianClasses(means, covariances, weights)     p(x | c) = N(m_c, V_c),  p(c) = w_c
.draw(n)               examples
.posterior(x)          p(c | x) by Bayes' rule: no classifier can do better
.data_uncertainty(x)   its entropy: the part that no data will take away
.log_density(x)        ln p(x): how far a point is from everything that is drawn
gaussian_ring          round clouds of the same size on a circle
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.data import Split
from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.measures.entropies import predictive_entropy
from weightlore.uncertainty.measures.members import require_probs

__all__ = ["GaussianClasses", "gaussian_ring"]


@dataclass(frozen=True, eq=False)
class GaussianClasses:
    """A classification problem with a Gaussian cloud for each class.

    Args:
        means: m_c, shape (C, D), float64.
        covariances: V_c, shape (C, D, D), symmetric and positive definite.
        weights: w_c, how often each class comes, shape (C,), > 0, summing to 1.

    Raises:
        ParameterError: if shapes do not fit, a covariance is not positive definite, or the weights are none.

    Example:
        >>> means, even = torch.tensor([[-1.0], [1.0]], dtype=torch.float64), torch.ones(2, dtype=torch.float64) / 2
        >>> two = GaussianClasses(means, torch.ones(2, 1, 1, dtype=torch.float64), even)
        >>> two.posterior(torch.tensor([[0.0], [1.0]], dtype=torch.float64))
        tensor([[0.5000, 0.5000],
                [0.1192, 0.8808]], dtype=torch.float64)

    Source: [bishop2006pattern], Sec. 4.2
    """

    means: Tensor
    covariances: Tensor
    weights: Tensor

    def __post_init__(self) -> None:
        C, D = self.means.shape if self.means.ndim == 2 else (0, 0)
        if not C or self.covariances.shape != (C, D, D) or self.weights.shape != (C,):
            raise ParameterError(
                "classes need means (C, D), covariances (C, D, D) and weights (C,), got "
                f"{tuple(self.means.shape)}, {tuple(self.covariances.shape)} and {tuple(self.weights.shape)}"
            )
        require_finite("the means", self.means), require_finite("the covariances", self.covariances)
        require_probs(self.weights)
        symmetric = torch.allclose(self.covariances, self.covariances.mT)
        if not symmetric or bool(torch.linalg.cholesky_ex(self.covariances).info.any()):
            raise ParameterError(
                "each covariance must be symmetric and positive definite, but one is not; add to its diagonal"
            )
        if not bool((self.weights > 0).all()):
            raise ParameterError("a class of weight 0 never comes; leave it out of means, covariances and weights")

    def draw(self, n: int, *, generator: torch.Generator) -> Split:
        """Draw examples: a class by its weight, then a point of its cloud.

        Args:
            n: how many, >= 1.
            generator: source of all randomness.

        Returns:
            x of shape (N, D), y of shape (N,), int64.

        Raises:
            ParameterError: if n < 1.
        """
        if n < 1:
            raise ParameterError(f"n is a number of examples and must be >= 1, got {n}")
        chance = torch.rand(n, generator=generator, dtype=torch.float64).to(self.weights)
        y = (chance[:, None] >= self.weights.cumsum(0)[:-1]).sum(1)
        z = torch.randn(n, self.means.shape[1], generator=generator, dtype=torch.float64).to(self.means)
        return Split(self.means[y] + (torch.linalg.cholesky(self.covariances)[y] @ z[..., None])[..., 0], y)

    def posterior(self, x: Tensor) -> Tensor:
        """Return the probabilities of the classes at points, shape (N, C), by Bayes' rule.

        Args:
            x: shape (N, D).

        Raises:
            ParameterError: if x has another shape or is not finite.
        """
        return self._log_joint(x).softmax(-1)

    def data_uncertainty(self, x: Tensor) -> Tensor:
        """Return the entropy of the posterior, shape (N,), in nats.

        Args:
            x: shape (N, D).

        Raises:
            ParameterError: if x has another shape or is not finite.
        """
        return predictive_entropy(self.posterior(x))

    def log_density(self, x: Tensor) -> Tensor:
        """Return ln p(x), shape (N,).

        Args:
            x: shape (N, D).

        Raises:
            ParameterError: if x has another shape or is not finite.
        """
        return self._log_joint(x).logsumexp(-1)

    def _log_joint(self, x: Tensor) -> Tensor:
        """Return ln w_c + ln N(x; m_c, V_c), shape (N, C)."""
        D = self.means.shape[1]
        if x.ndim != 2 or x.shape[1] != D:
            raise ParameterError(f"points are rows of {D} numbers, shape (N, {D}), got {tuple(x.shape)}")
        factor = torch.linalg.cholesky(self.covariances)  # (C, D, D)
        offset = require_finite("x", x).to(self.means)[:, None] - self.means  # (N, C, D)
        scaled = torch.linalg.solve_triangular(factor, offset.permute(1, 2, 0), upper=False)  # (C, D, N)
        log_volume = factor.diagonal(dim1=1, dim2=2).log().sum(1) + D / 2 * math.log(2 * math.pi)
        return self.weights.log() - log_volume - scaled.square().sum(1).T / 2


def gaussian_ring(classes: int = 3, *, radius: float = 2.0, spread: float = 1.0) -> GaussianClasses:
    """Return round clouds of the same size and weight, whose centers stand on a circle around the origin.

        m_c = radius (cos 2 pi c / C, sin 2 pi c / C),   V_c = spread^2 I

    Args:
        classes: C, >= 2.
        radius: of the circle, > 0.
        spread: standard deviation of a cloud, > 0; large ones overlap.

    Returns:
        The problem, with D = 2.

    Raises:
        ParameterError: if a number is out of range.

    Source: ours, because where clouds overlap is data uncertainty, and where none is, is model uncertainty
    """
    if classes < 2 or not (0 < radius < math.inf and 0 < spread < math.inf):
        raise ParameterError(
            f"a ring has 2 classes or more, radius and spread > 0; got {classes}, {radius} and {spread}"
        )
    angle = 2 * math.pi * torch.arange(classes, dtype=torch.float64) / classes
    means = radius * torch.stack([angle.cos(), angle.sin()], dim=1)
    covariances = (spread**2 * torch.eye(2, dtype=torch.float64)).repeat(classes, 1, 1)
    return GaussianClasses(means, covariances, torch.full((classes,), 1 / classes, dtype=torch.float64))
