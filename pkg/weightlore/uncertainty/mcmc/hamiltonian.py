"""Hamiltonian Monte Carlo: roll over the posterior, many chains as one batch.

    hmc(target, start, samples=, generator=)      -> Chains

    U = -log p,   H = U + r^T M^-1 r / 2,   r ~ N(0, M),   accept with min(1, exp(H0 - H1))

While it warms up, the step size moves to the wanted acceptance, and the masses to the inverse variances of the draws
(second and third quarter). Then both stay. The step size and the masses are common to all chains, so that each
leapfrog step is one evaluation of the target for all of them.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.bayesian.drawing import normal_like
from weightlore.uncertainty.mcmc.adapting import DrawnVariance, DualAveraging
from weightlore.uncertainty.mcmc.leapfrogs import Phase, energy, leapfrog
from weightlore.uncertainty.mcmc.targets import Chains, Target, require_positive, require_start, value_and_gradient

__all__ = ["hmc"]

DIVERGED = 1000.0  # nats by which the energy rises where dynamics have left the path


def hmc(
    target: Target,
    start: Tensor,
    *,
    samples: int,
    generator: torch.Generator,
    steps: int = 20,
    step_size: float = 0.1,
    warmup: int = 500,
    acceptance: float = 0.8,
    jitter: float = 0.1,
) -> Chains:
    """Draw from a density by Hamiltonian dynamics.

        (q', r') = leapfrog(q, r),   a = min(1, exp(H(q, r) - H(q', r')))

    Args:
        target: the log density of positions (C, P), differentiable.
        start: where the chains begin, shape (C, P).
        samples: S, draws of each chain, >= 1.
        generator: of momenta, decisions and jitter.
        steps: L, leapfrog steps of a proposal, >= 1.
        step_size: e; the first one if there is a warm-up, else the one that is kept.
        warmup: proposals that tune step size and masses and are not kept, 0 or >= 20; with 0 the masses are 1.
        acceptance: that the warm-up aims at, in (0, 1).
        jitter: each proposal's step size lies within this share of e, in [0, 1); without it a path may close on itself.

    Returns:
        The draws; a proposal whose energy is not finite is rejected and counted.

    Raises:
        ParameterError: if a number is out of range, or a chain cannot begin where it should: density and slope
            must be finite there.

    Example:
        >>> g = torch.Generator().manual_seed(0)
        >>> normal = lambda q: -q.square().sum(1) / 2
        >>> hmc(normal, torch.zeros(4, 3), samples=5, warmup=20, generator=g).draws.shape
        torch.Size([5, 4, 3])

    Source: [duane1987hybrid]; [neal1996bayesian], for networks; [hoffman2014nuts], for the step size
    """
    require_counts(samples=samples, steps=steps)
    _require(step_size, warmup, acceptance, jitter)
    position = require_start(target, start)
    value, gradient = value_and_gradient(target, position)
    require_finite("the gradient of the log density at start", gradient)
    walk = _Walk(target, steps, jitter, generator, value, gradient, position)
    mass = torch.ones_like(position[0])
    if warmup:
        step_size, mass = _warm_up(walk, warmup, step_size, acceptance)
    kept, taken = [], torch.zeros(len(position), device=position.device)
    lost = torch.zeros_like(taken, dtype=torch.int64)
    for _ in range(samples):
        _, accepted, diverged = walk.propose(step_size, mass)
        kept.append(walk.position)
        taken, lost = taken + accepted, lost + diverged
    return Chains(torch.stack(kept), taken / samples, step_size, lost)


@dataclass
class _Walk:
    """Chains on their way."""

    target: Target
    steps: int
    jitter: float
    generator: torch.Generator
    value: Tensor
    gradient: Tensor
    position: Tensor

    def propose(self, step_size: float, inverse_mass: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Propose and decide; return chances of acceptance, decisions and divergences, each (C,)."""
        chains, own = len(self.position), self.generator
        noise = normal_like(self.position, own)
        even = torch.rand(chains + 1, generator=own, dtype=self.position.dtype, device=own.device)
        level, turn = even.to(self.position.device).split([chains, 1])
        size = step_size * (1 + self.jitter * (2 * float(turn) - 1))
        begin = Phase(self.position, noise / inverse_mass.sqrt(), self.value, self.gradient)
        end = leapfrog(self.target, begin, step_size=size, steps=self.steps, inverse_mass=inverse_mass)
        rise = (energy(end, inverse_mass) - energy(begin, inverse_mass)).nan_to_num(nan=math.inf, neginf=math.inf)
        chance = (-rise).clamp(max=0).exp()
        accepted = level < chance
        self.position = torch.where(accepted[:, None], end.position, self.position)
        self.gradient = torch.where(accepted[:, None], end.gradient, self.gradient)
        self.value = torch.where(accepted, end.value, self.value)
        return chance, accepted, rise > DIVERGED


def _warm_up(walk: _Walk, warmup: int, step_size: float, acceptance: float) -> tuple[float, Tensor]:
    """Return the step size and the inverse masses that the warm-up finds."""
    mass = torch.ones_like(walk.position[0])
    tuner, variance = DualAveraging(step_size, acceptance), DrawnVariance(mass)
    for number in range(1, warmup + 1):
        tuner.update(float(walk.propose(tuner.step_size, mass)[0].mean()))
        if number > warmup // 4:
            variance.add(walk.position)
        if number in (warmup // 2, 3 * warmup // 4):
            mass = variance.estimate()
            tuner, variance = DualAveraging(tuner.averaged, acceptance), DrawnVariance(mass)
    return tuner.averaged, mass


def _require(step_size: float, warmup: int, acceptance: float, jitter: float) -> None:
    require_positive(step_size=step_size)
    if isinstance(warmup, bool) or not isinstance(warmup, int) or not (warmup == 0 or warmup >= 20):
        raise ParameterError(f"warmup is 0, or at least 20 proposals so that something can be learned, got {warmup!r}")
    if not 0 < acceptance < 1 or not 0 <= jitter < 1:
        raise ParameterError(f"acceptance must be in (0, 1) and jitter in [0, 1), got {acceptance} and {jitter}")
