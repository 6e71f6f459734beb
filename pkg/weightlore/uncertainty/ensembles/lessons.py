"""What the members of an ensemble learn from: each its own data, loss, views of the data and generator.

Lesson                 one member's data, step or loss, augmentation and generator
lessons(...)           one for each member, from arguments that all share or that list one for each
loss_of(outputs, y)    cross-entropy of logits, Gaussian log loss of a mean and a variance
own_generators         one generator for each member, drawn one by one
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import Step
from weightlore.uncertainty.deterministic.gaussian_head import gaussian_nll
from weightlore.uncertainty.ensembles.members import Outputs

__all__ = ["Augment", "Lesson", "Loss", "Order", "lessons", "loss_of", "own_generators"]

Loss = Callable[[Outputs, Tensor], Tensor]
Order = Literal["own", "shared"]
Augment = Callable[[Tensor, torch.Generator], Tensor]
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Lesson:
    """What one member learns from.

    Args:
        data: its examples.
        generator: of all that is random in its training, but for the order of the examples.
        order: where that order comes from: the same generator, or one in the state that all members share.
        loss: mean loss of the outputs of a batch.
        step: the loss of (member, batch, generator) instead, or ``None``.
        augment: changes the inputs of a batch before they are learned, or ``None``.

    Source: ours, because members differ by their initial weights, order, data, views and losses
    """

    data: Split
    generator: torch.Generator
    order: torch.Generator
    loss: Loss
    step: Step | None
    augment: Augment | None

    def drawn(self, batch: Split) -> Split:
        """Return the batch as it is learned, augmented where that is asked for."""
        return batch if self.augment is None else Split(self.augment(batch.x, self.generator), batch.y)

    def __call__(self, member: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        """Return the loss of a batch: the step for ``training.fit``."""
        batch = self.drawn(batch)
        return self.loss(member(batch.x), batch.y) if self.step is None else self.step(member, batch, self.generator)

    @property
    def shares_order(self) -> bool:
        """Whether all members see the examples in one order."""
        return self.order is not self.generator

    @property
    def generators(self) -> tuple[torch.Generator, ...]:
        """All that its training draws from."""
        return (self.generator, self.order) if self.shares_order else (self.generator,)


def loss_of(outputs: Outputs, y: Tensor) -> Tensor:
    """Return the mean log loss of what a member says: of its logits, or of its mean and variance.

    Args:
        outputs: logits (N, C), or a pair of mean and variance, each (N, D).
        y: class numbers (N,), or targets (N, D).

    Source: [lakshminarayanan2017ensembles], proper scoring rules as training losses
    """
    return F.cross_entropy(outputs, y) if isinstance(outputs, Tensor) else gaussian_nll(outputs, y)


def own_generators(members: int, generator: torch.Generator) -> list[torch.Generator]:
    """Return a generator for each member, so that a member does not depend on how many others there are.

    Args:
        members: S.
        generator: one seed is drawn from it for each member, in order.

    Raises:
        ParameterError: if S is no whole number of at least 1.

    Source: ours
    """
    if isinstance(members, bool) or not isinstance(members, int) or members < 1:
        raise ParameterError(f"members must be a whole number of at least 1, got {members!r}; five are usual")
    return [torch.Generator(generator.device).manual_seed(_seed(generator)) for _ in range(members)]


def lessons(
    data: Split | Sequence[Split],
    generators: Sequence[torch.Generator],
    *,
    loss: Loss | None = None,
    step: Step | Sequence[Step] | None = None,
    augment: Augment | Sequence[Augment] | None = None,
    orders: Sequence[torch.Generator] | None = None,
) -> list[Lesson]:
    """Return what each member learns from.

    Args:
        data: examples for all, or one ``Split`` for each member.
        generators: one for each member.
        loss: of outputs and targets, ``None`` for ``loss_of``.
        step: for all or one for each member, ``None`` to use the loss.
        augment: for all or one for each member, or ``None``.
        orders: where each member's order of the examples comes from; ``None`` for its generator.

    Raises:
        ParameterError: if a list has another length than there are members, or both loss and step are given.

    Source: ours
    """
    if loss is not None and step is not None:
        raise ParameterError("a step computes the loss itself: give either loss=... or step=..., not both")
    count = len(generators)
    sets, steps = _each("data", data, count), _each("step", step, count)
    augments = _each("augment", augment, count)
    orders, taught = generators if orders is None else orders, loss_of if loss is None else loss
    return [Lesson(sets[s], generators[s], orders[s], taught, steps[s], augments[s]) for s in range(count)]


def _each(what: str, given: Thing | Sequence[Thing], count: int) -> list[Thing]:
    """Return one for each member, of a list or of one that all share."""
    if not isinstance(given, list | tuple):
        return [given] * count  # type: ignore[list-item]
    if len(given) != count:
        raise ParameterError(f"{what} lists one for each of {count} members, got {len(given)}; or give one for all")
    return list(given)


def _seed(generator: torch.Generator) -> int:
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))
