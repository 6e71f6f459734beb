"""Dynamics with a velocity by mini-batches: friction takes away what noise puts in.

    v <- (1 - a) v + e g + N(0, 2 (a - b) e),   theta <- theta + v        SGHMC, friction a, b of it the batches' own
    v <- (1 - x) v + e g + N(0, 2 a e),   theta <- theta + v,   x <- x + (v . v / P - e)        SGNHT

The thermostat x of the second finds by itself the friction at which the velocity has the right size, whatever noise
the mini-batches add.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.uncertainty.mcmc.stochastic import StochasticSampler

__all__ = ["SGHMC", "SGNHT"]


class SGHMC(StochasticSampler):
    """Stochastic gradient Hamiltonian Monte Carlo, friction form.

        v <- (1 - a) v + e g + N(0, 2 T (a - b) e),   theta <- theta + v

    The velocity needs about 1/a steps to slow down with a falling e. Let cycles take a hundred times as many, or raise
    the friction: in shorter ones it stays too fast, and draws come out too wide.

    Args:
        parameters: those to draw.
        lr: e > 0, in squared units of the parameters.
        num_data: N, how many examples the posterior has.
        prior_precision: tau >= 0 of N(0, 1/tau) on each parameter.
        generator: of the noise.
        friction: a in (0, 1], share of the velocity that a step takes away.
        batch_noise: b in [0, a], the share of it that answers the noise of the gradients: e/2 times their variance. It
            belongs to one e: leave it at 0 where a schedule changes the steps.
        temperature: T, factor of the noise's variance; 1 for the posterior, 0 for gradient ascent with momentum 1 - a.

    Raises:
        ParameterError: if a number is out of its range.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> chance = torch.Generator().manual_seed(0)
        >>> sampler = SGHMC(net.parameters(), 1e-4, num_data=100, prior_precision=1.0, generator=chance)
        >>> net(torch.ones(5, 2)).square().mean().backward()
        >>> sampler.step()

    Source: [chen2014sghmc], the update in the form of momentum
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        num_data: int,
        prior_precision: float,
        generator: torch.Generator,
        friction: float = 0.1,
        batch_noise: float = 0.0,
        temperature: float = 1.0,
    ) -> None:
        _require_friction(friction)
        if not 0 <= batch_noise <= friction:
            raise ParameterError(
                f"batch_noise must be in [0, friction={friction}], or noise of negative variance would be needed, got "
                f"{batch_noise}; raise the friction or take larger batches"
            )
        super().__init__(
            parameters,
            lr,
            num_data=num_data,
            prior_precision=prior_precision,
            generator=generator,
            temperature=temperature,
            settings={"friction": friction, "batch_noise": batch_noise},
        )

    def move(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """Move velocities and parameters by one step.

        Args:
            group: its numbers.
            parameters: those that require a gradient.
        """
        variance = 2 * (group["friction"] - group["batch_noise"]) * group["lr"]
        for p in parameters:
            _accelerate(self, p, group, group["friction"], variance)


class SGNHT(StochasticSampler):
    """Stochastic gradient Nose-Hoover thermostat.

        v <- (1 - x) v + e g + N(0, 2 T a e),   theta <- theta + v,   x <- x + v . v / P - T e

    There is one thermostat x for each group of parameters, P of them; it begins at a. Where the noise is switched off,
    it rests. It holds the velocity's mean square at e, where a step of friction x would have e/(1 - x/2): variances
    come out smaller by about the share x/2, so that the friction must be small.

    Args:
        parameters: those to draw.
        lr: e > 0, in squared units of the parameters.
        num_data: N, how many examples the posterior has.
        prior_precision: tau >= 0 of N(0, 1/tau) on each parameter.
        generator: of the noise.
        friction: a in (0, 1], of the noise that is put in.
        temperature: T, of noise and velocity; 1 for the posterior.

    Raises:
        ParameterError: if a number is out of its range.

    Example:
        >>> net = nn.Linear(2, 1)
        >>> chance = torch.Generator().manual_seed(0)
        >>> sampler = SGNHT(net.parameters(), 1e-4, num_data=100, prior_precision=1.0, generator=chance)
        >>> net(torch.ones(5, 2)).square().mean().backward()
        >>> sampler.step()

    Source: [ding2014thermostats], the algorithm with one thermostat, velocities times the root of the step
    """

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        lr: float,
        *,
        num_data: int,
        prior_precision: float,
        generator: torch.Generator,
        friction: float = 0.05,
        temperature: float = 1.0,
    ) -> None:
        _require_friction(friction)
        super().__init__(
            parameters,
            lr,
            num_data=num_data,
            prior_precision=prior_precision,
            generator=generator,
            temperature=temperature,
            settings={"friction": friction, "thermostat": friction},
        )

    def move(self, group: dict[str, Any], parameters: list[nn.Parameter]) -> None:
        """Move velocities, parameters and the thermostat by one step.

        Args:
            group: its numbers.
            parameters: those that require a gradient.
        """
        energy, size = 0.0, sum(p.numel() for p in parameters)
        for p in parameters:
            velocity = _accelerate(self, p, group, group["thermostat"], 2 * group["friction"] * group["lr"])
            energy += float(velocity.square().sum())
        if size and group["noisy"] and group["temperature"] > 0:
            group["thermostat"] += energy / size - group["temperature"] * group["lr"]


def _accelerate(
    sampler: StochasticSampler, p: nn.Parameter, group: dict[str, Any], friction: float, variance: float
) -> torch.Tensor:
    """Change the velocity, move the parameter by it, and return it."""
    state = sampler.state[p]
    velocity = state.setdefault("velocity", torch.zeros_like(p))
    velocity.mul_(1 - friction).add_(sampler.gradient(p, group), alpha=group["lr"])
    velocity.add_(sampler.noise(p, variance, group))
    p.add_(velocity)
    return velocity


def _require_friction(friction: float) -> None:
    if not 0 < friction <= 1:
        raise ParameterError(f"friction is a share of the velocity and must be in (0, 1], got {friction}")
