"""Choose members on validation data, one after the other.

    select_greedily(p, y, members=...)     add whatever lowers the loss of the mean most, also twice
    Selection                              who was chosen, and the loss of the mean after each choice

    s_k = argmin_s  -1/N sum_i ln (p_{s_1} + ... + p_{s_{k-1}} + p_s)(y_i) / k

Only the probabilities of the observed classes enter, so that a choice among S members costs S N additions, however many
classes there are.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.measures.members import Members, members_of, require_observed
from weightlore.uncertainty.predictions import CategoricalPrediction

__all__ = ["Selection", "observed", "path_of", "select_greedily"]


@dataclass(frozen=True, eq=False)
class Selection:
    """Members of a pool in the order in which they were chosen.

    Args:
        chosen: numbers of the members, k of them; a number may come again.
        path: loss of the mean of the first 1, ..., k of them on the validation data, shape (k,), float64, in nats.
        pool: S, how many there were to choose from.

    Source: [caruana2004selection]
    """

    chosen: tuple[int, ...]
    path: Tensor
    pool: int

    @property
    def weights(self) -> Tensor:
        """Share of each member of the pool in the mean, shape (S,), float64."""
        return torch.bincount(torch.tensor(self.chosen), minlength=self.pool).double() / len(self.chosen)

    @property
    def distinct(self) -> tuple[int, ...]:
        """The numbers that were chosen, each once, in the order of their first choice."""
        return tuple(dict.fromkeys(self.chosen))

    def prediction(self, p: Members) -> CategoricalPrediction:
        """Return what the chosen members say, one for each choice.

        Args:
            p: probabilities of the whole pool, shape (S, N, C).

        Raises:
            ParameterError: if the pool has another size.
        """
        probs = members_of(p)
        if len(probs) != self.pool:
            raise ParameterError(
                f"the choice was made among {self.pool} members, got the probabilities of {len(probs)}"
            )
        return CategoricalPrediction(probs[list(self.chosen)])


def select_greedily(p: Members, y: Tensor, *, members: int, replacement: bool = True, stop: bool = True) -> Selection:
    """Choose members one by one, each time the one that makes the mean of all chosen best.

    Choosing with replacement gives good members a larger weight. Of equal members the first is taken.

    Args:
        p: probabilities of S members on validation data, shape (S, N, C).
        y: class numbers, shape (N,).
        members: choices at most.
        replacement: whether a member may be chosen again.
        stop: whether to end when no choice lowers the loss any more; the path then only falls. Otherwise all choices
            are made, and the loss may rise.

    Returns:
        The selection, at least one member: the best single one.

    Raises:
        ParameterError: if p or y are no probabilities and classes, or more members are asked for than there are
            without replacement.

    Example:
        >>> p = torch.tensor([[[0.9, 0.1], [0.6, 0.4]], [[0.5, 0.5], [0.1, 0.9]]])
        >>> select_greedily(p, torch.tensor([0, 1]), members=5).chosen
        (1, 0, 1, 1)

    Source: [caruana2004selection], forward selection with replacement; the log loss as criterion is
        [wenzel2020hyper]'s
    """
    picked = observed(p, y)
    require_counts(members=members)
    if not replacement and not stop and members > len(picked):
        raise ParameterError(f"there are {len(picked)} members to choose from, got members={members}")
    chosen: list[int] = []
    path: list[float] = []
    total = torch.zeros_like(picked[0])
    for k in range(1, (members if replacement else min(members, len(picked))) + 1):
        losses = _loss((total + picked) / k)
        losses[[] if replacement else chosen] = torch.inf
        best = int(losses.argmin())
        if stop and path and float(losses[best]) >= path[-1]:
            break
        total = total + picked[best]
        chosen.append(best)
        path.append(float(losses[best]))
    return Selection(tuple(chosen), torch.tensor(path, dtype=torch.float64), len(picked))


def path_of(p: Members, y: Tensor, chosen: tuple[int, ...]) -> Tensor:
    """Return the loss of the mean of the first 1, ..., k members of a list.

    Args:
        p: probabilities, shape (S, N, C).
        y: class numbers, shape (N,).
        chosen: k numbers of members.

    Returns:
        Shape (k,), float64, in nats.

    Raises:
        ParameterError: if p or y are no probabilities and classes.

    Source: ours
    """
    picked = observed(p, y)[list(chosen)]
    return _loss(picked.cumsum(0) / torch.arange(1, len(picked) + 1, device=picked.device)[:, None])


def observed(p: Members, y: Tensor) -> Tensor:
    """Return the probability that each member gave to what came, shape (S, N), float64.

    Args:
        p: probabilities, shape (S, N, C).
        y: class numbers, shape (N,).

    Raises:
        ParameterError: if p or y are no probabilities and classes, or do not fit each other.

    Source: ours
    """
    probs = members_of(p).detach()
    require_observed(y, (probs.shape[1],), probs.shape[2])
    return probs.gather(2, y.expand(len(probs), -1)[:, :, None])[:, :, 0].double()


def _loss(picked: Tensor) -> Tensor:
    """Return the mean log loss over the last axis; a probability of 0 counts as the smallest normal number."""
    return -picked.clamp_min(torch.finfo(picked.dtype).tiny).log().mean(-1)
