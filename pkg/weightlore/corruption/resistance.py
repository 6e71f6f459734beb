"""Train a network so that harm to its parameters matters less.

The loss of a batch is mixed with its loss at corrupted parameters, where the corruption is the worst within a budget
according to the gradient of the same batch, and is then held constant:

    d = (1 - alpha) grad L(theta) + alpha grad L(theta + a_hat)         two forward and backward passes

    resistant_step(budget, ...)   the training step with d
    resistant_gradients(...)      the gradients of one batch, to look at
    fit_resistant(...)            training with that step

To first order d is the gradient of L + alpha epsilon ||top_n(g)||_q: large gradients are penalized. Dropout drops the
same units in every pass, running statistics are updated by the clean pass alone, and weight decay is left to the
optimizer, which adds it to d.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.corruption.arguments import require_whole
from weightlore.corruption.attacks import ascent
from weightlore.corruption.averaging import Path, averaged_step
from weightlore.corruption.budgets import Budget, closed_form, require_budget
from weightlore.corruption.passes import Passes, flat, members
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.parameters import Group
from weightlore.training import Callback, History, MakeOptimizer, Schedule, Step, cosine, cross_entropy, fit

__all__ = ["ResistantGradients", "fit_resistant", "resistant_gradients", "resistant_step"]


@dataclass(frozen=True)
class ResistantGradients:
    """The gradients that one resistant step is made of.

    Args:
        gradient: d, what the optimizer would get, for all parameters that train, shape (P,).
        clean: gradient at theta, shape (P,).
        corrupted: gradients at theta + a_k, shape (K, P); K is 0 where the clean gradient gives no direction.
        corruptions: a_1 ... a_K on the group of G parameters, shape (K, G).
        losses: at theta and at each theta + a_k, shape (K + 1,).

    Source: ours
    """

    gradient: Tensor
    clean: Tensor
    corrupted: Tensor
    corruptions: Tensor
    losses: Tensor


def resistant_step(
    budget: Budget, *, alpha: float | None = None, steps: int = 1, group: Group = None, base: Step = cross_entropy
) -> Step:
    """Return the training step that makes a network resistant to the worst corruption within a budget.

        d = (1 - alpha) grad L(theta) + alpha grad L(theta + a_hat) ,   a_hat = closed_form(grad L(theta), budget)

    With more steps the corruptions are the K points of ``ascent``, and the mean of their gradients takes the place of
    the second one. With ``alpha = 1``, p = 2 and n = k this is ``sam_step``.

    Args:
        budget: how far and how many parameters may move; epsilon = 0 gives the base step itself, bit for bit.
        alpha: share of the corrupted gradients, in [0, 1]; ``None`` for K/(K+1), a half for one step. 0 gives the base
            step itself.
        steps: number of corruptions K, >= 1; a training step costs K + 1 forward and backward passes.
        group: which parameters are corrupted.
        base: the step whose loss is made resistant.

    Returns:
        A step for ``training.fit``.

    Raises:
        ParameterError: if alpha is not in [0, 1] or steps < 1; from the step, if a gradient is not finite.

    Source: [sun2021corruption], corruption-resistant training; several steps: [zhang2021multistep], multi-step training
    """
    require_budget(budget)
    require_whole("steps", steps)
    if steps < 1:
        raise ParameterError(f"steps counts corruptions and must be >= 1, got {steps}")
    step = averaged_step(_worst(budget, steps), alpha=alpha, group=group, base=base)
    return step if budget.epsilon > 0 else base


def resistant_gradients(
    model: nn.Module,
    batch: Split,
    budget: Budget,
    *,
    generator: torch.Generator,
    alpha: float | None = None,
    steps: int = 1,
    group: Group = None,
    base: Step = cross_entropy,
) -> ResistantGradients:
    """Return the gradients that a resistant step mixes, without training.

    Args:
        model: any module, in the mode it is in; left as it is, running statistics included.
        batch: examples.
        budget: how far and how many parameters may move.
        generator: given to the base step.
        alpha: share of the corrupted gradients, as in ``resistant_step``.
        steps: number of corruptions K.
        group: which parameters are corrupted.
        base: the step whose loss is made resistant.

    Returns:
        The gradients, corruptions and losses.

    Raises:
        ParameterError: as ``resistant_step``.

    Example:
        >>> from weightlore.data import two_moons
        >>> from weightlore.networks import mlp
        >>> drawn = torch.Generator().manual_seed(0)
        >>> net, batch = mlp((2, 4, 2), generator=drawn), two_moons(20, noise=0.1, generator=drawn)
        >>> found = resistant_gradients(net, batch, Budget(0.1), generator=drawn, alpha=0.5)
        >>> torch.allclose(found.gradient, 0.5 * found.clean + 0.5 * found.corrupted[0])
        True

    Source: [sun2021corruption], corruption-resistant training
    """
    resistant_step(budget, alpha=alpha, steps=steps)  # checks alpha and steps
    buffers = [buffer.clone() for buffer in model.buffers()]
    try:
        passes = Passes(model, batch, generator, base, members(model, group))
        if budget.epsilon > 0:
            for corruption in _worst(budget, steps)(passes):
                passes.visit(corruption)
    finally:
        for buffer, saved in zip(model.buffers(), buffers, strict=True):
            buffer.copy_(saved)
    rows = torch.stack([flat(gradients) for gradients in passes.gradients])
    corruptions = torch.stack(passes.corruptions) if passes.corruptions else rows.new_zeros(0, passes.layout.size)
    return ResistantGradients(flat(passes.mixed(alpha)[1:]), rows[0], rows[1:], corruptions, torch.stack(passes.losses))


def fit_resistant(
    model: nn.Module,
    data: Split,
    budget: Budget,
    *,
    generator: torch.Generator,
    alpha: float | None = None,
    steps: int = 1,
    group: Group = None,
    epochs: int = 60,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
    schedule: Schedule | None = cosine,
    validation: Split | None = None,
    patience: int | None = None,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
) -> History:
    """Train a network in place so that it resists the worst corruption within a budget.

    Args:
        model: parameters that require a gradient are trained.
        data: N examples.
        budget: how far and how many parameters may move.
        generator: as for ``training.fit``.
        alpha: share of the corrupted gradients, as in ``resistant_step``.
        steps: number of corruptions K.
        group: which parameters are corrupted.
        epochs: as for ``training.fit``, like all that follow.
        batch_size: examples per step.
        optimizer: makes the optimizer from the parameters.
        schedule: factor of the learning rate.
        validation: evaluated after each epoch, without corruption.
        patience: epochs without improvement before training ends.
        callbacks: called after each epoch.
        checkpoint: file to write and to resume from.

    Returns:
        The history; its training loss is the mixed one.

    Raises:
        ParameterError: as ``resistant_step`` and ``training.fit``.

    Source: [sun2021corruption], corruption-resistant training
    """
    return fit(
        model,
        data,
        step=resistant_step(budget, alpha=alpha, steps=steps, group=group),
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


def _worst(budget: Budget, steps: int) -> Path:
    """Return the corruptions of the closed form (one step) or along the projected ascent (several)."""

    def path(passes: Passes) -> Iterator[Tensor]:
        gradient = passes.gradient()
        found = closed_form(gradient, budget)
        if found.degenerate:  # no direction: the clean gradient stands alone
            return
        if steps == 1:
            yield found.vector
            return
        start = torch.zeros_like(gradient)
        yield from ascent(lambda a: gradient if a is start else passes.gradient(a), start, budget, steps=steps)

    return path
