"""How strange each class would be as the answer: the scores of conformal classification.

Classes are taken from the most probable on; r is the place of class c, from 1, and m the probability of all before it.

    lac_scores     1 - p_c                                  smallest sets on average
    aps_scores     m + p_c,  or  m + (1 - U) p_c            sets that grow where the network is unsure
    raps_scores    aps + penalty max(r - free, 0)           ... but not by a long tail of improbable classes

U ~ U(0, 1), one for each example, makes the coverage exact; without it sets are somewhat larger. A tie of probabilities
goes to the smaller class number.
"""

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.uncertainty.measures.members import Members, mean_of

__all__ = ["aps_scores", "lac_scores", "raps_scores"]


def lac_scores(p: Members) -> Tensor:
    """Return the scores of the least ambiguous sets.

        1 - p_c

    Args:
        p: probabilities, shape (S, N, C) or (N, C), or a prediction; members are averaged first.

    Returns:
        Shape (N, C), in [0, 1].

    Raises:
        ParameterError: if these are no probabilities.

    Example:
        >>> lac_scores(torch.tensor([[0.75, 0.25]]))
        tensor([[0.2500, 0.7500]])

    Source: [sadinle2019least], least ambiguous set-valued classifiers
    """
    return 1 - mean_of(p).detach()


def aps_scores(p: Members, *, generator: torch.Generator | None = None) -> Tensor:
    """Return the scores of adaptive sets: the probability of all classes up to and with each.

        m + p_c ,   or m + (1 - U) p_c

    Args:
        p: probabilities, shape (S, N, C) or (N, C), or a prediction; members are averaged first.
        generator: source of randomness for U, one for each example; ``None`` for U = 0.

    Returns:
        Shape (N, C), in [0, 1].

    Raises:
        ParameterError: if these are no probabilities.

    Example:
        >>> aps_scores(torch.tensor([[0.25, 0.5, 0.25]]))
        tensor([[0.7500, 0.5000, 1.0000]])

    Source: [romano2020adaptive], adaptive prediction sets
    """
    return raps_scores(p, penalty=0.0, free=0, generator=generator)


def raps_scores(p: Members, *, penalty: float, free: int, generator: torch.Generator | None = None) -> Tensor:
    """Return the scores of regularized adaptive sets.

        m + p_c + penalty max(r - free, 0) ,   or with (1 - U) p_c

    Args:
        p: probabilities, shape (S, N, C) or (N, C), or a prediction; members are averaged first.
        penalty: lambda, for each class beyond the free ones, >= 0.
        free: k_reg, how many classes a set may have without a penalty, >= 0.
        generator: source of randomness for U, one for each example; ``None`` for U = 0.

    Returns:
        Shape (N, C).

    Raises:
        ParameterError: if these are no probabilities, or a number is out of range.

    Example:
        >>> raps_scores(torch.tensor([[0.25, 0.75]]), penalty=0.5, free=1)
        tensor([[1.5000, 0.7500]])

    Source: [angelopoulos2021sets], regularized adaptive prediction sets
    """
    if not 0 <= penalty < torch.inf or free < 0:
        raise ParameterError(f"penalty must be a finite number >= 0 and free a count >= 0, got {penalty} and {free}")
    probs = mean_of(p).detach()
    falling, order = probs.sort(dim=1, descending=True, stable=True)
    reached = falling.double().cumsum(1).clamp(max=1.0)
    if generator is not None:
        u = torch.rand(len(probs), 1, generator=generator, dtype=torch.float64, device=generator.device)
        reached = reached - u.to(probs.device) * falling
    beyond = (torch.arange(1, probs.shape[1] + 1, device=probs.device) - free).clamp(min=0).double()
    found = reached + penalty * beyond
    return torch.empty_like(found).scatter_(1, order, found).to(probs.dtype)
