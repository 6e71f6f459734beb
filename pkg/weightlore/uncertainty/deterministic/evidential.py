"""Classifiers that count evidence: how much speaks for each class, and how much belief nothing has claimed.

The logits are turned into evidence e >= 0, and alpha = e + 1 are the concentrations of a Dirichlet distribution over
class probabilities p with mean m = alpha / a_0. The loss is the expected loss under it, plus a price for evidence that
speaks for wrong classes [sensoy2018evidential]:

    squared   E ||onehot - p||^2 = sum_c (t_c - m_c)^2 + m_c (1 - m_c) / (a_0 + 1)
    log       -ln E p_y          = ln a_0 - ln alpha_y
    digamma   E[-ln p_y]         = psi(a_0) - psi(alpha_y)

    evidential_prediction            alpha, as a prediction; its vacuity is C / a_0
    evidential_classification_loss   risk + strength KL(Dir(t + (1 - t) alpha) || Dir(1))
    annealed                         strength = min(1, epoch / epochs), so that evidence may grow at first

What a_0 becomes is decided by loss and price, not by how many examples were seen: it need not grow with their number.
"""

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from weightlore.errors import ParameterError, require_option
from weightlore.uncertainty.calibration.calibrator import require_pairs
from weightlore.uncertainty.dirichlet import kl_divergence
from weightlore.uncertainty.measures.members import logits_of
from weightlore.uncertainty.predictions.dirichlet import DirichletPrediction

__all__ = ["Evidence", "Risk", "annealed", "evidential_classification_loss", "evidential_prediction"]

Evidence = Callable[[Tensor], Tensor]
Risk = Literal["squared", "log", "digamma"]


def evidential_prediction(logits: Tensor, *, evidence: Evidence = F.softplus) -> DirichletPrediction:
    """Return the Dirichlet distributions of an evidential network.

        alpha = e(z) + 1;   belief (alpha_c - 1) / a_0 of each class, and C / a_0 of none (``dirichlet.vacuity``)

    Args:
        logits: shape (N, C).
        evidence: a function to numbers >= 0 of the same shape: ``softplus``, ``relu`` or ``torch.exp``.

    Raises:
        ParameterError: if these are no logits, or the evidence is negative, not finite or of another shape.

    Example:
        >>> evidential_prediction(torch.tensor([[9.0, -5.0]]), evidence=torch.relu).alpha
        tensor([[10.,  1.]])

    Source: [sensoy2018evidential], alpha = e + 1; the function of evidence is the caller's
    """
    logits_of(logits)
    found = evidence(logits)
    if found.shape != logits.shape or not bool(((found >= 0) & found.isfinite()).all()):
        low, high = (float(end) for end in found.detach().aminmax())
        raise ParameterError(
            f"evidence must be finite, >= 0 and of shape {tuple(logits.shape)}, got {tuple(found.shape)} from {low:g} "
            f"to {high:g}; softplus is, and so are exponentials of logits that are not too large"
        )
    return DirichletPrediction(found + 1)


def annealed(epoch: int, epochs: int) -> float:
    """Return the strength of the price for wrong evidence: it rises to 1, and stays there.

        min(1, epoch / epochs)

    Args:
        epoch: number of the epoch, from 0.
        epochs: after how many it is 1, at least 1.

    Raises:
        ParameterError: if one of them is out of range.

    Example:
        >>> annealed(3, 10), annealed(12, 10)
        (0.3, 1.0)

    Source: [sensoy2018evidential], annealing coefficient
    """
    if epoch < 0 or epochs < 1:
        raise ParameterError(f"epochs are counted from 0 and annealing takes at least 1, got {epoch} of {epochs}")
    return min(1.0, epoch / epochs)


def evidential_classification_loss(
    logits: Tensor, y: Tensor, *, risk: Risk, strength: float, evidence: Evidence = F.softplus
) -> Tensor:
    """Return the expected loss under the predicted Dirichlet distribution, and the price of wrong evidence.

        1/N sum_i [ risk_i + strength KL(Dir(alpha~_i) || Dir(1)) ],   alpha~ = t + (1 - t) alpha,   t = onehot(y)

    In alpha~ the right class counts as 1, so that the price concerns only what speaks for others.

    Args:
        logits: shape (N, C).
        y: class numbers, shape (N,), int64.
        risk: ``"squared"``, ``"log"`` or ``"digamma"``, see the table of the module.
        strength: >= 0; ``annealed`` gives it by epoch.
        evidence: as for ``evidential_prediction``.

    Returns:
        The loss, shape (), differentiable.

    Raises:
        ParameterError: as ``evidential_prediction``, or if these are no class numbers, or strength is out of range.

    Example:
        >>> flat = torch.zeros(1, 2)
        >>> evidential_classification_loss(flat, torch.tensor([0]), risk="log", strength=1.0, evidence=torch.relu)
        tensor(0.6931)

    Source: [sensoy2018evidential], its three losses and the term that removes misleading evidence
    """
    require_option("risk", risk, Risk)
    if not 0 <= strength < float("inf"):
        raise ParameterError(f"strength must be finite and at least 0, got {strength!r}; 0 leaves the price out")
    _, y = require_pairs(logits, y)
    alpha = evidential_prediction(logits, evidence=evidence).alpha.double()
    right = F.one_hot(y, alpha.shape[1]).double()
    wrong = kl_divergence(right + (1 - right) * alpha, torch.ones_like(alpha[:1]))
    return (_RISKS[risk](alpha, right) + strength * wrong).mean().to(logits.dtype)


def _squared(alpha: Tensor, right: Tensor) -> Tensor:
    whole = alpha.sum(1, keepdim=True)
    mean = alpha / whole
    return ((right - mean) ** 2 + mean * (1 - mean) / (whole + 1)).sum(1)


def _log(alpha: Tensor, right: Tensor) -> Tensor:
    return alpha.sum(1).log() - (right * alpha.log()).sum(1)


def _digamma(alpha: Tensor, right: Tensor) -> Tensor:
    return torch.digamma(alpha.sum(1)) - (right * torch.digamma(alpha)).sum(1)


_RISKS: dict[Risk, Callable[[Tensor, Tensor], Tensor]] = {"squared": _squared, "log": _log, "digamma": _digamma}
