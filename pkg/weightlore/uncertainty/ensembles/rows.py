"""What a teacher says of each row of the data, looked up while a student trains.

``training.fit`` hands inputs and targets to a step. Where the target is what an ensemble says, the rows are numbered
instead, and the step looks up what belongs to their numbers.

    numbered(data)             the inputs with 0, 1, ..., N - 1 as targets
    row_step(loss)             a step from a loss of (model, x, rows)
    teacher_of(p, data)        what the members say of these data, (S, N, C), checked
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import Step
from weightlore.uncertainty.measures.members import Members, members_of

__all__ = ["RowLoss", "numbered", "row_step", "teacher_of"]

RowLoss = Callable[[nn.Module, Tensor, Tensor], Tensor]


def numbered(data: Split) -> Split:
    """Return the inputs with the numbers of their rows as targets.

    Args:
        data: N examples.

    Source: ours
    """
    return Split(data.x, torch.arange(len(data), device=data.x.device))


def row_step(loss: RowLoss) -> Step:
    """Return a step for numbered data.

    Args:
        loss: of the model, a batch of inputs and the numbers of its rows.

    Source: ours, because a loop that knows inputs and targets need not know teachers
    """

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        return loss(model, batch.x, batch.y)

    return step


def teacher_of(teacher: Members, data: Split) -> Tensor:
    """Return what the members say of the data, shape (S, N, C), without gradient.

    Args:
        teacher: probabilities.
        data: N examples.

    Raises:
        ParameterError: if these are no probabilities, or of another number of examples.

    Source: ours
    """
    probs = members_of(teacher).detach()
    if probs.shape[1] != len(data):
        raise ParameterError(
            f"the teacher speaks of {probs.shape[1]} examples, but data hold {len(data)}; use its prediction for data.x"
        )
    return probs
