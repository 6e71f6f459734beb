"""Corrupt a network in several steps along its gradient.

The closed form trusts the gradient at the healthy parameters. Where the loss bends, it pays to look again on the way:

    project             put a vector back into a budget
    ascent              a path inside a budget, up any function whose gradient is given
    projected_ascent    the end of that path for the loss of a network
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from weightlore.corruption.arguments import require_whole
from weightlore.corruption.budgets import Budget, Corruption, closed_form, largest, require_budget
from weightlore.corruption.losses import Loss, loss_gradient
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.parameters import Group, flatten

__all__ = ["ascent", "project", "projected_ascent"]

OVERSHOOT = 1.5  # the steps together are this much longer than epsilon, so that the path reaches the boundary early


def project(vector: Tensor, budget: Budget) -> Tensor:
    """Put a vector back into a budget, as a ball: at most n entries, at most epsilon long.

    The n largest entries are kept (ties to the lowest index); then p = inf clamps to +-epsilon, and any other p scales
    to epsilon if the vector is longer. For p = 2 and inf that is the nearest point of the ball.

    Args:
        vector: shape (P,).
        budget: how far and how many entries may differ from zero.

    Returns:
        The vector, shape (P,), a copy.

    Raises:
        ParameterError: if the vector is not a finite vector.

    Example:
        >>> project(torch.tensor([3.0, -1.0, 4.0]), Budget(epsilon=1.0, n=2))
        tensor([0.6000, 0.0000, 0.8000])

    Source: [zhang2021multistep], projection; p other than 2 and inf is ours
    """
    require_budget(budget)
    if not isinstance(vector, Tensor) or vector.ndim == 0:
        raise ParameterError(f"the vector must be a tensor of shape (P,), got {vector!r}")
    kept = largest(vector, budget.count(len(vector)))
    inside = torch.zeros_like(vector).index_copy_(0, kept, vector[kept])
    top = inside.abs().amax()
    if budget.p == math.inf or top == 0:
        return inside.clamp_(-budget.epsilon, budget.epsilon)
    length = top * (inside / top).abs().pow(budget.p).sum() ** (1 / budget.p)
    return inside * (budget.epsilon / length) if length > budget.epsilon else inside


def ascent(gradient_at: Callable[[Tensor], Tensor], start: Tensor, budget: Budget, *, steps: int) -> Iterator[Tensor]:
    """Climb a loss inside a budget, and yield every corruption on the way.

        a_(t+1) = project(a_t + 1.5 epsilon/K u(grad at a_t)) ,   u(g) = closed_form(g) for epsilon = 1

    One step is the closed form, for every p and n: 1.5 epsilon u is scaled or clamped back to it.

    Args:
        gradient_at: gradient of the loss at a corruption, shape (P,) to (P,).
        start: a_0, shape (P,), usually zeros.
        budget: how far and how many parameters may move.
        steps: number of steps K, >= 1.

    Yields:
        a_1 to a_K, each of shape (P,) and inside the budget.

    Raises:
        ParameterError: if steps < 1, or a gradient is not a finite vector.

    Source: [zhang2021multistep], multi-step corruption
    """
    require_budget(budget)
    require_whole("steps", steps)
    if steps < 1:
        raise ParameterError(f"steps counts gradients and must be >= 1, got {steps}")
    return _ascend(gradient_at, start, budget, steps)


def _ascend(gradient_at: Callable[[Tensor], Tensor], a: Tensor, budget: Budget, steps: int) -> Iterator[Tensor]:
    unit = replace(budget, epsilon=1.0)
    for _ in range(steps):
        # Departs from the paper: the direction is that of the n largest entries, not of all. A step along all of them
        # loses most of its length where few are kept (for p = inf all tie), and never reaches the boundary.
        direction = closed_form(gradient_at(a), unit).vector
        a = project(a + OVERSHOOT * budget.epsilon / steps * direction, budget)
        yield a


def projected_ascent(
    model: nn.Module,
    data: Split,
    budget: Budget,
    *,
    steps: int = 10,
    group: Group = None,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 1000,
) -> Corruption:
    """Corrupt a model in several steps along the gradient at the corrupted parameters.

    Where the loss bends, the gradient at the healthy parameters points the wrong way after a while; following it in K
    steps of 1.5 epsilon/K usually does more damage. K = 1 is the closed form.

    Args:
        model: any module with floating-point parameters; left as it is.
        data: examples whose loss is climbed; every step uses all of them.
        budget: how far and how many parameters may move.
        steps: number of steps K, >= 1.
        group: which parameters; ``None`` for all.
        loss: of (output, target), the mean over a batch, shape ().
        batch_size: examples at once.

    Returns:
        The last corruption, which may be shorter than epsilon; its first-order gain is its product with the gradient
        at the healthy parameters.

    Raises:
        ParameterError: if steps < 1, a gradient is not finite, or data and model do not fit.

    Source: [zhang2021multistep], multi-step corruption
    """

    def gradient_at(a: Tensor) -> Tensor:
        return loss_gradient(model, data, corruption=a, group=group, loss=loss, batch_size=batch_size)

    require_budget(budget)
    require_whole("steps", steps)
    start = torch.zeros_like(flatten(model, group))
    gradient = gradient_at(start)
    path = ascent(lambda a: gradient if a is start else gradient_at(a), start, budget, steps=steps)
    *_, last = path
    return Corruption(last, last @ gradient, degenerate=not bool(gradient.any()))
