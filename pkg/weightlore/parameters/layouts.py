"""Which entry of theta belongs to which parameter.

Theta holds the parameters of a group one behind the other, in the order of ``model.named_parameters()``, each row by
row. A *layout* keeps the places, so that a vector can be cut into parameters and put together again.

    layout(model)              the layout of a model
    layout.split(theta)        theta -> parameters, as views; leading dimensions (trials, members) are kept
    layout.join(parameters)    parameters -> theta, differentiable
    layout.slots               name, kind, shape and place of each parameter
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.parameters.groups import Group, Kind, kind_of, members

__all__ = ["ParameterLayout", "Slot", "layout"]


@dataclass(frozen=True)
class Slot:
    """Where one parameter lies in theta.

    Args:
        name: as in ``model.named_parameters()``.
        kind: ``"weight"``, ``"bias"`` or ``"norm"`` (the gain of a normalization layer).
        shape: shape of the parameter.
        start: index of its first entry in theta.

    Source: ours
    """

    name: str
    kind: Kind
    shape: torch.Size
    start: int

    @property
    def size(self) -> int:
        """Number of entries."""
        return self.shape.numel()

    @property
    def stop(self) -> int:
        """One past the index of its last entry in theta."""
        return self.start + self.size

    @property
    def layer(self) -> str:
        """Name of the module that holds the parameter."""
        return self.name.rpartition(".")[0]


@dataclass(frozen=True)
class ParameterLayout:
    """Which entry of theta belongs to which parameter.

    Args:
        slots: one per parameter, in the order of theta.

    Example:
        >>> net = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1))
        >>> layout(net)
        ParameterLayout(P=11: 0.weight (2, 3), 0.bias (2,), 2.weight (1, 2), 2.bias (1,))

    Source: ours
    """

    slots: tuple[Slot, ...]

    @property
    def size(self) -> int:
        """P, the number of entries of theta."""
        return self.slots[-1].stop if self.slots else 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the parameters, in the order of theta."""
        return tuple(slot.name for slot in self.slots)

    def split(self, theta: Tensor) -> dict[str, Tensor]:
        """Cut theta into parameters, as views.

        Args:
            theta: shape (..., P); leading dimensions (trials, members) are kept.

        Returns:
            For each name a view of shape (..., *shape of the parameter).

        Raises:
            ParameterError: if the last dimension is not P.
        """
        self._require_length(theta)
        lead = theta.shape[:-1]
        return {slot.name: theta[..., slot.start : slot.stop].reshape(lead + slot.shape) for slot in self.slots}

    def join(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """Put parameters together into theta, the inverse of ``split`` for one theta.

        Args:
            parameters: a tensor for each name of the layout, of the parameter's shape.

        Returns:
            theta, shape (P,), differentiable in the parameters.

        Raises:
            ParameterError: if a parameter is missing or has another shape.
        """
        parts = []
        for slot in self.slots:
            part = parameters.get(slot.name)
            if part is None or part.shape != slot.shape:
                came = "nothing" if part is None else f"shape {tuple(part.shape)}"
                raise ParameterError(f"parameter {slot.name!r} must have shape {tuple(slot.shape)}, got {came}")
            parts.append(part.reshape(-1))
        return torch.cat(parts)

    def _require_length(self, theta: Tensor) -> None:
        if theta.ndim == 0 or theta.shape[-1] != self.size:
            raise ParameterError(
                f"theta must end in a dimension of P={self.size} entries, got shape {tuple(theta.shape)}; "
                "was it flattened with the same group?"
            )

    def __repr__(self) -> str:
        parts = ", ".join(f"{slot.name} {tuple(slot.shape)}" for slot in self.slots)
        return f"ParameterLayout(P={self.size}: {parts})"


def layout(model: nn.Module, group: Group = None, frozen: bool = False) -> ParameterLayout:
    """Return which entry of theta belongs to which parameter of the model.

    Args:
        model: any module with floating-point parameters; left as it is.
        group: which parameters; ``None`` for all.
        frozen: whether parameters with ``requires_grad=False`` count.

    Raises:
        ParameterError: if the group names no parameter, or parameters are not of one floating dtype and device.

    Source: ours
    """
    slots, start = [], 0
    for name, parameter in members(model, group, frozen):
        owner, _, local = name.rpartition(".")
        slots.append(Slot(name, kind_of(model.get_submodule(owner), local), parameter.shape, start))
        start += parameter.numel()
    return ParameterLayout(tuple(slots))
