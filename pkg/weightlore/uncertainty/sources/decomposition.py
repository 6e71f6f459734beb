"""What of an uncertainty is in the data, what in the model, and what in between.

Each split is exact: the parts add up to the whole.

    decompose_entropy     H(pbar)  = E_s H(p_s)           + MI                      members that give probabilities
    decompose_variance    Var(y)   = E_s v_s              + Var_s mu_s              members that give Gaussians
    decompose_three_way   H(pbar)  = E_s E_q H(q)         + E_s MI(y, q)    + MI(y, s)    members that give Dirichlets

In the last, q ~ Dirichlet(alpha_s) are the class probabilities themselves: the middle part says that a member knows an
input to be unlike what it was trained on, the last that the members disagree about it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty import dirichlet
from weightlore.uncertainty.measures.entropies import expected_entropy, mutual_information, predictive_entropy
from weightlore.uncertainty.measures.members import Members
from weightlore.uncertainty.predictions.gaussian import GaussianPrediction

__all__ = ["Parts", "ThreeWayParts", "decompose_entropy", "decompose_three_way", "decompose_variance"]


@dataclass(frozen=True, eq=False)
class Parts:
    """A total uncertainty and its two parts, each >= 0.

    Args:
        total: shape (N,) in nats for classes, (N, D) in squared units for numbers.
        data: what is left when the model is known, of the same shape.
        model: what knowing the model would take away, of the same shape.

    Source: [depeweg2018decomposition]
    """

    total: Tensor
    data: Tensor
    model: Tensor


@dataclass(frozen=True, eq=False)
class ThreeWayParts:
    """A total entropy and its three parts, each >= 0, in nats.

    Args:
        total: shape (N,).
        data: entropy that is left when the class probabilities are known, shape (N,).
        distributional: what each member by itself does not know of the class probabilities, shape (N,).
        model: what the members disagree about, shape (N,).

    Source: [malinin2018prior], three levels
    """

    total: Tensor
    data: Tensor
    distributional: Tensor
    model: Tensor


def decompose_entropy(p: Members) -> Parts:
    """Split the entropy of a prediction of classes.

        H(pbar) = 1/S sum_s H(p_s) + 1/S sum_s KL(p_s || pbar)

    Args:
        p: probabilities, shape (S, N, C), or a prediction; one member has no model part, which brings a warning.

    Returns:
        Total, data and model part, each of shape (N,).

    Raises:
        ParameterError: if these are no probabilities.

    Example:
        >>> parts = decompose_entropy(torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]]]))
        >>> parts.data, parts.model
        (tensor([0.]), tensor([0.6931]))

    Source: [depeweg2018decomposition], entropies
    """
    return Parts(predictive_entropy(p), expected_entropy(p), mutual_information(p))


def decompose_variance(means: Tensor, variances: Tensor) -> Parts:
    """Split the variance of a prediction of numbers by the law of total variance.

        Var(y) = 1/S sum_s v_s + 1/S sum_s (mu_s - mu)^2

    Args:
        means: mu_s, shape (S, N, D).
        variances: v_s, shape (S, N, D), >= 0.

    Returns:
        Total, data and model part, each of shape (N, D).

    Raises:
        ParameterError: if shapes do not fit, an entry is not finite, or a variance is negative.

    Example:
        >>> parts = decompose_variance(torch.tensor([[[1.0]], [[-1.0]]]), torch.full((2, 1, 1), 0.5))
        >>> parts.total, parts.data, parts.model
        (tensor([[1.5000]]), tensor([[0.5000]]), tensor([[1.]]))

    Source: [depeweg2018decomposition], variances
    """
    prediction = GaussianPrediction.from_members(means, variances)
    return Parts(prediction.variance, prediction.aleatoric_var, prediction.epistemic_var)


def decompose_three_way(alpha: Tensor) -> ThreeWayParts:
    """Split the entropy of a prediction by members that each give a Dirichlet over the class probabilities.

        m_s = alpha_s / a0_s,   pbar = 1/S sum_s m_s
        H(pbar) = 1/S sum_s E_q H(q) + 1/S sum_s (H(m_s) - E_q H(q)) + 1/S sum_s KL(m_s || pbar)

    Args:
        alpha: concentrations, shape (S, N, C), > 0; (N, C) is one member, whose model part is 0.

    Returns:
        Total, data, distributional and model part, each of shape (N,).

    Raises:
        ParameterError: if these are no concentrations.

    Example:
        >>> sure, unsure = torch.tensor([[500.0, 500.0]]), torch.tensor([[0.01, 0.01]])
        >>> round(float(decompose_three_way(sure).data), 2), round(float(decompose_three_way(unsure).data), 2)
        (0.69, 0.02)

    Source: [malinin2018prior], Eq. of the three levels of integration; as entropies, ours
    """
    if not isinstance(alpha, Tensor) or alpha.ndim not in (2, 3):
        came = tuple(alpha.shape) if isinstance(alpha, Tensor) else type(alpha).__name__
        raise ParameterError(f"alpha holds concentrations (S, N, C), or (N, C) for one member, got {came}")
    members = alpha if alpha.ndim == 3 else alpha[None]
    shape, rows = members.shape[:2], members.flatten(0, 1)
    data = dirichlet.expected_entropy(rows).reshape(shape).mean(0)
    distributional = dirichlet.mutual_information(rows).reshape(shape).mean(0)
    means = members / members.sum(-1, keepdim=True)
    model = mutual_information(means) if len(means) > 1 else torch.zeros_like(data)
    return ThreeWayParts(predictive_entropy(means), data, distributional, model)
