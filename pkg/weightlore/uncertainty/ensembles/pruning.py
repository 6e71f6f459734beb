"""Make a trained ensemble smaller without making it worse.

    prune_ensemble(p, y, size=..., criterion=...)   -> Selection, on validation data

Three rules, all of which look at members together and not one by one:

    "greedy"            add what lowers the log loss of the mean most; stop when nothing does
    "complementarity"   add what is right most often where the members chosen so far are wrong
    "margin"            order by how much a member helps where the vote of all is narrow (formula below)

    MDM(s) = -sum_{i: s right} [ a ln |margin_i| + (1 - a) ln share_i ]
    share_i  = votes for y_i / S;    margin_i = (votes for y_i - most votes for another class) / S
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from weightlore.errors import ParameterError, require_option
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.ensembles.selection import Selection, path_of, select_greedily
from weightlore.uncertainty.measures.members import Members, members_of, require_observed

__all__ = ["Pruning", "margin_scores", "prune_ensemble"]

Pruning = Literal["greedy", "complementarity", "margin"]


def prune_ensemble(p: Members, y: Tensor, *, size: int, criterion: Pruning = "greedy") -> Selection:
    """Choose a part of an ensemble on validation data.

    Args:
        p: probabilities of the S members on validation data, shape (S, N, C).
        y: class numbers, shape (N,).
        size: members that stay, 1 to S; with ``"greedy"`` fewer where no further member lowers the loss.
        criterion: ``"greedy"``, ``"complementarity"`` or ``"margin"``. Ties go to the first member.

    Returns:
        The selection; its path is the log loss of the mean, which only falls with ``"greedy"``.

    Raises:
        ParameterError: if p or y are no probabilities and classes, the size is out of range, or there is no such
            criterion.

    Example:
        >>> p = torch.tensor([[[0.9, 0.1], [0.6, 0.4]], [[0.5, 0.5], [0.1, 0.9]], [[0.9, 0.1], [0.6, 0.4]]])
        >>> prune_ensemble(p, torch.tensor([0, 1]), size=2, criterion="complementarity").chosen
        (1, 0)

    Source: [caruana2004selection], greedy forward selection; [guo2018margin], ordering by margin and diversity;
        complementarity as [gawlikowski2023uncertainty] names it
    """
    probs = members_of(p).detach()
    require_observed(y, (probs.shape[1],), probs.shape[2])
    require_option("criterion", criterion, Pruning)
    require_counts(size=size)
    if size > len(probs):
        raise ParameterError(
            f"the ensemble has {len(probs)} members, got size={size}; a part has no more than the whole"
        )
    if criterion == "greedy":
        return select_greedily(probs, y, members=size, replacement=False)
    if criterion == "margin":
        order = margin_scores(probs, y).argsort(descending=True, stable=True)[:size].tolist()
    else:
        order = _complementary(probs, y, size)
    return Selection(tuple(order), path_of(probs, y, tuple(order)), len(probs))


def margin_scores(p: Members, y: Tensor, *, share: float = 0.2) -> Tensor:
    """Return how much each member helps where the vote of the whole ensemble is narrow or mostly wrong.

        MDM(s) = -sum_{i: s right} [ a ln |margin_i| + (1 - a) ln share_i ]

    Both logarithms are of at most 1: an example that all get right adds nothing, one that few get right adds much. A
    margin of 0 counts as one vote.

    Args:
        p: probabilities, shape (S, N, C); only their largest entries count, as votes.
        y: class numbers, shape (N,).
        share: a, weight of the margin against the share of right votes, in [0, 1].

    Returns:
        Scores, shape (S,), float64, >= 0; larger helps more.

    Raises:
        ParameterError: if p or y are no probabilities and classes, or the weight is out of range.

    Source: [guo2018margin], margin and diversity measure with a = 0.2; one vote for a margin of 0 is ours
    """
    probs = members_of(p).detach()
    require_observed(y, (probs.shape[1],), probs.shape[2])
    if not 0 <= share <= 1:
        raise ParameterError(f"share weighs the margin and must be in [0, 1], got {share}")
    said = probs.argmax(-1)  # (S, N)
    votes = functional.one_hot(said, probs.shape[2]).sum(0).double()  # (N, C)
    right = votes.gather(1, y[:, None])[:, 0]
    other = votes.scatter(1, y[:, None], -1.0).amax(1).clamp_min(0)
    gain = share * _log((right - other).abs() / len(probs), len(probs)) + (1 - share) * _log(
        right / len(probs), len(probs)
    )
    return -((said == y) * gain).sum(1)


def _log(part: Tensor, members: int) -> Tensor:
    """Return the logarithm of a share of votes, of at least one vote."""
    return part.clamp_min(1 / members).log()


def _complementary(probs: Tensor, y: Tensor, size: int) -> list[int]:
    """Order members by how often they are right where the mean of those before them is wrong."""
    right = probs.argmax(-1) == y  # (S, N)
    wrong, total, order = torch.ones_like(y, dtype=torch.bool), torch.zeros_like(probs[0]), list[int]()
    for _ in range(size):
        counts = (right & wrong).sum(1)
        counts[order] = -1
        order.append(int(counts.argmax()))
        total = total + probs[order[-1]]
        wrong = total.argmax(-1) != y
    return order
