"""Corrupt a parameter vector at random, within a budget.

A random corruption is the baseline that the closed form is compared with: it is drawn from everything a budget allows.
First a support of n parameters is drawn, each as likely as any other, then the corruption on it:

    "sphere"     p = 2: x / ||x||_2 with x normal, uniform on the sphere
                 other p: x / ||x||_p with density exp(-|x|^p), the cone measure of the Lp sphere
                 p = inf: one entry at +-epsilon, the others uniform in [-epsilon, epsilon] (the same law in the limit)
    "surface"    the name of "sphere" for p = inf
    "vertex"     p = inf: every entry at +-epsilon with fair signs, the harshest member of the family
    "gaussian"   epsilon times a normal draw, not normalized: leaves the budget, its L2 size is about epsilon sqrt(n)

Trials are drawn one after the other from the generator, so ten at once are the ten that come one by one.
"""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from weightlore.corruption.arguments import require_whole
from weightlore.corruption.budgets import Budget, require_budget
from weightlore.errors import ParameterError

__all__ = ["RandomKind", "random", "random_support", "require_kind"]

RandomKind = Literal["sphere", "surface", "vertex", "gaussian"]


def random(
    size: int,
    budget: Budget,
    *,
    generator: torch.Generator,
    trials: int | None = None,
    kind: RandomKind = "sphere",
    dtype: torch.dtype = torch.float64,
) -> Tensor:
    """Draw corruptions at random from a budget.

    Args:
        size: number of parameters P, >= 1.
        budget: how far and how many parameters may move; exactly n of them do.
        generator: source of randomness; advances by one trial at a time. Its device is that of the result.
        trials: number of draws S, or ``None`` for one without the dimension of trials.
        kind: the law, see the module; ``"surface"`` and ``"vertex"`` are for p = inf, ``"gaussian"`` ignores p.
        dtype: floating dtype of the result.

    Returns:
        Corruptions, shape (P,) or (trials, P), in the unit of the parameters.

    Raises:
        ParameterError: if size, trials, dtype or kind cannot be used.

    Example:
        >>> random(6, Budget(epsilon=2.0), generator=torch.Generator(), trials=4).norm(dim=1).round(decimals=6)
        tensor([2., 2., 2., 2.], dtype=torch.float64)

    Source: [sun2021corruption], random corruption; the recipe for p other than 2 is ours
    """
    _require_drawable(size, budget, trials, kind, dtype)
    count, rows = budget.count(size), 1 if trials is None else trials
    work = torch.promote_types(dtype, torch.float32)
    values = torch.empty(rows, count, dtype=work, device=generator.device)
    supports = torch.empty(rows, 0 if count == size else count, dtype=torch.int64, device=generator.device)
    law: str = "vertex" if count == 1 and kind != "gaussian" else kind  # on one entry every norm says +-epsilon
    for row, support in zip(values.unbind(), supports.unbind(), strict=True):  # trial by trial, whatever the chunk
        if count < size:
            support.copy_(random_support(size, count, generator=generator))
        _fill(row, law, budget.p, generator)
    if law not in ("vertex", "gaussian"):
        _normalize(values, budget.p)
    values = values.mul_(budget.epsilon).to(dtype)
    drawn = values if count == size else values.new_zeros(rows, size).scatter_(1, supports, values)
    return drawn[0] if trials is None else drawn


def random_support(size: int, n: int, *, generator: torch.Generator) -> Tensor:
    """Draw n different parameters out of ``size``, every subset as likely as any other.

    A small subset is filled up with independent draws until n different ones are found: the rule treats all indices
    alike, so no subset is preferred, and no permutation of all parameters is needed.

    Args:
        size: number of parameters P.
        n: how many, 1 <= n <= P.
        generator: source of randomness.

    Returns:
        Indices, shape (n,), each once.

    Raises:
        ParameterError: if n is out of range.

    Example:
        >>> random_support(10, 3, generator=torch.Generator()).unique().shape
        torch.Size([3])

    Source: ours
    """
    require_whole("n", n)
    require_whole("size", size)
    if not 1 <= n <= size:
        raise ParameterError(f"n must be between 1 and the {size} parameters, got {n}")
    if 4 * n > size:
        return torch.randperm(size, generator=generator, device=generator.device)[:n]
    chosen = torch.empty(0, dtype=torch.int64, device=generator.device)
    while len(chosen) < n:
        more = torch.randint(size, (n - len(chosen),), generator=generator, device=generator.device)
        chosen = torch.cat([chosen, more]).unique()
    return chosen


def _fill(row: Tensor, law: str, p: float, generator: torch.Generator) -> None:
    """Draw one trial into a row of shape (n,), of unit size for "vertex", of any size for the others."""
    if law == "vertex":
        row.bernoulli_(0.5, generator=generator).mul_(2).sub_(1)
    elif law == "gaussian" or p == 2:
        row.normal_(generator=generator)
    elif p == 1:
        row.exponential_(generator=generator).mul_(_signs(row, generator))
    else:
        row.uniform_(-1, 1, generator=generator)
        if p == math.inf:
            face = torch.randint(len(row), (), generator=generator, device=row.device)
            row[face] = torch.where(row[face] < 0, -1.0, 1.0)
        else:  # Gamma(1/p) = Gamma(1 + 1/p) U^p in law; torch.distributions.Gamma takes no generator
            shape = torch.full_like(row, 1 + 1 / p)
            row.mul_(torch._standard_gamma(shape, generator=generator).pow_(1 / p))


def _signs(row: Tensor, generator: torch.Generator) -> Tensor:
    return torch.empty_like(row).bernoulli_(0.5, generator=generator).mul_(2).sub_(1)


def _normalize(values: Tensor, p: float) -> None:
    """Divide every row of (S, n), in place, by its Lp norm; first by its largest entry, so that no power underflows."""
    if p == math.inf:
        return  # one entry of each row is +-1 already
    if p != 2:
        values.div_(values.abs().amax(dim=1, keepdim=True))
    total = (values * values if p == 2 else values.abs().pow_(p)).sum(dim=1, keepdim=True)
    values.div_(total ** (1 / p))


def _require_drawable(size: int, budget: Budget, trials: int | None, kind: str, dtype: torch.dtype) -> None:
    require_budget(budget)
    require_whole("size", size)
    if trials is not None:
        require_whole("trials", trials)
    if size < 1:
        raise ParameterError(f"size counts parameters and must be >= 1, got {size}; is the group empty?")
    if trials is not None and trials < 0:
        raise ParameterError(f"trials counts draws and must be >= 0 or None for one, got {trials}")
    if not dtype.is_floating_point:
        raise ParameterError(f"a corruption is real-valued: dtype must be floating, got {dtype}")
    require_kind(budget, kind)


def require_kind(budget: Budget, kind: str) -> None:
    """Check that a law of random corruption exists and fits the norm.

    Raises:
        ParameterError: if it does not.

    Source: ours
    """
    if kind not in get_args(RandomKind):
        raise ParameterError(f"kind must be one of {get_args(RandomKind)}, got {kind!r}")
    if kind in ("surface", "vertex") and budget.p != math.inf:
        raise ParameterError(f"kind {kind!r} is for p=inf, got p={budget.p}; use kind='sphere'")
