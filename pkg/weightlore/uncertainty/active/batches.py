"""Several questions at once that do not all ask the same thing.

The most informative examples, one by one, may be copies of each other: the answer to one answers all. The information
of a batch counts what its labels say together [kirsch2019batchbald]:

    I(y_1 ... y_b; s) = H(y_1 ... y_b) - sum_i E_s H(y_i | s)
    p(y_1 ... y_b)    = 1/S sum_s prod_i p_s(y_i)

    batch_bald    adds one example after the other, each time the one with which the batch tells most

The first term has C^b summands, so that batches are small: C^b may not exceed 100,000 (5 examples of 10 classes).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.measures.entropies import expected_entropy
from weightlore.uncertainty.measures.members import Members, members_of

__all__ = ["Batch", "batch_bald"]

MOST = 100_000  # combinations of labels
AT_ONCE = 2**22  # joint probabilities in memory: 32 MB
ROUNDING = 1e-12  # nats, within which two batches tell the same and the first in the pool is taken


@dataclass(frozen=True, eq=False)
class Batch:
    """Examples to ask about, and what their labels tell together.

    Args:
        rows: numbers of the examples in the order of choice, shape (b,), int64.
        information: mutual information between the labels of the first 1, 2, ... b of them and the member, in nats,
            shape (b,), float64: it never falls, and each step adds at most what the step before did.

    Source: [kirsch2019batchbald], Eq. (8)
    """

    rows: Tensor
    information: Tensor


def batch_bald(p: Members, count: int) -> Batch:
    """Choose examples whose labels tell most about the members, all together.

    Greedily; the joint information is submodular, so that this reaches at least 1 - 1/e of what the best batch tells.

    Args:
        p: probabilities for the pool, shape (S, N, C), or a prediction.
        count: b, from 1 to N, with C^b <= 100,000.

    Returns:
        The batch.

    Raises:
        ParameterError: if these are no probabilities, or the count is out of range.

    Example:
        >>> p = torch.tensor([[[1.0, 0.0], [1.0, 0.0], [0.9, 0.1]], [[0.0, 1.0], [0.0, 1.0], [0.1, 0.9]]])
        >>> batch_bald(p, 1).information
        tensor([0.6931], dtype=torch.float64)

    Source: [kirsch2019batchbald], Eq. (8) and Algorithm 1
    """
    members = members_of(p).detach().double()
    S, N, C = members.shape
    if not 1 <= count <= N or C**count > MOST:
        raise ParameterError(
            f"count must be from 1 to {N}, the size of the pool, with at most {MOST:,} combinations of labels, got "
            f"{count} and {C}^{count}; ask for fewer at once, or choose by acquisition='bald'"
        )
    own = expected_entropy(members)  # (N,)
    joint = members.new_ones(1, S)  # p_s of each combination of the labels chosen so far
    rows: list[int] = []
    information: list[float] = []
    for _ in range(count):
        told = _joint_entropy(joint, members) - own[rows].sum() - own
        told[rows] = -torch.inf
        rows.append(int((told >= told.max() - ROUNDING).nonzero()[0]))
        information.append(float(told[rows[-1]].clamp(min=0)))
        joint = (joint[:, None] * members[:, rows[-1]].T).flatten(0, 1)  # (C^b, S)
    return Batch(torch.tensor(rows, device=members.device), torch.tensor(information, dtype=torch.float64))


def _joint_entropy(joint: Tensor, members: Tensor) -> Tensor:
    """Return the entropy of the labels chosen so far with each example of the pool, shape (N,)."""
    S, _, C = members.shape
    parts = []
    for block in members.split(max(1, AT_ONCE // (len(joint) * C)), dim=1):
        together = joint @ block.flatten(1) / S  # (C^(b-1), n C)
        parts.append(torch.special.entr(together).sum(0).reshape(-1, C).sum(1))
    return torch.cat(parts)
