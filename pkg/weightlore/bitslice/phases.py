"""Train in three phases: pre-train with L1, prune, fine-tune.

    fit_phase(model, data, ...)          one training, and back to its best epoch on validation data
    fit_three_phases(model, data, ...)   pre-train with L1, prune, fine-tune the rest with any penalty

The best epoch has the highest validation accuracy plus mean share of empty digits, both in percent. Departs from the
authors' code: it selects on test data.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from weightlore.bitslice.charging import Penalty, charged_step, l1_penalty
from weightlore.bitslice.fixed_point import FixedPoint
from weightlore.bitslice.metrics import NonzeroRatios, nonzero_ratios
from weightlore.bitslice.pruning import masked, prune
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import Callback, Epoch, History, MakeOptimizer, Schedule, evaluate, fit, sgd

__all__ = ["Phase", "Recipe", "ThreePhases", "fit_phase", "fit_three_phases"]


@dataclass(frozen=True)
class Recipe:
    """How long and how fast the three phases train; the defaults are the authors' for their small network.

    Args:
        pretrain_epochs: of the first phase.
        finetune_epochs: of the third.
        pretrain_strength: alpha of the L1 penalty of the first phase.
        threshold: below which the second phase sets parameters to zero.
        batch_size: examples per step.
        optimizer: makes the optimizer of each phase; ``None`` for ``sgd(0.01, momentum=0.5)``.
        schedule: factor of the learning rate, ``None`` for a constant one.

    Source: [zhang2019bitslice], the authors' code for the small network
    """

    pretrain_epochs: int = 100
    finetune_epochs: int = 50
    pretrain_strength: float = 10.0
    threshold: float = 0.01
    batch_size: int = 64
    optimizer: MakeOptimizer | None = None
    schedule: Schedule | None = None

    def maker(self) -> MakeOptimizer:
        """Return what makes the optimizer of each phase.

        Source: [zhang2019bitslice], the authors' code for the small network
        """
        return self.optimizer or sgd(0.01, momentum=0.5)

    def settings(self) -> dict[str, Any]:
        """Return the recipe in plain numbers, so that two can be compared when they lie in files.

        Functions are told by what they do: the optimizer by its kind and numbers, the schedule by its factors.

        Source: ours
        """
        made = self.maker()([torch.nn.Parameter(torch.zeros(1))])
        numbers = {name: value for name, value in made.defaults.items() if isinstance(value, int | float | tuple)}
        epochs, schedule = [self.pretrain_epochs, self.finetune_epochs], self.schedule
        return {
            "epochs": epochs,
            "pretrain strength": self.pretrain_strength,
            "threshold": self.threshold,
            "batch size": self.batch_size,
            "optimizer": [type(made).__name__, {n: list(v) if isinstance(v, tuple) else v for n, v in numbers.items()}],
            "schedule": schedule and [[float(schedule(epoch, count)) for epoch in range(count)] for count in epochs],
        }


@dataclass(frozen=True)
class Phase:
    """How one training went, and which epoch it went back to.

    Args:
        history: losses and validation results of every epoch.
        epoch: number, from 1, of the selected epoch.
        accuracy: on the validation data at that epoch, in [0, 1].
        ratios: non-zero digits at that epoch.

    Source: ours
    """

    history: History
    epoch: int
    accuracy: float
    ratios: NonzeroRatios


@dataclass(frozen=True)
class ThreePhases:
    """What became of a network in three phases.

    Args:
        pretrained: the first phase.
        masks: 1 for every entry that pruning left, by parameter.
        pruned_accuracy: on the validation data after pruning, in [0, 1].
        pruned: non-zero digits after pruning.
        finetuned: the third phase.

    Source: ours
    """

    pretrained: Phase
    masks: dict[str, Tensor]
    pruned_accuracy: float
    pruned: NonzeroRatios
    finetuned: Phase


def fit_three_phases(
    model: FixedPoint,
    data: Split,
    penalty: Penalty | None,
    *,
    validation: Split,
    generator: torch.Generator,
    recipe: Recipe | None = None,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
) -> ThreePhases:
    """Pre-train with L1, prune, and fine-tune with a penalty; the model is trained in place.

    Args:
        model: in fixed point; afterwards at the selected epoch of the third phase, in eval mode.
        data: N examples.
        penalty: of the third phase: ``slice_l1_penalty(0.5)``, ``l1_penalty(10)``, another function of the model, or
            ``None``.
        validation: for the selection of epochs; never test data.
        generator: of the order of the batches; it advances.
        recipe: epochs, strength, threshold and optimizer.
        callbacks: called after each epoch of both trainings.
        checkpoint: a folder, to write to after each epoch and to resume from.

    Returns:
        Both trainings, the masks and what pruning left.

    Raises:
        ParameterError: as ``training.fit``, ``prune`` and the penalty.

    Source: [zhang2019bitslice], schedule; selection on validation data is ours
    """
    recipe, folder, callbacks = recipe or Recipe(), None if checkpoint is None else Path(checkpoint), tuple(callbacks)
    pretrained = fit_phase(
        model,
        data,
        l1_penalty(recipe.pretrain_strength),
        validation=validation,
        generator=generator,
        epochs=recipe.pretrain_epochs,
        recipe=recipe,
        callbacks=callbacks,
        checkpoint=folder and folder / "pretrain.pt",
    )
    masks = prune(model, recipe.threshold)
    pruned = evaluate(model, validation).accuracy, nonzero_ratios(model)
    finetuned = fit_phase(
        model,
        data,
        penalty,
        masks=masks,
        validation=validation,
        generator=generator,
        epochs=recipe.finetune_epochs,
        recipe=recipe,
        callbacks=callbacks,
        checkpoint=folder and folder / "finetune.pt",
    )
    return ThreePhases(pretrained, masks, *pruned, finetuned)


def fit_phase(
    model: FixedPoint,
    data: Split,
    penalty: Penalty | None,
    *,
    validation: Split,
    generator: torch.Generator,
    epochs: int,
    recipe: Recipe | None = None,
    masks: Mapping[str, Tensor] | None = None,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
) -> Phase:
    """Train in place with a penalty and go back to the best epoch on validation data.

    The best epoch has the largest accuracy plus mean share of zero digits, both in percent, the first of equals.

    Args:
        model: in fixed point.
        data: N examples.
        penalty: added to the cross-entropy; ``None`` for none.
        validation: for the selection.
        generator: of the order of the batches.
        epochs: how often every example is seen.
        recipe: batch size, optimizer and schedule.
        masks: of pruned entries, which stay at zero; ``None`` where nothing was pruned.
        callbacks: called after each epoch.
        checkpoint: file to write and to resume from; the best epoch so far is kept beside it.

    Returns:
        History, selected epoch, its accuracy and its non-zero digits.

    Raises:
        ParameterError: as ``training.fit``.

    Source: [zhang2019bitslice], schedule; selection on validation data is ours
    """
    if not isinstance(model, FixedPoint):
        raise ParameterError(f"the three phases train a model in fixed point, got a {type(model).__name__}")
    recipe = recipe or Recipe()
    path = None if checkpoint is None else Path(checkpoint)
    best = _Best(model, path)
    history = fit(
        model,
        data,
        step=charged_step(penalty),
        generator=generator,
        epochs=epochs,
        batch_size=recipe.batch_size,
        optimizer=masked(recipe.maker(), model, masks or {}),
        schedule=recipe.schedule,
        validation=validation,
        callbacks=(best, *callbacks),
        checkpoint=path,
    )
    accuracy = best.restored()
    return Phase(history, best.epoch, accuracy, nonzero_ratios(model))


class _Best:
    """Keeps the state of the best epoch, beside the checkpoint if there is one."""

    def __init__(self, model: FixedPoint, checkpoint: Path | None) -> None:
        self.model, self.epoch, self.score, self.accuracy = model, 0, -1.0, 0.0
        self.state: dict[str, Tensor] = {}
        self.path = None if checkpoint is None else checkpoint.with_name(f"{checkpoint.name}.best")
        if checkpoint is not None and checkpoint.exists():
            self._resume(checkpoint)

    def __call__(self, epoch: Epoch) -> None:
        """Keep the epoch if it is the best so far."""
        self._judge(epoch.number, epoch.validation_accuracy or 0.0)

    def restored(self) -> float:
        """Put the model back to the best epoch and return its validation accuracy."""
        self.model.load_state_dict(self.state)
        return self.accuracy

    def _judge(self, number: int, accuracy: float) -> None:
        score = 100 * accuracy + 100 - nonzero_ratios(self.model).mean
        if score > self.score:
            self.epoch, self.score, self.accuracy = number, score, accuracy
            self.state = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
            if self.path is not None:
                _written(self.path, {"epoch": number, "score": score, "accuracy": accuracy, "state": self.state})

    def _resume(self, checkpoint: Path) -> None:
        """Take up what was kept, and judge the last epoch: an interruption may have come before that."""
        if self.path is not None and self.path.exists():
            kept = torch.load(self.path, weights_only=True)
            self.epoch, self.score, self.accuracy, self.state = (
                kept[n] for n in ("epoch", "score", "accuracy", "state")
            )
        last = torch.load(checkpoint, weights_only=True)
        given = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        try:
            self.model.load_state_dict(last["model"])
            accuracies = last["seen"]["validation_accuracy"]
            self._judge(len(accuracies), accuracies[-1])
        finally:
            self.model.load_state_dict(given)


def _written(path: Path, content: dict[str, object]) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    torch.save(content, partial)
    partial.replace(path)
