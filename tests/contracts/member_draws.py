"""Calls of what draws among members that share a network, searches, distillation and augmentation; small ones."""

from collections.abc import Callable

import torch
from torch import Tensor

from weightlore.data import Split
from weightlore.networks import mlp
from weightlore.parameters import flatten
from weightlore.uncertainty import augmentation, ensembles


def points() -> Split:
    """Twelve points of two classes."""
    return Split(torch.linspace(-1, 1, 12, dtype=torch.float64)[:, None], torch.arange(12) % 2)


def network(inputs: int = 1, outputs: int = 2) -> torch.nn.Module:
    """The same small network every time."""
    return mlp((inputs, 4, outputs), generator=torch.Generator().manual_seed(5))


def joint() -> ensembles.BatchedMembers:
    """The same small network with two members."""
    return ensembles.batch_ensemble(network(), members=2, generator=torch.Generator().manual_seed(5))


def teacher() -> Tensor:
    """What two members say of the points."""
    z = torch.stack([points().x, -points().x]).expand(2, 12, 2) * torch.tensor([1.0, 2.0], dtype=torch.float64)
    return z.softmax(-1)


def distilled(distill: Callable[..., object], student: Callable[[], torch.nn.Module]) -> Callable:
    """A student after an epoch in a random order."""

    def run(generator: torch.Generator) -> Tensor:
        learner = student()
        distill(learner, teacher(), points(), generator=generator, epochs=1, batch_size=3)
        return flatten(learner)

    return run


def searched(generator: torch.Generator) -> Tensor:
    found = ensembles.ensemble_search(
        lambda g: int(torch.randint(2, 9, (), generator=g)),
        lambda width, g: mlp((1, width, 2), generator=g),
        points(),
        pool=3,
        generator=generator,
    )
    return found.predict(points().x).mean


CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    "uncertainty.augmentation.drawn_views": lambda g: augmentation.drawn_views(2, generator=g)[1](
        torch.eye(8)[None, None]
    ),
    "uncertainty.ensembles.batch_ensemble": lambda g: flatten(
        ensembles.batch_ensemble(network(), members=3, generator=g)
    ),
    "uncertainty.ensembles.dealt_cross_entropy": lambda g: ensembles.dealt_cross_entropy(joint(), points(), g).detach(),
    "uncertainty.ensembles.distill_distribution": distilled(ensembles.distill_distribution, network),
    "uncertainty.ensembles.distill_mean": distilled(ensembles.distill_mean, network),
    "uncertainty.ensembles.distill_multihead": distilled(ensembles.distill_multihead, joint),
    "uncertainty.ensembles.ensemble_search": searched,
    "uncertainty.ensembles.masked_ensemble": lambda g: (
        ensembles.masked_ensemble(network(), members=2, generator=g).predict(points().x).probs
    ),
    "uncertainty.ensembles.masks_for": lambda g: ensembles.masks_for(20, members=3, scale=2.0, generator=g),
    "uncertainty.ensembles.member_cross_entropy": lambda g: ensembles.member_cross_entropy(
        joint(), points(), g
    ).detach(),
    "uncertainty.ensembles.sub_ensemble": lambda g: flatten(
        ensembles.sub_ensemble(network(), 1, members=2, generator=g).heads[1]
    ),
}
UNDRAWN = {"uncertainty.ensembles.dealt_cross_entropy", "uncertainty.ensembles.member_cross_entropy"}
