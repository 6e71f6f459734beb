"""How large the steps of a sampler are, where it only looks for a mode, and which of its places are kept.

schedule(k, steps) -> Plan(step_size, noisy, keep)      for step k of 1..steps

CyclicalSchedule(lr, cycles)              e_k = lr/2 (cos(pi mod(k-1, c)/c) + 1), explore and then sample in each
DecayingSchedule(scale, offset, power)    e_k = scale (offset + k)^-power
ConstantSchedule(lr)                      e_k = lr
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.mcmc.targets import require_positive

__all__ = ["ConstantSchedule", "CyclicalSchedule", "DecayingSchedule", "Plan", "StepSchedule"]


@dataclass(frozen=True)
class Plan:
    """What a step is to do.

    Args:
        step_size: e of the step.
        noisy: whether noise is added; without it the sampler is an optimizer.
        keep: whether the place after the step is a draw.

    Source: ours, because step size, noise and keeping go together
    """

    step_size: float
    noisy: bool
    keep: bool


StepSchedule = Callable[[int, int], Plan]


@dataclass(frozen=True)
class CyclicalSchedule:
    """Large steps that leave a mode, small ones that draw from the next, over and over.

        e_k = lr/2 ( cos(pi mod(k-1, c)/c) + 1 ),   c = ceil(steps/cycles)

    Args:
        lr: the step size at the start of each cycle.
        cycles: M.
        explore: share of each cycle without noise, in [0, 1).
        every: steps from one draw to the next in the rest of the cycle.

    Raises:
        ParameterError: if a number is out of its range.

    Example:
        >>> schedule = CyclicalSchedule(1.0, 2, explore=0.5)
        >>> [(round(plan.step_size, 2), plan.noisy) for plan in (schedule(k, 6) for k in (1, 2, 3, 4))]
        [(1.0, False), (0.75, False), (0.25, True), (1.0, False)]

    Source: [zhang2020csgmcmc], the cyclical step size and its two stages
    """

    lr: float
    cycles: int
    explore: float = 0.8
    every: int = 1

    def __post_init__(self) -> None:
        require_positive(lr=self.lr)
        require_counts(cycles=self.cycles, every=self.every)
        _require_share(explore=self.explore)

    def __call__(self, step: int, steps: int) -> Plan:
        """Return the plan of a step.

        Args:
            step: k, from 1.
            steps: of all cycles together.
        """
        _require_step(step, steps)
        length = ceil(steps / self.cycles)
        place = (step - 1) % length
        size = self.lr / 2 * (math.cos(math.pi * place / length) + 1)
        first = ceil(self.explore * length - 1e-9)
        return Plan(size, place >= first, place >= first and (place - first + 1) % self.every == 0)


@dataclass(frozen=True)
class DecayingSchedule:
    """Steps that fall so slowly that they reach any place, and so fast that what they get wrong vanishes.

        e_k = scale (offset + k)^-power

    Args:
        scale: a > 0.
        offset: b >= 0.
        power: c in (0.5, 1].
        burn_in: share of the steps that keep no draw, in [0, 1).
        every: steps from one draw to the next after it.

    Raises:
        ParameterError: if a number is out of its range.

    Example:
        >>> [round(DecayingSchedule(1.0, power=1.0)(step, 4).step_size, 2) for step in (1, 2, 4)]
        [1.0, 0.5, 0.25]

    Source: [welling2011sgld], its polynomial step sizes
    """

    scale: float
    offset: float = 0.0
    power: float = 0.55
    burn_in: float = 0.2
    every: int = 1

    def __post_init__(self) -> None:
        require_positive(scale=self.scale)
        require_counts(every=self.every)
        _require_share(burn_in=self.burn_in)
        if not 0 <= self.offset < math.inf or not 0.5 < self.power <= 1:
            raise ParameterError(
                "offset must be >= 0 and power in (0.5, 1], so that the steps add up to infinity but their squares do "
                f"not; got {self.offset} and {self.power}"
            )

    def __call__(self, step: int, steps: int) -> Plan:
        """Return the plan of a step.

        Args:
            step: k, from 1.
            steps: of the whole chain.
        """
        return Plan(
            self.scale * (self.offset + step) ** -self.power, True, _keeps(step, steps, self.burn_in, self.every)
        )


@dataclass(frozen=True)
class ConstantSchedule:
    """Steps of one size.

    Args:
        lr: e > 0.
        burn_in: share of the steps that keep no draw, in [0, 1).
        every: steps from one draw to the next after it.

    Raises:
        ParameterError: if a number is out of its range.

    Example:
        >>> [ConstantSchedule(0.1, burn_in=0.5)(step, 4).keep for step in (1, 2, 3, 4)]
        [False, False, True, True]

    Source: ours, because a fixed step has a bias that can be computed
    """

    lr: float
    burn_in: float = 0.2
    every: int = 1

    def __post_init__(self) -> None:
        require_positive(lr=self.lr)
        require_counts(every=self.every)
        _require_share(burn_in=self.burn_in)

    def __call__(self, step: int, steps: int) -> Plan:
        """Return the plan of a step.

        Args:
            step: k, from 1.
            steps: of the whole chain.
        """
        return Plan(self.lr, True, _keeps(step, steps, self.burn_in, self.every))


def _keeps(step: int, steps: int, burn_in: float, every: int) -> bool:
    _require_step(step, steps)
    after = step - ceil(burn_in * steps - 1e-9)
    return after > 0 and after % every == 0


def _require_step(step: int, steps: int) -> None:
    require_counts(step=step, steps=steps)
    if step > steps:
        raise ParameterError(f"steps are counted from 1 to {steps}, got {step}; was the chain planned shorter?")


def _require_share(**shares: float) -> None:
    for name, share in shares.items():
        if not 0 <= share < 1:
            raise ParameterError(f"{name} is a share of the steps and must be in [0, 1), got {share}")
