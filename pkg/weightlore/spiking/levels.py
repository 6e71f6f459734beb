"""Choose the level of an early exit on held-out data.

    choose_level     the lowest level that costs no more accuracy than wished
    Level            that level, and what it did there

An example's exit moves only where its evidence sets a new record, so that all levels there are can be tried at the cost
of one sort.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError
from weightlore.spiking.exits import Exit, Rule, early_exit, evidence

__all__ = ["Level", "choose_level"]


@dataclass(frozen=True)
class Level:
    """A level, and what it did on the data on which it was chosen.

    Args:
        exit: the rule with its level; infinite where no level is good enough.
        accuracy: with early exit, in [0, 1].
        full_accuracy: after all T steps, in [0, 1].
        mean_steps: until an example was decided.

    Source: ours
    """

    exit: Exit
    accuracy: float
    full_accuracy: float
    mean_steps: float


def choose_level(
    potential: Tensor,
    targets: Tensor,
    rule: Rule = "potential",
    *,
    loss: float = 0.0,
    t_min: int = 1,
    scale: float = 1.0,
) -> Level:
    """Return the lowest level that costs no more accuracy than wished, on held-out data.

        lowest level with accuracy(other level) >= accuracy(T) - loss for every other level above it, and for itself

    Accuracy does not grow evenly with the level, hence the condition on those above.

    Args:
        potential: U after each step on held-out data, shape (T, N, C), T and N >= 1.
        targets: classes, shape (N,), int64.
        rule: what evidence is.
        loss: share of the examples that may be lost against T steps, in [0, 1].
        t_min: before this step nothing is decided.
        scale: for the rule ``"confidence"``, as in ``Exit``.

    Returns:
        The level, accuracy with it and without, and mean number of steps.

    Raises:
        ParameterError: if an argument is out of range, or potential and targets do not fit.

    Source: ours, because the paper's level is not known
    """
    Exit(rule, 0.0, t_min, scale)
    found = evidence(potential, rule, scale=scale)
    _require_held_out(found, targets, loss)
    right = potential.argmax(2) == targets  # (T, N)
    level = _lowest(*_events(found, right, t_min), lost=math.floor(loss * len(targets) + 1e-9))
    decided = early_exit(potential, rule, level, t_min, scale=scale)
    return Level(
        exit=Exit(rule, level, t_min, scale),
        accuracy=float((decided.prediction == targets).double().mean()),
        full_accuracy=float(right[-1].double().mean()),
        mean_steps=float(decided.steps.double().mean()),
    )


def _events(found: Tensor, right: Tensor, t_min: int) -> tuple[Tensor, Tensor]:
    """Return all levels at which an exit moves, and by how many right answers, -1 to 1, it changes things.

    Where a level falls to the evidence of a record, the exit moves there from the next record, or from the last step.
    """
    steps, first = len(found), min(t_min, len(found)) - 1
    found = found[first:]
    before = torch.full_like(found, -math.inf)
    before[1:] = found.cummax(0).values[:-1]
    record = found > before  # (T', N)
    numbers = torch.arange(first, steps, device=found.device).reshape(-1, 1).expand(record.shape)
    later = torch.full_like(numbers, steps - 1)
    later[:-1] = torch.where(record, numbers, steps - 1)[1:].flip(0).cummin(0).values.flip(0)
    gain = right[first:].long() - right.long().gather(0, later)
    return found[record], gain[record]


def _lowest(levels: Tensor, gain: Tensor, *, lost: int) -> float:
    """Return the lowest level above which, and at which, no more than some answers are lost; infinite if none is."""
    values, order = levels.sort(descending=True)
    answers = gain[order].cumsum(0)
    last = torch.ones_like(values, dtype=torch.bool)
    last[:-1] = values[1:] != values[:-1]  # exits at equal levels move together
    values, answers = values[last], answers[last]
    broken = (answers < -lost).nonzero()
    usable = int(broken[0]) if len(broken) else len(values)
    return float(values[usable - 1]) if usable else math.inf


def _require_held_out(found: Tensor, targets: Tensor, loss: float) -> None:
    if found.numel() == 0:
        raise ParameterError(f"a level is chosen on at least one example and step, got {tuple(found.shape)} (T, N)")
    if targets.shape != found.shape[1:] or targets.dtype != torch.int64:
        raise ParameterError(
            f"targets must be {found.shape[1]} class numbers, int64, got {tuple(targets.shape)} {targets.dtype}"
        )
    if not 0 <= loss <= 1:
        raise ParameterError(f"loss is a share of the examples, in [0, 1], got {loss}")
