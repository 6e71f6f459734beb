"""A Gaussian process as a last layer: random cosines, and the exact covariance of the weights on them.

    Phi(h) = sqrt(2 / R) cos(-W h + b),   W ~ N(0, 1 / l^2),  b ~ U(0, 2 pi)   fixed
    Phi(h) . Phi(h') ~ exp(-|h - h'|^2 / (2 l^2))
    g(h) = Phi(h) beta                                     beta is learned, prior N(0, I / tau)
    Lambda_c = tau I + sum_i k_ic Phi_i Phi_i^T            precision by Laplace's approximation
    v_c(h) = Phi(h)^T Lambda_c^-1 Phi(h)                   variance; near 1 / tau far from all data

k is p_c (1 - p_c) for each class, the largest of these for a covariance that all classes share, or 1 over the variance
of the noise for numbers, for which all of this is exact.
"""

import math
from typing import Literal

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError, require_finite, require_option
from weightlore.networks.layered import require_counts

__all__ = ["Likelihood", "RandomFeatureGP"]

Likelihood = Literal["each", "shared", "gaussian"]


class RandomFeatureGP(nn.Module):
    """The last layer of a network whose variance grows with the distance from the training data.

    Logits are learned by any optimizer, with weight decay tau / N on ``beta`` for the prior. The variance comes
    afterwards, from one pass over the data: ``reset``, ``accumulate`` for each batch, ``finish``. A pass in training
    mode makes it stale, and ``variance`` says so.

    Args:
        features: width H of what comes in.
        outputs: C logits, at least 2, or numbers.
        length_scale: l > 0, in the unit of distances between features.
        count: R cosines. The kernel is off by about 1 / sqrt(R).
        prior_precision: tau > 0.
        likelihood: ``"each"`` class with a covariance of its own, one ``"shared"`` by all, or ``"gaussian"`` noise.
        noise_variance: of the targets, > 0; for ``"gaussian"``, and only there other than 1.
        generator: where W, b and beta are drawn from.
        dtype: floating dtype; covariances are float64.

    Raises:
        ParameterError: if an argument is out of range.

    Example:
        >>> head = RandomFeatureGP(16, 3, length_scale=1.0, count=50, generator=torch.Generator().manual_seed(0))
        >>> head(torch.zeros(5, 16, dtype=torch.float64)).shape
        torch.Size([5, 3])

    Source: [liu2020sngp], random features and covariance; [rasmussen2006gaussian] where the likelihood is Gaussian
    """

    frequency: Tensor
    phase: Tensor
    precision: Tensor
    factor: Tensor
    seen: Tensor

    def __init__(
        self,
        features: int,
        outputs: int,
        *,
        length_scale: float,
        count: int = 256,
        prior_precision: float = 1.0,
        likelihood: Likelihood = "shared",
        noise_variance: float = 1.0,
        generator: torch.Generator,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        super().__init__()
        require_counts(features=features, outputs=outputs, count=count)
        require_option("likelihood", likelihood, Likelihood)
        _require_positive(length_scale=length_scale, prior_precision=prior_precision, noise_variance=noise_variance)
        if likelihood != "gaussian" and noise_variance != 1:
            raise ParameterError(f"classes have no noise variance, got {noise_variance}; likelihood='gaussian' has one")
        if likelihood != "gaussian" and outputs < 2:
            raise ParameterError("one class is always certain and teaches nothing of doubt; give two outputs or more")
        self.prior_precision, self.likelihood, self.noise_variance = prior_precision, likelihood, noise_variance
        self.register_buffer("frequency", (_normal(generator, count, features) / length_scale).to(dtype))
        turns = torch.rand(count, generator=generator, dtype=torch.float64, device=generator.device)
        self.register_buffer("phase", (2 * math.pi * turns).to(dtype))
        self.beta = nn.Parameter((_normal(generator, count, outputs) * count**-0.5).to(dtype))
        blocks = outputs if likelihood == "each" else 1
        empty = torch.zeros(blocks, count, count, dtype=torch.float64, device=generator.device)
        self.register_buffer("precision", empty)
        self.register_buffer("factor", empty.clone())
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64, device=generator.device))
        self.reset()

    def cosines(self, h: Tensor) -> Tensor:
        """Return Phi(h), shape (N, R), of squared length about 1.

        Args:
            h: features, shape (N, H).

        Raises:
            ParameterError: if the shape is another.
        """
        if h.ndim != 2 or h.shape[1] != self.frequency.shape[1]:
            raise ParameterError(f"the head reads features (N, {self.frequency.shape[1]}), got {tuple(h.shape)}")
        return (2 / len(self.phase)) ** 0.5 * torch.cos(self.phase - h @ self.frequency.T)

    def forward(self, h: Tensor) -> Tensor:
        """Return g(h) = Phi(h) beta, shape (N, C).

        Args:
            h: features, shape (N, H).
        """
        if self.training and int(self.seen):
            self.reset()
        return self.cosines(h) @ self.beta

    @torch.no_grad()
    def reset(self) -> None:
        """Forget all examples: the precision is that of the prior."""
        self.seen.zero_()
        self.precision, self.factor = (torch.zeros_like(self.precision, dtype=torch.float64) for _ in range(2))
        self.precision.diagonal(dim1=1, dim2=2).fill_(self.prior_precision)

    @torch.no_grad()
    def accumulate(self, h: Tensor) -> None:
        """Add a batch to the precision; each example must come exactly once after ``reset``.

            Lambda_c += sum_i k_ic Phi_i Phi_i^T

        Args:
            h: features, shape (N, H), finite; the parameters must be the final ones.
        """
        cosines = self.cosines(require_finite("features", h)).double()
        p = (cosines @ self.beta.double()).softmax(-1)
        curvature = p * (1 - p) if self.likelihood != "gaussian" else torch.ones_like(p) / self.noise_variance
        if self.likelihood != "each":
            curvature = curvature.amax(-1, keepdim=True)
        self.precision += torch.einsum("nr,nc,ns->crs", cosines, curvature, cosines)
        self.seen += len(h)
        self.factor.zero_()  # that of fewer examples

    @torch.no_grad()
    def finish(self) -> None:
        """Factor the precision, once, in float64.

        Raises:
            ParameterError: if no example was accumulated since the last ``reset``.
        """
        self._require_seen()
        self.factor.copy_(torch.linalg.cholesky(self.precision))

    @torch.no_grad()
    def variance(self, h: Tensor) -> Tensor:
        """Return v_c(h), shape (N, C), or (N, 1) where the covariance is shared; without noise.

            v_c = Phi^T Lambda_c^-1 Phi,   at most |Phi|^2 / tau

        Args:
            h: features, shape (N, H).

        Raises:
            ParameterError: if nothing was accumulated since the parameters last moved, or ``finish`` is missing.
        """
        self._require_seen()
        if float(self.factor[0, 0, 0]) == 0:
            raise ParameterError(f"the precision of {int(self.seen)} examples has no factor yet; call finish first")
        cosines = self.cosines(require_finite("features", h)).double()
        half = torch.linalg.solve_triangular(self.factor.double(), cosines.T, upper=False)  # (C or 1, R, N)
        return half.square().sum(1).T.to(h.dtype)

    def _require_seen(self) -> None:
        if int(self.seen) == 0:
            raise ParameterError(
                "the covariance has seen no example since the parameters last moved; after training call reset, "
                "accumulate for each batch in evaluation mode, and finish (SNGP.fit_precision does all three)"
            )


def _require_positive(**numbers: float) -> None:
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not 0 < number < math.inf:
            raise ParameterError(f"{name} must be a positive, finite number, got {number!r}")


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64, device=generator.device)
