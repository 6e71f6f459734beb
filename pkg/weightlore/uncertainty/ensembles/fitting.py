"""Train an ensemble: the same task, each member from its own initial weights and in its own order of examples.

fit_ensemble(make_member, data, members=5, generator=...)  ->  DeepEnsemble
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import Callback, Epoch, MakeOptimizer, Schedule, Step, cosine, fit
from weightlore.uncertainty.ensembles.lessons import Augment, Loss, lessons, own_generators
from weightlore.uncertainty.ensembles.members import DeepEnsemble

__all__ = ["MakeMember", "fit_ensemble"]

MakeMember = Callable[[torch.Generator], nn.Module]


def fit_ensemble(
    make_member: MakeMember,
    data: Split | Sequence[Split],
    *,
    members: int = 5,
    generator: torch.Generator,
    loss: Loss | None = None,
    step: Step | Sequence[Step] | None = None,
    augment: Augment | Sequence[Augment] | None = None,
    epochs: int = 60,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
    schedule: Schedule | None = cosine,
    callbacks: Iterable[Callback] = (),
) -> DeepEnsemble:
    """Train S networks and return them as an ensemble.

    Each member has its own generator, seeded by one draw from the caller's. Its initial weights, its order of the
    examples and all other chance come from there, so that member s is what ``training.fit`` would make of it alone.

    Args:
        make_member: returns an untrained network for a generator. Modules that draw from torch's global state when
            they are made will do: that state is seeded from the generator for the call, and left as found.
        data: N examples for all, or a list with one ``Split`` for each member (bagging).
        members: S.
        generator: S draws are taken from it.
        loss: mean loss of outputs and targets; ``None`` for cross-entropy of logits, or the Gaussian log loss of
            members that return mean and variance.
        step: the loss of (member, batch, generator) instead, for all or a list with one for each member.
        augment: changes the inputs of each batch, given them and the member's generator; for all, or one for each.
        epochs: as for ``training.fit``, like the rest.
        batch_size: examples per step.
        optimizer: makes a member's optimizer; ``None`` for ``sgd(0.1, momentum=0.9)``.
        schedule: factor of the learning rate from (epoch, epochs).
        callbacks: called with each ``Epoch``, numbered through all members.

    Returns:
        The trained members, in evaluation mode.

    Raises:
        ParameterError: if an argument is out of range, or a member's training fails as ``training.fit`` says.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import mlp
        >>> make = lambda generator: mlp((64, 16, 10), generator=generator)
        >>> len(fit_ensemble(make, digits("train"), generator=torch.Generator().manual_seed(0), epochs=1))
        5

    Source: [lakshminarayanan2017ensembles], Algorithm 1; [hansen1990ensembles]
    """
    callbacks, own = tuple(callbacks), own_generators(members, generator)
    made = [_made(make_member, one) for one in own]
    taught = lessons(data, own, loss=loss, step=step, augment=augment)
    for number, (member, lesson) in enumerate(zip(made, taught, strict=True)):
        told = [_numbered(callback, number, members) for callback in callbacks]
        fit(
            member,
            lesson.data,
            generator=lesson.generator,
            step=lesson,
            epochs=epochs,
            batch_size=batch_size,
            optimizer=optimizer,
            schedule=schedule,
            callbacks=told,
        )
    return DeepEnsemble(tuple(made))


def _made(make_member: MakeMember, generator: torch.Generator) -> nn.Module:
    """Make one member, with torch's global state seeded for the call."""
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        member = make_member(generator)
    if not isinstance(member, nn.Module):
        raise ParameterError(f"make_member returns a network (nn.Module), got {type(member).__name__}")
    return member


def _numbered(callback: Callback, number: int, members: int) -> Callback:
    """Tell a callback of the epochs of all members as of one long training."""

    def show(epoch: Epoch) -> None:
        done = number * epoch.epochs + epoch.number
        last = epoch.last and number == members - 1
        callback(replace(epoch, number=done, epochs=members * epoch.epochs, last=last))

    return show
