"""Harm theta at random many times, and see what it does to the network.

A random corruption of a given size says little about the worst one of that size, however many are tried; this is the
measurement that shows it. Hundreds of corrupted copies are evaluated at once (``weightlore.stacked``).

    random_trials(model, data, budget, ...)    loss and accuracy of S copies at theta + a, a random
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightlore.corruption.arguments import require_whole
from weightlore.corruption.budgets import Budget, require_budget
from weightlore.corruption.draws import RandomKind, random
from weightlore.data.split import Split
from weightlore.errors import ParameterError
from weightlore.parameters import Group, flatten
from weightlore.stacked import evaluate_thetas
from weightlore.stacked.evaluation import Loss

__all__ = ["Trials", "random_trials"]

BLOCK = 8 * 2**20  # bytes of corruptions drawn at a time


@dataclass(frozen=True)
class Trials:
    """What S random corruptions did to a network.

    Args:
        loss: mean loss of every corrupted copy, shape (S,), float64.
        accuracy: share of right answers of every corrupted copy, shape (S,), float64.
        base_loss: mean loss of the network as it is.
        base_accuracy: share of right answers of the network as it is.

    Source: ours
    """

    loss: Tensor
    accuracy: Tensor
    base_loss: float
    base_accuracy: float

    @property
    def increase(self) -> Tensor:
        """Loss of every copy minus the loss of the network as it is, shape (S,)."""
        return self.loss - self.base_loss

    def __len__(self) -> int:
        return len(self.loss)

    def __repr__(self) -> str:
        if len(self) == 0:
            return f"Trials(S=0: base loss {self.base_loss:.4g}, base accuracy {self.base_accuracy:.4g})"
        return (
            f"Trials(S={len(self)}: loss {self.base_loss:.4g} -> at most {float(self.loss.max()):.4g}, "
            f"accuracy {self.base_accuracy:.4g} -> at least {float(self.accuracy.min()):.4g})"
        )


def random_trials(
    model: nn.Module,
    data: Split,
    budget: Budget,
    *,
    trials: int,
    generator: torch.Generator,
    group: Group = None,
    kind: RandomKind = "sphere",
    loss: Loss = F.cross_entropy,
) -> Trials:
    """Evaluate a network under many random corruptions.

        loss_s = L(theta + a_s) ,   a_s drawn from the budget,   s = 1 ... S

    Args:
        model: any module with floating-point parameters, evaluated in evaluation mode; left as it is.
        data: N examples to evaluate on.
        budget: how far and how many parameters of the group move.
        trials: number of corruptions S, >= 1.
        generator: source of randomness, on the device of the parameters; advances by one draw per trial.
        group: which parameters are corrupted.
        kind: the law of the corruptions, see ``random``.
        loss: mean loss of outputs (N, C) and targets.

    Returns:
        Loss and accuracy of every copy, and of the network as it is. The first of many trials are those of few.

    Raises:
        ParameterError: if the group is empty, trials < 1, the data are not finite, or data, generator and parameters do
            not fit each other.

    Example:
        >>> from weightlore.data import digits
        >>> from weightlore.networks import healthy
        >>> drawn = torch.Generator().manual_seed(0)
        >>> random_trials(healthy("mlp"), digits(), Budget(epsilon=1.0), trials=20, generator=drawn)
        Trials(S=20: loss 0.08873 -> at most 0.09524, accuracy 0.9704 -> at least 0.9704)

    Source: [sun2021corruption], random corruption; evaluating many copies at once is ours
    """
    require_budget(budget)
    require_whole("trials", trials)
    if trials < 1:
        raise ParameterError(f"trials counts corruptions and must be >= 1, got {trials}")
    theta = flatten(model, group)
    if generator.device != theta.device:
        raise ParameterError(
            f"the generator must be on the device of the parameters, {theta.device}, got {generator.device}; "
            f"make it with torch.Generator(device={str(theta.device)!r})"
        )
    thetas = _corrupted(theta, budget, trials, generator, kind)
    found = evaluate_thetas(model, thetas, data, group=group, loss=loss)
    return Trials(found.loss[1:], found.accuracy[1:], float(found.loss[0]), float(found.accuracy[0]))


def _corrupted(
    theta: Tensor, budget: Budget, trials: int, generator: torch.Generator, kind: RandomKind
) -> Iterator[Tensor]:
    """Give theta itself, then corrupted ones in blocks (S, P) small enough for any P."""
    yield theta.unsqueeze(0)
    most = ceil(trials / ceil(trials * theta.numel() * theta.element_size() / BLOCK))  # equal blocks
    for done in range(0, trials, most):
        count = min(most, trials - done)
        drawn = random(theta.numel(), budget, generator=generator, trials=count, kind=kind, dtype=theta.dtype)
        yield drawn.add_(theta)
