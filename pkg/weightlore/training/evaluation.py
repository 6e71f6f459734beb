"""Loss and accuracy of a classifier, and a model put into a mode for a while.

evaluate(model, data)         Evaluation(loss, accuracy, count)
in_mode(model, training)      train or eval mode inside a with block, every module as before afterwards
cross_entropy(model, batch)   the loss that training lowers when nothing else is asked for
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite

__all__ = ["Evaluation", "cross_entropy", "evaluate", "in_mode", "require_classes", "require_fitting"]


@dataclass(frozen=True)
class Evaluation:
    """How well a classifier does on a data set.

    Args:
        loss: mean cross-entropy, in nats; infinite or NaN where the model's output is.
        accuracy: share of the examples whose largest logit is the right one, in [0, 1].
        count: N, the number of examples.

    Source: ours
    """

    loss: float
    accuracy: float
    count: int


def evaluate(model: nn.Module, data: Split, *, batch_size: int = 1000) -> Evaluation:
    """Return mean cross-entropy and accuracy of a classifier, in eval mode and without gradients.

        loss = -1/N sum_i log softmax(f(x_i))[y_i]

    The model is left as it is, in the mode in which it was. A corrupted or diverged model is worth measuring, so that
    infinite logits are no error: the loss then is NaN or infinite.

    Args:
        model: returns logits of shape (N, C).
        data: inputs, and class numbers of shape (N,), int64.
        batch_size: examples per forward pass; the result does not depend on it beyond rounding.

    Returns:
        Loss, accuracy and N.

    Raises:
        ParameterError: if the data are empty, not finite, on another device or of another dtype than the model, or
            their targets are no class numbers.

    Source: ours
    """
    require_fitting(model, data)
    require_classes(data)
    if batch_size < 1:
        raise ParameterError(f"batch_size must be at least 1, got {batch_size}")
    loss, right = 0.0, 0
    with in_mode(model, training=False), torch.no_grad():
        for x, y in zip(data.x.split(batch_size), data.y.split(batch_size), strict=True):
            logits = model(x)
            require_labels(y, logits.shape[1])
            loss += float(nn.functional.cross_entropy(logits, y, reduction="sum"))
            right += int((logits.argmax(1) == y).sum())
    return Evaluation(loss / len(data), right / len(data), len(data))


def cross_entropy(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
    """Return the mean cross-entropy of a batch: the plain training step.

        loss = -1/N sum_i log softmax(f(x_i))[y_i]

    Args:
        model: returns logits of shape (N, C).
        batch: inputs and class numbers.
        generator: not used; a step that draws something draws it from here.

    Returns:
        The loss, shape (), differentiable in the parameters.

    Raises:
        ParameterError: if a target is no number of a class that the model has an output for.

    Source: ours
    """
    logits = model(batch.x)
    if not batch.y.is_floating_point():
        require_labels(batch.y, logits.shape[1])
    return nn.functional.cross_entropy(logits, batch.y)


@contextmanager
def in_mode(model: nn.Module, *, training: bool) -> Iterator[nn.Module]:
    """Put the model into train or eval mode for a while; afterwards every module is in the mode it had.

    Modules that were frozen in eval mode one by one stay as they were, which ``model.train()`` would not remember.

    Args:
        model: any module.
        training: whether the model trains (dropout drops, batch statistics are used and tracked).

    Source: ours
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield model.train(training)
    finally:
        for module, mode in modes:
            module.training = mode


def require_fitting(model: nn.Module, data: Split, what: str = "data") -> None:
    """Check that a model can read a data set: not empty, finite, of the model's dtype, on its device.

    Args:
        model: any module; one without parameters reads everything.
        data: inputs and targets; integer inputs (tokens) have no dtype in common with the model.
        what: how the caller calls the data, for the message.

    Raises:
        ParameterError: if it cannot; the message says what to do.

    Source: ours
    """
    if len(data) == 0:
        raise ParameterError(f"{what} must hold at least one example, got none; was the selection empty?")
    first = next(model.parameters(), data.x)
    if first.device != data.x.device or first.device != data.y.device:
        raise ParameterError(
            f"the model is on {first.device}, but {what} on {data.x.device} (x) and {data.y.device} (y); "
            f"use {what}.to(device={str(first.device)!r})"
        )
    if data.x.is_floating_point() and data.x.dtype != first.dtype:
        raise ParameterError(
            f"the model computes in {first.dtype}, but {what} are {data.x.dtype}; use {what}.to(dtype={first.dtype})"
        )
    require_finite(f"the inputs of {what}", data.x)


def require_classes(data: Split, what: str = "data") -> None:
    """Check that the targets are class numbers.

    Args:
        data: inputs and targets.
        what: how the caller calls the data, for the message.

    Raises:
        ParameterError: if they are not.

    Source: ours
    """
    if data.y.ndim != 1 or data.y.dtype != torch.int64:
        raise ParameterError(
            f"the accuracy on {what} needs class numbers y of shape (N,), int64, "
            f"got {tuple(data.y.shape)}, {data.y.dtype}"
        )
    if len(data) and int(data.y.min()) < 0:  # torch would leave rows of -100 out of the mean without a word
        raise ParameterError(f"the class numbers of {what} must be >= 0, got {int(data.y.min())}")
