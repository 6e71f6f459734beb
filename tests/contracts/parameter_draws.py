"""Calls of what draws at random where the parameters themselves are uncertain, by part."""

from collections.abc import Callable

import torch
from tests.contracts import (
    chain_draws,
    density_draws,
    dropout_draws,
    head_draws,
    judge_draws,
    laplace_draws,
    table_draws,
    variational_draws,
)
from torch import Tensor

PARTS = (
    head_draws,
    density_draws,
    judge_draws,
    variational_draws,
    dropout_draws,
    chain_draws,
    laplace_draws,
    table_draws,
)
CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    name: call for part in PARTS for name, call in part.CASES.items()
}
UNDRAWN: set[str] = {name for part in PARTS for name in part.UNDRAWN}
