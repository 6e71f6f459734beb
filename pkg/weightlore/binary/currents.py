"""What happens to currents beside weights: a factor, a constant, and both put into a map that is already there.

Scaled(factor)      factor times what comes: a shortcut whose source and target count in different units
Shifted(amount)     a constant current beside what comes
rescaled(map, ...)  a map with its weights and its biases multiplied
"""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError

__all__ = ["Scaled", "Shifted", "parts_of", "rescaled", "sequence"]


class Scaled(nn.Module):
    """A factor.

    Args:
        factor: finite.

    Source: [lu2020binary], data-based normalization; for shortcuts ours
    """

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = float(factor)

    def forward(self, x: Tensor) -> Tensor:
        """Return factor times x."""
        return x * self.factor

    def extra_repr(self) -> str:
        """Return the factor, for the printed module."""
        return f"{self.factor:.6g}"


class Shifted(nn.Module):
    """A constant current.

    Args:
        amount: added in every step; a number, or a tensor that broadcasts against one example's current.

    Source: [deng2021optimal], shift of the threshold
    """

    amount: Tensor | float

    def __init__(self, amount: float | Tensor) -> None:
        super().__init__()
        if isinstance(amount, Tensor):
            self.register_buffer("amount", amount.detach().clone())
        else:
            self.amount = float(amount)

    def forward(self, x: Tensor) -> Tensor:
        """Return x plus the constant, in the dtype of x."""
        return x + (self.amount.to(x.dtype) if isinstance(self.amount, Tensor) else self.amount)


def parts_of(module: nn.Module) -> Iterator[nn.Module]:
    """Go through the modules that a map applies one after the other.

    Args:
        module: one map, or an ``nn.Sequential`` of several, also nested.

    Source: ours
    """
    if isinstance(module, nn.Sequential):
        for part in module:
            yield from parts_of(part)
    else:
        yield module


def sequence(*parts: nn.Module) -> nn.Module:
    """Return modules one after the other as one: itself if there is a single one, the identity if there is none.

    Args:
        parts: the modules, first one first.

    Source: ours
    """
    if len(parts) == 1:
        return parts[0]
    return nn.Sequential(*parts) if parts else nn.Identity()


def rescaled(module: nn.Module, factor: float, *, bias: float) -> nn.Module:
    """Return a copy of an affine map whose linear part and whose constant part are multiplied.

        W h + b  ->  factor W h + bias b

    Args:
        module: weighted layers, average pooling, shapes and constants, one after the other.
        factor: of the linear part. It goes into the first weighted layer; a map without one gets a ``Scaled`` in front.
        bias: factor of every bias and constant.

    Returns:
        A new module.

    Raises:
        ParameterError: if a factor is not finite.

    Source: [lu2020binary], data-based normalization
    """
    for name, value in {"factor": factor, "bias": bias}.items():
        if not -float("inf") < value < float("inf"):
            raise ParameterError(f"{name} multiplies weights and must be a finite number, got {value}")
    parts = [_copied(part, bias) for part in parts_of(module)]
    weighted = [part for part in parts if isinstance(part, nn.Linear | nn.Conv2d)]
    with torch.no_grad():
        for part in weighted:
            part.weight.mul_(factor if part is weighted[0] else 1.0)
            if part.bias is not None:
                part.bias.mul_(bias)
    if not weighted and factor != 1.0:
        parts = [Scaled(factor), *(part for part in parts if not isinstance(part, nn.Identity))]
    return sequence(*parts)


def _copied(part: nn.Module, bias: float) -> nn.Module:
    return Shifted(part.amount * bias) if isinstance(part, Shifted) else copy.deepcopy(part)
