"""A learning rate that falls in steps, and a weight decay that ends.

Fading   an optimizer and a schedule for ``training.fit`` that belong together
halving  factor 1/2 every so many epochs
dropping a tenth at each of some epochs
"""

from collections.abc import Callable, Iterable, Sequence

from torch import nn
from torch.optim import Adam, Optimizer

from weightlore.errors import ParameterError
from weightlore.training import MakeOptimizer

__all__ = ["Fading", "coupled_adam", "dropping", "halving"]


class Fading:
    """An optimizer whose learning rate falls over the epochs and whose weight decay ends after some of them.

    Its two methods are for one run of ``training.fit``: ``optimizer`` makes the optimizer, and ``schedule``, asked at
    the start of each epoch, also sets the weight decay, so that a resumed run has that of its epoch.

    Args:
        make: makes the optimizer.
        factor: of the learning rate, from the epoch counted from 0.
        decay_epochs: how many epochs the weight decay lasts, >= 0; ``None`` for all.

    Raises:
        ParameterError: if the number of epochs is negative.

    Source: [lu2020binary], set-ups of the authors' code
    """

    def __init__(self, make: MakeOptimizer, factor: Callable[[int], float], *, decay_epochs: int | None = None) -> None:
        if decay_epochs is not None and decay_epochs < 0:
            raise ParameterError(f"decay_epochs counts epochs and must be >= 0, or None for all, got {decay_epochs}")
        self.make, self.factor, self.decay_epochs = make, factor, decay_epochs
        self._tuner: Optimizer | None = None
        self._decays: list[float] = []

    def optimizer(self, parameters: Iterable[nn.Parameter]) -> Optimizer:
        """Return the optimizer of the parameters."""
        self._tuner = self.make(parameters)
        self._decays = [group.get("weight_decay", 0.0) for group in self._tuner.param_groups]
        return self._tuner

    def schedule(self, epoch: int, epochs: int) -> float:
        """Set the weight decay of an epoch, counted from 0, and return the factor of its learning rate."""
        if self._tuner is None:
            raise ParameterError("the schedule belongs to an optimizer; give fading.optimizer to the same fit")
        lasts = self.decay_epochs is None or epoch < self.decay_epochs
        for group, decay in zip(self._tuner.param_groups, self._decays, strict=True):
            group["weight_decay"] = decay if lasts else 0.0
        return self.factor(epoch)


def coupled_adam(
    lr: float = 5e-4, *, betas: tuple[float, float] = (0.9, 0.999), weight_decay: float = 0.0
) -> MakeOptimizer:
    """Return a maker of Adam whose weight decay is an L2 term: it is added to the gradient before the moments.

        g <- g + weight_decay theta, then Adam

    Args:
        lr: learning rate, > 0, parameter units per step.
        betas: shares of the running moments that are kept, each in [0, 1).
        weight_decay: >= 0, loss units per parameter unit squared.

    Returns:
        A function from parameters to their optimizer.

    Raises:
        ParameterError: if a number is out of its range.

    Source: [kingma2015adam]; the L2 term as in the authors' code of [lu2020binary]
    """
    if not lr > 0 or not weight_decay >= 0 or not all(0 <= beta < 1 for beta in betas):
        raise ParameterError(
            f"lr must be > 0, weight_decay >= 0 and both betas in [0, 1), got {lr}, {weight_decay} and {betas}"
        )
    return lambda parameters: Adam(parameters, lr=lr, betas=betas, weight_decay=weight_decay)


def halving(every: int) -> Callable[[int], float]:
    """Return the factor 2^-floor(epoch / every).

    Args:
        every: how many epochs a learning rate lasts, >= 1.

    Returns:
        A function from the epoch, counted from 0.

    Raises:
        ParameterError: if ``every`` is below 1.

    Example:
        >>> [halving(30)(epoch) for epoch in (0, 29, 30, 60)]
        [1.0, 1.0, 0.5, 0.25]

    Source: [lu2020binary], set-ups of the authors' code
    """
    if every < 1:
        raise ParameterError(f"every counts epochs and must be >= 1, got {every}")
    return lambda epoch: 0.5 ** (epoch // every)


def dropping(at: Sequence[int]) -> Callable[[int], float]:
    """Return the factor that falls to a tenth at each of some epochs.

    Args:
        at: epochs, counted from 0, from which on the rate is a tenth of what it was.

    Returns:
        A function from the epoch, counted from 0.

    Example:
        >>> [dropping((81, 122))(epoch) for epoch in (80, 81, 122)]
        [1.0, 0.1, 0.01]

    Source: [lu2020binary], set-ups of the authors' code
    """
    return lambda epoch: 10.0 ** -sum(epoch >= one for one in at)
