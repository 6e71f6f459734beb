"""How a step changes the parameters, and how its size falls over the epochs.

sgd(lr, momentum)    stochastic gradient descent
adam(lr)             steps scaled by running moments of the gradient
cosine(epoch, E)     factor of the learning rate, from 1 down to nearly 0
"""

from collections.abc import Callable, Iterable
from math import cos, inf, pi

from torch import nn
from torch.optim import SGD as Sgd
from torch.optim import Adam, AdamW, Optimizer

from weightlore.errors import ParameterError

__all__ = ["MakeOptimizer", "Schedule", "adam", "cosine", "sgd"]

MakeOptimizer = Callable[[Iterable[nn.Parameter]], Optimizer]
Schedule = Callable[[int, int], float]


def sgd(lr: float, *, momentum: float = 0.0, weight_decay: float = 0.0) -> MakeOptimizer:
    """Return a maker of stochastic gradient descent.

        v <- momentum v + g + weight_decay theta,   theta <- theta - lr v

    Args:
        lr: learning rate, > 0, parameter units squared per loss unit.
        momentum: share of the last velocity that is kept, in [0, 1).
        weight_decay: pull towards zero, >= 0.

    Returns:
        A function from parameters to their optimizer.

    Raises:
        ParameterError: if a number is out of its range.

    Source: ours, because the update is older than any paper here; the class is torch's.
    """
    _require("lr", lr, 0.0, inf, include_low=False)
    _require("momentum", momentum, 0.0, 1.0)
    _require("weight_decay", weight_decay, 0.0, inf)
    return lambda parameters: Sgd(parameters, lr=lr, momentum=momentum, weight_decay=weight_decay)


def adam(lr: float = 1e-3, *, betas: tuple[float, float] = (0.9, 0.999), weight_decay: float = 0.0) -> MakeOptimizer:
    """Return a maker of Adam, with decoupled weight decay where one is asked for.

        m <- b1 m + (1-b1) g,   v <- b2 v + (1-b2) g^2,   theta <- theta - lr m^ / (sqrt(v^) + 1e-8)

    Args:
        lr: learning rate, > 0, parameter units per step.
        betas: shares (b1, b2) of the running moments that are kept, each in [0, 1).
        weight_decay: share of theta, times lr, that each step takes away, >= 0.

    Returns:
        A function from parameters to their optimizer.

    Raises:
        ParameterError: if a number is out of its range.

    Source: [kingma2015adam]
    """
    _require("lr", lr, 0.0, inf, include_low=False)
    _require("weight_decay", weight_decay, 0.0, inf)
    for place, beta in enumerate(betas):
        _require(f"betas[{place}]", beta, 0.0, 1.0)
    if weight_decay:
        return lambda parameters: AdamW(parameters, lr=lr, betas=betas, weight_decay=weight_decay)
    return lambda parameters: Adam(parameters, lr=lr, betas=betas)


def cosine(epoch: int, epochs: int) -> float:
    """Return the factor of the learning rate that falls along half a cosine.

        factor = (1 + cos(pi epoch / epochs)) / 2

    Args:
        epoch: number of the epoch, counted from 0.
        epochs: how many there will be.

    Returns:
        1 in the first epoch, just above 0 in the last.

    Example:
        >>> round(cosine(30, 60), 3)
        0.5

    Source: [loshchilov2017sgdr], Eq. (5), without restarts and per epoch
    """
    return 0.5 * (1.0 + cos(pi * epoch / epochs))


def _require(name: str, value: float, low: float, high: float, *, include_low: bool = True) -> None:
    if not (low < value < high or (include_low and value == low)):
        raise ParameterError(f"{name} must be in {'[' if include_low else '('}{low}, {high}), got {value}")
