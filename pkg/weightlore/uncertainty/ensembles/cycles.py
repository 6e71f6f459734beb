"""Learning rates that rise and fall within one training.

    cyclic_cosine(t, T, cycles)       falls along half a cosine in each cycle, and starts again
    triangular(t, cycle, ...)         falls and rises on straight lines
    per_step(make, factor, ...)       an optimizer whose learning rate is set before every step, and that tells after it

``training.fit`` knows one learning rate for an epoch; these schedules change with every step.
"""

from collections.abc import Callable, Iterable
from math import ceil, cos, pi
from typing import Any

from torch import nn
from torch.optim import Optimizer

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.training import MakeOptimizer

__all__ = ["cyclic_cosine", "per_step", "triangular"]


def cyclic_cosine(step: int, steps: int, cycles: int, *, lr: float = 1.0) -> float:
    """Return the learning rate of a step when the rate falls to nearly zero once in each cycle.

        lr_t = lr/2 ( cos(pi mod(t-1, c) / c) + 1 ),   c = ceil(T/M)

    Args:
        step: t, from 1 to T.
        steps: T.
        cycles: M.
        lr: the rate at the start of each cycle.

    Raises:
        ParameterError: if a number is no whole number of at least 1, or the step is not within the steps.

    Example:
        >>> [round(cyclic_cosine(t, 6, 2), 2) for t in range(1, 7)]
        [1.0, 0.75, 0.25, 1.0, 0.75, 0.25]

    Source: [huang2017snapshot], cyclic cosine annealing
    """
    require_counts(step=step, steps=steps, cycles=cycles)
    if step > steps:
        raise ParameterError(f"steps are counted from 1 to {steps}, got {step}")
    length = ceil(steps / cycles)
    return lr / 2 * (cos(pi * ((step - 1) % length) / length) + 1)


def triangular(step: int, cycle: int, *, high: float, low: float) -> float:
    """Return the learning rate of a step when it falls to ``low`` in the middle of each cycle and rises again.

        t = (mod(i-1, c) + 1) / c
        lr = (1 - 2t) high + 2t low  for t <= 1/2,   (2 - 2t) low + (2t - 1) high  after it

    Args:
        step: i, from 1.
        cycle: c, steps of a cycle, an even number.
        high: the rate at the end of each cycle.
        low: the rate in the middle.

    Raises:
        ParameterError: if a count is not positive, the cycle is odd, or the rates are not 0 < low <= high.

    Example:
        >>> [round(triangular(i, 4, high=0.5, low=0.1), 2) for i in range(1, 6)]
        [0.3, 0.1, 0.3, 0.5, 0.3]

    Source: [garipov2018surfaces], fast geometric ensembling
    """
    require_counts(step=step, cycle=cycle)
    if cycle % 2:
        raise ParameterError(f"a cycle has a step in its middle and so an even number of steps, got {cycle}")
    if not 0 < low <= high:
        raise ParameterError(f"learning rates must be 0 < low <= high, got low={low} and high={high}")
    t = ((step - 1) % cycle + 1) / cycle
    return (1 - 2 * t) * high + 2 * t * low if t <= 0.5 else (2 - 2 * t) * low + (2 * t - 1) * high


def per_step(
    make: MakeOptimizer, factor: Callable[[int], float], *, after: Callable[[int], None] | None = None
) -> MakeOptimizer:
    """Return a maker of optimizers whose learning rate follows the steps.

    Args:
        make: makes the optimizer; its learning rates are those that the factor multiplies.
        factor: of the learning rate of step t, from 1.
        after: called with t after each step, or ``None``.

    Returns:
        A maker for ``training.fit``, with ``schedule=None``. Each optimizer counts its own steps.

    Source: ours
    """

    def made(parameters: Iterable[nn.Parameter]) -> Optimizer:
        tuner, taken = make(parameters), [0]
        rates = [group["lr"] for group in tuner.param_groups]

        def before(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            taken[0] += 1
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * factor(taken[0])

        def told(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
            if after is not None:
                after(taken[0])

        tuner.register_step_pre_hook(before)
        tuner.register_step_post_hook(told)
        return tuner

    return made
