"""Which parameters a Laplace approximation covers.

covered_by      names of the parameters: all but those of normalizations, or those of the last layer
"""

import warnings
from typing import Literal

from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks.readouts import last_linear
from weightlore.parameters.groups import NORMALIZATION, members
from weightlore.uncertainty.warned import UncertaintyWarning

__all__ = ["Subset", "covered_by"]

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
