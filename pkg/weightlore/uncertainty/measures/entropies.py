"""How uncertain class probabilities are: all of it, the part that is in the data, the part that is in the model.

The entropy of the mean is the total; the mean of the entropies is what the members hold for chance; what is left is
what they disagree about [depeweg2018decomposition]:

    predictive_entropy     H(pbar)                                total
    expected_entropy       1/S sum_s H(p_s)                       data
    mutual_information     1/S sum_s KL(p_s || pbar)              model: total - data, in [0, ln min(S, C)]
    expected_kl            1/S sum_s KL(pbar || p_s)              model, the other way round
    expected_pairwise_kl   1/S^2 sum_st KL(p_s || p_t)            the sum of the two
    max_probability        1 - max_c pbar_c                       total
    margin                 pbar_(1) - pbar_(2)                    total; the only one that is *small* when unsure

All take probabilities (S, N, C) or (N, C) or a prediction, and return (N,), in nats unless a base is given.
"""

import math

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.measures.members import Members, alone, mean_of, members_of, nats_in

__all__ = [
    "expected_entropy",
    "expected_kl",
    "expected_pairwise_kl",
    "margin",
    "max_probability",
    "mutual_information",
    "predictive_entropy",
]


def max_probability(p: Members) -> Tensor:
    """Return what the largest probability leaves to the others, larger where more uncertain.

        1 - max_c pbar_c

    Args:
        p: probabilities, shape (S, N, C) or (N, C), or a prediction.

    Returns:
        Shape (N,), in [0, 1 - 1/C].

    Raises:
        ParameterError: if these are no probabilities.

    Example:
        >>> max_probability(torch.tensor([[0.5, 0.25, 0.25]]))
        tensor([0.5000])

    Source: [hendrycks2017baseline], maximum softmax probability
    """
    return 1 - mean_of(p).amax(-1)


def margin(p: Members) -> Tensor:
    """Return how far the first class is ahead of the second, **smaller** where more uncertain.

        pbar_(1) - pbar_(2),   largest first

    Args:
        p: probabilities, shape (S, N, C) or (N, C), or a prediction.

    Returns:
        Shape (N,), in [0, 1]; negate it to rank by uncertainty.

    Raises:
        ParameterError: if these are no probabilities, or there is one class only.

    Example:
        >>> margin(torch.tensor([[0.5, 0.25, 0.25]]))
        tensor([0.2500])

    Source: [gawlikowski2023uncertainty], measures in classification
    """
    mean = mean_of(p)
    if mean.shape[-1] < 2:
        raise ParameterError(f"a margin is between two classes, got {mean.shape[-1]}; give probabilities of both")
    first, second = mean.topk(2, dim=-1).values.unbind(-1)
    return first - second


def predictive_entropy(p: Members, *, base: float | None = None) -> Tensor:
    """Return the entropy of the mean: the total uncertainty.

        H(pbar) = -sum_c pbar_c ln pbar_c

    Args:
        p: probabilities, shape (S, N, C) or (N, C), or a prediction.
        base: of the logarithm, > 0 and not 1; ``None`` for nats.

    Returns:
        Shape (N,), in [0, ln C]. A probability of 0 adds exactly 0, and its gradient stays finite.

    Raises:
        ParameterError: if these are no probabilities, or the base is none.

    Example:
        >>> predictive_entropy(torch.tensor([[0.5, 0.5], [1.0, 0.0]]), base=2)
        tensor([1., 0.])

    Source: [depeweg2018decomposition], total uncertainty
    """
    return _entropy(mean_of(p)) / nats_in(base)


def expected_entropy(p: Members, *, base: float | None = None) -> Tensor:
    """Return the mean of the entropies: what the members take for chance in the data.

        1/S sum_s H(p_s)

    Args:
        p: probabilities, shape (S, N, C) or (N, C), or a prediction.
        base: of the logarithm; ``None`` for nats.

    Returns:
        Shape (N,), in [0, ln C].

    Raises:
        ParameterError: if these are no probabilities, or the base is none.

    Example:
        >>> expected_entropy(torch.tensor([[[0.5, 0.5]], [[1.0, 0.0]]]), base=2)
        tensor([0.5000])

    Source: [depeweg2018decomposition], aleatoric part
    """
    return _entropy(members_of(p)).mean(0) / nats_in(base)


def mutual_information(p: Members, *, base: float | None = None) -> Tensor:
    """Return how much the label would tell about the member: the uncertainty of the model.

        H(pbar) - 1/S sum_s H(p_s) = 1/S sum_s KL(p_s || pbar)

    Args:
        p: probabilities, shape (S, N, C), or a prediction; one member gives 0 and a warning.
        base: of the logarithm; ``None`` for nats.

    Returns:
        Shape (N,), in [0, ln min(S, C)]; computed by the right-hand side, in which nothing cancels.

    Raises:
        ParameterError: if these are no probabilities, or the base is none.

    Example:
        >>> mutual_information(torch.tensor([[[0.0, 1.0]], [[1.0, 0.0]]]), base=2)
        tensor([1.])

    Source: [houlsby2011bald], the objective; [depeweg2018decomposition], epistemic part
    """
    members = members_of(p)
    alone(members, "mutual information")
    raw = (members * (_log(members) - _log(members.mean(0)))).sum(-1).mean(0)
    return raw.clamp(0, math.log(min(len(members), members.shape[-1]))) / nats_in(base)  # outside by rounding only


def expected_kl(p: Members, *, smoothing: float = 0.0, base: float | None = None) -> Tensor:
    """Return how far the members are from their mean, seen from the mean; also called reverse mutual information.

        1/S sum_s KL(pbar || p_s)

    Args:
        p: probabilities, shape (S, N, C), or a prediction; one member gives 0 and a warning.
        smoothing: g in [0, 1]; members become (1 - g) p_s + g / C before anything else.
        base: of the logarithm; ``None`` for nats.

    Returns:
        Shape (N,), >= 0; infinite where a member gives 0 to a class that another does not, unless g > 0.

    Raises:
        ParameterError: if these are no probabilities, or the smoothing or the base is out of range.

    Example:
        >>> expected_kl(torch.tensor([[[0.5, 0.5]], [[0.0, 1.0]]]))
        tensor([inf])

    Source: [gawlikowski2023uncertainty], expected Kullback-Leibler divergence; smoothing is ours
    """
    members = _smoothed(members_of(p), smoothing)
    alone(members, "the expected divergence")
    mean = members.mean(0)
    raw = (torch.xlogy(mean, mean) - torch.xlogy(mean, members)).sum(-1).mean(0)
    return raw.clamp(min=0) / nats_in(base)


def expected_pairwise_kl(p: Members, *, smoothing: float = 0.0, base: float | None = None) -> Tensor:
    """Return how far members are from one another, over all ordered pairs, those of a member with itself among them.

        1/S^2 sum_s sum_t KL(p_s || p_t) = mutual_information + expected_kl

    Args:
        p: probabilities, shape (S, N, C), or a prediction; one member gives 0 and a warning.
        smoothing: g in [0, 1]; members become (1 - g) p_s + g / C before anything else.
        base: of the logarithm; ``None`` for nats.

    Returns:
        Shape (N,), >= 0, in S passes instead of S^2; infinite where ``expected_kl`` is. Over pairs of different
        members the mean is S / (S - 1) times this.

    Raises:
        ParameterError: if these are no probabilities, or the smoothing or the base is out of range.

    Example:
        >>> expected_pairwise_kl(torch.tensor([[[0.5, 0.5]], [[0.25, 0.75]]]))
        tensor([0.0687])

    Source: [malinin2019thesis], expected pairwise divergence
    """
    members = _smoothed(members_of(p), smoothing)
    alone(members, "the expected pairwise divergence")
    cross = torch.xlogy(members.mean(0), members).mean(0)
    raw = (torch.xlogy(members, members).mean(0) - cross).sum(-1)
    return raw.clamp(min=0) / nats_in(base)


def _log(p: Tensor) -> Tensor:
    """Return ln p with a finite value and gradient at 0, so that p ln p is 0 there and logits keep their gradient."""
    return p.clamp(min=torch.finfo(p.dtype).tiny).log()


def _entropy(p: Tensor) -> Tensor:
    return (p * -_log(p)).sum(-1)


def _smoothed(p: Tensor, smoothing: float) -> Tensor:
    if not 0 <= smoothing <= 1:
        raise ParameterError(f"smoothing is a share of the uniform distribution, from 0 to 1, got {smoothing}")
    return (1 - smoothing) * p + smoothing / p.shape[-1] if smoothing else p
