"""Gaussian-process calibration: one curve through which every logit goes, and how sure the data are of it.

    f ~ GP(z, k),   k(z, z') = s^2 exp( -(z - z')^2 / (2 l^2) ),   q = softmax( f(z_1), ..., f(z_C) )

The curve is the identity plus a deviation that is known at M <= 10 inducing logits u, with f(z) = z + phi(z) . a and
phi(z) = L^-1 k(u, z), L L^T = k(u, u), so that a ~ N(0, 1). Its posterior is approximated at its peak (Laplace):

    a_hat = argmin of  sum_n NLL_n(a) + 1/2 |a|^2            Newton; the problem is convex
    H = sum_n phi_n^T (diag q_n - q_n q_n^T) phi_n + 1       covariance H^-1
    log evidence = -sum_n NLL_n - 1/2 |a_hat|^2 - 1/2 log det H

Size s and length l are those of a small grid with the largest evidence. Far from the data the curve is the identity
again, and all that was learned is forgotten there.
"""

import math
from dataclasses import dataclass
from itertools import product
from typing import Self

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.calibration.calibrator import Calibrator, not_fitted, require_logits, require_pairs

__all__ = ["GPCalibration", "Posterior", "latent_posterior"]

SIZES, LENGTHS = (0.1, 0.3, 1.0, 3.0), (0.3, 1.0, 3.0, 10.0)  # in standard deviations of the logits
JITTER, ROUNDS, MOST = 1e-8, 50, 10


@dataclass(frozen=True, eq=False)
class Posterior:
    """What the data say of the curve: a Gaussian over its deviation from the identity at M inducing logits.

    Args:
        points: u, shape (M,), float64.
        size: s, in the unit of logits.
        length: l, in the unit of logits.
        mean: a_hat, shape (M,).
        precision: H, shape (M, M).
        log_evidence: of the data, in nats.

    Source: [wenger2020gpc]; the Laplace approximation is ours
    """

    points: Tensor
    size: float
    length: float
    mean: Tensor
    precision: Tensor
    log_evidence: float

    def curve(self, z: Tensor, a: Tensor | None = None) -> Tensor:
        """Return f(z) for logits of any shape, float64: the mean curve, or that with the weights a (M,)."""
        return z.double() + _features(z, self.points, self.size, self.length) @ (self.mean if a is None else a)


class GPCalibration(Calibrator):
    """Send every logit through one smooth curve.

        q = softmax( f(z_1), ..., f(z_C) ),   f ~ GP(z, k)

    Args:
        inducing: M, at most 10; quantiles of all logits.
        size: s, how far the curve may leave the identity, in the unit of logits; ``None``: by evidence.
        length: l, over which distance it bends, in the unit of logits; ``None``: by evidence.

    Attributes:
        posterior: of the curve.

    Raises:
        ParameterError: if there are more or fewer points, or a number is not positive.

    Example:
        >>> z = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]]).repeat(20, 1)
        >>> GPCalibration().fit(z, torch.tensor([0, 0, 1]).repeat(20)).predict_proba(z[:1]).round(decimals=1)
        tensor([[0.7000, 0.3000]])

    Source: [wenger2020gpc], one latent function of all logits; Laplace instead of variational inference is ours
    """

    def __init__(self, *, inducing: int = 10, size: float | None = None, length: float | None = None) -> None:
        require_counts(inducing=inducing)
        if inducing > MOST:
            raise ParameterError(
                f"a curve of one number needs at most {MOST} inducing points, got {inducing}; take fewer"
            )
        for name, value in (("size", size), ("length", length)):
            if value is not None and not 0 < value < math.inf:
                raise ParameterError(f"{name} is in the unit of logits, a finite number > 0 or None, got {value}")
        self.inducing, self.size, self.length = inducing, size, length
        self.posterior: Posterior | None = None

    def fit(self, logits: Tensor, y: Tensor) -> Self:
        """Find the posterior of the curve on held-out data, with the size and length of largest evidence.

        Args:
            logits: shape (N, C).
            y: class numbers, shape (N,).

        Returns:
            The calibrator itself.

        Raises:
            ParameterError: if logits and classes are not of that form.
        """
        z, y = require_pairs(logits, y)
        z, y = z.double().cpu(), y.cpu()
        spread = float(z.std(correction=0)) or 1.0
        points = z.flatten().quantile(torch.linspace(0, 1, self.inducing, dtype=torch.float64)).unique()
        sizes = [spread * one for one in SIZES] if self.size is None else [self.size]
        lengths = [spread * one for one in LENGTHS] if self.length is None else [self.length]
        found = [latent_posterior(z, y, points, size=s, length=far) for s, far in product(sizes, lengths)]
        self.posterior = max(found, key=lambda one: one.log_evidence)
        return self

    def predict_proba(self, logits: Tensor) -> Tensor:
        """Return softmax of the mean curve at the logits, shape (N, C), in their dtype."""
        if self.posterior is None:
            raise not_fitted(self)
        z = require_logits(logits)
        return self.posterior.curve(z.cpu()).softmax(1).to(z)

    def draw(self, logits: Tensor, *, samples: int, generator: torch.Generator) -> Tensor:
        """Return the probabilities of curves drawn from the posterior: members, of which the data cannot choose one.

        Args:
            logits: shape (N, C).
            samples: S, how many curves.
            generator: of the draws, one curve after the other.

        Returns:
            Shape (S, N, C), in the dtype of the logits.

        Raises:
            ParameterError: if the logits are not of that form, or S is no whole number of at least 1.
        """
        require_counts(samples=samples)
        if self.posterior is None:
            raise not_fitted(self)
        z, posterior = require_logits(logits), self.posterior
        root = torch.linalg.cholesky(posterior.precision)
        members = []
        for _ in range(samples):
            noise = torch.randn(len(root), 1, generator=generator, dtype=torch.float64)
            a = posterior.mean + torch.linalg.solve_triangular(root.T, noise, upper=True)[:, 0]
            members.append(posterior.curve(z.cpu(), a).softmax(1))
        return torch.stack(members).to(z)


def latent_posterior(z: Tensor, y: Tensor, points: Tensor, *, size: float, length: float) -> Posterior:
    """Return the Laplace approximation of the curve's posterior.

        a_hat = argmin of sum_n NLL_n(a) + 1/2 |a|^2,   H its second derivative there

    Args:
        z: logits, shape (N, C), float64.
        y: class numbers, shape (N,).
        points: u, shape (M,), distinct.
        size: s.
        length: l.

    Returns:
        Mean, precision and evidence.

    Raises:
        ParameterError: if the points are not distinct.

    Source: [wenger2020gpc], one latent function of all logits; the Laplace approximation is ours
    """
    if points.ndim != 1 or len(points.unique()) != len(points):
        raise ParameterError(f"inducing points (M,) must be distinct, got {points.tolist()}; take their unique values")
    features = _features(z, points, size, length)  # (N, C, M)
    a = features.new_zeros(len(points))
    loss = _loss(z, y, features, a)
    for _ in range(ROUNDS):
        slope, precision = _derivatives(z, y, features, a)
        step = torch.linalg.solve(precision, slope)
        while (there := _loss(z, y, features, a - step)) > loss and float(step.abs().max()) > 1e-12:
            step = step / 2
        a, loss = a - step, there
        if float(step.abs().max()) <= 1e-10:
            break
    precision = _derivatives(z, y, features, a)[1]
    return Posterior(points, size, length, a, precision, float(-loss - 0.5 * torch.linalg.slogdet(precision)[1]))


def _features(z: Tensor, points: Tensor, size: float, length: float) -> Tensor:
    """Return phi(z) = L^-1 k(u, z) for each logit, shape (..., M)."""
    among = _kernel(points[:, None], points, size, length)
    root = torch.linalg.cholesky(among + JITTER * size**2 * torch.eye(len(points), dtype=torch.float64))
    to = _kernel(points[:, None], z.double().flatten(), size, length)
    return torch.linalg.solve_triangular(root, to, upper=False).T.reshape(*z.shape, len(points))


def _kernel(a: Tensor, b: Tensor, size: float, length: float) -> Tensor:
    return size**2 * torch.exp(-((a - b) ** 2) / (2 * length**2))


def _loss(z: Tensor, y: Tensor, features: Tensor, a: Tensor) -> Tensor:
    return cross_entropy(z + features @ a, y, reduction="sum") + a @ a / 2


def _derivatives(z: Tensor, y: Tensor, features: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and second derivative of the loss in a."""
    q = (z + features @ a).softmax(1)
    off = q.scatter_add(1, y[:, None], -torch.ones_like(q[:, :1]))
    flat, weighted = features.flatten(0, 1), (features * q[:, :, None]).flatten(0, 1)
    mean = weighted.reshape(features.shape).sum(1)
    return flat.T @ off.flatten() + a, flat.T @ weighted - mean.T @ mean + torch.eye(len(a), dtype=a.dtype)
