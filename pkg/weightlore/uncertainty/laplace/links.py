"""From Gaussian logits to class probabilities: three ways, none of them exact.

f ~ N(m, V) for every example; wanted is E[softmax(f)], an integral without a closed form.

    probit_probs(m, V)                 softmax(m_c / sqrt(1 + pi/8 V_cc)): one number for each class, no correlations
    sampled_probs(m, V, samples=S)     softmax of S draws: exact as S grows, and it keeps the members
    bridge_alpha(m, V)                 the Dirichlet whose logits have these moments: a distribution over probabilities
"""

import math

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts

__all__ = ["bridge_alpha", "probit_probs", "sampled_probs"]

LARGEST = 30.0  # of a difference of logits in the bridge: beyond it the other class has no weight that float64 shows


def probit_probs(mean: Tensor, covariance: Tensor) -> Tensor:
    """Return class probabilities of Gaussian logits by the probit approximation.

        p_c ~ exp(m_c / sqrt(1 + (pi/8) V_cc))

    A common scale of the variances makes all logits smaller and keeps their order; variances that differ can change it.
    With two classes the exact rule needs the variance of the difference, V_11 + V_22 - 2 V_12, and gets it here:

        p_1 = sigmoid((m_1 - m_2) / sqrt(1 + (pi/8) (V_11 + V_22 - 2 V_12)))

    Args:
        mean: m, shape (N, C), C >= 2.
        covariance: V, shape (N, C, C), symmetric and positive semi-definite, or its diagonal, shape (N, C): then the
            logits are taken as independent.

    Returns:
        Probabilities, shape (N, C), in the dtype of the mean.

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or a variance is below zero by more than rounding.

    Example:
        >>> m, V = torch.tensor([[2.0, 0.0, 0.0]]), torch.diag(torch.tensor([4.0, 0.0, 0.0]))[None]
        >>> m.softmax(1), probit_probs(m, V)
        (tensor([[0.7870, 0.1065, 0.1065]]), tensor([[0.6351, 0.1824, 0.1824]]))

    Source: [mackay1992practical]; for several classes [lu2020meanfield]
    """
    m, v = _given(mean, covariance)
    spread = v.diagonal(dim1=-2, dim2=-1)
    if m.shape[1] == 2:
        spread = (spread.sum(1, keepdim=True) - 2 * v[:, :1, 1]).clamp(min=0).expand(-1, 2)
        m = m - m.mean(1, keepdim=True)
    return (m / (1 + math.pi / 8 * spread).sqrt()).softmax(-1).to(mean.dtype)


def sampled_probs(mean: Tensor, covariance: Tensor, *, samples: int, generator: torch.Generator) -> Tensor:
    """Return the softmax of draws of Gaussian logits.

        p_s = softmax(m + L e_s),   L L^T = V,   e_s ~ N(0, I)

    The square root is that of the eigenvalues, so that a singular covariance (a softmax does not notice a constant that
    is added to all logits) needs no jitter.

    Args:
        mean: m, shape (N, C).
        covariance: V, shape (N, C, C), or its diagonal, shape (N, C).
        samples: S, how many draws for each example.
        generator: where they come from.

    Returns:
        Probabilities of S members, shape (S, N, C), in the dtype of the mean; the error of their mean falls as S^-1/2.

    Raises:
        ParameterError: as for ``probit_probs``, or if ``samples`` is below 1.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> sampled_probs(torch.zeros(2, 3), torch.ones(2, 3), samples=4, generator=generator).shape
        torch.Size([4, 2, 3])

    Source: [mackay1992practical]
    """
    require_counts(samples=samples)
    m, v = _given(mean, covariance)
    values, vectors = torch.linalg.eigh(v)
    root = vectors * values.clamp(min=0).sqrt().unsqueeze(-2)
    draws = torch.randn(samples, *m.shape, generator=generator, dtype=m.dtype, device=m.device)
    return (m + torch.einsum("ncd,snd->snc", root, draws)).softmax(-1).to(mean.dtype)


def bridge_alpha(mean: Tensor, covariance: Tensor) -> Tensor:
    """Return the Dirichlet distribution that a Gaussian over logits becomes, seen through the softmax.

    Logits matter up to a constant, so that they are first brought to sum zero (a condition, not a subtraction: what
    the constant tells about the others is used); then

        alpha_c = (1 - 2/C + e^{m_c} / C^2 sum_k e^{-m_k}) / V_cc

    Args:
        mean: m, shape (N, C), C >= 2.
        covariance: V, shape (N, C, C), or its diagonal, shape (N, C).

    Returns:
        Concentrations, shape (N, C), > 0, in the dtype of the mean. Differences of logits beyond 30 count as 30, so
        that nothing overflows.

    Raises:
        ParameterError: as for ``probit_probs``, or if a variance is zero: a Dirichlet without spread does not exist.

    Example:
        >>> bridge_alpha(torch.zeros(1, 3), torch.ones(1, 3))
        tensor([[1., 1., 1.]])

    Source: [mackay1998basis], [hobbhahn2022bridge]
    """
    m, v = _given(mean, covariance)
    m, v = _without_constant(m, v)
    spread, classes = v.diagonal(dim1=-2, dim2=-1), m.shape[1]
    if bool((spread <= 0).any()):
        raise ParameterError(
            "the bridge divides by the variances of the logits, and one is zero once their common part is taken away; "
            "without any spread take softmax(mean)"
        )
    others = (m.unsqueeze(-1) - m.unsqueeze(-2)).clamp(max=LARGEST).exp().sum(-1)  # e^{m_c} sum_k e^{-m_k}
    return ((1 - 2 / classes + others / classes**2) / spread).to(mean.dtype)


def _without_constant(m: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and covariance of the logits, given that they sum to zero; where the sum is known, subtract it."""
    rows, total = v.sum(-1), v.sum((-2, -1))
    scale = v.diagonal(dim1=-2, dim2=-1).sum(-1)
    varies = total > 1e-12 * scale
    weight = torch.where(varies, 1 / torch.where(varies, total, 1.0), 0.0)
    gain = rows * weight.unsqueeze(-1)
    known = torch.full_like(gain, 1 / m.shape[1])  # a sum without variance is subtracted evenly
    gain = torch.where(varies.unsqueeze(-1), gain, known)
    shifted = m - gain * m.sum(-1, keepdim=True)
    return shifted, v - torch.einsum("nc,nd->ncd", rows, rows) * weight[:, None, None]


def _given(mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and full covariance in float64, checked."""
    if mean.ndim != 2 or mean.shape[1] < 2 or covariance.shape not in (mean.shape, (*mean.shape, mean.shape[1])):
        raise ParameterError(
            f"logits need means (N, C) with C of 2 or more and covariances (N, C, C) or (N, C), got "
            f"{tuple(mean.shape)} and {tuple(covariance.shape)}"
        )
    m = require_finite("the means", mean).double()
    v = require_finite("the covariances", covariance).double()
    v = torch.diag_embed(v) if v.ndim == 2 else v
    spread = v.diagonal(dim1=-2, dim2=-1)
    least = _below(spread)
    if least is not None:
        raise ParameterError(f"a variance of a logit must not be negative, got {least}; a covariance is J A^-1 J^T")
    return m, v + torch.diag_embed(spread.clamp(min=0) - spread)


def _below(spread: Tensor) -> float | None:
    """Return the smallest variance if it is negative by more than rounding."""
    least = float(spread.min()) if spread.numel() else 0.0
    return least if least < -1e-6 * float(spread.abs().max()) else None
