"""Take theta out of a network, and run the network at another theta.

    flatten(model)           theta, a copy
    replaced(model, theta)   the model with another theta, for a while
    call(model, theta, x)    the output at another theta, differentiable in theta
    places_of(model, ...)    what such a call hands to torch

Afterwards the parameters are as they were, bit for bit, also after an exception; their flags and gradients too.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.parameters.groups import Group, members
from weightlore.parameters.layouts import layout

__all__ = ["call", "flatten", "places_of", "replaced"]


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
    return torch.cat([parameter.detach().reshape(-1) for _, parameter in members(model, group, frozen)])


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
    moved = members(model, group, frozen)
    _require_one(theta, moved[0][1])
    new = layout(model, group, frozen).split(theta)
    old = [parameter.detach().clone() for _, parameter in moved]
    try:
        with torch.no_grad():
            for name, parameter in moved:
                parameter.copy_(new[name])
        yield model
    finally:
        with torch.no_grad():
            for (_, parameter), saved in zip(moved, old, strict=True):
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
    _require_one(theta, members(model, group, frozen)[0][1])
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
