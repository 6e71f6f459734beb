"""A density for each class, learned: a Gaussian pulled together or apart around points.

    f(z) = z + beta h(r) (z - z_0),   r = |z - z_0|,   h(r) = 1 / (alpha + r)
    ln |det df/dz| = (M - 1) ln(1 + beta h) + ln(1 + beta h + beta h' r),   h' = -h^2
    ln q_c(z) = ln N(f_L(... f_1(z))) + sum_l ln |det|

alpha > 0 and beta > -alpha keep f invertible: both come from softplus [charpentier2020posterior].
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from weightlore.errors import ParameterError
from weightlore.networks.layered import require_counts

__all__ = ["RadialFlow"]


class RadialFlow(nn.Module):
    """C densities over M numbers, each a chain of radial flows to the standard Gaussian.

    Args:
        size: M.
        classes: C.
        layers: of each chain.
        generator: where points and sizes are drawn from.
        dtype: floating dtype.

    Raises:
        ParameterError: if a size is none.

    Example:
        >>> flow = RadialFlow(2, classes=3, layers=4, generator=torch.Generator().manual_seed(0))
        >>> flow(torch.zeros(5, 2, dtype=torch.float64)).shape
        torch.Size([5, 3])

    Source: [charpentier2020posterior], radial flows
    """

    def __init__(
        self, size: int, *, classes: int, layers: int, generator: torch.Generator, dtype: torch.dtype = torch.float64
    ) -> None:
        super().__init__()
        require_counts(size=size, classes=classes, layers=layers)
        self.center = nn.Parameter(_normal(generator, layers, classes, size).to(dtype))
        self.raw_alpha = nn.Parameter(_normal(generator, layers, classes).to(dtype))
        self.raw_beta = nn.Parameter(_normal(generator, layers, classes).to(dtype))

    def forward(self, z: Tensor) -> Tensor:
        """Return ln q_c(z), shape (N, C), in nats.

        Args:
            z: shape (N, M).

        Raises:
            ParameterError: if the shape is another.
        """
        size = self.center.shape[2]
        if z.ndim != 2 or z.shape[1] != size:
            raise ParameterError(f"the flow reads rows of {size} numbers, shape (N, {size}), got {tuple(z.shape)}")
        moved, volume = z[:, None].expand(-1, self.center.shape[1], -1), z.new_zeros(())
        for center, raw_alpha, raw_beta in zip(self.center, self.raw_alpha, self.raw_beta, strict=True):
            moved, change = _radial(moved, center, functional.softplus(raw_alpha), functional.softplus(raw_beta))
            volume = volume + change
        return volume - 0.5 * moved.square().sum(-1) - size / 2 * math.log(2 * math.pi)


def _radial(z: Tensor, center: Tensor, alpha: Tensor, gain: Tensor) -> tuple[Tensor, Tensor]:
    """Return f(z), shape (N, C, M), and ln |det|, shape (N, C); beta = gain - alpha.

    With h = 1 / (alpha + r), 1 + beta h = (gain + r) h, and 1 + beta h - beta h^2 r = (r^2 + 2 alpha r + alpha gain)
    h^2: sums of positive numbers, in which nothing cancels.
    """
    difference = z - center
    r = (difference.square().sum(-1) + torch.finfo(z.dtype).tiny).sqrt()  # a slope at the center, too
    h = 1 / (alpha + r)
    stretch = (gain + r) * h
    along = (r * (r + 2 * alpha) + alpha * gain) * h**2
    return center + stretch[..., None] * difference, (z.shape[-1] - 1) * stretch.log() + along.log()


def _normal(generator: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64, device=generator.device)
