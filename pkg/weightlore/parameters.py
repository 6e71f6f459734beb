"""The parameters of a network as one vector theta, and back.

Everything that happens to a network in this package happens to theta, a vector of shape (P,). A *layout* says which
entry of theta belongs to which parameter; it is fixed by the order of ``model.named_parameters()``.

    layout(model)            which entry is which
    flatten(model)           theta, a copy
    replaced(model, theta)   the model with another theta, for a while
    call(model, theta, x)    the output at another theta, differentiable in theta

A *group* chooses part of theta: ``None`` for all, a kind (``"weight"``, ``"bias"``, ``"norm"``), the name of a layer or
of a parameter, or a predicate of (name, parameter). A kind goes before a layer of that name. Tied weights are one
parameter, buffers are none.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError

__all__ = ["Group", "Kind", "ParameterLayout", "Slot", "call", "flatten", "kind_of", "layout", "places_of", "replaced"]

Kind = Literal["weight", "bias", "norm"]
Group = None | str | Callable[[str, nn.Parameter], bool]

KINDS = ("weight", "bias", "norm")
NORMALIZATION = re.compile(r"Norm(\dd)?$")


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


def kind_of(module: nn.Module, name: str) -> Kind:
    """Return the kind of a parameter that a module holds.

    Args:
        module: the module that holds the parameter.
        name: its name within the module, such as ``"weight"``, ``"bias_ih_l0"`` or ``"in_proj_bias"``.

    Returns:
        ``"bias"`` for every additive parameter (those of normalization layers too), ``"norm"`` for the gain of a
        normalization layer (its class is called ...Norm, ...Norm1d and so on), ``"weight"`` for the rest.

    Source: ours
    """
    if "bias" in name.split("_"):
        return "bias"
    return "norm" if NORMALIZATION.search(type(module).__name__) else "weight"


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
    for name, parameter in _chosen(model, group, frozen):
        owner, _, local = name.rpartition(".")
        slots.append(Slot(name, kind_of(model.get_submodule(owner), local), parameter.shape, start))
        start += parameter.numel()
    return ParameterLayout(tuple(slots))


def flatten(model: nn.Module, group: Group = None, frozen: bool = False) -> Tensor:
    """Return theta, a detached copy of the parameters.

    Args:
        model: any module with floating-point parameters; left as it is.
        group: which parameters; ``None`` for all.
        frozen: whether parameters with ``requires_grad=False`` count.

    Returns:
        theta, shape (P,), dtype and device of the parameters.

    Raises:
        ParameterError: as ``layout``.

    Example:
        >>> flatten(nn.Linear(3, 2)).shape
        torch.Size([8])

    Source: ours
    """
    return torch.cat([parameter.detach().reshape(-1) for _, parameter in _chosen(model, group, frozen)])


@contextmanager
def replaced(model: nn.Module, theta: Tensor, group: Group = None, frozen: bool = False) -> Iterator[nn.Module]:
    """Give the model another theta for a while; afterwards every bit is as before, also after an exception.

    The old parameters are kept as a copy and written back. Subtracting what was added would leave rounding residue.
    Buffers that the model itself updates in between (running statistics) are its own affair and are not restored.

    Args:
        model: any module with floating-point parameters.
        theta: shape (P,), finite or not: a corruption may go anywhere.
        group: which parameters theta holds.
        frozen: whether parameters with ``requires_grad=False`` count.

    Raises:
        ParameterError: if theta has another length, dtype or device than the group.

    Source: ours
    """
    chosen = _chosen(model, group, frozen)
    _require_one(theta, chosen[0][1])
    new = layout(model, group, frozen).split(theta)
    old = [parameter.detach().clone() for _, parameter in chosen]
    try:
        with torch.no_grad():
            for name, parameter in chosen:
                parameter.copy_(new[name])
        yield model
    finally:
        with torch.no_grad():
            for (_, parameter), saved in zip(chosen, old, strict=True):
                parameter.copy_(saved)


def call(model: nn.Module, theta: Tensor, x: Tensor, group: Group = None, frozen: bool = False) -> Tensor:
    """Return the output of the model at theta, differentiable in theta; the model is left as it is.

    Buffers are copied for the call, so that running statistics are not updated.

    Args:
        model: any module with floating-point parameters.
        theta: shape (P,).
        x: input of the model.
        group: which parameters theta holds; the others keep the model's values.
        frozen: whether parameters with ``requires_grad=False`` count.

    Returns:
        The model's output.

    Raises:
        ParameterError: if theta has another length, dtype or device than the group.

    Source: ours
    """
    _require_one(theta, _chosen(model, group, frozen)[0][1])
    places = places_of(model, layout(model, group, frozen).split(theta))
    return torch.func.functional_call(model, places, (x,), tie_weights=False)


def places_of(model: nn.Module, parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return what ``torch.func.functional_call(..., tie_weights=False)`` needs to run a model at other parameters.

    A tied parameter has several places, each of which gets the same value; a module that is registered under two names
    gets it once. (Given it twice, torch 2.13 leaves the value in the model afterwards.) Buffers that are not named are
    copied, so that running statistics are not updated.

    Args:
        model: any module; left as it is.
        parameters: values by the names of ``model.named_parameters()``, and of buffers where they too shall have other
            values; parameters that are not named keep the model's.

    Returns:
        A value for every place, by its path in the model.

    Source: ours
    """
    values = {id(p): parameters[name] for name, p in model.named_parameters() if name in parameters}
    values |= {id(b): parameters[name] if name in parameters else b.clone() for name, b in model.named_buffers()}
    places = {}
    for path, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False, remove_duplicate=False))
        own |= dict(module.named_buffers(recurse=False, remove_duplicate=False))
        prefix = f"{path}." if path else ""
        places.update({prefix + name: values[id(tensor)] for name, tensor in own.items() if id(tensor) in values})
    return places


def _chosen(model: nn.Module, group: Group, frozen: bool) -> list[tuple[str, nn.Parameter]]:
    """Return the named parameters of the group, tied ones once, and check that they form one vector."""
    belongs = _predicate(group)
    chosen = [(n, p) for n, p in model.named_parameters() if (frozen or p.requires_grad) and belongs(model, n, p)]
    if not chosen:
        layers = sorted({name.rpartition(".")[0] for name, _ in model.named_parameters()})
        raise ParameterError(
            f"the group {group!r} is empty; choose None, a kind of {KINDS}, a layer of {layers}, a predicate, "
            "or frozen=True if its parameters do not require gradients"
        )
    types = {(p.dtype, p.device) for _, p in chosen}
    if len(types) > 1 or not chosen[0][1].dtype.is_floating_point:
        raise ParameterError(
            f"theta needs parameters of one floating dtype on one device, got {sorted(map(str, types))}; "
            "convert the model first, for example model.double()"
        )
    return chosen


def _require_one(theta: Tensor, parameter: nn.Parameter) -> None:
    """Check that theta is one vector of the parameters' dtype on their device."""
    if theta.ndim != 1:
        raise ParameterError(
            f"theta must be one vector of shape (P,), got shape {tuple(theta.shape)}; for many use vmap"
        )
    if (theta.dtype, theta.device) != (parameter.dtype, parameter.device):
        raise ParameterError(
            f"theta must be {parameter.dtype} on {parameter.device} as the parameters are, got {theta.dtype} on "
            f"{theta.device}; use theta.to(dtype={parameter.dtype}, device={str(parameter.device)!r})"
        )


def _predicate(group: Group) -> Callable[[nn.Module, str, nn.Parameter], bool]:
    """Turn a group into a predicate of (model, name, parameter)."""
    if group is None:
        return lambda model, name, parameter: True
    if callable(group):
        return lambda model, name, parameter: bool(group(name, parameter))
    if group in KINDS:
        return lambda model, name, parameter: kind_of(*_owner(model, name)) == group
    if isinstance(group, str):
        return lambda model, name, parameter: name == group or name.startswith(f"{group}.")
    raise ParameterError(f"a group is None, a kind, a name or a predicate of (name, parameter), got {group!r}")


def _owner(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    path, _, local = name.rpartition(".")
    return model.get_submodule(path), local
