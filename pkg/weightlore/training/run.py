"""One training under way: what an epoch does, and when it ends.

run.epoch(seen)     shuffle; for each batch: loss = step(model, batch, generator), backward, optimizer step; validate
run.finished(seen)  all epochs are done, or patience has ended
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training.checkpoint import Progress, restore
from weightlore.training.evaluation import evaluate
from weightlore.training.given import GivenStep
from weightlore.training.optimizers import Schedule

__all__ = ["Diverged", "Epoch", "Run", "Step"]

Step = Callable[[nn.Module, Split, torch.Generator], Tensor]


class Diverged(ParameterError):
    """The loss is no finite number any more; the message names epoch and learning rate.

    Source: ours
    """


@dataclass(frozen=True)
class Epoch:
    """What a callback is told after each epoch.

    Args:
        number: of the epoch, from 1.
        epochs: how many were asked for.
        train_loss: mean loss of the batches, weighted by their size, while the parameters moved.
        validation_loss: on the validation data after the epoch, ``None`` without such data.
        validation_accuracy: likewise, in [0, 1].
        learning_rate: of this epoch.
        last: whether this is the last epoch, for it was asked for or patience ended.

    Source: ours
    """

    number: int
    epochs: int
    train_loss: float
    validation_loss: float | None
    validation_accuracy: float | None
    learning_rate: float
    last: bool


@dataclass
class Run:
    """The parts of one training.

    Args:
        model: in train mode.
        data: N examples.
        step: returns the loss of a batch.
        tuner: optimizer over the model's parameters.
        schedule: factor of the learning rate, or ``None``.
        epochs: how many.
        batch_size: examples per step.
        validation: evaluated after each epoch, or ``None``.
        patience: epochs to wait for a lower validation loss, or ``None``.
        generator: of all that is random.

    Source: ours
    """

    model: nn.Module
    data: Split
    step: Step
    tuner: Optimizer
    schedule: Schedule | None
    epochs: int
    batch_size: int
    validation: Split | None
    patience: int | None
    generator: torch.Generator

    def __post_init__(self) -> None:
        self.rates = [group["lr"] for group in self.tuner.param_groups]

    def settings(self) -> dict[str, Any]:
        """Return what a continuation must share with this run, as far as it can be compared."""
        names = [f"{name} {tuple(p.shape)} {p.dtype}" for name, p in self.model.named_parameters()]
        return {
            "parameters": names,
            "examples": len(self.data),
            "validation examples": None if self.validation is None else len(self.validation),
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "patience": self.patience,
            "optimizer": type(self.tuner).__name__,
            "learning rates": self.rates,
        }

    def resumed(self, path: Path | None) -> Progress:
        """Return the finished epochs of the checkpoint and take up its state, or return none."""
        if path is None or not path.exists():
            return Progress([], [], [])
        return restore(path, self.settings(), self.model, self.tuner, self.generator)

    def finished(self, seen: Progress) -> bool:
        """Whether all epochs are done or patience has ended."""
        if self.patience is None or not seen.epochs:
            return seen.epochs >= self.epochs
        return seen.epochs >= self.epochs or seen.epochs - 1 - seen.best_epoch >= self.patience

    def epoch(self, seen: Progress) -> Epoch:
        """Go once through the data, validate, and add to what was seen.

        Raises:
            Diverged: if a loss or a parameter becomes NaN or infinite.
        """
        factor = 1.0 if self.schedule is None else self.schedule(seen.epochs, self.epochs)
        for group, rate in zip(self.tuner.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        with _seeded(self.model, self.generator):
            seen.train_loss.append(self._batches(seen.epochs + 1))
        if not all(bool(torch.isfinite(p).all()) for p in self.model.parameters()):
            raise _diverged("a parameter", "NaN or infinite", seen.epochs, self.tuner.param_groups[0]["lr"])
        if self.validation is not None:
            self._validate(self.validation, seen)
        return Epoch(
            number=seen.epochs,
            epochs=self.epochs,
            train_loss=seen.train_loss[-1],
            validation_loss=seen.validation_loss[-1] if seen.validation_loss else None,
            validation_accuracy=seen.validation_accuracy[-1] if seen.validation_accuracy else None,
            learning_rate=self.rates[0] * factor,
            last=self.finished(seen),
        )

    def _batches(self, number: int) -> float:
        """Take one step per batch and return the mean loss."""
        data, generator, total = self.data, self.generator, 0.0
        order = torch.randperm(len(data), generator=generator, device=generator.device).to(data.x.device)
        for rows in order.split(self.batch_size):
            self.tuner.zero_grad()
            total += len(rows) * self._followed(Split(data.x[rows], data.y[rows]), number)
            self.tuner.step()
        return total / len(data)

    def _followed(self, batch: Split, number: int) -> float:
        """Return the loss of a batch and leave its gradients on the parameters."""
        rate = self.tuner.param_groups[0]["lr"]
        if isinstance(self.step, GivenStep):
            found = self.step.find(self.model, batch, self.generator)
            value = _finite(found.loss, number, rate)
            found.leave()
            return value
        loss = self.step(self.model, batch, self.generator)
        value = _finite(loss, number, rate)
        loss.backward()
        return value

    def _validate(self, validation: Split, seen: Progress) -> None:
        found = evaluate(self.model, validation)
        if not isfinite(found.loss):
            raise _diverged("the validation loss", found.loss, seen.epochs, self.tuner.param_groups[0]["lr"])
        seen.validation_loss.append(found.loss)
        seen.validation_accuracy.append(found.accuracy)
        if self.patience is not None and seen.best_epoch == seen.epochs - 1:
            seen.best = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}


def _finite(loss: Tensor, epoch: int, rate: float) -> float:
    """Return the loss as a number, or say that it is none."""
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        came = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else type(loss).__name__
        raise Diverged(f"a step must return one loss, a tensor of shape (), got {came}; take the mean of the batch")
    value = loss.item()
    if not isfinite(value):
        raise _diverged("the loss", value, epoch, rate)
    return value


def _diverged(what: str, value: object, epoch: int, rate: float) -> Diverged:
    return Diverged(
        f"{what} became {value} in epoch {epoch} at learning rate {rate:g}; the model is as it was given. "
        "Lower the learning rate, or look for a logarithm or division of zero in the step"
    )


@contextmanager
def _seeded(model: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Seed torch's global state from the generator for a while, for modules that know no other (dropout)."""
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    cuda = sorted({p.device.index for p in model.parameters() if p.device.type == "cuda"})
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        for index in cuda:
            torch.cuda.default_generators[index].manual_seed(seed)
        yield
