"""Calls of what draws at random in samplers; small ones."""

from collections.abc import Callable

import torch
from torch import Tensor

CASES: dict[str, Callable[[torch.Generator], Tensor]] = {}
UNDRAWN: set[str] = set()
