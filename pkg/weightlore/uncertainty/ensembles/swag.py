"""A Gaussian over weights from one training: its mean, its variances, and the last few deviations.

    swag = SWAG(model);  fit(model, data, schedule=None, callbacks=[swag])
    swag.sample(generator)                       theta ~ N(mean, (diag + D D^T / (K-1)) / 2)
    swag.ensemble(S, generator=..., x=...)       S networks with such weights
    MultiSWAG((one, other)).ensemble(S, ...)     an equal mixture of several, one for each training

The weights that a training at a constant rate passes through say where the loss is flat and how far. Several trainings
find several such regions; their mixture covers them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts
from weightlore.uncertainty.ensembles.averaging import SWA
from weightlore.uncertainty.ensembles.members import DeepEnsemble

__all__ = ["SWAG", "MultiSWAG"]

LEAST = 1e-30  # of a variance


class SWAG(SWA):
    """A Gaussian with the moments of the weights that a training passes through; a callback for ``training.fit``.

        theta = mean + sqrt(scale/2) ( diag^(1/2) z_1 + (K-1)^(-1/2) D z_2 )

    ``diag`` holds the variance of each weight, at least 1e-30; the K columns of D are the last weights less the running
    mean of their time. With fewer than two columns only the diagonal part is drawn; ``scale=2`` then gives it its full
    variance.

    Args:
        model: the network whose weights are collected.
        columns: at most so many deviations are kept.
        start: as for ``SWA``.
        every: likewise.

    Raises:
        ParameterError: as ``SWA``.

    Example:
        >>> swag = SWAG(nn.Linear(3, 2))
        >>> for _ in range(3):
        ...     swag.collect()
        >>> len(swag.ensemble(5, generator=torch.Generator().manual_seed(0)))
        5

    Source: [maddox2019swag], SWAG
    """

    def __init__(self, model: nn.Module, *, columns: int = 20, start: int = 1, every: int = 1) -> None:
        super().__init__(model, start=start, every=every)
        require_counts(columns=columns)
        self.columns = columns
        self._squares = torch.zeros_like(self._mean)  # sum of (theta - mean)^2
        self._last: list[Tensor] = []

    def _add(self, theta: Tensor) -> None:
        gap = theta - self._mean
        super()._add(theta)
        deviation = theta - self._mean
        self._squares += gap * deviation
        self._last = [*self._last, deviation][-self.columns :]

    @property
    def diagonal(self) -> Tensor:
        """Variance of each weight, mean theta^2 - mean^2, shape (P,), float64, at least 1e-30."""
        self._require_collected()
        return (self._squares / self.count).clamp_min(LEAST)

    @property
    def deviations(self) -> Tensor:
        """D, shape (P, K), float64, oldest column first."""
        self._require_collected()
        return torch.stack(self._last, 1)

    def sample(self, generator: torch.Generator, *, scale: float = 1.0) -> Tensor:
        """Draw weights.

        Args:
            generator: of z_1 and z_2.
            scale: of the covariance, >= 0; 0 gives the mean.

        Returns:
            theta, shape (P,), in the dtype of the network.

        Raises:
            ParameterError: if nothing was collected or the scale is negative.
        """
        if not 0 <= scale < float("inf"):
            raise ParameterError(f"scale multiplies a covariance and must be finite and >= 0, got {scale}")
        deviations, device = self.deviations, self._mean.device
        noise = self.diagonal.sqrt() * _normal(len(deviations), generator).to(device)
        columns = deviations.shape[1]
        if columns > 1:
            noise = noise + deviations @ _normal(columns, generator).to(device) / (columns - 1) ** 0.5
        return (self._mean + (scale / 2) ** 0.5 * noise).to(self.theta.dtype)

    def ensemble(
        self, members: int, *, generator: torch.Generator, x: Tensor | None = None, scale: float = 1.0
    ) -> DeepEnsemble:
        """Draw networks.

        Args:
            members: S.
            generator: of the weights, drawn one network after the other.
            x: training inputs for the statistics of batch normalization, recomputed for each network.
            scale: of the covariance.

        Raises:
            ParameterError: as ``sample``, or if statistics are needed and there is no x.
        """
        require_counts(members=members)
        drawn = (self.sample(generator, scale=scale) for _ in range(members))
        return DeepEnsemble(tuple(self.placed(theta, x) for theta in drawn))


@dataclass(frozen=True, eq=False)
class MultiSWAG:
    """An equal mixture of the Gaussians of several trainings.

    Args:
        parts: one ``SWAG`` for each training, from initial weights of its own.

    Raises:
        ParameterError: if there is none.

    Example:
        >>> parts = [SWAG(nn.Linear(3, 2)) for _ in range(2)]
        >>> for part in parts:
        ...     part.collect()
        >>> len(MultiSWAG(tuple(parts)).ensemble(5, generator=torch.Generator().manual_seed(0)))
        10

    Source: [wilson2020perspective], MultiSWAG
    """

    parts: Sequence[SWAG]

    def __post_init__(self) -> None:
        object.__setattr__(self, "parts", tuple(self.parts))
        if not self.parts or not all(isinstance(part, SWAG) for part in self.parts):
            raise ParameterError(f"a mixture has one SWAG at least for its parts, got {self.parts!r}")

    def ensemble(
        self, members: int, *, generator: torch.Generator, x: Tensor | None = None, scale: float = 1.0
    ) -> DeepEnsemble:
        """Draw networks, as many from each part.

        Args:
            members: S, networks from each part.
            generator: of the weights, part by part.
            x: as for ``SWAG.ensemble``.
            scale: likewise.

        Raises:
            ParameterError: as ``SWAG.ensemble``.
        """
        drawn = [part.ensemble(members, generator=generator, x=x, scale=scale) for part in self.parts]
        return DeepEnsemble(tuple(member for one in drawn for member in one.members))


def _normal(count: int, generator: torch.Generator) -> Tensor:
    return torch.randn(count, generator=generator, dtype=torch.float64, device=generator.device)
