"""Train a network whose weights have one bit when it computes, by the paper's recipe.

    BinaryRecipe                how long and how fast
    fit_binary(model, data)     training with the step of ``BinaryTraining``, validated at binary weights

The model's parameters are the latent weights: an optimizer moves them, a checkpoint holds them.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.binary.fading import Fading, coupled_adam, halving
from weightlore.binary.latent import BinaryTraining
from weightlore.binary.rules import Rule
from weightlore.data import Split
from weightlore.training import Callback, History, Step, cross_entropy, fit

__all__ = ["BinaryFit", "BinaryRecipe", "fit_binary"]


@dataclass(frozen=True)
class BinaryRecipe:
    """How long and how fast a binary network is trained; rates and decay are those of the paper's set-ups.

    Args:
        epochs: how often every example is seen.
        batch_size: examples per step.
        lr: first learning rate of Adam.
        halve_every: epochs after which the rate is halved, again and again.
        weight_decay: L2 term of the first epochs.
        decay_epochs: how many epochs it lasts.
        betas: of Adam.

    Source: [lu2020binary], set-ups of the authors' code; 60 epochs and batches of 64 are ours, for small data
    """

    epochs: int = 60
    batch_size: int = 64
    lr: float = 5e-4
    halve_every: int = 30
    weight_decay: float = 5e-4
    decay_epochs: int = 30
    betas: tuple[float, float] = (0.9, 0.999)

    def fading(self) -> Fading:
        """Return the optimizer and the schedule of one run."""
        make = coupled_adam(self.lr, betas=self.betas, weight_decay=self.weight_decay)
        return Fading(make, halving(self.halve_every), decay_epochs=self.decay_epochs)


@dataclass(frozen=True)
class BinaryFit:
    """What became of a network that was trained to be binary.

    Args:
        history: losses of every epoch, all at binary weights.
        network: a copy with binary weights, in eval mode, to be evaluated, packed or converted.

    Source: ours
    """

    history: History
    network: nn.Module


def fit_binary(
    model: nn.Module,
    data: Split,
    *,
    generator: torch.Generator,
    recipe: BinaryRecipe | None = None,
    rule: Rule | None = None,
    layers: Sequence[str] | None = None,
    base: Step = cross_entropy,
    validation: Split | None = None,
    patience: int | None = None,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
) -> BinaryFit:
    """Train a network in place so that it works with binary weights; from a trained start or from scratch.

    Args:
        model: its parameters are the latent weights, and afterwards the trained ones, in eval mode.
        data: N examples.
        generator: as for ``training.fit``.
        recipe: epochs, batches and rates; ``None`` for ``BinaryRecipe()``.
        rule: how weights become binary; ``None`` for the paper's.
        layers: which are binary; ``None`` for all but first and last.
        base: the step whose loss is lowered.
        validation: evaluated after each epoch, at binary weights.
        patience: epochs without improvement before training ends, and goes back to the best.
        callbacks: called after each epoch.
        checkpoint: file to write and to resume from; it holds the latent weights.

    Returns:
        The history, and a copy of the network with binary weights.

    Raises:
        ParameterError: as ``BinaryTraining`` and ``training.fit``.

    Source: [lu2020binary], binary-weight training
    """
    training, recipe = BinaryTraining(model, rule=rule, layers=layers, base=base), recipe or BinaryRecipe()
    fading = recipe.fading()
    history = fit(
        _Evaluated(training),
        data,
        step=training.step,
        generator=generator,
        epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        optimizer=fading.optimizer,
        schedule=fading.schedule,
        validation=validation,
        patience=patience,
        callbacks=callbacks,
        checkpoint=checkpoint,
    )
    return BinaryFit(history, training.deployed())


class _Evaluated(nn.Module):
    """The model as the training loop sees it: evaluated at binary weights."""

    def __init__(self, training: BinaryTraining) -> None:
        super().__init__()
        self.model = training.model
        self._training = training

    def forward(self, x: Tensor) -> Tensor:
        with self._training.binarized():
            return self.model(x)
