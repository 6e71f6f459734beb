"""Calls of what draws at random in heads and losses of one network; small ones."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.networks.layered import built
from weightlore.uncertainty import deterministic


def noisy_logits() -> tuple[Tensor, Tensor]:
    """Logits of three examples and four classes, and their standard deviations."""
    logits = torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)
    return logits, logits.exp()


def loss_of_levels(generator: torch.Generator) -> Tensor:
    """The loss of a network of (x, t), the same every time, at levels that are drawn."""
    make = torch.Generator().manual_seed(5)
    network = built(lambda: nn.Linear(2, 1), generator=make, dtype=torch.float64)
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    model = deterministic.SimultaneousQuantileRegressor(network)
    return deterministic.quantile_loss_step(model, Split(x, x.sin()), generator).detach()


CASES: dict[str, Callable[[torch.Generator], Tensor]] = {
    "uncertainty.deterministic.logit_noise_log_probs": lambda g: deterministic.logit_noise_log_probs(
        noisy_logits(), samples=3, generator=g
    ),
    "uncertainty.deterministic.logit_noise_nll": lambda g: deterministic.logit_noise_nll(
        noisy_logits(), torch.arange(3), samples=3, generator=g
    ),
    "uncertainty.deterministic.quantile_loss_step": loss_of_levels,
}
UNDRAWN: set[str] = set()
