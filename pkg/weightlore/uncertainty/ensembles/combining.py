"""From the answers of several members to one.

    combine(p, rule="arithmetic")    pbar = 1/S sum_s p_s
    combine(p, rule="geometric")     softmax_k( 1/S sum_s log p_sk )
    combine(p, rule="vote")          the share of members whose largest class is k; ties go to the smallest number
    combine(p, rule="weighted")      sum_s w_s p_s
    likelihood_weights(p, y)         the weights that make validation labels most likely, by EM

The arithmetic mean says that one of the members is right; the geometric mean asks that all of them agree, so that one
member can forbid a class.
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from weightlore.errors import ParameterError, require_finite, require_option
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.measures.members import Members, members_of, require_observed

__all__ = ["MixtureWeights", "Rule", "combine", "likelihood_weights"]

Rule = Literal["arithmetic", "geometric", "vote", "weighted"]


def combine(p: Members, *, rule: Rule = "arithmetic", weights: Tensor | None = None) -> Tensor:
    """Return one distribution over classes for each example.

    Args:
        p: probabilities of the members, shape (S, N, C), or an object that holds them.
        rule: ``"arithmetic"`` mean, ``"geometric"`` mean, ``"vote"`` for the share of votes (its ``argmax(1)`` is the
            winner, the smallest class number in a tie), or ``"weighted"`` arithmetic mean.
        weights: w, shape (S,), >= 0 with sum 1, for ``"weighted"`` alone.

    Returns:
        Probabilities, shape (N, C), in the dtype of the members.

    Raises:
        ParameterError: if p holds no probabilities, the rule is none of the four, the weights do not fit, or under the
            geometric mean the members exclude every class of an example.

    Example:
        >>> two = torch.tensor([[[0.9, 0.1]], [[0.5, 0.5]]])
        >>> combine(two), combine(two, rule="geometric")
        (tensor([[0.7000, 0.3000]]), tensor([[0.7500, 0.2500]]))

    Source: [gawlikowski2023uncertainty], ensembles, combination of predictions; [hansen1990ensembles] votes
    """
    require_option("rule", rule, Rule)
    probs = members_of(p)
    if (weights is not None) != (rule == "weighted"):
        raise ParameterError(
            f"weights belong to rule='weighted' and to no other, got rule={rule!r} with "
            f"{'no weights' if weights is None else 'weights'}; likelihood_weights finds some"
        )
    if weights is not None:
        return torch.einsum("s,snc->nc", _simplex(weights, probs), probs)
    if rule == "geometric":
        return _geometric(probs)
    if rule == "vote":
        return F.one_hot(probs.argmax(-1), probs.shape[-1]).to(probs.dtype).mean(0)
    return probs.mean(0)


@dataclass(frozen=True, eq=False)
class MixtureWeights:
    """How much each member counts, and how EM got there.

    Args:
        weights: w, shape (S,), >= 0 with sum 1, in the dtype of the members.
        nll: mean negative log likelihood of the labels before each step and after the last, in nats; never rises.
        converged: whether the last step gained less than the tolerance.

    Source: ours
    """

    weights: Tensor
    nll: tuple[float, ...]
    converged: bool


def likelihood_weights(p: Members, y: Tensor, *, steps: int = 1000, tolerance: float = 1e-10) -> MixtureWeights:
    """Return the weights of a mixture of members under which labels are most likely.

        r_sn = w_s p_s(y_n) / sum_t w_t p_t(y_n),   w_s <- 1/N sum_n r_sn

    The likelihood has one maximum in w, and no step of EM can lower it. Use labels that no member was trained on.

    Args:
        p: probabilities of the members for N validation examples, shape (S, N, C), or an object that holds them.
        y: their class numbers, shape (N,), int64.
        steps: at most this many.
        tolerance: stop when a step gains less, in nats for each example.

    Raises:
        ParameterError: if p and y do not fit, a number is out of range, or an example's class has probability zero
            under every member.

    Example:
        >>> good, bad = torch.tensor([[0.9, 0.1]]), torch.tensor([[0.5, 0.5]])
        >>> likelihood_weights(torch.stack([good, bad]), torch.tensor([0])).weights.round(decimals=3)
        tensor([1., 0.])

    Source: [gawlikowski2023uncertainty], ensembles, weighted combinations; weights by EM are ours
    """
    require_counts(steps=steps)
    if not tolerance >= 0:
        raise ParameterError(f"tolerance is a gain per example in nats and must be >= 0, got {tolerance}")
    probs = members_of(p)
    require_observed(y, (probs.shape[1],), probs.shape[2])
    seen = probs.detach().double()[:, torch.arange(len(y)), y]  # (S, N)
    weights = torch.full((len(seen),), 1 / len(seen), dtype=torch.float64, device=seen.device)
    nll, converged = [_nll(weights, seen)], False
    while not converged and len(nll) <= steps:
        joint = weights[:, None] * seen
        weights = (joint / joint.sum(0)).mean(1)
        nll.append(_nll(weights, seen))
        converged = nll[-2] - nll[-1] <= tolerance
    return MixtureWeights(weights.to(probs.dtype), tuple(nll), converged)


def _nll(weights: Tensor, seen: Tensor) -> float:
    likelihood = weights @ seen
    if bool((likelihood <= 0).any()):
        raise ParameterError(
            f"example {int((likelihood <= 0).nonzero()[0])} has a class to which every member gives probability zero, "
            "so that no mixture of them can explain it; mix a little of the uniform distribution into each"
        )
    return -float(likelihood.log().mean())


def _geometric(probs: Tensor) -> Tensor:
    """Return the normalized geometric mean over the members."""
    logs = probs.log().mean(0)
    excluded = (logs == -torch.inf).all(-1)
    if bool(excluded.any()):
        raise ParameterError(
            f"in {int(excluded.sum())} of {len(excluded)} examples each class has probability zero under some member, "
            "and their geometric mean is no distribution; use rule='arithmetic', or probabilities above zero"
        )
    return logs.softmax(-1)


def _simplex(weights: Tensor, probs: Tensor) -> Tensor:
    if weights.shape != (len(probs),) or not weights.is_floating_point():
        raise ParameterError(
            f"weights must be {len(probs)} floating numbers, one for each member, got {tuple(weights.shape)}, "
            f"{weights.dtype}"
        )
    require_finite("a weight", weights)
    low, total = float(weights.min()), float(weights.sum())
    if low < 0 or abs(total - 1) > 1e-4:
        raise ParameterError(f"weights must be >= 0 and sum to 1, got a smallest of {low:g} and a sum of {total:g}")
    return weights.to(probs.dtype)
