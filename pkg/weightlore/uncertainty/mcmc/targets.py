"""What chains are drawn from: a log density of many positions at once, and what comes out of the chains.

    Target                          positions (C, P) -> log densities (C,), up to a constant
    value_and_gradient(target, q)   both at the positions of all chains, by one backward pass
    Chains                          S draws of each of C chains, and how often a proposal was taken
    require_start                   is this a place for each chain to begin at?

Chains never see one another: the log density of a row must depend on that row alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite

__all__ = ["Chains", "Target", "require_start", "value_and_gradient"]

Target = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Chains:
    """Draws of several chains.

    Args:
        draws: shape (S, C, P): S draws of C chains over P parameters.
        acceptance: share of the proposals that each chain took while these draws were made, shape (C,).
        step_size: of the draws, in the unit of the parameters (of the momentum's time for Hamiltonian chains).
        divergences: proposals of each chain whose density was not finite, or whose energy rose by over 1000; (C,).

    Source: ours
    """

    draws: Tensor
    acceptance: Tensor
    step_size: float
    divergences: Tensor

    @property
    def pooled(self) -> Tensor:
        """The draws of all chains, shape (S C, P): thetas for ``call_stacked``."""
        return self.draws.flatten(0, 1)


def value_and_gradient(target: Target, position: Tensor) -> tuple[Tensor, Tensor]:
    """Return the log density and its gradient for every chain.

    Args:
        target: the log density.
        position: shape (C, P).

    Returns:
        Log densities (C,) and gradients (C, P), finite or not.

    Raises:
        ParameterError: if the target gives another shape, or nothing that depends on the position.

    Source: ours
    """
    place = position.detach().requires_grad_()
    with torch.enable_grad():
        value = target(place)
        if not isinstance(value, Tensor) or value.shape != place.shape[:1] or not value.requires_grad:
            came = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ParameterError(
                f"a target takes positions (C, P) and returns one differentiable log density for each chain, shape "
                f"({len(place)},), got {came}; sum over the parameters, not over the chains"
            )
        (gradient,) = torch.autograd.grad(value.sum(), place)
    return value.detach(), gradient


def require_start(target: Target, start: Tensor) -> Tensor:
    """Return a copy of the places at which chains begin.

    Args:
        target: the log density.
        start: shape (C, P), floating and finite, C >= 1.

    Raises:
        ParameterError: if the shape is another, an entry is not finite, or the density there is zero or not finite.

    Source: ours
    """
    if not isinstance(start, Tensor) or start.ndim != 2 or start.numel() == 0 or not start.is_floating_point():
        came = f"{tuple(start.shape)}, {start.dtype}" if isinstance(start, Tensor) else type(start).__name__
        raise ParameterError(
            f"start must be a floating tensor (C, P), one row for each chain, got {came}; one is q[None]"
        )
    require_finite("start", start)
    value = value_and_gradient(target, start)[0]
    if not bool(value.isfinite().all()):
        bad = (~value.isfinite()).nonzero().ravel().tolist()
        raise ParameterError(
            f"a chain must begin where the log density is finite, but it is not for the chains {bad}: "
            f"{value[bad[0]].item()}; begin elsewhere, for example at a draw of the prior or at a trained theta"
        )
    return start.detach().clone()


def require_positive(**numbers: float) -> None:
    """Check that every number is finite and above zero."""
    for name, number in numbers.items():
        if not (isinstance(number, int | float) and 0 < number < math.inf):
            raise ParameterError(f"{name} must be a finite number > 0, got {number!r}")
