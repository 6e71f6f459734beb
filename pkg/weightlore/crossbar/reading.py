"""What changes from one reading to the next, although nothing was written.

A cell that fluctuates by sigma(G) adds V x sigma(G) xi to the current of its bit line. A sum of normal draws is a
normal draw, so one draw per output does what one per cell would:

    variance[j] = V^2 sum_r x_r^2 sigma(G[j, r])^2        read_variance
    I[j]        = V sum_r x_r G[j, r] + sqrt(variance) xi  read_currents

    AbsoluteNoise, ProportionalNoise (linear) and PolynomialNoise serve here too
    PcmReadNoise   1/f noise of phase-change cells
    FloorNoise     Johnson and shot noise, below which no circuit gets
    joined         independent noises, their variances added

Conductances are in uS, voltages in V, currents in uA.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.crossbar.programming import Noise, ProportionalNoise, require_conductance
from weightlore.errors import ParameterError, require_finite

__all__ = ["FloorNoise", "JoinedNoise", "PcmReadNoise", "joined", "read_currents", "read_variance"]

BOLTZMANN, CHARGE = 1.380649e-23, 1.602176634e-19  # J/K and C, exact in the SI


class _Additive:
    """A noise that is added to the conductance."""

    def sigma(self, conductance: Tensor) -> Tensor:
        raise NotImplementedError

    def moved(self, conductance: Tensor, normal: Tensor) -> Tensor:
        """Return G + sigma(G) * normal."""
        return conductance + self.sigma(conductance) * normal


@dataclass(frozen=True)
class PcmReadNoise(_Additive):
    """The 1/f noise of phase-change cells, gathered since they were written.

        sigma = G Q sqrt(ln((t + t_r) / (2 t_r))),   Q = min(0.0088 / max(g^0.65, 0.001), 0.2),   g = G / g_max

    Args:
        g_max: the conductance that is g = 1, uS, > 0.
        seconds: time t since writing, >= read_time.
        read_time: time t_r that a reading takes, s, > 0.

    Source: [nandakumar2019pcm], read noise; coefficients of PCMLikeNoiseModel [rasch2021aihwkit]
    """

    g_max: float = 25.0
    seconds: float = 20.0
    read_time: float = 250e-9

    def __post_init__(self) -> None:
        if not (0 < self.g_max < math.inf and 0 < self.read_time <= self.seconds < math.inf):
            raise ParameterError(
                "PcmReadNoise needs g_max > 0 uS and 0 < read_time <= seconds, "
                f"got {self.g_max}, {self.read_time} and {self.seconds}"
            )

    def sigma(self, conductance: Tensor) -> Tensor:
        """Return the standard deviation at each conductance, uS."""
        # Departs from aihwkit, where Q is that of the conductance before drift.
        relative = 0.0088 / (conductance / self.g_max).pow(0.65).clamp(min=1e-3)
        growth = math.sqrt(math.log((self.seconds + self.read_time) / (2 * self.read_time)))
        return conductance * relative.clamp(max=0.2) * growth


@dataclass(frozen=True)
class FloorNoise(_Additive):
    """Johnson and shot noise of a cell at the read voltage, as a fluctuation of its conductance.

        sigma = sqrt(4 k T G df + 2 q V G df) / V

    It is exact for inputs of one bit, with cells at zero volt left out: their Johnson noise is there in a circuit.

    Args:
        bandwidth: df of the reading, Hz, > 0.
        voltage: V of the reading, > 0.
        temperature: T, K, >= 0.

    Source: ours, the noise laws of Johnson, Nyquist and Schottky
    """

    bandwidth: float
    voltage: float = 0.2
    temperature: float = 300.0

    def __post_init__(self) -> None:
        if not (self.bandwidth > 0 and self.voltage > 0 and self.temperature >= 0):
            raise ParameterError(
                "FloorNoise needs bandwidth > 0 Hz, voltage > 0 V and temperature >= 0 K, "
                f"got {self.bandwidth}, {self.voltage} and {self.temperature}"
            )

    def sigma(self, conductance: Tensor) -> Tensor:
        """Return the standard deviation at each conductance, uS."""
        per_siemens = self.bandwidth * (4 * BOLTZMANN * self.temperature + 2 * CHARGE * self.voltage)  # A^2 / S
        return 1e3 * torch.sqrt(conductance * per_siemens) / self.voltage  # 1e6 uS/S * sqrt(1e-6 S/uS)


@dataclass(frozen=True)
class JoinedNoise(_Additive):
    """Independent noises in one cell; ``joined`` makes it.

    Args:
        parts: the noises.

    Source: ours
    """

    parts: tuple[Noise, ...]

    def sigma(self, conductance: Tensor) -> Tensor:
        """Return the root of the sum of the variances, uS."""
        variance = torch.zeros_like(conductance)
        for part in self.parts:
            variance = variance + part.sigma(conductance).square()
        return variance.sqrt()


def joined(*parts: Noise) -> JoinedNoise:
    """Return several independent noises as one, their variances added.

        sigma^2 = sigma_1^2 + sigma_2^2 + ...

    Args:
        parts: the noises, at least one.

    Raises:
        ParameterError: if there is none.

    Source: ours
    """
    if not parts:
        raise ParameterError("joined adds the variances of noises and needs at least one, got none")
    return JoinedNoise(parts)


def read_variance(inputs: Tensor, conductance: Tensor, noise: Noise, *, voltage: float = 0.2) -> Tensor:
    """Return how much the current of each bit line varies from reading to reading.

        variance = V^2 (x^2) sigma(G)^2    one product of matrices

    Args:
        inputs: digits on the word lines, shape (..., D), in read voltages.
        conductance: of the cells, shape (N, D), uS.
        noise: fluctuation of a cell; must be normal.
        voltage: V of one unit of input.

    Returns:
        Variances, shape (..., N), uA^2.

    Raises:
        ParameterError: if shapes do not fit, values are not finite or the noise is log-normal.

    Source: ours, because variances of independent cells add
    """
    _require_fitting(inputs, conductance)
    if isinstance(noise, ProportionalNoise) and noise.kind == "lognormal":
        raise ParameterError("read noise is added up on a bit line and must be normal; use kind='linear'")
    return voltage**2 * (inputs.square() @ noise.sigma(conductance).square().mT)


def read_currents(
    inputs: Tensor, conductance: Tensor, noise: Noise | None, *, generator: torch.Generator, voltage: float = 0.2
) -> Tensor:
    """Read an array once.

        I = V x G + sqrt(V^2 (x^2) sigma(G)^2) xi,   xi normal, one draw per output

    Args:
        inputs: digits on the word lines, shape (..., D), in read voltages.
        conductance: of the cells, shape (N, D), uS.
        noise: fluctuation of a cell; ``None`` for none.
        generator: source of randomness; not used without noise.
        voltage: V of one unit of input.

    Returns:
        Currents, shape (..., N), uA.

    Raises:
        ParameterError: if shapes do not fit, values are not finite or the noise is log-normal.

    Source: ours; in distribution it is one draw per cell and reading
    """
    _require_fitting(inputs, conductance)
    currents = voltage * (inputs @ conductance.mT)
    if noise is None:
        return currents
    normal = torch.randn(currents.shape, generator=generator, dtype=currents.dtype, device=currents.device)
    return currents + read_variance(inputs, conductance, noise, voltage=voltage).sqrt() * normal


def _require_fitting(inputs: Tensor, conductance: Tensor) -> None:
    require_conductance(conductance)
    if inputs.dtype != conductance.dtype or conductance.dim() < 2 or inputs.shape[-1:] != conductance.shape[-1:]:
        raise ParameterError(
            "inputs (..., D) and conductances (N, D) must have the same D and dtype, got "
            f"{tuple(inputs.shape)} {inputs.dtype} and {tuple(conductance.shape)} {conductance.dtype}"
        )
    require_finite("inputs", inputs)
