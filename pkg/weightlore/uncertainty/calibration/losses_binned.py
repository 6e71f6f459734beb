"""Penalties that make an error of calibration differentiable, to be added to the cross-entropy with a strength.

    dca_penalty      |accuracy - mean confidence| of a batch
    avuc_loss        accurate should be certain, inaccurate uncertain: four soft counts
    soft_ece_loss    ECE whose examples belong to all bins, more to the nearer ones

Whether a prediction is right has no gradient; all of it flows through the confidences.
"""

import math

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.calibration.logits import log_probs_of, root_of, top_of

__all__ = ["avuc_loss", "dca_penalty", "soft_ece_loss"]


def dca_penalty(logits: Tensor, y: Tensor) -> Tensor:
    """Return the difference of confidence and accuracy of a batch.

        | 1/N sum_i c_i - 1/N sum_i r_i |

    This is the ECE with a single bin: errors in both directions cancel.

    Args:
        logits: shape (N, C).
        y: class numbers, shape (N,), int64.

    Returns:
        The penalty, shape (), in [0, 1].

    Raises:
        ParameterError: if these are no logits and class numbers.

    Example:
        >>> dca_penalty(torch.zeros(2, 2), torch.tensor([0, 0]))
        tensor(0.5000)

    Source: [liang2020dca], the auxiliary term
    """
    r, hit = top_of(logits, y)
    return (hit.to(r).mean() - r.mean()).abs()


def avuc_loss(logits: Tensor, y: Tensor, *, threshold: float) -> Tensor:
    """Return how often certainty goes with error, and uncertainty with being right, on four soft counts.

        ln(1 + (n_AU + n_IC) / (n_AC + n_IU)),   u = H(p),  certain: u <= threshold

        n_AC = sum over accurate, certain      of      r  (1 - tanh u)
        n_AU = sum over accurate, uncertain    of      r       tanh u
        n_IC = sum over inaccurate, certain    of (1 - r) (1 - tanh u)
        n_IU = sum over inaccurate, uncertain  of (1 - r)      tanh u

    Args:
        logits: shape (N, C).
        y: class numbers, shape (N,), int64.
        threshold: entropy up to which a prediction counts as certain, in nats, >= 0. Halfway between the mean entropy
            of right and that of wrong predictions after a few epochs is a usual choice.

    Returns:
        The penalty, shape (), at least 0; where nothing is as it should be it is large and finite.

    Raises:
        ParameterError: if these are no logits and class numbers, or the threshold is negative or not finite.

    Example:
        >>> avuc_loss(torch.tensor([[9.0, 0.0], [0.0, 0.0]]), torch.tensor([0, 1]), threshold=0.3)
        tensor(0.)

    Source: [krishnan2020avuc], AvUC loss
    """
    if isinstance(threshold, bool) or not isinstance(threshold, int | float) or not 0 <= threshold < math.inf:
        raise ParameterError(f"threshold is an entropy in nats and must be a finite number >= 0, got {threshold!r}")
    r, hit = top_of(logits, y)
    log_p = log_probs_of(logits, y)
    u = -(log_p.exp() * log_p).sum(1)
    weight = torch.where(hit, r, 1 - r) * torch.where(u <= threshold, 1 - u.tanh(), u.tanh())
    good = hit == (u <= threshold)  # accurate and certain, or inaccurate and uncertain
    wrong, right = weight[~good].sum(), weight[good].sum()
    return torch.log1p(wrong / right.clamp(min=torch.finfo(r.dtype).eps))


def soft_ece_loss(logits: Tensor, y: Tensor, *, bins: int = 15, temperature: float = 0.01, norm: float = 2.0) -> Tensor:
    """Return the calibration error of a batch with soft bins.

        g_b(r) = softmax_b( -(r - m_b)^2 / T ),   m_b = (b - 1/2) / B the middle of a bin
        ( sum_b S_b/N |A_b - R_b|^p )^(1/p),      S_b = sum_i g_b(r_i),  A_b, R_b means of c, r with weights g_b

    For T -> 0 it is the ECE with bins of equal width.

    Args:
        logits: shape (N, C).
        y: class numbers, shape (N,), int64.
        bins: B.
        temperature: T, > 0; large ones make one bin of all.
        norm: p, at least 1 and finite.

    Returns:
        The penalty, shape (), in [0, 1].

    Raises:
        ParameterError: if these are no logits and class numbers, or an option is out of range.

    Example:
        >>> soft_ece_loss(torch.zeros(2, 2), torch.tensor([0, 0]), bins=1)
        tensor(0.5000)

    Source: [karandikar2021soft], soft-binned ECE
    """
    require_counts(bins=bins)
    for name, value, least in (("temperature", temperature, math.ulp(0.0)), ("norm", norm, 1.0)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < math.inf:
            bound = "> 0" if least < 1 else ">= 1"
            raise ParameterError(f"{name} must be a finite number {bound}, got {value!r}")
    r, hit = top_of(logits, y)
    middle = (torch.arange(bins, dtype=r.dtype, device=r.device) + 0.5) / bins
    g = (-(r[:, None] - middle).square() / temperature).softmax(1)  # (N, B)
    mass = g.sum(0)
    gaps = (hit.to(r) - r) @ g / mass.clamp(min=torch.finfo(r.dtype).tiny)  # A_b - R_b
    return root_of((mass / len(r) * gaps.abs() ** norm).sum(), norm)
