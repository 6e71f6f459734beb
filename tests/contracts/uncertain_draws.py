"""A call of every function of ``weightlore.uncertainty`` that draws at random; ``test_randomness`` tries each.

Keys are ``uncertainty.<part>.<name>``; values take a generator and return a tensor that depends on it.
"""

from collections.abc import Callable

import torch
from tests.contracts import calibration_draws, ensemble_draws, member_draws, parameter_draws, score_draws, source_draws
from torch import Tensor

PARTS = (
    *("uncertainty", "uncertainty.sources", "uncertainty.measures", "uncertainty.ranking", "uncertainty.regression"),
    *("uncertainty.deterministic", "uncertainty.calibration", "uncertainty.conformal", "uncertainty.ensembles"),
    *("uncertainty.augmentation", "uncertainty.active", "uncertainty.ood", "uncertainty.judges"),
    *("uncertainty.bayesian", "uncertainty.mcmc", "uncertainty.laplace", "uncertainty.evaluate"),
)


CASES: dict[str, Callable[[torch.Generator], Tensor]] = {}
UNDRAWN: set[str] = parameter_draws.UNDRAWN | member_draws.UNDRAWN | source_draws.UNDRAWN
CASES |= calibration_draws.CASES | ensemble_draws.CASES | member_draws.CASES | source_draws.CASES | score_draws.CASES
CASES |= parameter_draws.CASES
