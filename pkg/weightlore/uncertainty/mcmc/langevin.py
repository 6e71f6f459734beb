"""Langevin dynamics by mini-batches: half a step uphill, and noise of a step's size.

    theta <- theta + (e/2) g + N(0, e)          SGLD
    theta <- theta + (e/2) G g + N(0, e G)      SGLD(precondition=True),   G = 1 / (1e-5 + sqrt V)

There is no accept step, so that a step of finite size draws from a slightly wider density: on N(0, s2) with exact
gradients the variance is s2 / (1 - e/(4 s2)). Noise of mini-batches widens it further.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.uncertainty.mcmc.stochastic import StochasticSampler
from weightlore.uncertainty.mcmc.targets import require_positive

__all__ = ["SGLD"]


class SGLD(StochasticSampler):
    """Stochastic gradient Langevin dynamics.

        theta += (e/2) G g + N(0, T e G),   G = 1, or 1/(damping + sqrt V),   V <- memory V + (1 - memory) gbar^2

    ``gbar`` is the mean gradient of the batch's log likelihood. With the preconditioner the drift e/2 dG/dtheta is left
    out, as its paper does in practice, for it needs second derivatives of the loss. The price: if V follows the place
    at once (memory 0), a parameter is drawn from its density times (damping + sqrt V), too often where that is steep.
    The longer the memory, the less V follows, and the smaller the error.

    Args:
        parameters: those to draw.
        lr: e > 0, in squared units of the parameters.
        num_data: N, how many examples the posterior has.
        prior_precision: tau >= 0 of N(0, 1/tau) on each parameter.
        generator: of the noise.
        temperature: T, factor of the noise's variance; 1 for the posterior, 0 for gradient ascent on the log joint.
        precondition: whether steps are scaled by the running size of the gradient.
        memory: share of V that is kept, in [0, 1).
        damping: > 0, bounds the steps where the gradient vanishes.

    Raises:
        ParameterError: if a number is out of its range.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> sampler = SGLD(
        ...     net.parameters(), 1e-4, num_data=100, prior_precision=1.0, generator=torch.Generator().manual_seed(0)
        ... )
        >>> net(torch.ones(5, 2)).square().mean().backward()
        >>> sampler.step()

    Source: [welling2011sgld], the update; [li2016psgld], the preconditioner
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        num_data: int,
        prior_precision: float,
        generator: torch.Generator,
        temperature: float = 1.0,
        precondition: bool = False,
        memory: float = 0.99,
        damping: float = 1e-5,
    ) -> None:
        require_positive(damping=damping)
        if not 0 <= memory < 1:
            raise ParameterError(f"memory is the share of V that is kept and must be in [0, 1), got {memory}")
        super().__init__(
            parameters,
            lr,
            num_data=num_data,
            prior_precision=prior_precision,
            generator=generator,
            temperature=temperature,
            settings={"precondition": precondition, "memory": memory, "damping": damping},
        )

    def move(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """Move the parameters by one step of Langevin dynamics.

        Args:
            group: its numbers.
            parameters: those that require a gradient.
        """
        for p in parameters:
            scale = self._scale(p, group) if group["precondition"] else 1.0
            drift = self.gradient(p, group).mul_(scale)
            p.add_(drift, alpha=group["lr"] / 2).add_(self.noise(p, group["lr"] * scale, group))

    def _scale(self, p: nn.Parameter, group: dict[str, Any]) -> torch.Tensor:
        """Take the gradient into V and return G."""
        state, slope = self.state[p], torch.zeros_like(p) if p.grad is None else p.grad
        state["square"] = (
            group["memory"] * state.get("square", torch.zeros_like(p)) + (1 - group["memory"]) * slope.square()
        )
        return 1 / (group["damping"] + state["square"].sqrt())
