"""Which parameters of a network belong together.

Almost everything can be done to a part of theta alone. The part is chosen by a *group*:

    None                              all parameters
    "weight", "bias", "norm"          those of a kind
    "0", "encoder", "encoder.weight"  those of a layer, or a single one, by name
    lambda name, parameter: ...       those that a predicate chooses

A kind goes before a layer of that name. Tied weights are one parameter, buffers are none, and frozen parameters count
where they are asked for.
"""

import re
from collections.abc import Callable
from typing import Literal

from torch import nn

from weightlore.errors import ParameterError

__all__ = ["Group", "Kind", "kind_of", "members"]

Kind = Literal["weight", "bias", "norm"]
Group = None | str | Callable[[str, nn.Parameter], bool]

KINDS = ("weight", "bias", "norm")
NORMALIZATION = re.compile(r"Norm(\dd)?$")


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


def members(model: nn.Module, group: Group = None, frozen: bool = False) -> list[tuple[str, nn.Parameter]]:
    """Return the parameters of a group by name, tied ones once, and check that they form one vector.

    Args:
        model: any module with floating-point parameters; left as it is.
        group: which parameters; ``None`` for all.
        frozen: whether parameters with ``requires_grad=False`` count.

    Returns:
        Names and parameters in the order of ``model.named_parameters()``, at least one.

    Raises:
        ParameterError: if the group names no parameter, or parameters are not of one floating dtype and device.

    Source: ours
    """
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
