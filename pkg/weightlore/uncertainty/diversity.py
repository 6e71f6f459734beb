"""How differently members are right and wrong: what an ensemble gains over its members.

Of two members both are right, both wrong, or one of them is; the shares of examples N11, N00, N10 and N01 make the
measures of a pair, averaged over all pairs [kuncheva2003diversity]:

    disagreement    N10 + N01                                         larger: more diverse
    q_statistic     (N11 N00 - N10 N01) / (N11 N00 + N10 N01)         1: right and wrong together; 0: independent
    double_fault    N00                                               what no vote of the two can mend

An ensemble is better than its members are on average by exactly what they scatter:

    ambiguity       1/S sum_s (mu_s - y)^2 - (mu - y)^2 = 1/S sum_s (mu_s - mu)^2       squared loss
    log_ambiguity   1/S sum_s -ln p_s(y) + ln pbar(y) >= 0                              log loss, by Jensen
"""

import warnings
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.uncertainty.measures.members import Members, members_of, require_observed
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = [
    "Ambiguity",
    "PairShares",
    "ambiguity",
    "disagreement",
    "double_fault",
    "log_ambiguity",
    "pair_shares",
    "q_statistic",
]


@dataclass(frozen=True, eq=False)
class PairShares:
    """In what share of examples two members are right and wrong, for each of S (S - 1) / 2 pairs.

    Args:
        first: number of the first member of each pair, smaller than the second.
        second: number of the second member.
        both_right: N11, float64.
        first_right: N10, the first alone.
        second_right: N01, the second alone.
        both_wrong: N00.

    Source: [kuncheva2003diversity], table of a pair
    """

    first: Tensor
    second: Tensor
    both_right: Tensor
    first_right: Tensor
    second_right: Tensor
    both_wrong: Tensor


@dataclass(frozen=True)
class Ambiguity:
    """Loss of the members on average, loss of the ensemble, and what lies between.

    Args:
        members: mean loss of the members.
        ensemble: loss of their mean prediction.
        gain: members - ensemble, computed from the scatter where there is a formula for it; >= 0.

    Source: [krogh1995ensembles], ambiguity decomposition
    """

    members: float
    ensemble: float
    gain: float


def pair_shares(p: Members, y: Tensor) -> PairShares:
    """Return how often the members of each pair are right and wrong.

    Args:
        p: probabilities, shape (S, N, C) with S >= 2, or a prediction.
        y: observed classes, shape (N,), int64.

    Returns:
        Four shares for each pair, which sum to 1.

    Raises:
        ParameterError: if these are no probabilities or classes, or there is one member only.

    Example:
        >>> p = torch.tensor([[[0.9, 0.1], [0.9, 0.1]], [[0.8, 0.2], [0.4, 0.6]]])
        >>> pair_shares(p, torch.tensor([0, 1])).second_right
        tensor([0.5000], dtype=torch.float64)

    Source: [kuncheva2003diversity], table of a pair
    """
    members = members_of(p)
    if len(members) < 2:
        raise ParameterError(
            f"diversity is of pairs of members, got {len(members)} member; give two or more, (S, N, C)"
        )
    require_observed(y, members.shape[1:2], members.shape[2])
    right = (members.argmax(-1) == y).double()  # (S, N)
    first, second = torch.triu_indices(len(right), len(right), 1, device=right.device).unbind(0)
    both = (right @ right.T / right.shape[1])[first, second]
    alone = right.mean(1)
    one, other = alone[first] - both, alone[second] - both
    return PairShares(first, second, both, one, other, 1 - alone[first] - other)


def disagreement(p: Members, y: Tensor) -> float:
    """Return in what share of examples exactly one of two members is right, on average over pairs.

        mean over pairs of N10 + N01

    Args:
        p: probabilities, shape (S, N, C) with S >= 2, or a prediction.
        y: observed classes, shape (N,), int64.

    Returns:
        A share in [0, 1]; larger is more diverse.

    Raises:
        ParameterError: as ``pair_shares``.

    Example:
        >>> p = torch.tensor([[[0.9, 0.1], [0.9, 0.1]], [[0.8, 0.2], [0.4, 0.6]]])
        >>> disagreement(p, torch.tensor([0, 1]))
        0.5

    Source: [kuncheva2003diversity], disagreement measure
    """
    pairs = pair_shares(p, y)
    return float((pairs.first_right + pairs.second_right).mean())


def q_statistic(p: Members, y: Tensor) -> float:
    """Return how far two members are right and wrong together, on average over pairs.

        mean over pairs of (N11 N00 - N10 N01) / (N11 N00 + N10 N01)

    Args:
        p: probabilities, shape (S, N, C) with S >= 2, or a prediction.
        y: observed classes, shape (N,), int64.

    Returns:
        In [-1, 1]; 0 for independent members, smaller is more diverse. Pairs for which both products are zero have no
        such number and are left out; NaN, with a warning, if all pairs are like that.

    Raises:
        ParameterError: as ``pair_shares``.

    Example:
        >>> p = torch.tensor([[[0.9, 0.1], [0.2, 0.8]], [[0.8, 0.2], [0.4, 0.6]]])
        >>> q_statistic(p, torch.tensor([0, 0]))
        1.0

    Source: [kuncheva2003diversity], Q statistic
    """
    pairs = pair_shares(p, y)
    together, apart = pairs.both_right * pairs.both_wrong, pairs.first_right * pairs.second_right
    known = together + apart > 0
    if not bool(known.any()):
        warnings.warn(
            "no pair of members has a Q statistic, because in each a member is never right alone, and both are never "
            "wrong or never right together; look at the disagreement instead",
            UncertaintyWarning,
            stacklevel=2,
        )
        return torch.nan
    return float(((together - apart) / (together + apart))[known].mean())


def double_fault(p: Members, y: Tensor) -> float:
    """Return in what share of examples both of two members are wrong, on average over pairs.

        mean over pairs of N00

    Args:
        p: probabilities, shape (S, N, C) with S >= 2, or a prediction.
        y: observed classes, shape (N,), int64.

    Returns:
        A share in [0, 1]; smaller is better.

    Raises:
        ParameterError: as ``pair_shares``.

    Example:
        >>> p = torch.tensor([[[0.9, 0.1], [0.9, 0.1]], [[0.8, 0.2], [0.4, 0.6]]])
        >>> double_fault(p, torch.tensor([1, 1]))
        0.5

    Source: [kuncheva2003diversity], double-fault measure
    """
    return float(pair_shares(p, y).both_wrong.mean())


def ambiguity(means: Tensor, y: Tensor) -> Ambiguity:
    """Return what the mean of predicted numbers gains in squared loss.

        1/S sum_s (mu_s - y)^2 - (mu - y)^2 = 1/S sum_s (mu_s - mu)^2,   averaged over examples and outputs

    Args:
        means: mu_s, shape (S, N, D).
        y: observed numbers, shape (N, D).

    Returns:
        Both losses and the scatter, which is their difference exactly.

    Raises:
        ParameterError: if shapes do not fit or an entry is not finite.

    Example:
        >>> ambiguity(torch.tensor([[[1.0]], [[3.0]]]), torch.tensor([[1.0]]))
        Ambiguity(members=2.0, ensemble=1.0, gain=1.0)

    Source: [krogh1995ensembles], ambiguity decomposition
    """
    if means.ndim != 3 or means.numel() == 0 or not means.is_floating_point() or y.shape != means.shape[1:]:
        raise ParameterError(
            f"means must be floating of shape (S, N, D) and y of shape (N, D), got {tuple(means.shape)}, {means.dtype} "
            f"and {tuple(y.shape)}; one output is y[:, None]"
        )
    members, truth = require_finite("a mean", means).double(), require_finite("y", y).double()
    error, of_mean = (members - truth).square().mean(), (members.mean(0) - truth).square().mean()
    return Ambiguity(float(error), float(of_mean), float(members.var(0, correction=0).mean()))


def log_ambiguity(p: Members, y: Tensor) -> Ambiguity:
    """Return what the mean of class probabilities gains in log loss.

        1/S sum_s -ln p_s(y) - (-ln pbar(y)) >= 0,   averaged over examples

    Args:
        p: probabilities, shape (S, N, C), or a prediction.
        y: observed classes, shape (N,), int64.

    Returns:
        Both losses in nats, and their difference. Infinite where a member gave 0 to what came, while another did not.

    Raises:
        ParameterError: if these are no probabilities or classes, or all members gave 0 to an observed class.

    Example:
        >>> log_ambiguity(torch.tensor([[[0.5, 0.5]], [[0.5, 0.5]]]), torch.tensor([0])).gain
        0.0

    Source: [krogh1995ensembles], decomposition; by Jensen's inequality for the log loss
    """
    members = members_of(p)
    require_observed(y, members.shape[1:2], members.shape[2])
    chosen = members.gather(2, y.expand(len(members), -1)[..., None])[..., 0].double()  # (S, N)
    if bool(((mean := chosen.mean(0)) == 0).any()):
        raise ParameterError(
            f"{int((mean == 0).sum())} observed classes have probability 0 from every member, so that both losses are "
            "infinite and have no difference; smooth the probabilities first"
        )
    gain = mean.log() - chosen.log().mean(0)
    return Ambiguity(float(-chosen.log().mean()), float(-mean.log().mean()), float(gain.clamp(min=0).mean()))
