"""Which unlabeled examples to ask about next, from what the members say of them.

acquire      the examples with the largest score, ties broken at random

random            any
entropy           H(pbar): unsure, for whatever reason
margin            pbar_(1) - pbar_(2), smallest first: between two classes
variation_ratio   share of members against the most named class
bald              mutual information: the members contradict one another
batch_bald        mutual information of all that is asked for together
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_option
from weightlore.uncertainty.active.batches import batch_bald
from weightlore.uncertainty.measures.entropies import margin, mutual_information, predictive_entropy
from weightlore.uncertainty.measures.members import Members, members_of
from weightlore.uncertainty.measures.votes import variation_ratio

__all__ = ["Acquisition", "acquire"]

Acquisition = Literal["random", "entropy", "margin", "variation_ratio", "bald", "batch_bald"]

SCORES: dict[str, Callable[[Members], Tensor]] = {
    "entropy": predictive_entropy,
    "margin": lambda p: -margin(p),
    "variation_ratio": variation_ratio,
    "bald": mutual_information,
}


def acquire(p: Members, count: int, *, acquisition: Acquisition = "bald", generator: torch.Generator) -> Tensor:
    """Return the examples of a pool whose labels to ask for.

    The generator draws one order of the pool, whatever the acquisition is: it is the random choice itself, and decides
    between equal scores.

    Args:
        p: probabilities for the pool, shape (S, N, C) or (N, C), or a prediction. ``"variation_ratio"`` and
            ``"bald"`` need several members; with one they warn and choose at random.
        count: how many, from 1 to N; the limits of ``"batch_bald"`` are those of ``batch_bald``.
        acquisition: how to choose.
        generator: draws an order of the pool.

    Returns:
        Numbers of rows, the most wanted first, shape (count,), int64.

    Raises:
        ParameterError: if these are no probabilities, there is no such acquisition, or the count is out of range.

    Example:
        >>> p = torch.tensor([[0.9, 0.1], [0.5, 0.5], [0.7, 0.3]])
        >>> acquire(p, 2, acquisition="entropy", generator=torch.Generator())
        tensor([1, 2])

    Source: [houlsby2011bald], for mutual information; [gawlikowski2023uncertainty], active learning
    """
    require_option("acquisition", acquisition, Acquisition)
    members = members_of(p)
    pool = members.shape[1]
    if not 1 <= count <= pool:
        raise ParameterError(f"count must be from 1 to {pool}, the size of the pool, got {count}")
    order = torch.randperm(pool, generator=generator, device=generator.device).to(members.device)
    if acquisition == "random":
        return order[:count]
    if acquisition == "batch_bald":
        return order[batch_bald(members[:, order], count).rows]
    scores = SCORES[acquisition](members)[order]
    return order[scores.argsort(descending=True, stable=True)[:count]]
