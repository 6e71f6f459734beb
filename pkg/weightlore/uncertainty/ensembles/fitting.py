"""Train an ensemble: the same task, each member from its own initial weights and in its own order of examples.

fit_ensemble(make_member, data, members=5, generator=...)  ->  DeepEnsemble
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from weightlore.data import Split
from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite, require_option
from weightlore.networks.layered import require_counts
from weightlore.training import Callback, Epoch, MakeOptimizer, Schedule, Step, cosine, fit, sgd
from weightlore.training.evaluation import require_fitting
from weightlore.uncertainty.ensembles.lessons import Augment, Lesson, Loss, Order, lessons, own_generators
from weightlore.uncertainty.ensembles.members import DeepEnsemble, output_of
from weightlore.uncertainty.ensembles.runners import Apart, parts_of
from weightlore.uncertainty.ensembles.together import Engine, prepared

__all__ = ["MakeMember", "fit_ensemble", "make_one"]

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
    order: Order = "own",
    epochs: int = 60,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
    schedule: Schedule | None = cosine,
    callbacks: Iterable[Callback] = (),
    checkpoint: str | os.PathLike[str] | None = None,
    engine: Engine = "auto",
) -> DeepEnsemble:
    """Train S networks and return them as an ensemble.

    Each member has its own generator, seeded by one draw from the caller's. Its initial weights, its order of the
    examples and all other chance come from there, so that member s is what ``training.fit`` would make of it alone, to
    rounding: members that are alike are trained together, in one pass for all. With ``order="shared"`` all see the
    examples in one order (and drop the same units) and differ by their initial weights alone; the first layer then
    reads one batch for all.

    Args:
        make_member: returns an untrained network for a generator. Modules that draw from torch's global state when
            they are made will do: that state is seeded from the generator for the call, and left as found.
        data: N examples for all, or a list with one ``Split`` for each member (bagging).
        members: S.
        generator: S draws are taken from it, and one more for an order that is shared.
        loss: mean loss of outputs and targets; ``None`` for cross-entropy of logits, or the Gaussian log loss of
            members that return mean and variance.
        step: the loss of (member, batch, generator) instead, for all or a list with one for each member.
        augment: changes the inputs of each batch, given them and the member's generator; for all, or one for each.
        order: whether each member shuffles the examples for itself or all of them see one order.
        epochs: as for ``training.fit``, like the rest.
        batch_size: examples per step.
        optimizer: makes a member's optimizer; ``None`` for ``sgd(0.1, momentum=0.9)``.
        schedule: factor of the learning rate from (epoch, epochs).
        callbacks: called with each ``Epoch``, of all members where they are trained together, else numbered through
            one member after the other.
        checkpoint: a folder, to write to after each epoch and to resume from; data, loss and engine are to be the same.
        engine: ``"batched"`` takes one product for all members, for networks whose operations ``weightlore.stacked``
            knows; ``"vmap"`` maps the member's own code by ``torch.func``; ``"loop"`` trains one by one, which is the
            only way for members that differ in kind, draw at random (dropout) or have a step. ``"auto"`` takes the
            first of the three that can be, and the last for convolutions on a processor, where it is the fastest.

    Returns:
        The trained members, in evaluation mode.

    Raises:
        ParameterError: if an argument is out of range, the members cannot be trained by the engine, or a member's
            training fails as ``training.fit`` says. An order can be shared only by sets of one size. A checkpoint of
            members that share it, train one by one and draw (a step, an augmentation) would forget their draws.
        DataError: if a checkpoint cannot be read.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import mlp
        >>> make = lambda generator: mlp((64, 16, 10), generator=generator)
        >>> len(fit_ensemble(make, digits("train"), generator=torch.Generator().manual_seed(0), epochs=1))
        5

    Source: [lakshminarayanan2017ensembles], Algorithm 1; [hansen1990ensembles]
    """
    require_option("engine", engine, Engine)
    require_option("order", order, Order)
    require_counts(epochs=epochs, batch_size=batch_size)
    own, maker, told = own_generators(members, generator), optimizer or sgd(0.1, momentum=0.9), tuple(callbacks)
    made = [make_one(make_member, one).train() for one in own]
    orders = own if order == "own" else _alike(own_generators(1, generator)[0], members)
    taught = lessons(data, own, loss=loss, step=step, augment=augment, orders=orders)
    _require_learnable(made, taught)
    try:
        joint = None if engine == "loop" else prepared(made, taught, maker, engine)
    except Apart as reason:
        if engine != "auto":
            raise ParameterError(f"engine={engine!r} cannot be had: {reason}; use engine='auto'") from reason
        joint = None
    folder = None if checkpoint is None else Path(checkpoint)
    if joint is not None:
        file = None if folder is None else folder / "members.pt"
        joint.fit(epochs=epochs, batch_size=batch_size, schedule=schedule, callbacks=told, checkpoint=file)
    else:
        _require_resumable(taught, folder)
        _one_by_one(made, taught, _Terms(epochs, batch_size, maker, schedule, folder), told)
    return DeepEnsemble(tuple(member.eval() for member in made))


@dataclass(frozen=True)
class _Terms:
    """What ``training.fit`` is told for every member."""

    epochs: int
    batch_size: int
    optimizer: MakeOptimizer
    schedule: Schedule | None
    folder: Path | None


def _one_by_one(
    made: Sequence[nn.Module], taught: Sequence[Lesson], terms: _Terms, callbacks: Sequence[Callback]
) -> None:
    for number, (member, lesson) in enumerate(zip(made, taught, strict=True)):
        fit(
            member,
            lesson.data,
            generator=lesson.order,
            step=lesson,
            epochs=terms.epochs,
            batch_size=terms.batch_size,
            optimizer=terms.optimizer,
            schedule=terms.schedule,
            callbacks=[_numbered(callback, number, len(made)) for callback in callbacks],
            checkpoint=None if terms.folder is None else terms.folder / f"member-{number}.pt",
        )


def _alike(first: torch.Generator, members: int) -> list[torch.Generator]:
    """Return a generator for each member, all in one state."""
    return [torch.Generator(first.device).manual_seed(first.initial_seed()) for _ in range(members)]


def _require_resumable(taught: Sequence[Lesson], folder: Path | None) -> None:
    """Refuse checkpoints that would hold the generator of the order and not the one of other draws."""
    draws = any(lesson.shares_order and (lesson.step or lesson.augment) for lesson in taught)
    if folder is not None and draws:
        raise ParameterError(
            "members that train one by one keep one generator in a checkpoint, and with order='shared' these have two; "
            "use order='own', or leave checkpoint out"
        )


def _require_learnable(made: Sequence[nn.Module], taught: Sequence[Lesson]) -> None:
    """Check that members can read their data, and that class numbers are those of their outputs; a step asks itself."""
    seen = set()
    for member, lesson in zip(made, taught, strict=True):
        first, data = next(member.parameters(), lesson.data.x), lesson.data
        if (known := (id(data), first.dtype, first.device)) not in seen:  # large data are read once
            seen.add(known)
            require_fitting(member, data)
            if data.y.is_floating_point():
                require_finite("the targets of data", data.y)
        if not data.y.is_floating_point() and lesson.step is None:
            require_labels(data.y, parts_of(output_of(member, data.x[:1]))[0].shape[1])
    if taught[0].shares_order and len(sizes := {len(lesson.data) for lesson in taught}) > 1:
        raise ParameterError(f"an order is shared by sets of one size, got {sorted(sizes)} examples; use order='own'")


def make_one(make_member: MakeMember, generator: torch.Generator) -> nn.Module:
    """Make one member, with torch's global state seeded for the call and left as found.

    Args:
        make_member: returns an untrained network for a generator.
        generator: of the member.

    Raises:
        ParameterError: if what it returns is no network.

    Source: ours
    """
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
