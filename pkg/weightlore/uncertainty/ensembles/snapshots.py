"""Several members from one training: copies of the network where the learning rate is low.

    fit_snapshots(model, data, cycles=5, ...)        a copy at the end of each cosine cycle  ->  SnapshotEnsemble
    .last(m)                                         the last m of them
    fit_fast_geometric(model, data, members=5, ...)  copies in the middle of short cycles  ->  FastGeometricEnsemble

A high rate carries the network away from where it was, a low one lets it settle; each copy has settled elsewhere.
"""

import copy
from dataclasses import dataclass
from math import ceil

import torch
from torch import nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.training import Epoch, MakeOptimizer, Step, cross_entropy, fit, sgd
from weightlore.uncertainty.ensembles.cycles import cyclic_cosine, per_step, triangular
from weightlore.uncertainty.ensembles.members import DeepEnsemble

__all__ = ["FastGeometricEnsemble", "SnapshotEnsemble", "fit_fast_geometric", "fit_snapshots"]


@dataclass(frozen=True, eq=False)
class SnapshotEnsemble(DeepEnsemble):
    """Copies of one network at the ends of the cycles of its training, first cycle first.

    Example:
        >>> from weightlore.networks import mlp
        >>> members = tuple(mlp((2, 3), generator=torch.Generator().manual_seed(s)) for s in range(4))
        >>> SnapshotEnsemble(members).last(2).predict(torch.zeros(5, 2, dtype=torch.float64)).probs.shape
        torch.Size([2, 5, 3])

    Source: [huang2017snapshot]
    """

    def last(self, count: int) -> "SnapshotEnsemble":
        """Return the last members: early ones are worse, since they have trained for less.

        Args:
            count: m, from 1 to S.

        Raises:
            ParameterError: if there are not so many.
        """
        return SnapshotEnsemble(_last(self.members, count))


@dataclass(frozen=True, eq=False)
class FastGeometricEnsemble(DeepEnsemble):
    """Copies of one network along a path of low loss, in the order in which they were taken.

    Example:
        >>> from weightlore.networks import mlp
        >>> members = tuple(mlp((2, 3), generator=torch.Generator().manual_seed(s)) for s in range(4))
        >>> FastGeometricEnsemble(members).predict(torch.zeros(5, 2, dtype=torch.float64)).probs.shape
        torch.Size([4, 5, 3])

    Source: [garipov2018surfaces]
    """


def fit_snapshots(
    model: nn.Module,
    data: Split,
    *,
    generator: torch.Generator,
    cycles: int = 5,
    cycle_epochs: int = 10,
    step: Step = cross_entropy,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
) -> SnapshotEnsemble:
    """Train one network in cycles and return its copies at their ends.

    The learning rate falls with every step from that of the optimizer to nearly zero, ``cycles`` times.

    Args:
        model: trained in place; afterwards equal to the last member.
        data: N examples.
        generator: of all that is random in the training.
        cycles: M, as many as there will be members.
        cycle_epochs: epochs of a cycle.
        step: returns the loss of a batch.
        batch_size: examples per step.
        optimizer: its learning rate is the one at the start of each cycle; ``None`` for ``sgd(0.1, momentum=0.9)``.

    Returns:
        M members on the processor, in evaluation mode.

    Raises:
        ParameterError: if a number is out of range, or ``training.fit`` raises one.

    Example:
        >>> from weightlore.networks import mlp
        >>> generator = torch.Generator().manual_seed(0)
        >>> data = Split(torch.eye(4).double(), torch.tensor([0, 1, 0, 1]))
        >>> found = fit_snapshots(mlp((4, 2), generator=generator), data, generator=generator, cycles=3, cycle_epochs=1)
        >>> len(found), len(found.last(2))
        (3, 2)

    Source: [huang2017snapshot], snapshot ensembling
    """
    require_counts(cycles=cycles, cycle_epochs=cycle_epochs, batch_size=batch_size)
    steps, taken = cycles * cycle_epochs * ceil(len(data) / batch_size), list[nn.Module]()

    def collect(epoch: Epoch) -> None:
        if epoch.number % cycle_epochs == 0:
            taken.append(_copy(model))

    maker = optimizer or sgd(0.1, momentum=0.9)
    fit(
        model,
        data,
        generator=generator,
        step=step,
        epochs=cycles * cycle_epochs,
        batch_size=batch_size,
        optimizer=per_step(maker, lambda t: cyclic_cosine(t, steps, cycles)),
        schedule=None,
        callbacks=[collect],
    )
    return SnapshotEnsemble(tuple(taken))


def fit_fast_geometric(
    model: nn.Module,
    data: Split,
    *,
    generator: torch.Generator,
    members: int = 5,
    cycle_epochs: int = 2,
    lowest: float = 0.01,
    step: Step = cross_entropy,
    batch_size: int = 64,
    optimizer: MakeOptimizer | None = None,
) -> FastGeometricEnsemble:
    """Go on training a trained network with short cycles and return its copies where the rate is lowest.

    Args:
        model: trained already; trained on in place.
        data: N examples.
        generator: of all that is random in the training.
        members: S, cycles to run.
        cycle_epochs: epochs of a cycle; together they must be an even number of steps.
        lowest: the lowest learning rate as a share of the highest, in (0, 1].
        step: returns the loss of a batch.
        batch_size: examples per step.
        optimizer: its learning rate is the highest; ``None`` for ``sgd(0.05, momentum=0.9)``.

    Returns:
        S members on the processor, in evaluation mode.

    Raises:
        ParameterError: if a number is out of range, a cycle has an odd number of steps, or ``training.fit`` raises one.

    Example:
        >>> from weightlore.networks import mlp
        >>> generator = torch.Generator().manual_seed(0)
        >>> data = Split(torch.eye(4).double(), torch.tensor([0, 1, 0, 1]))
        >>> len(fit_fast_geometric(mlp((4, 2), generator=generator), data, generator=generator, members=3))
        3

    Source: [garipov2018surfaces], fast geometric ensembling
    """
    require_counts(members=members, cycle_epochs=cycle_epochs, batch_size=batch_size)
    cycle, taken = cycle_epochs * ceil(len(data) / batch_size), list[nn.Module]()
    triangular(1, cycle, high=1.0, low=lowest)  # complains before training

    def collect(t: int) -> None:
        if t % cycle == cycle // 2:
            taken.append(_copy(model))

    maker = optimizer or sgd(0.05, momentum=0.9)
    fit(
        model,
        data,
        generator=generator,
        step=step,
        epochs=members * cycle_epochs,
        batch_size=batch_size,
        optimizer=per_step(maker, lambda t: triangular(t, cycle, high=1.0, low=lowest), after=collect),
        schedule=None,
    )
    return FastGeometricEnsemble(tuple(taken))


def _copy(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model).cpu().eval()


def _last(members: tuple[nn.Module, ...], count: int) -> tuple[nn.Module, ...]:
    require_counts(count=count)
    if count > len(members):
        raise ParameterError(
            f"there are {len(members)} snapshots, got a request for the last {count}; train more cycles"
        )
    return members[-count:]
