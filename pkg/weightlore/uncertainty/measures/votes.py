"""How far members scatter: in their probabilities, and in the class each would name.

    class_variance        1/S sum_s (p_sc - pbar_c)^2                           (N, C)
    predictive_variance   sum_c class_variance = 1/S sum_s ||p_s - pbar||^2     in [0, 1 - ||pbar||^2]
    variation_ratio       1 - (votes for the class with most) / S               in [0, 1 - 1/min(S, C)]
    disagreement          pairs of members that name different classes / all pairs

Votes are what is left of a member when its probabilities are dropped: each names its largest class, the first in a tie.
"""

import torch
from torch import Tensor

from weightlore.uncertainty.measures.members import Members, alone, members_of

__all__ = ["class_variance", "count_votes", "disagreement", "predictive_variance", "variation_ratio"]


def class_variance(p: Members) -> Tensor:
    """Return how much the probability of each class varies from member to member.

        1/S sum_s (p_sc - pbar_c)^2

    Args:
        p: probabilities, shape (S, N, C), or a prediction; one member gives 0 and a warning.

    Returns:
        Shape (N, C), in [0, 1/4].

    Raises:
        ParameterError: if these are no probabilities.

    Example:
        >>> class_variance(torch.tensor([[[0.0, 1.0]], [[1.0, 0.0]]]))
        tensor([[0.2500, 0.2500]])

    Source: [feinman2017artifacts], uncertainty by the variance of dropout passes
    """
    members = members_of(p)
    alone(members, "the variance of members")
    return members.var(0, correction=0)


def predictive_variance(p: Members) -> Tensor:
    """Return the variance of the members, summed over classes.

        sum_c 1/S sum_s (p_sc - pbar_c)^2 = 1/S sum_s ||p_s - pbar||^2

    Args:
        p: probabilities, shape (S, N, C), or a prediction; one member gives 0 and a warning.

    Returns:
        Shape (N,), in [0, 1 - ||pbar||^2].

    Raises:
        ParameterError: if these are no probabilities.

    Example:
        >>> predictive_variance(torch.tensor([[[0.0, 1.0]], [[1.0, 0.0]]]))
        tensor([0.5000])

    Source: [feinman2017artifacts], uncertainty by the variance of dropout passes
    """
    members = members_of(p)
    alone(members, "the variance of members")
    return members.var(0, correction=0).sum(-1)


def variation_ratio(p: Members) -> Tensor:
    """Return the share of votes that did not go to the class with most.

        1 - max_c #{s: argmax p_s = c} / S

    Args:
        p: probabilities, shape (S, N, C), or a prediction; one member gives 0 and a warning.

    Returns:
        Shape (N,), in [0, 1 - 1/min(S, C)].

    Raises:
        ParameterError: if these are no probabilities.

    Example:
        >>> variation_ratio(torch.tensor([[[0.1, 0.9]], [[0.2, 0.8]], [[0.7, 0.3]]]))
        tensor([0.3333])

    Source: [freeman1965statistics], variation ratio
    """
    members = members_of(p)
    alone(members, "the variation ratio")
    return (1 - count_votes(members).amax(-1).double() / len(members)).to(members.dtype)


def disagreement(p: Members) -> Tensor:
    """Return the share of pairs of members that name different classes.

        1 - sum_c n_c (n_c - 1) / (S (S - 1)),   n_c = #{s: argmax p_s = c}

    How members differ in being *right* is in the diversity module.

    Args:
        p: probabilities, shape (S, N, C), or a prediction; one member gives 0 and a warning.

    Returns:
        Shape (N,), in [0, 1].

    Raises:
        ParameterError: if these are no probabilities.

    Example:
        >>> disagreement(torch.tensor([[[0.1, 0.9]], [[0.2, 0.8]], [[0.7, 0.3]]]))
        tensor([0.6667])

    Source: [gawlikowski2023uncertainty], measures of disagreement among members
    """
    members = members_of(p)
    if alone(members, "disagreement"):
        return torch.zeros_like(members[0, :, 0])
    n = count_votes(members).double()
    alike = (n * (n - 1)).sum(-1) / (len(members) * (len(members) - 1))
    return (1 - alike).to(members.dtype)


def count_votes(p: Members) -> Tensor:
    """Return how many members name each class.

        n_c = #{s: argmax_j p_sj = c}

    Args:
        p: probabilities, shape (S, N, C) or (N, C), or a prediction.

    Returns:
        Counts, shape (N, C), int64; they sum to S.

    Raises:
        ParameterError: if these are no probabilities.

    Example:
        >>> count_votes(torch.tensor([[[0.1, 0.9]], [[0.2, 0.8]], [[0.7, 0.3]]]))
        tensor([[1, 2]])

    Source: [hansen1990ensembles], voting
    """
    members = members_of(p)
    named = members.argmax(-1)  # (S, N)
    counts = torch.zeros(members.shape[1:], dtype=torch.int64, device=members.device)
    return counts.scatter_add_(1, named.T, torch.ones_like(named.T))
