"""Train members that are alike together, so that each becomes what it would become alone.

    prepared(members, lessons, ...)     a ``Joint`` training, or ``Apart`` with the reason why there is none
    joint.fit(...)                      all epochs; then the members have learned

One forward and one backward pass serve all members. The optimizer works entry by entry, so that it does not notice
that its parameters are stacked; each member keeps its own order of examples, views of them and generator.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim
from torch.nn.modules.conv import _ConvNd
from torch.optim import Optimizer

from weightlore.data import Split
from weightlore.training import Callback, Epoch, MakeOptimizer, Schedule
from weightlore.training.checkpoint import Progress
from weightlore.training.run import Diverged
from weightlore.uncertainty.deterministic.gaussian_head import gaussian_losses, gaussian_nll
from weightlore.uncertainty.ensembles.lessons import Lesson, Loss, loss_of
from weightlore.uncertainty.ensembles.members import Outputs
from weightlore.uncertainty.ensembles.resuming import put_down, take_up
from weightlore.uncertainty.ensembles.runners import (
    Apart,
    Runner,
    Stack,
    batched_runner,
    require_alike,
    vmap_runner,
)

__all__ = ["Engine", "Joint", "prepared"]

Engine = Literal["auto", "batched", "vmap", "loop"]

ENTRYWISE = (optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop, optim.Adagrad, optim.NAdam, optim.RAdam)


def prepared(
    members: Sequence[nn.Module], lessons: Sequence[Lesson], optimizer: MakeOptimizer, engine: Engine
) -> "Joint":
    """Return a training of all members at once.

    Args:
        members: in training mode.
        lessons: what each learns from.
        optimizer: makes a member's optimizer.
        engine: ``"batched"``, ``"vmap"``, or ``"auto"`` for the first of them that can run the network.

    Raises:
        Apart: if they must be trained one by one; the message says why.

    Source: ours
    """
    if any(lesson.step is not None for lesson in lessons):
        raise Apart("a step is a function of one member, where a loss is one of its outputs")
    if len({len(lesson.data) for lesson in lessons}) > 1:
        raise Apart("the members learn from different numbers of examples")
    require_alike(members)
    stack, x = Stack(members), lessons[0].data.x
    tuner = _tuner(stack, optimizer)
    if engine == "auto":
        _require_faster(members[0], x)
        try:
            return Joint(stack, batched_runner(stack, x), tuner, tuple(lessons))
        except Apart:
            return Joint(stack, vmap_runner(stack, x), tuner, tuple(lessons))
    runner = batched_runner(stack, x) if engine == "batched" else vmap_runner(stack, x)
    return Joint(stack, runner, tuner, tuple(lessons))


def _require_faster(member: nn.Module, x: Tensor) -> None:
    """Refuse convolutions on a processor, where torch's own for one network are faster than products of patches."""
    if x.device.type == "cpu" and any(isinstance(module, _ConvNd) for module in member.modules()):
        raise Apart("convolutions on a processor are faster one by one")


@dataclass(frozen=True)
class Joint:
    """One training of S members.

    Args:
        stack: their parameters.
        runner: their outputs.
        tuner: optimizer over the stacked parameters.
        lessons: what each learns from; all of N examples.

    Source: ours
    """

    stack: Stack
    runner: Runner
    tuner: Optimizer
    lessons: tuple[Lesson, ...]

    def fit(
        self,
        *,
        epochs: int,
        batch_size: int,
        schedule: Schedule | None,
        callbacks: Iterable[Callback],
        checkpoint: Path | None = None,
    ) -> None:
        """Train all members; they are as they were if that fails.

        Args:
            epochs: how often every example is seen.
            batch_size: examples per step and member.
            schedule: factor of the learning rate from (epoch, epochs).
            callbacks: called with each ``Epoch``; its loss is the mean of the members'.
            checkpoint: file to write after each epoch and to resume from.

        Raises:
            Diverged: if a loss or a parameter becomes NaN or infinite; the message names the member.
        """
        rates = [group["lr"] for group in self.tuner.param_groups]
        settings: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "examples": len(self.lessons[0].data)}
        settings |= {"shared order": True} if self.lessons[0].shares_order else {}
        settings |= {"optimizer": type(self.tuner).__name__, "learning rates": rates}
        seen = self._resumed(checkpoint, settings)
        for number in range(seen.epochs + 1, epochs + 1):
            factor = 1.0 if schedule is None else schedule(number - 1, epochs)
            for group, rate in zip(self.tuner.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            seen.train_loss.append(self._epoch(number, batch_size))
            if checkpoint is not None:
                put_down(checkpoint, self.stack, self.tuner, generators=self._generators, settings=settings, seen=seen)
            done = Epoch(number, epochs, seen.train_loss[-1], None, None, rates[0] * factor, number == epochs)
            for callback in callbacks:
                callback(done)
        self.stack.write_back()

    def _resumed(self, path: Path | None, settings: dict[str, Any]) -> Progress:
        if path is None:
            return Progress([], [], [])
        return take_up(path, self.stack, self.tuner, generators=self._generators, settings=settings)

    @property
    def _generators(self) -> list[torch.Generator]:
        return [generator for lesson in self.lessons for generator in lesson.generators]

    def _epoch(self, number: int, batch_size: int) -> float:
        """Take one step per batch and return the mean loss of all members."""
        count, total = len(self.lessons[0].data), 0.0
        orders = [_order(lesson) for lesson in self.lessons]
        for rows in torch.stack(orders[:1] if _one_batch(self.lessons) else orders).split(batch_size, 1):
            batch = _batch(self.lessons, rows)
            self.tuner.zero_grad()
            y = batch.y.expand(len(self.lessons), *batch.y.shape[1:])
            losses = _losses(self.lessons[0].loss, self.runner(batch.x), y)
            total += rows.shape[1] * self._require_finite(losses.tolist(), number)
            losses.sum().backward()
            self.tuner.step()
        for p in self.stack.leaves():
            self._require_finite(p.detach().flatten(1).abs().amax(1).tolist(), number)
        return total / count

    def _require_finite(self, values: Sequence[float], number: int) -> float:
        """Return the mean of one number for each member, all finite."""
        for member, value in enumerate(values):
            if not isfinite(value):
                raise Diverged(
                    f"the loss or a parameter of member {member} became {value} in epoch {number} at learning rate "
                    f"{self.tuner.param_groups[0]['lr']:g}; the members are as they were made. Lower the learning rate"
                )
        return sum(values) / len(values)


def _order(lesson: Lesson) -> Tensor:
    """Return the order of the examples, after the draw that seeds modules of a member that is trained alone."""
    source = lesson.order
    torch.randint(2**62, (), generator=source, device=source.device)
    order = torch.randperm(len(lesson.data), generator=source, device=source.device)
    return order.to(lesson.data.x.device)


def _common(lessons: Sequence[Lesson]) -> bool:
    """Return whether all members learn from the same examples, as they are."""
    return all(lesson.data is lessons[0].data and lesson.augment is None for lesson in lessons)


def _one_batch(lessons: Sequence[Lesson]) -> bool:
    """Return whether all members see the same batches."""
    return lessons[0].shares_order and _common(lessons)


def _batch(lessons: Sequence[Lesson], rows: Tensor) -> Split:
    """Return the batch of every member, x (S, B, ...) and y (S, B, ...), for rows (S, B); S is 1 where all share it."""
    data = lessons[0].data
    if _common(lessons):
        flat = rows.flatten()
        x, y = (t.index_select(0, flat).view(*rows.shape, *t.shape[1:]) for t in (data.x, data.y))
        return Split(x, y)
    own = [lesson.drawn(lesson.data[chosen]) for lesson, chosen in zip(lessons, rows, strict=True)]
    return Split(torch.stack([one.x for one in own]), torch.stack([one.y for one in own]))


def _losses(loss: Loss, outputs: Outputs, y: Tensor) -> Tensor:
    """Return the mean loss of every member, shape (S,)."""
    if isinstance(outputs, Tensor) and loss in (loss_of, F.cross_entropy) and y.ndim == 2 and y.dtype == torch.int64:
        return F.cross_entropy(outputs.flatten(0, 1), y.flatten(), reduction="none").view(y.shape).mean(1)
    if isinstance(outputs, Tensor):
        return torch.stack([loss(one, own) for one, own in zip(outputs, y, strict=True)])
    if loss in (loss_of, gaussian_nll):
        mean, variance = (part.flatten(0, 1) for part in outputs)
        return gaussian_losses((mean, variance), y.flatten(0, 1)).view(y.shape[:2]).mean(1)
    return torch.stack([loss((mean, variance), own) for mean, variance, own in zip(*outputs, y, strict=True)])


def _tuner(stack: Stack, make: MakeOptimizer) -> Optimizer:
    """Return the optimizer of the stack, if it does to every entry what a member's own would do."""
    single = [p for p in stack.model.parameters() if p.requires_grad]
    alone, tuner = make(single), make(stack.leaves())
    if type(tuner) not in ENTRYWISE:
        raise Apart(f"the optimizer {type(tuner).__name__} is not known to work entry by entry")
    if _settings(alone, single) != _settings(tuner, stack.leaves()):
        raise Apart("the optimizer treats parameters by their shape, which a stack does not keep")
    return tuner


def _settings(tuner: Optimizer, parameters: Sequence[Tensor]) -> list[dict[str, object]]:
    """Return the options of each group and the numbers of its parameters."""
    numbers = {id(p): number for number, p in enumerate(parameters)}
    return [
        {name: [numbers[id(p)] for p in kept] if name == "params" else kept for name, kept in group.items()}
        for group in tuner.param_groups
    ]
