"""What a cell holds after it was written: near the conductance that was meant, never on it.

    G = G_meant + sigma(G_meant) xi,   xi normal, one draw per cell and writing          programmed

    AbsoluteNoise       sigma = spread
    ProportionalNoise   sigma = spread G,                  or G exp(spread xi), log-normal
    PolynomialNoise     sigma = c0 + c1 g + c2 g^2 + ...,  g = G / g_max

Conductances are in uS, shape (..., N, D) = (bit lines, word lines). Whatever has ``sigma`` and ``moved`` is a noise.
Measured devices: ``PCM``, ``RERAM_MILO`` and ``reram_wan``. Their coefficients are those that public simulators fitted
to the figures of the papers named, not the papers' own.
"""

import math
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor

from weightlore.errors import ParameterError, require_finite

__all__ = [
    "PCM",
    "RERAM_MILO",
    "AbsoluteNoise",
    "Noise",
    "PolynomialNoise",
    "ProportionalNoise",
    "clamp_bias",
    "programmed",
    "require_conductance",
    "reram_wan",
]


class Noise(Protocol):
    """What a noise of cells is: its size at a conductance, and what a standard normal draw does to one.

    Source: ours
    """

    def sigma(self, conductance: Tensor) -> Tensor:
        """Return the standard deviation at each conductance, uS, in the shape given."""

    def moved(self, conductance: Tensor, normal: Tensor) -> Tensor:
        """Return the conductances after a standard normal draw of the same shape."""


@dataclass(frozen=True)
class AbsoluteNoise:
    """A noise of one size, whatever the conductance.

    Args:
        spread: standard deviation, uS, >= 0. A share s of the largest conductance is ``spread = s * g_max``.

    Source: ours
    """

    spread: float

    def __post_init__(self) -> None:
        _require_spread(self.spread)

    def sigma(self, conductance: Tensor) -> Tensor:
        """Return the standard deviation at each conductance, uS."""
        return torch.full_like(conductance, self.spread)

    def moved(self, conductance: Tensor, normal: Tensor) -> Tensor:
        """Return G + spread * normal."""
        return conductance + self.spread * normal


@dataclass(frozen=True)
class ProportionalNoise:
    """A noise that grows with the conductance.

        linear      G (1 + spread xi),     mean G
        lognormal   G exp(spread xi),      median G, mean G exp(spread^2 / 2), never negative

    Args:
        spread: relative size, >= 0.
        kind: the law.

    Source: ours
    """

    spread: float
    kind: Literal["linear", "lognormal"] = "linear"

    def __post_init__(self) -> None:
        _require_spread(self.spread)
        if self.kind not in ("linear", "lognormal"):
            raise ParameterError(f"kind must be 'linear' or 'lognormal', got {self.kind!r}")

    def sigma(self, conductance: Tensor) -> Tensor:
        """Return the standard deviation at each conductance, uS."""
        square = self.spread**2
        relative = self.spread if self.kind == "linear" else math.sqrt(math.expm1(square) * math.exp(square))
        return relative * conductance.abs()

    def moved(self, conductance: Tensor, normal: Tensor) -> Tensor:
        """Return the conductances after a standard normal draw of the same shape."""
        if self.kind == "lognormal":
            return conductance * torch.exp(self.spread * normal)
        return conductance * (1 + self.spread * normal)


@dataclass(frozen=True)
class PolynomialNoise:
    """A noise measured over the range of a device.

        sigma(G) = max(c0 + c1 g + c2 g^2 + ..., 0),   g = G / g_max

    Args:
        coefficients: c0, c1, c2, ..., uS.
        g_max: the conductance that is g = 1, uS, > 0.

    Example:
        >>> PolynomialNoise((1.0, 2.0), g_max=10.0).sigma(torch.tensor([0.0, 5.0, 10.0]))
        tensor([1., 2., 3.])

    Source: [nandakumar2019pcm], as the fit of programming noise is written in [rasch2021aihwkit]
    """

    coefficients: tuple[float, ...]
    g_max: float

    def __post_init__(self) -> None:
        if not (self.coefficients and all(math.isfinite(c) for c in self.coefficients)):
            raise ParameterError(f"coefficients must be at least one finite number, got {self.coefficients!r}")
        if not 0 < self.g_max < math.inf:
            raise ParameterError(f"g_max is the conductance of g = 1 and must be > 0 uS, got {self.g_max}")

    def sigma(self, conductance: Tensor) -> Tensor:
        """Return the standard deviation at each conductance, uS."""
        relative, total = conductance / self.g_max, torch.zeros_like(conductance)
        for coefficient in reversed(self.coefficients):  # Horner
            total = total * relative + coefficient
        return total.clamp(min=0)

    def moved(self, conductance: Tensor, normal: Tensor) -> Tensor:
        """Return G + sigma(G) * normal."""
        return conductance + self.sigma(conductance) * normal

    def scaled(self, g_max: float) -> "PolynomialNoise":
        """Return the noise of a device with another range and the same relative noise."""
        return PolynomialNoise(tuple(c * g_max / self.g_max for c in self.coefficients), g_max)


PCM = PolynomialNoise((0.26348, 1.9650, -1.1731), g_max=25.0)
"""Phase-change cells of 0 to 25 uS [nandakumar2019pcm]; coefficients of PCMLikeNoiseModel [rasch2021aihwkit]."""

RERAM_MILO = PolynomialNoise((4.782321, -0.009107 * 225), g_max=225.0)
"""ReRAM of 50 to 225 uS, 4.782321 - 0.009107 G [milo2021reram]; fit of RRAMMilo [feinberg2026crosssim]."""

_WAN = {  # seconds after writing: c0 ... c4 at 40 uS
    1.0: (0.348, 16.030, -43.853, 45.393, -16.815),
    86_400.0: (0.701, 22.086, -50.773, 47.095, -16.458),
    172_800.0: (0.782, 20.274, -43.507, 37.062, -11.934),
}


def reram_wan(seconds: float = 1.0) -> PolynomialNoise:
    """Return how far ReRAM cells of 0 to 40 uS are from what was meant, some time after they were written.

    Such cells do not drift one way, they spread. The polynomials hold for the three times that were measured, each
    from the conductance that was meant: nothing is interpolated between them, and they do not add up.

    Args:
        seconds: 1, 86400 (a day) or 172800 (two days) after writing.

    Returns:
        The noise, for 40 uS; ``scaled`` makes it that of another range.

    Raises:
        ParameterError: for another time.

    Source: [wan2022reram], distributions of conductances; fit of ReRamWan2022NoiseModel [rasch2021aihwkit]
    """
    if seconds not in _WAN:
        raise ParameterError(f"reram_wan is known at {sorted(_WAN)} seconds, got {seconds}; take one of these")
    return PolynomialNoise(_WAN[seconds], g_max=40.0)


def programmed(
    conductance: Tensor,
    noise: Noise | None,
    *,
    generator: torch.Generator,
    window: tuple[float, float] = (0.0, math.inf),
) -> Tensor:
    """Write conductances into cells, once.

        G = clamp(G_meant + sigma(G_meant) xi, window)

    The clamp moves the mean of cells near its edges, see ``clamp_bias``. One tensor is one chip: for several, call once
    for each, so that a chip does not depend on how many there are.

    Args:
        conductance: what was meant, shape (..., N, D), uS.
        noise: its law, ``None`` for none.
        generator: source of randomness, one normal draw per cell; not used without noise.
        window: least and greatest conductance that a cell can have, uS; ``Cells.window`` has both rules.

    Returns:
        What was written, uS, in a new tensor of the same shape and dtype.

    Raises:
        ParameterError: if a conductance is negative, not finite or no floating number.

    Source: ours; the clamp at zero is that of [rasch2021aihwkit]
    """
    meant = require_conductance(conductance)
    if noise is None:
        return meant.clone()
    normal = torch.randn(meant.shape, generator=generator, dtype=meant.dtype, device=meant.device)
    return noise.moved(meant, normal).clamp(*window)


def clamp_bias(conductance: Tensor, noise: Noise, window: tuple[float, float] = (0.0, math.inf)) -> Tensor:
    """Return by how much the clamp moves the mean of a cell.

    With a normal noise of size s, alpha = (low - G) / s and beta = (high - G) / s, Phi and phi of the normal law:

        E[clamp] = low Phi(alpha) + high (1 - Phi(beta)) + G (Phi(beta) - Phi(alpha)) + s (phi(alpha) - phi(beta))

    A cell that was meant to be at zero is left at s / sqrt(2 pi) on average.

    Args:
        conductance: what was meant, any shape, uS.
        noise: additive noise; for a log-normal one the formula takes a normal law of the same size.
        window: least and greatest conductance, uS.

    Returns:
        E[clamp] - G, uS, in the same shape.

    Raises:
        ParameterError: if a conductance is negative, not finite or no floating number.

    Example:
        >>> clamp_bias(torch.tensor([0.0, 50.0]), AbsoluteNoise(1.0))
        tensor([0.3989, 0.0000])

    Source: ours, because the mean of a rectified normal law shows what a clamp does to the zeros of a sparse matrix
    """
    mean = require_conductance(conductance)
    size, bias = noise.sigma(mean).clamp(min=torch.finfo(mean.dtype).tiny), torch.zeros_like(mean)
    for edge, sign in zip(window, (1.0, -1.0), strict=True):
        if math.isfinite(edge):  # E[(edge - G)+] at the lower edge, E[(G - edge)+] at the upper one
            beyond = sign * (edge - mean) / size
            bias += sign * size * (beyond * torch.special.ndtr(beyond) + _density(beyond))
    return bias


def require_conductance(conductance: Tensor) -> Tensor:
    """Return the tensor if it holds conductances.

    Raises:
        ParameterError: if it has whole numbers, or an entry that is negative, NaN or infinite.

    Source: ours
    """
    if not conductance.is_floating_point():
        raise ParameterError(
            f"conductances are real numbers in uS, got {conductance.dtype}; cells.conductance(levels) makes them"
        )
    require_finite("conductance", conductance)
    if bool((conductance < 0).any()):
        raise ParameterError(
            f"conductances must be >= 0 uS, got {float(conductance.min())}; a negative weight takes a cell of its own"
        )
    return conductance


def _density(x: Tensor) -> Tensor:
    return torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)


def _require_spread(spread: float) -> None:
    if not 0 <= spread < math.inf:
        raise ParameterError(f"spread is the size of a noise and must be >= 0, got {spread}")
