"""Train a converted network further, with its spikes: a good start, and then a few epochs for few time steps.

    fine_tune(network, data, steps=4)           real weights
    fine_tune_binary(network, data, steps=4)    one-bit weights; the latent ones move

Gradients pass a spike by a surrogate slope. It is as wide as a fraction of the threshold 1, so that scales of binary
weights are absorbed afterwards, not before.
"""

import copy
import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from weightlore.binary.conversion import Converted
from weightlore.binary.rules import Rule, ScaledSign
from weightlore.binary.training import BinaryRecipe, fit_binary
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.spiking.surrogates import Surrogate
from weightlore.spiking.unrolling import SpikingClassifier
from weightlore.training import Callback, History, MakeOptimizer, Schedule, adam, cosine, fit

__all__ = ["HybridFit", "fine_tune", "fine_tune_binary"]


@dataclass(frozen=True)
class HybridFit:
    """What became of a converted network that was trained with its spikes.

    Args:
        history: losses of every epoch; with validation data, of the spiking network after T steps.
        network: a copy, in eval mode; from ``fine_tune_binary`` its inner weights are binary.

    Source: ours
    """

    history: History
    network: Converted


def fine_tune(
    network: Converted,
    data: Split,
    *,
    steps: int,
    generator: torch.Generator,
    surrogate: Surrogate | None = None,
    epochs: int = 10,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
    schedule: Schedule | None = cosine,
    validation: Split | None = None,
    patience: int | None = None,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
) -> HybridFit:
    """Lower the cross-entropy of a converted network after T steps by surrogate gradients through time.

        logits = lambda_{L-1} U_T / T

    Args:
        network: from ``to_spiking``; it stays as it is, a copy is trained. Thresholds stay.
        data: N examples.
        steps: T.
        generator: as for ``training.fit``.
        surrogate: slope in place of the derivative of a spike; ``None`` for that of ``SpikingClassifier``.
        epochs: how often every example is seen.
        batch_size: examples per step.
        optimizer: makes the optimizer, ``None`` for Adam with learning rate 1e-3.
        schedule: factor of the learning rate over the epochs.
        validation: evaluated after each epoch.
        patience: epochs without improvement before training ends, and goes back to the best.
        callbacks: called after each epoch.
        checkpoint: file to write and to resume from.

    Returns:
        The history and the trained network.

    Raises:
        ParameterError: if the network was not made by ``to_spiking``, or as ``training.fit``.

    Source: [rathi2020hybrid], conversion and then training with spikes; [neftci2019surrogate], surrogate gradients
    """
    model = _classifier(network, steps, surrogate)
    history = fit(
        model,
        data,
        generator=generator,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer or adam(1e-3),
        schedule=schedule,
        validation=validation,
        patience=patience,
        callbacks=callbacks,
        checkpoint=checkpoint,
    )
    return HybridFit(history, _network_of(model))


def fine_tune_binary(
    network: Converted,
    data: Split,
    *,
    steps: int,
    generator: torch.Generator,
    recipe: BinaryRecipe | None = None,
    rule: Rule | None = None,
    surrogate: Surrogate | None = None,
    validation: Split | None = None,
    patience: int | None = None,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
) -> HybridFit:
    """Lower the cross-entropy of a converted network whose inner layers have one-bit weights, after T steps.

    The network's weights are latent: convert the latent model with the factors of the binary one, so that signs keep
    their distance to zero,

        to_spiking(latent, factors=normalization_factors(binary, images))

    A network that was converted with binary weights will do as well; then all start equally far from a change of sign.

    Args:
        network: from ``to_spiking``; it stays as it is, a copy is trained. Thresholds stay.
        data: N examples.
        steps: T.
        generator: as for ``training.fit``.
        recipe: epochs, batches and rates; ``None`` for ten epochs without weight decay, which Adam would turn against
            weights that are trained already.
        rule: how weights become binary, ``None`` for the paper's without clamping, since normalization has scaled them.
        surrogate: slope in place of the derivative of a spike; ``None`` for that of ``SpikingClassifier``.
        validation: evaluated after each epoch, at binary weights.
        patience: epochs without improvement before training ends, and goes back to the best.
        callbacks: called after each epoch.
        checkpoint: file to write and to resume from; it holds the latent weights.

    Returns:
        The history, and the network with binary weights, ready for ``absorb_scales``.

    Raises:
        ParameterError: as ``fine_tune`` and ``fit_binary``.

    Source: [rathi2020hybrid], conversion and then training with spikes; with the binary weights of [lu2020binary]
    """
    found = fit_binary(
        _classifier(network, steps, surrogate),
        data,
        generator=generator,
        recipe=recipe or BinaryRecipe(epochs=10, weight_decay=0.0),
        rule=rule or ScaledSign(limit=None),
        validation=validation,
        patience=patience,
        callbacks=callbacks,
        checkpoint=checkpoint,
    )
    return HybridFit(found.history, _network_of(found.network))


def _classifier(network: Converted, steps: int, surrogate: Surrogate | None) -> SpikingClassifier:
    """A copy of the network, as the training loop takes it."""
    if not isinstance(network, Converted):
        raise ParameterError(
            f"only a network from to_spiking is trained here, got {type(network).__name__}; convert first"
        )
    return SpikingClassifier(copy.deepcopy(network), steps, surrogate=surrogate, scale=network.output_scale)


def _network_of(model: nn.Module) -> Converted:
    found = model.network
    if not isinstance(found, Converted):
        raise ParameterError(f"training must leave a converted network, got {type(found).__name__}; was it replaced?")
    return found.eval()
