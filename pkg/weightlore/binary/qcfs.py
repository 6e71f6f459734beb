"""Train a network with the activations that a spiking one can have, so that a few time steps are enough.

    stepped = with_clip_floor_shift(model, levels=4, images=images)     every ReLU becomes a ClipFloorShift
    fitted  = fit_clip_floor_shift(model, data, levels=4)               that, and the training of weights and ceilings
    network = to_spiking(fitted.network)                                thresholds from the ceilings, V_0 = 1/2

In L = T steps of constant current each neuron of the first layer fires exactly at the rate of its activation; deeper
ones differ only where spikes come unevenly. Binary weights: ``fit_binary(with_clip_floor_shift(...), data, ...)``.
"""

import copy
import os
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.binary.cutting import staged
from weightlore.binary.normalization import normalization_factors, require_factors
from weightlore.binary.percentiles import one_percentile
from weightlore.binary.rectifiers import ClipFloorShift
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import Callback, History, MakeOptimizer, Schedule, Step, cosine, cross_entropy, fit

__all__ = ["SteppedFit", "fit_clip_floor_shift", "with_clip_floor_shift"]


@dataclass(frozen=True)
class SteppedFit:
    """What became of a network that was trained to be converted.

    Args:
        history: losses of every epoch.
        network: with its clip-floor-shift activations, in eval mode.

    Source: ours
    """

    history: History
    network: nn.Module


def with_clip_floor_shift(
    model: nn.Module,
    images: Split | Tensor | None = None,
    *,
    levels: int,
    percentile: float = 99.9,
    ceilings: Tensor | None = None,
) -> nn.Module:
    """Return a copy of a network whose every ReLU is a clip-floor-shift activation.

    Args:
        model: as for ``staged``; it stays as it is. A ReLU before the first weights, or behind another, stays.
        images: on which the ceilings are measured; not needed where they are given.
        levels: L, the number of steps of the activation, and of time steps that shall be enough.
        percentile: of the activations that becomes a ceiling.
        ceilings: lambda for each of the non-linearities, shape (L,), instead.

    Returns:
        The copy, in the mode of the model; ceilings are parameters of it and can be trained.

    Raises:
        ParameterError: as ``normalization_factors``, or if neither images nor ceilings are given.

    Source: [bu2022qcfs], quantization clip-floor-shift activation; ceilings from a percentile are ours
    """
    names = [stage.name for stage in staged(model).hidden]
    if ceilings is None:
        if images is None:
            raise ParameterError("ceilings are measured on images: pass some hundred training images, or ceilings")
        ceilings = normalization_factors(model, images, percentile=one_percentile(percentile))
    values = require_factors(ceilings, len(names)).tolist()
    dtype = next((p.dtype for p in model.parameters()), ceilings.dtype)
    found = copy.deepcopy(model)
    made: dict[int, nn.Module] = {}
    for name, ceiling in zip(names, values, strict=True):
        old = found.get_submodule(name)
        new = ClipFloorShift(levels, ceiling=ceiling, dtype=dtype).to(ceilings.device).train(old.training)
        if id(old) in made:
            raise ParameterError(
                f"the ReLU {name!r} stands at two places of the model, where two ceilings are needed; "
                "give each place a module of its own"
            )
        made[id(old)] = new
        found.set_submodule(name, new)
    return found


def fit_clip_floor_shift(
    model: nn.Module,
    data: Split,
    *,
    levels: int,
    generator: torch.Generator,
    percentile: float = 99.9,
    step: Step = cross_entropy,
    epochs: int = 30,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
    schedule: Schedule | None = cosine,
    validation: Split | None = None,
    patience: int | None = None,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
) -> SteppedFit:
    """Replace every ReLU of a network by a clip-floor-shift activation, and train weights and ceilings.

    Args:
        model: trained or fresh; it stays as it is, a copy is trained.
        data: N examples; the ceilings start from their activations.
        levels: L, the number of time steps that shall be enough.
        generator: as for ``training.fit``.
        percentile: of the activations that the ceilings start from.
        step: whose loss is lowered.
        epochs: how often every example is seen.
        batch_size: examples per step.
        optimizer: makes the optimizer, ``None`` for that of ``training.fit``.
        schedule: factor of the learning rate over the epochs.
        validation: evaluated after each epoch.
        patience: epochs without improvement before training ends, and goes back to the best.
        callbacks: called after each epoch.
        checkpoint: file to write and to resume from.

    Returns:
        The history and the trained copy.

    Raises:
        ParameterError: as ``with_clip_floor_shift`` and ``training.fit``.

    Source: [bu2022qcfs], training with the activation
    """
    network = with_clip_floor_shift(model, data, levels=levels, percentile=percentile)
    history = fit(
        network,
        data,
        step=step,
        generator=generator,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        schedule=schedule,
        validation=validation,
        patience=patience,
        callbacks=callbacks,
        checkpoint=checkpoint,
    )
    return SteppedFit(history, network)
