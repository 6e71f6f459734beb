"""The curvature of the loss in the outputs of a network, and its square root.

classification   Lambda = diag(p) - p p^T           cross-entropy of logits, p = softmax(f)
regression       Lambda = I / s2                    Gaussian noise of variance s2

output_hessian    Lambda, one matrix for each example
output_root       R with R R^T = Lambda: what is propagated backwards, column by column
output_parts      Lambda as a sum of patterns, the same for all examples, with weights of each
log_likelihoods   ln p(y | f), each example's own
output_gradient   the derivative of -ln p(y | f) in f
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite, require_option

__all__ = ["Likelihood", "log_likelihoods", "output_gradient", "output_hessian", "output_parts", "output_root"]

Likelihood = Literal["classification", "regression"]


def output_hessian(f: Tensor, likelihood: Likelihood, *, noise_variance: float = 1.0) -> Tensor:
    """Return the second derivative of the loss of each example in its outputs.

        Lambda = diag(p) - p p^T,   or   I / s2

    Args:
        f: outputs, shape (N, C).
        likelihood: what they mean: logits, or the mean of a Gaussian.
        noise_variance: s2 > 0, of a regression's targets.

    Returns:
        Lambda, shape (N, C, C), symmetric and positive semi-definite. A constant added to all logits changes nothing,
        so that its rank is C - 1 in a classification.

    Raises:
        ParameterError: if f is no matrix, the likelihood is unknown or the noise not positive.

    Source: [mackay1992practical]
    """
    root = output_root(f, likelihood, noise_variance=noise_variance)
    return root @ root.mT


def output_root(f: Tensor, likelihood: Likelihood, *, noise_variance: float = 1.0) -> Tensor:
    """Return a square root of the second derivative of the loss of each example in its outputs.

        R = diag(sqrt p) - p sqrt(p)^T,   or   I / s

    Args:
        f: outputs, shape (N, C).
        likelihood: what they mean.
        noise_variance: s2 > 0, of a regression's targets.

    Returns:
        R, shape (N, C, C), R R^T = Lambda.

    Raises:
        ParameterError: as ``output_hessian``.

    Source: ours; R R^T = diag(p) - p p^T because the probabilities sum to 1
    """
    _require(f, likelihood, noise_variance)
    if likelihood == "regression":
        return torch.eye(f.shape[1], dtype=f.dtype, device=f.device).expand(len(f), -1, -1) / math.sqrt(noise_variance)
    p = f.softmax(-1)
    root = p.sqrt()
    return torch.diag_embed(root) - p.unsqueeze(-1) * root.unsqueeze(-2)


def output_parts(f: Tensor, likelihood: Likelihood, *, noise_variance: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return the second derivative of the loss of each example as a sum of few patterns that all examples share.

        Lambda = sum_{c < d} p_c p_d (e_c - e_d)(e_c - e_d)^T,   or   1/s2 times the unit matrix

    Args:
        f: outputs, shape (N, C).
        likelihood: what they mean.
        noise_variance: s2 > 0, of a regression's targets.

    Returns:
        Weights, shape (N, K), at least 0, and patterns, shape (K, C, C): K = C (C - 1) / 2 in a classification, else 1.

    Raises:
        ParameterError: as ``output_hessian``.

    Source: ours; the matrix of a graph whose edges weigh p_c p_d, because the probabilities sum to 1
    """
    _require(f, likelihood, noise_variance)
    units = torch.eye(f.shape[1], dtype=f.dtype, device=f.device)
    if likelihood == "regression":
        return torch.full_like(f[:, :1], 1 / noise_variance), units[None]
    p = f.softmax(-1)
    c, d = torch.triu_indices(f.shape[1], f.shape[1], 1, device=f.device)
    apart = units[c] - units[d]
    return p[:, c] * p[:, d], apart.unsqueeze(-1) * apart.unsqueeze(-2)


def output_gradient(f: Tensor, y: Tensor, likelihood: Likelihood, *, noise_variance: float = 1.0) -> Tensor:
    """Return the derivative of the loss of each example in its outputs.

        p - onehot(y),   or   (f - y) / s2

    Args:
        f: outputs, shape (N, C).
        y: class numbers (N,), or targets (N, C), or (N,) where C is 1.
        likelihood: what the outputs mean.
        noise_variance: s2 > 0, of a regression's targets.

    Returns:
        Shape (N, C).

    Raises:
        ParameterError: as ``output_hessian``, or if the targets do not fit.

    Source: [mackay1992practical]
    """
    _require(f, likelihood, noise_variance)
    if likelihood == "regression":
        return (f - _targets(f, y)) / noise_variance
    require_labels(y, f.shape[1])
    return f.softmax(-1) - F.one_hot(y, f.shape[1])


def log_likelihoods(f: Tensor, y: Tensor, likelihood: Likelihood, *, noise_variance: float = 1.0) -> Tensor:
    """Return how probable the target of each example is, with the normalizer.

        ln softmax(f)_y,   or   -1/2 sum_d ((y_d - f_d)^2 / s2 + ln 2 pi s2)

    Args:
        f: outputs, shape (N, C).
        y: class numbers (N,), or targets (N, C), or (N,) where C is 1.
        likelihood: what the outputs mean.
        noise_variance: s2 > 0, of a regression's targets.

    Returns:
        Shape (N,), in nats.

    Raises:
        ParameterError: as ``output_gradient``.

    Source: [mackay1992practical]
    """
    _require(f, likelihood, noise_variance)
    if likelihood == "regression":
        squares = (_targets(f, y) - f) ** 2 / noise_variance
        return -0.5 * (squares + math.log(2 * math.pi * noise_variance)).sum(-1)
    require_labels(y, f.shape[1])
    return -F.cross_entropy(f, y, reduction="none")


def _targets(f: Tensor, y: Tensor) -> Tensor:
    if y.numel() != f.numel() or len(y) != len(f) or not y.is_floating_point():
        raise ParameterError(
            f"a regression needs floating targets of the outputs' shape {tuple(f.shape)}, got {tuple(y.shape)}, "
            f'{y.dtype}; class numbers go with likelihood="classification"'
        )
    return require_finite("the targets", y).reshape(f.shape).to(f.dtype)


def _require(f: Tensor, likelihood: Likelihood, noise_variance: float) -> None:
    require_option("likelihood", likelihood, Likelihood)
    if f.ndim != 2:
        raise ParameterError(f"the network must return a matrix (N, C) of outputs, got shape {tuple(f.shape)}")
    if not 0 < noise_variance < math.inf:
        raise ParameterError(f"noise_variance must be > 0 and finite, got {noise_variance}")
