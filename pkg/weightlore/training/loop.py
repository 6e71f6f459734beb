"""The one training loop.

Every kind of training in this package is a *step*, a function of (model, batch, generator) that returns a loss; the
loop draws the batches, follows the gradient and keeps the books.

    for each epoch: shuffle, take a step per batch, validate; then write the checkpoint and call the callbacks
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import DataError, ParameterError
from weightlore.training.checkpoint import Progress, save
from weightlore.training.evaluation import cross_entropy, in_mode, require_classes, require_fitting
from weightlore.training.optimizers import MakeOptimizer, Schedule, cosine, sgd
from weightlore.training.run import Diverged, Epoch, Run, Step

__all__ = ["Callback", "History", "fit"]

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

    **The model afterwards** is in eval mode, ready for use, at its last parameters, or with ``patience`` at those with
    the lowest validation loss. If loss or parameters cease to be finite, parameters and buffers are those given. After
    any other exception, an interruption by the keyboard among them, they are those reached so far. After every
    exception each module is in the mode it had. Gradients are cleared.

    **Randomness** comes from the generator alone: the order of the rows, whatever the step draws, and one seed per
    epoch for modules that know only torch's global state (dropout), which is left as found.

    **A checkpoint** is written after each epoch, before the callbacks. If the file exists, the run goes on from there
    and ends bit for bit as if it had never been interrupted; the generator is then set to the state it had. A file of a
    finished run gives its result at once. Sizes, optimizer and learning rate are compared with those of the file; that
    data, step and schedule are the same is the caller's part.

    Args:
        model: parameters that require a gradient are trained.
        data: N examples.
        generator: on any device; it advances.
        step: returns the loss of a batch, shape (), on which ``backward`` is called; a gradient that it sets itself on
            the parameters is added. The gradients of a ``given.GivenStep`` are taken as they come.
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
            loss or a parameter becomes NaN or infinite (the message names epoch and learning rate).
        DataError: if the checkpoint cannot be read.

    Source: ours
    """
    parameters = _require_trainable(model)
    _require_usable(model, data, epochs, batch_size, validation, patience)
    tuner = (optimizer or sgd(0.1, momentum=0.9))(parameters)
    run = Run(model, data, step, tuner, schedule, epochs, batch_size, validation, patience, generator)
    path, callbacks = None if checkpoint is None else Path(checkpoint), tuple(callbacks)
    with in_mode(model, training=True), _cleared(model), _as_given_after_errors(model):
        seen = run.resumed(path)
        while not run.finished(seen):
            record = run.epoch(seen)
            if path is not None:
                save(path, run.settings(), seen, model, tuner, generator)
            for callback in callbacks:
                callback(record)
    if seen.best is not None:
        model.load_state_dict(seen.best)
    model.eval()
    return _history(seen, epochs)


@contextmanager
def _cleared(model: nn.Module) -> Iterator[None]:
    """Leave no gradients behind."""
    try:
        yield
    finally:
        model.zero_grad()


@contextmanager
def _as_given_after_errors(model: nn.Module) -> Iterator[None]:
    """Put parameters and buffers back when training could not go on; an interruption keeps what was reached."""
    given = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    try:
        yield
    except (Diverged, DataError):
        model.load_state_dict(given)
        raise


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
        require_classes(validation, "validation")
    for name, count in {"epochs": epochs, "batch_size": batch_size, "patience": patience}.items():
        if count is not None and (isinstance(count, bool) or not isinstance(count, Integral)):
            raise ParameterError(f"{name} must be an integer, got {count!r} of type {type(count).__name__}")
        if count is not None and count < 1:
            raise ParameterError(f"{name} must be at least 1, got {count}")
    if patience is not None and validation is None:
        raise ParameterError("patience watches the validation loss; give validation=Split(...) or leave patience out")
