"""Which parameters a Laplace approximation covers.

covered_by      names of the parameters: all but those of normalizations, or those of the last layer
last_linear     the path of the linear layer whose output is the network's
chosen          the predicate that ``weightlore.parameters`` takes for a group
"""

import warnings
from typing import Literal

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.parameters.groups import NORMALIZATION, members
from weightlore.training import in_mode
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["Subset", "covered_by", "last_linear"]

Subset = Literal["all", "last_layer", "subnetwork"]


def covered_by(model: nn.Module, x: Tensor, subset: Subset, *, stacklevel: int = 2) -> tuple[str, ...]:
    """Return the names of the parameters that an approximation covers.

    Gains and shifts of a normalization are left at their values: the running statistics beside them are no parameters,
    and what the pair would do under noise is not what training saw.

    Args:
        model: trained; left as it is.
        x: an example or more, to find the last layer with, shape (N, ...).
        subset: ``"last_layer"`` for weight and bias of the last linear layer, anything else for all.
        stacklevel: of the warning, counted from here.

    Returns:
        Names of parameters that require a gradient, in their order.

    Raises:
        ParameterError: if none is left, or there is no last linear layer.

    Warns:
        UncertaintyWarning: if a normalization is left out.

    Source: [daxberger2021laplace], section on architectures; [kristiadi2020bayesian], the last layer
    """
    if subset == "last_layer":
        path = last_linear(model, x)
        return tuple(name for name, _ in members(model, path or None))
    paths = [path for path, module in model.named_modules() if NORMALIZATION.search(type(module).__name__)]
    left = [name for name, _ in members(model) if name.rpartition(".")[0] in paths]
    if left:
        warnings.warn(
            f"parameters of normalizations are not covered and stay at their values: {', '.join(left)}",
            UncertaintyWarning,
            stacklevel=stacklevel + 1,
        )
    names = tuple(name for name, _ in members(model) if name not in left)
    if not names:
        raise ParameterError("no parameter is left but those of normalizations; there is nothing to be uncertain of")
    return names


def last_linear(model: nn.Module, x: Tensor) -> str:
    """Return the path of the ``nn.Linear`` whose output is the output of the network.

    Args:
        model: left as it is.
        x: inputs, shape (N, ...).

    Returns:
        Its path in ``model.named_modules()``, empty if it is the network itself.

    Raises:
        ParameterError: if the output does not come straight from a linear layer.

    Source: ours
    """
    seen: list[tuple[str, Tensor]] = []
    hooks = [
        module.register_forward_hook(lambda _, __, output, path=path: seen.append((path, output)))
        for path, module in model.named_modules()
        if isinstance(module, nn.Linear)
    ]
    try:
        with torch.no_grad(), in_mode(model, training=False):
            output = model(x[:1])
    finally:
        for hook in hooks:
            hook.remove()
    same = [path for path, said in seen if said is output or (said.shape == output.shape and torch.equal(said, output))]
    if not same:
        raise ParameterError(
            "the output of the network does not come straight from an nn.Linear, so that there is no last layer; "
            'take subset="all", or end the network with its logits'
        )
    return same[-1]
