"""A call of every function that draws while it trains or samples an ensemble; see ``uncertain_draws``."""

from collections.abc import Callable

import torch
from torch import Tensor

from weightlore.data import Split
from weightlore.networks import mlp
from weightlore.parameters import flatten
from weightlore.uncertainty import ensembles

DATA = Split(torch.linspace(-1, 1, 12, dtype=torch.float64)[:, None], torch.arange(12) % 2)


def small(generator):
    return mlp((1, 2, 2), generator=generator)


def weights(ensemble):
    return torch.stack([flatten(member) for member in ensemble.members])


def trained(generator):
    return weights(ensembles.fit_ensemble(small, DATA, generator=generator, epochs=1))


def boosted(generator):
    sides = Split(DATA.x, (DATA.x[:, 0] > 0).long())
    found = ensembles.boosted_ensemble(
        lambda g: mlp((1, 2), generator=g), sides, rounds=1, generator=generator, epochs=20
    )
    return weights(found)


def snapshots(generator):
    model = small(torch.Generator().manual_seed(0))
    return weights(ensembles.fit_snapshots(model, DATA, generator=generator, cycles=2, cycle_epochs=1, batch_size=5))


def along_a_path(generator):
    model = small(torch.Generator().manual_seed(0))
    return weights(ensembles.fit_fast_geometric(model, DATA, generator=generator, members=2, batch_size=5))


CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    "uncertainty.ensembles.bagging_indices": lambda g: ensembles.bagging_indices(20, 3, generator=g).indices,
    "uncertainty.ensembles.boosted_ensemble": boosted,
    "uncertainty.ensembles.draw_anchors": lambda g: ensembles.draw_anchors(
        small(torch.Generator().manual_seed(0)), 3, prior_std=1.0, generator=g
    ),
    "uncertainty.ensembles.fit_ensemble": trained,
    "uncertainty.ensembles.fit_fast_geometric": along_a_path,
    "uncertainty.ensembles.fit_snapshots": snapshots,
}
