"""Calls of what draws at random in dropout that stays on; small ones."""

from collections.abc import Callable

import torch
from torch import Tensor

CASES: dict[str, Callable[[torch.Generator], Tensor]] = {}
UNDRAWN: set[str] = set()
