"""Take away what the labels taught: the same network, trained on labels that mean nothing.

Parameters can be made meaningless without being random. A network that has learned permuted labels by heart predicts
them as surely as the healthy one predicts the true ones; a map that speaks of what was learned must differ between the
two [adebayo2018sanity].

    permuted_labels   the same images, their labels shuffled
    fit_permuted      a fresh network that has learned such labels
"""

from dataclasses import dataclass

import torch
from torch import nn

from weightlore.attribution.randomization import randomize
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.training import Epoch, MakeOptimizer, adam, evaluate, fit
from weightlore.training.evaluation import require_classes

__all__ = ["Memorized", "fit_permuted", "permuted_labels"]


@dataclass(frozen=True, eq=False)
class Memorized:
    """A network that has learned permuted labels.

    Args:
        model: in eval mode.
        data: the images and the labels that it was taught.
        accuracy: on these, in [0, 1].
        reached: whether that is the accuracy that was asked for.
        epochs: how often it saw the data.

    Source: [adebayo2018sanity], data randomization
    """

    model: nn.Module
    data: Split
    accuracy: float
    reached: bool
    epochs: int


class _Reached(Exception):
    """The labels are known well enough."""


def permuted_labels(data: Split, *, generator: torch.Generator) -> Split:
    """Return the same images with their labels in random order: each class stays as frequent as it was.

    Args:
        data: images and classes, shape (N,), int64.
        generator: where the order comes from.

    Returns:
        The images, and permuted labels.

    Raises:
        ParameterError: if the targets are no class numbers.

    Source: [adebayo2018sanity], data randomization
    """
    require_classes(data)
    order = torch.randperm(len(data), generator=generator, device=generator.device)
    return Split(data.x, data.y[order.to(data.y.device)])


def fit_permuted(
    model: nn.Module,
    data: Split,
    *,
    generator: torch.Generator,
    accuracy: float = 0.95,
    epochs: int = 400,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
) -> Memorized:
    """Return a freshly drawn copy of a network, trained on permuted labels until it knows them.

    Args:
        model: tells the architecture and the law of the initial parameters; stays as it is.
        data: the images and the true classes.
        generator: of labels, parameters and batches, in this order.
        accuracy: on the permuted labels at which training stops, in (0, 1].
        epochs: at most so many.
        batch_size: images a step.
        optimizer: ``None`` for ``adam(3e-3)``, since learning by heart takes many small steps; the rate stays constant.

    Returns:
        The network, the data it was taught, and whether it knows them: with too few epochs or parameters it may not.

    Raises:
        ParameterError: as ``randomize`` and ``fit``, or if the accuracy is out of range.

    Source: [adebayo2018sanity], data randomization, there up to more than 95 percent
    """
    if not 0 < accuracy <= 1:
        raise ParameterError(f"accuracy is a share of the labels, in (0, 1], got {accuracy}")
    require_counts(epochs=epochs)
    taught = permuted_labels(data, generator=generator)
    (copy,) = randomize(model, scheme="full", generator=generator)
    seen = 0

    def known(epoch: Epoch) -> None:
        nonlocal seen
        seen = epoch.number
        if evaluate(copy.model, taught).accuracy >= accuracy:
            raise _Reached

    try:
        fit(
            copy.model,
            taught,
            generator=generator,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer or adam(3e-3),
            schedule=None,
            callbacks=[known],
        )
    except _Reached:
        copy.model.eval()
    found = evaluate(copy.model, taught).accuracy
    return Memorized(copy.model, taught, found, found >= accuracy, seen)
