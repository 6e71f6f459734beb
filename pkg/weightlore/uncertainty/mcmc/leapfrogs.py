"""Hamiltonian dynamics in steps that can be walked back.

The position rolls over the potential U = -log p with a momentum r and a mass for each parameter. Each step moves the
momentum by half, the position by a whole, and the momentum by half again:

    r <- r - (e/2) dU/dq,   q <- q + e M^-1 r,   r <- r - (e/2) dU/dq

    leapfrog(target, phase, step_size=, steps=)                  the phase after so many steps
    Phase.at(target, position, momentum)                         with the log density and its gradient
    energy(phase, inverse_mass)                                  H = -log p + r^T M^-1 r / 2

Walked with the momentum turned round, the steps lead back; volume is kept; the energy is off by O(e^2).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.networks.layered import require_counts
from weightlore.uncertainty.mcmc.targets import Target, require_positive, value_and_gradient

__all__ = ["Phase", "energy", "leapfrog"]


@dataclass(frozen=True, eq=False)
class Phase:
    """Where chains are and how they move.

    Args:
        position: q, shape (C, P).
        momentum: r, shape (C, P).
        value: log p(q), shape (C,).
        gradient: of log p at q, shape (C, P).

    Source: [neal1996bayesian], the state of hybrid Monte Carlo
    """

    position: Tensor
    momentum: Tensor
    value: Tensor
    gradient: Tensor

    @classmethod
    def at(cls, target: Target, position: Tensor, momentum: Tensor) -> "Phase":
        """Return the phase at a position, with the density found there.

        Args:
            target: the log density.
            position: shape (C, P).
            momentum: shape (C, P).
        """
        return cls(position, momentum, *value_and_gradient(target, position))


def leapfrog(
    target: Target, phase: Phase, *, step_size: float, steps: int, inverse_mass: Tensor | float = 1.0
) -> Phase:
    """Return where Hamiltonian dynamics lead in a number of steps.

        r += (e/2) g(q),   q += e M^-1 r,   r += (e/2) g(q),   g = gradient of log p

    Args:
        target: the log density of positions (C, P).
        phase: where the chains are; it stays as it is.
        step_size: e, > 0.
        steps: how many, >= 1; each costs one gradient.
        inverse_mass: M^-1, one number or one for each parameter (P,).

    Returns:
        The phase at the end, finite or not.

    Raises:
        ParameterError: if a number is out of range, or the target gives another shape.

    Example:
        >>> begin = Phase.at(lambda q: -q.square().sum(1) / 2, torch.ones(1, 1), torch.zeros(1, 1))
        >>> leapfrog(lambda q: -q.square().sum(1) / 2, begin, step_size=1.0, steps=1).position
        tensor([[0.5000]])

    Source: [duane1987hybrid], the discretized equations of motion
    """
    require_counts(steps=steps)
    require_positive(step_size=step_size)
    position, momentum = phase.position, phase.momentum + step_size / 2 * phase.gradient
    for number in range(1, steps + 1):
        position = position + step_size * inverse_mass * momentum
        value, gradient = value_and_gradient(target, position)
        momentum = momentum + (step_size if number < steps else step_size / 2) * gradient
    return Phase(position, momentum, value, gradient)


def energy(phase: Phase, inverse_mass: Tensor | float = 1.0) -> Tensor:
    """Return the energy that exact dynamics would keep.

        H = -log p(q) + r^T M^-1 r / 2

    Args:
        phase: where the chains are.
        inverse_mass: M^-1, one number or one for each parameter (P,).

    Returns:
        Shape (C,), in nats.

    Example:
        >>> start = Phase.at(lambda q: -q.square().sum(1) / 2, torch.ones(1, 2), torch.ones(1, 2))
        >>> energy(start)
        tensor([2.])

    Source: [duane1987hybrid], the Hamiltonian
    """
    return torch.as_tensor(inverse_mass * phase.momentum.square()).sum(1) / 2 - phase.value
