"""Calls of the scores of numbers, and of conformal prediction, that draw at random; small ones."""

from collections.abc import Callable

import torch
from torch import Tensor

from weightlore.uncertainty import conformal, regression

PROBS = torch.tensor([[0.5, 0.3, 0.2], [0.2, 0.2, 0.6]], dtype=torch.float64)
CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    "uncertainty.conformal.aps_scores": lambda g: conformal.aps_scores(PROBS, generator=g),
    "uncertainty.conformal.raps_scores": lambda g: conformal.raps_scores(PROBS, penalty=0.1, free=1, generator=g),
    "uncertainty.regression.pit_samples": lambda g: regression.pit_samples(
        torch.zeros(3, 4), torch.zeros(4), generator=g
    ),
}
