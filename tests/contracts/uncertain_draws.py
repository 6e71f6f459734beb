"""A call of every function of ``weightlore.uncertainty`` that draws at random; ``test_randomness`` tries each.

Keys are ``uncertainty.<part>.<name>``; values take a generator and return a tensor that depends on it.
"""

from collections.abc import Callable

import torch
from tests.contracts import member_draws, source_draws
from torch import Tensor

from weightlore.data import Split
from weightlore.networks import mlp
from weightlore.parameters import flatten
from weightlore.uncertainty import ensembles

PARTS = (
    *("uncertainty", "uncertainty.sources", "uncertainty.measures", "uncertainty.ranking", "uncertainty.regression"),
    *("uncertainty.deterministic", "uncertainty.calibration", "uncertainty.conformal", "uncertainty.ensembles"),
    *("uncertainty.augmentation", "uncertainty.active"),
)


def trained_ensemble(generator):
    data = Split(torch.linspace(-1, 1, 12, dtype=torch.float64)[:, None], torch.arange(12) % 2)
    found = ensembles.fit_ensemble(lambda g: mlp((1, 2, 2), generator=g), data, generator=generator, epochs=1)
    return torch.stack([flatten(member) for member in found.members])


CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    "uncertainty.ensembles.fit_ensemble": trained_ensemble,
}
UNDRAWN: set[str] = member_draws.UNDRAWN | source_draws.UNDRAWN
CASES |= member_draws.CASES | source_draws.CASES
