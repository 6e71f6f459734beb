"""The one training loop.

Every kind of training in this package is a *step*, a function of (model, batch, generator) that returns a loss; the
loop draws the batches, follows the gradient and keeps the books.

    for each epoch: shuffle; for each batch: loss = step(model, batch, generator); backward; optimizer step
    then: validate, remember, write the checkpoint, call the callbacks
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from weightlore.data import Split
from weightlore.errors import DataError, ParameterError
from weightlore.training.checkpoint import Progress, restore, save
from weightlore.training.evaluation import cross_entropy, evaluate, in_mode, require_fitting
from weightlore.training.optimizers import MakeOptimizer, Schedule, cosine, sgd

__all__ = ["Callback", "Epoch", "History", "Step", "fit"]

Step = Callable[[nn.Module, Split, torch.Generator], Tensor]


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


Callback = Callable[[Epoch], None]


@dataclass(frozen=True)
class History:
    """How a training went; one entry per epoch.

    Args:
        train_loss: mean loss of the batches, weighted by their size, while the parameters moved.
        validation_loss: on the validation data after the epoch; empty without such data.
        validation_accuracy: likewise, in [0, 1].
        best_epoch: number, from 1, of the epoch with the lowest validation loss, ``None`` without validation.
        stopped: ``"completed"`` after all epochs, ``"patience"`` when validation no longer improved.

    Source: ours
    """

    train_loss: tuple[float, ...]
    validation_loss: tuple[float, ...]
    validation_accuracy: tuple[float, ...]
    best_epoch: int | None
    stopped: Literal["completed", "patience"]


def fit(
    model: nn.Module,
    data: Split,
    *,
    generator: torch.Generator,
    step: Step = cross_entropy,
    epochs: int = 60,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
    schedule: Schedule | None = cosine,
    validation: Split | None = None,
    patience: int | None = None,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
) -> History:
    """Train the model in place by mini-batches and return how it went.

    **The model afterwards** is in eval mode without gradients, ready for use, at its last parameters, or with
    ``patience`` at those with the lowest validation loss. If the loss ceases to be finite, parameters and buffers are
    those given. After any other exception, an interruption by the keyboard among them, they are those reached so far.
    After every exception each module is in the mode it had.

    **Randomness** comes from the generator alone: the order of the rows, whatever the step draws, and one seed per
    epoch for modules that know only torch's global state (dropout), which is left as found.

    **A checkpoint** is written after each epoch, before the callbacks. If the file exists, the run goes on from there
    and ends bit for bit as if it had never been interrupted; the generator is then set to the state it had. A file of a
    finished run gives its result at once.

    Args:
        model: parameters that require a gradient are trained.
        data: N examples.
        generator: on any device; it advances.
        step: returns the loss of a batch, shape (), on which ``backward`` is called; a gradient that it sets itself on
            the parameters is added.
        epochs: how often every example is seen, >= 1.
        batch_size: examples per step; the last batch of an epoch may be smaller.
        optimizer: makes the optimizer from the parameters; ``None`` for ``sgd(0.1, momentum=0.9)``.
        schedule: factor of the learning rate from (epoch counted from 0, epochs); ``None`` keeps it constant.
        validation: evaluated after each epoch.
        patience: stop after so many epochs in a row without a lower validation loss, and go back to the best.
        callbacks: called with each ``Epoch``; an exception there ends the training.
        checkpoint: file to write and to resume from.

    Returns:
        Losses and validation results per epoch, and why training stopped.

    Raises:
        ParameterError: if an argument is out of range, the model has nothing to train or cannot read the data, or the
            loss is NaN or infinite (the message names epoch and learning rate).
        DataError: if the checkpoint cannot be read.

    Source: ours
    """
    parameters = _require_trainable(model)
    _require_usable(model, data, epochs, batch_size, validation, patience)
    tuner = (optimizer or sgd(0.1, momentum=0.9))(parameters)
    run = _Run(model, data, step, tuner, schedule, epochs, batch_size, validation, patience, generator)
    path = None if checkpoint is None else Path(checkpoint)
    with in_mode(model, training=True), _as_given_after_errors(model):
        seen = run.resumed(path)
        while not run.finished(seen):
            record = run.epoch(seen)
            if path is not None:
                save(path, run.settings(), seen, model, tuner, generator)
            for callback in callbacks:
                callback(record)
    if seen.best is not None:
        model.load_state_dict(seen.best)
    tuner.zero_grad()
    model.eval()
    return _history(seen, epochs)


@dataclass
class _Run:
    """The parts of one training, and the epoch that they make together."""

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
        """Return what a continuation must share with this run."""
        names = [f"{name} {tuple(p.shape)} {p.dtype}" for name, p in self.model.named_parameters()]
        return {
            "parameters": names,
            "examples": len(self.data),
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "patience": self.patience,
            "optimizer": type(self.tuner).__name__,
            "learning rates": self.rates,
        }

    def resumed(self, path: Path | None) -> Progress:
        """Return the finished epochs of the checkpoint, or none."""
        if path is None or not path.exists():
            return Progress([], [], [])
        return restore(path, self.settings(), self.model, self.tuner, self.generator)

    def finished(self, seen: Progress) -> bool:
        """Whether all epochs are done or patience has ended."""
        waited = seen.epochs - 1 - seen.best_epoch if self.patience is not None and seen.epochs else 0
        return seen.epochs >= self.epochs or (self.patience is not None and waited >= self.patience)

    def epoch(self, seen: Progress) -> Epoch:
        """Go once through the data, validate, and add to what was seen."""
        factor = 1.0 if self.schedule is None else self.schedule(seen.epochs, self.epochs)
        for group, rate in zip(self.tuner.param_groups, self.rates, strict=True):
            group["lr"] = rate * factor
        with _seeded(self.model, self.generator):
            seen.train_loss.append(self._batches(seen.epochs + 1))
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
            loss = self.step(self.model, Split(data.x[rows], data.y[rows]), generator)
            value = _finite(loss, number, self.tuner.param_groups[0]["lr"])
            loss.backward()
            self.tuner.step()
            total += value * len(rows)
        return total / len(data)

    def _validate(self, validation: Split, seen: Progress) -> None:
        found = evaluate(self.model, validation)
        if not isfinite(found.loss):
            raise _diverged("the validation loss", found.loss, seen.epochs, self.tuner.param_groups[0]["lr"])
        seen.validation_loss.append(found.loss)
        seen.validation_accuracy.append(found.accuracy)
        if self.patience is not None and seen.best_epoch == seen.epochs - 1:
            seen.best = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}


class _Unusable(ParameterError):
    """The loss left the finite numbers; the model is put back."""


def _diverged(what: str, value: float, epoch: int, rate: float) -> _Unusable:
    return _Unusable(
        f"{what} became {value} in epoch {epoch} at learning rate {rate:g}; the model is as it was given. "
        "Lower the learning rate, or look for a logarithm or division of zero in the step"
    )


def _finite(loss: Tensor, epoch: int, rate: float) -> float:
    """Return the loss as a number, or say that it is none."""
    if loss.numel() != 1:
        raise _Unusable(f"a step must return one loss of shape (), got shape {tuple(loss.shape)}; take its mean")
    value = loss.item()
    if not isfinite(value):
        raise _diverged("the loss", value, epoch, rate)
    return value


@contextmanager
def _as_given_after_errors(model: nn.Module) -> Iterator[None]:
    """Put parameters and buffers back when training could not go on; an interruption keeps what was reached."""
    given = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    try:
        yield
    except (_Unusable, DataError):
        model.load_state_dict(given)
        raise


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


def _history(seen: Progress, epochs: int) -> History:
    return History(
        train_loss=tuple(seen.train_loss),
        validation_loss=tuple(seen.validation_loss),
        validation_accuracy=tuple(seen.validation_accuracy),
        best_epoch=seen.best_epoch + 1 if seen.validation_loss else None,
        stopped="completed" if seen.epochs == epochs else "patience",
    )


def _require_trainable(model: nn.Module) -> list[nn.Parameter]:
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ParameterError(
            "the model has no parameter that requires a gradient; there is nothing to train. Integer parameters never "
            "do: convert the model first, for example model.double().requires_grad_()"
        )
    return parameters


def _require_usable(
    model: nn.Module, data: Split, epochs: int, batch_size: int, validation: Split | None, patience: int | None
) -> None:
    require_fitting(model, data)
    if validation is not None:
        require_fitting(model, validation, "validation")
    for name, count in {"epochs": epochs, "batch_size": batch_size, "patience": patience}.items():
        if count is not None and count < 1:
            raise ParameterError(f"{name} must be at least 1, got {count}")
    if patience is not None and validation is None:
        raise ParameterError("patience watches the validation loss; give validation=Split(...) or leave patience out")
