"""What time does to cells that nobody writes.

    PowerLawDrift   G(t) = G(t0) (t / t0)^-nu,   nu = |normal(mean, spread)|, one for each cell
    PcmDrift        the same, with a law of nu that depends on the conductance
    LogTimeWalk     G(t) = G(0) + spread log10(1 + t / unit) xi, for cells that spread instead of fading

A model draws once what the future of each cell is (``draw``), and moves cells in time without chance (``move``). So a
cell has one history, and going to t1 and on to t2 is going to t2. Whatever has ``draw`` and ``move`` is a drift; a law
of temperature would come in here, as nothing general is known about one.

Times are seconds since writing, conductances uS, shape (..., N, D) = (bit lines, word lines).
"""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from weightlore.crossbar.programming import require_conductance
from weightlore.errors import ParameterError, require_finite

__all__ = ["Drift", "LogTimeWalk", "PcmDrift", "PowerLawDrift", "compensation_factor", "drifted"]


class Drift(Protocol):
    """What a drift is: what is drawn once for each cell, and where it moves the cell.

    Source: ours
    """

    def draw(self, conductance: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return what decides on the future of each cell, in the shape of the conductances."""

    def move(self, conductance: Tensor, drawn: Tensor, seconds: float, since: float | None = None) -> Tensor:
        """Return the conductances at ``seconds`` from those at ``since``, or from those that were written."""


@dataclass(frozen=True)
class _PowerLaw:
    start: float = 20.0

    def move(self, conductance: Tensor, drawn: Tensor, seconds: float, since: float | None = None) -> Tensor:
        """Return G (seconds / since)^-nu; before ``start`` nothing moves."""
        before = _require_time(self.start, self.start if since is None else since)
        return conductance * torch.pow(_require_time(self.start, seconds) / before, -drawn)


@dataclass(frozen=True)
class PowerLawDrift(_PowerLaw):
    """A decay by a power of time, the same law for every conductance.

        G(t) = G(t0) (t / t0)^-nu,   nu = |normal(mean, spread)|

    Args:
        start: t0, when the conductances are those that were written, s, > 0.
        mean: of nu, >= 0.
        spread: of nu from cell to cell, >= 0.

    Source: [nandakumar2019pcm], the power law of drift
    """

    mean: float = 0.05
    spread: float = 0.0

    def __post_init__(self) -> None:
        if not (self.start > 0 and 0 <= self.mean < math.inf and 0 <= self.spread < math.inf):
            raise ParameterError(
                "PowerLawDrift needs start > 0 s, mean >= 0 and spread >= 0, "
                f"got {self.start}, {self.mean} and {self.spread}"
            )

    def draw(self, conductance: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return the exponent nu of each cell."""
        return (self.mean + self.spread * _normal(conductance, generator)).abs()


@dataclass(frozen=True)
class PcmDrift(_PowerLaw):
    """The decay of phase-change cells, whose exponents are smaller where the conductance is large.

        nu = |normal(mu, s)|,   g = G / g_max
        mu = clamp(-0.0155 ln g + 0.0244, 0.049, 0.1),   s = clamp(-0.0125 ln g - 0.0059, 0.008, 0.045)

    Args:
        start: t0, when the conductances are those that were written, s, > 0.
        g_max: the conductance that is g = 1, uS, > 0.

    Source: [nandakumar2019pcm], drift; coefficients of PCMLikeNoiseModel [rasch2021aihwkit]
    """

    g_max: float = 25.0

    def __post_init__(self) -> None:
        if not (self.start > 0 and self.g_max > 0):
            raise ParameterError(f"PcmDrift needs start > 0 s and g_max > 0 uS, got {self.start} and {self.g_max}")

    def law(self, conductance: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and s at each conductance."""
        logarithm = (conductance / self.g_max).clamp(min=1e-7).log()
        mean = (-0.0155 * logarithm + 0.0244).clamp(0.049, 0.1)
        return mean, (-0.0125 * logarithm - 0.0059).clamp(0.008, 0.045)

    def draw(self, conductance: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return the exponent nu of each cell."""
        mean, spread = self.law(conductance)
        return (mean + spread * _normal(conductance, generator)).abs()


@dataclass(frozen=True)
class LogTimeWalk:
    """Cells that wander off, each its own way, about as far in every tenfold time.

        G(t) = G(0) + spread log10(1 + t / unit) xi,   not below zero

    Args:
        spread: standard deviation that is reached for each tenfold time, uS, >= 0.
        unit: time in which the first steps fall, s, > 0.

    Source: ours, because ReRAM does not drift one way; a simple model, not a fit
    """

    spread: float = 1.0
    unit: float = 1.0

    def __post_init__(self) -> None:
        if not (self.unit > 0 and 0 <= self.spread < math.inf):
            raise ParameterError(f"LogTimeWalk needs spread >= 0 uS and unit > 0 s, got {self.spread} and {self.unit}")

    def draw(self, conductance: Tensor, *, generator: torch.Generator) -> Tensor:
        """Return the direction of each cell, a standard normal draw."""
        return _normal(conductance, generator)

    def move(self, conductance: Tensor, drawn: Tensor, seconds: float, since: float | None = None) -> Tensor:
        """Return G plus the way from ``since``, or from writing, to ``seconds``."""
        way = math.log10(
            (1 + _require_time(0.0, seconds) / self.unit) / (1 + _require_time(0.0, since or 0.0) / self.unit)
        )
        return (conductance + self.spread * way * drawn).clamp(min=0)


def drifted(
    conductance: Tensor,
    seconds: float,
    model: Drift | None,
    *,
    generator: torch.Generator,
    meant: Tensor | None = None,
) -> Tensor:
    """Return what cells hold some time after they were written.

    One tensor is one chip. To see the same chip at several times, ``model.draw`` once and ``model.move`` for each.

    Args:
        conductance: what was written, shape (..., N, D), uS.
        seconds: time since writing, >= 0; a power law moves nothing until its ``start``.
        model: the drift, ``None`` for none.
        generator: source of randomness, one draw per cell, whatever the time; not used without a model.
        meant: conductances that the law of the draw looks at, where they are not those that were written, uS.

    Returns:
        Conductances at that time, uS, in a new tensor of the same shape and dtype.

    Raises:
        ParameterError: if a conductance is negative or not finite, or the time is negative.

    Example:
        >>> drifted(torch.tensor([10.0]), 2000.0, PowerLawDrift(mean=0.1), generator=torch.Generator())
        tensor([6.3096])

    Source: [nandakumar2019pcm], drift; the split into draw and move: ours
    """
    written = require_conductance(conductance)
    _require_time(0.0, seconds)
    if model is None:
        return written.clone()
    drawn = model.draw(written if meant is None else require_conductance(meant), generator=generator)
    return model.move(written, drawn, seconds)


def compensation_factor(before: Tensor, after: Tensor) -> Tensor:
    """Return the factor that undoes drift on average, from the currents of a reference input.

        factor = sum |I(t0)| / sum |I(t)|

    It is applied digitally, to all outputs alike: what cells do on average is undone, what each does is not.

    Args:
        before: currents on the reference input when the array was new, shape (..., N), any unit.
        after: currents on the same input now, same shape and unit.

    Returns:
        The factor, shape (...).

    Raises:
        ParameterError: if shapes differ, a current is not finite, or no current is left.

    Example:
        >>> compensation_factor(torch.tensor([4.0, -2.0]), torch.tensor([2.0, -1.0]))
        tensor(2.)

    Source: [rasch2021aihwkit], global drift compensation
    """
    if before.shape != after.shape or not before.dim():
        raise ParameterError(
            f"currents before and after must have one shape (..., N), got {tuple(before.shape)} and "
            f"{tuple(after.shape)}; read the same reference input twice"
        )
    total = require_finite("after", after).abs().sum(-1)
    if bool((total == 0).any()):
        raise ParameterError("the reference input reads no current any more, got 0; use one that drives every row")
    return require_finite("before", before).abs().sum(-1) / total


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)


def _require_time(start: float, seconds: float) -> float:
    """Return the time, at least ``start``, if it is one."""
    if not 0 <= seconds < math.inf:
        raise ParameterError(f"a time since writing must be finite and >= 0 s, got {seconds}")
    return max(start, seconds)
