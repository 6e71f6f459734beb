"""Training of a radial network: after each step of the optimizer the class centers follow the features.

duq(network, ...)       a DUQ over a copy of a network without its readout
fit_duq(model, data)    loss + lambda penalty, by ``training.fit``; centers after every step
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import History, MakeOptimizer, Schedule, cosine, fit, sgd
from weightlore.uncertainty.deterministic.radial import DUQ, RBFHead, gradient_penalty, radial_loss
from weightlore.uncertainty.deterministic.trunks import trunk_of

__all__ = ["duq", "fit_duq"]


def duq(
    network: nn.Module,
    *,
    classes: int,
    size: int = 16,
    length_scale: float = 0.3,
    momentum: float = 0.99,
    generator: torch.Generator,
) -> DUQ:
    """Return a radial network over a copy of a network without its readout.

    Args:
        network: with a readout, as for ``trunk_of``; left as it is.
        classes: C.
        size: M, dimensions in which distances are measured.
        length_scale: s > 0.
        momentum: g in [0, 1).
        generator: where the head is drawn from.

    Returns:
        The network, to be trained by ``fit_duq``.

    Raises:
        ParameterError: if there is no readout, or an argument is out of range.

    Example:
        >>> from weightlore.networks import mlp
        >>> drawn = torch.Generator().manual_seed(0)
        >>> model = duq(mlp((2, 16, 2), generator=drawn), classes=2, generator=drawn)
        >>> model(torch.zeros(5, 2, dtype=torch.float64)).shape
        torch.Size([5, 2])

    Source: [vanamersfoort2020duq]
    """
    trunk, features = trunk_of(network)
    dtype = next(network.parameters()).dtype
    head = RBFHead(
        features,
        classes,
        size=size,
        length_scale=length_scale,
        momentum=momentum,
        generator=generator,
        dtype=dtype,
    )
    return DUQ(trunk, head.to(next(network.parameters()).device))


def fit_duq(
    model: DUQ,
    data: Split,
    *,
    generator: torch.Generator,
    penalty: float = 0.5,
    epochs: int = 60,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
    schedule: Schedule | None = cosine,
) -> History:
    """Train a radial network in place.

        for each batch: step on loss + lambda penalty; then move the centers, with the features after the step

    Args:
        model: a ``DUQ``.
        data: inputs and class numbers.
        generator: of all that is random.
        penalty: lambda >= 0; 0 leaves the second derivative out.
        epochs: how often every example is seen.
        batch_size: examples per step.
        optimizer: as for ``training.fit``; ``None`` for ``sgd(0.05, momentum=0.9)``.
        schedule: as for ``training.fit``.

    Returns:
        How it went.

    Raises:
        ParameterError: if lambda is negative, or as ``training.fit`` does.

    Example:
        >>> from weightlore.data import two_moons
        >>> from weightlore.networks import mlp
        >>> drawn = torch.Generator().manual_seed(0)
        >>> model = duq(mlp((2, 8, 2), generator=drawn), classes=2, generator=drawn)
        >>> len(fit_duq(model, two_moons(60, noise=0.1, generator=drawn), generator=drawn, epochs=2).train_loss)
        2

    Source: [vanamersfoort2020duq], centroids updated after each step
    """
    if isinstance(penalty, bool) or not isinstance(penalty, int | float) or not 0 <= penalty < math.inf:
        raise ParameterError(f"penalty weighs the slope and must be >= 0 and finite, got {penalty!r}")
    last: list[Split] = []

    def step(_: nn.Module, batch: Split, __: torch.Generator) -> Tensor:
        last[:] = [batch]
        loss = radial_loss(model.exponents(batch.x), batch.y)
        return loss + penalty * gradient_penalty(model, batch.x) if penalty else loss

    def follow(*_: Any) -> None:
        model.update(last[0].x, last[0].y)

    def make(parameters: Any) -> torch.optim.Optimizer:
        tuner = (optimizer or sgd(0.05, momentum=0.9))(parameters)
        tuner.register_step_post_hook(follow)
        return tuner

    return fit(
        model,
        data,
        generator=generator,
        step=step,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=make,
        schedule=schedule,
    )
