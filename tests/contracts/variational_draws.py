"""Calls of what draws at random in variational layers; small ones."""

from collections.abc import Callable

import torch
from torch import Tensor

from weightlore.uncertainty import bayesian
from weightlore.uncertainty.bayesian.drawing import normal_like


class Shaken(bayesian.Stochastic):
    """Adds noise to its inputs."""

    def forward(self, x: Tensor) -> Tensor:
        """Return x with noise, from the generator of the block."""
        generator = self.chance()
        return x if generator is None else x + normal_like(x, generator)


def drawn(generator):
    layer, x = Shaken(), torch.zeros(2, 3)
    with bayesian.drawing(layer, generator):
        return layer(x)


CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    "uncertainty.bayesian.drawing": drawn,
    "uncertainty.bayesian.predict_members": lambda g: (
        bayesian.predict_members(Shaken(), torch.zeros(2, 3), samples=2, generator=g).probs
    ),
}
UNDRAWN: set[str] = set()
