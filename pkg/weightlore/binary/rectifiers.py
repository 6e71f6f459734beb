"""The activation whose values are the rates that a neuron can have in L steps: clipped, floored, shifted by a half.

    h(z) = lambda clip(floor(z L / lambda + 1/2) / L, 0, 1)                clip_floor_shift

An integrate-and-fire neuron with threshold lambda that starts at lambda/2 and gets the current z for T = L steps fires
at exactly this rate, times its threshold.
"""

from numbers import Real

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError

__all__ = ["ClipFloorShift", "clip_floor_shift", "require_levels"]


def clip_floor_shift(z: Tensor, ceiling: Tensor | float, levels: int) -> Tensor:
    """Return z on L + 1 steps between 0 and the ceiling.

        h(z) = lambda clip(floor(z L / lambda + 1/2) / L, 0, 1)

    The floor counts as the identity in the gradient, so that dh/dz = 1 between the ends, and

        dh/dlambda = h/lambda - z/lambda between the ends, 0 below, 1 above

    Args:
        z: any shape.
        ceiling: lambda > 0, the greatest value, in the unit of z; a number, or a tensor that broadcasts against z.
        levels: L, the number of steps above zero.

    Returns:
        Values in the shape of z, differentiable in z and in the ceiling.

    Raises:
        ParameterError: if the ceiling is not positive and finite, or levels is no whole number from 1 up.

    Example:
        >>> clip_floor_shift(torch.tensor([-1.0, 0.1, 0.2, 0.6, 3.0]), 1.0, 4)
        tensor([0.0000, 0.0000, 0.2500, 0.5000, 1.0000])

    Source: [bu2022qcfs], quantization clip-floor-shift activation
    """
    top = torch.as_tensor(ceiling, dtype=z.dtype, device=z.device)
    if not bool(((top > 0) & torch.isfinite(top)).all()):
        raise ParameterError(
            f"the ceiling of an activation must be positive and finite, got {top.detach().tolist()}; "
            "lower the learning rate, or start from the percentiles of normalization_factors"
        )
    stretched = z * (require_levels(levels) / top) + 0.5
    stepped = stretched + (stretched.floor() - stretched).detach()
    return top * (stepped / levels).clamp(0.0, 1.0)


class ClipFloorShift(nn.Module):
    """The clip-floor-shift activation with a ceiling that is learned.

    Args:
        levels: L, the number of steps above zero; the number of time steps T that the spiking network shall need.
        ceiling: lambda at the beginning, > 0, in the unit of the activation.
        dtype: floating dtype of the ceiling, ``None`` for torch's default.

    Raises:
        ParameterError: if a number is out of range.

    Source: [bu2022qcfs], quantization clip-floor-shift activation
    """

    levels: int
    ceiling: nn.Parameter

    def __init__(self, levels: int, *, ceiling: float = 1.0, dtype: torch.dtype | None = None) -> None:
        super().__init__()
        if not isinstance(ceiling, Real) or isinstance(ceiling, bool) or not 0 < ceiling < float("inf"):
            raise ParameterError(f"ceiling is the greatest activation and must be positive and finite, got {ceiling!r}")
        self.levels = require_levels(levels)
        self.ceiling = nn.Parameter(torch.tensor(float(ceiling), dtype=dtype))

    def forward(self, z: Tensor) -> Tensor:
        """Return the activations, in the shape of z."""
        return clip_floor_shift(z, self.ceiling, self.levels)

    def extra_repr(self) -> str:
        """Return levels and ceiling, for the printed module."""
        return f"levels={self.levels}, ceiling={float(self.ceiling.detach()):.4g}"


def require_levels(levels: int) -> int:
    """Return the number of steps of an activation if it is one.

    Args:
        levels: L.

    Raises:
        ParameterError: if it is no whole number from 1 up.

    Source: ours
    """
    if isinstance(levels, bool) or not isinstance(levels, int) or levels < 1:
        raise ParameterError(
            f"levels counts the steps of an activation and must be a whole number >= 1, got {levels!r}"
        )
    return levels
