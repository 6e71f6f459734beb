"""Training steps that charge a network for its weights or for its digits.

    l1_penalty(strength)            alpha / P sum |W| over all parameters of a model
    slice_l1_penalty(strength)      alpha / (K P) sum of digits over the quantized ones
    charged_step(penalty, base)     loss = base + penalty, a step for ``training.fit``
    none_penalty(strength)          nothing: plain fine-tuning, to compare with

A penalty is a function from a model to a scalar whose gradient is the penalty's.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from weightlore.bitslice.fixed_point import FixedPoint
from weightlore.bitslice.penalties import looked_up
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.parameters import Group, layout
from weightlore.training import Step, cross_entropy

__all__ = ["Penalty", "charged_step", "l1_penalty", "none_penalty", "require_strength", "slice_l1_penalty"]

Penalty = Callable[[nn.Module], Tensor]


def charged_step(penalty: Penalty | None, *, base: Step = cross_entropy) -> Step:
    """Return a training step that lowers the loss and a penalty together.

        loss = base(model, batch) + penalty(model)

    Args:
        penalty: from a model to a scalar; ``None`` gives the base step itself.
        base: the step whose loss is charged.

    Returns:
        A step for ``training.fit``.

    Source: [zhang2019bitslice], objective
    """
    if penalty is None:
        return base

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        loss = base(model, batch, generator)  # first: a fixed-point model remembers the codes of its forward pass
        return loss + penalty(model)

    return step


def none_penalty(strength: float = 0.0) -> Penalty | None:
    """Return no penalty, whatever the strength: plain fine-tuning.

    Args:
        strength: not used; methods that are compared are called alike.

    Source: ours
    """
    require_strength(strength)
    return None


def l1_penalty(strength: float, *, group: Group = None) -> Penalty | None:
    """Return the full-weight L1 penalty of a model.

        R = alpha / P sum |W|

    Args:
        strength: alpha, >= 0; 0 gives ``None``, no penalty. The authors take 10 for their small network and
            20 for the others.
        group: which parameters are charged; ``None`` for all, those of normalization layers included.

    Returns:
        A function from a model to R.

    Raises:
        ParameterError: if the strength is negative or not finite.

    Source: [zhang2019bitslice], the baseline
    """
    require_strength(strength)

    def penalty(model: nn.Module) -> Tensor:
        known, names = dict(model.named_parameters()), layout(model, group).names
        size = sum(known[name].numel() for name in names)
        total = sum((known[name].abs().sum() for name in names[1:]), known[names[0]].abs().sum())
        return total * (strength / size)

    return penalty if strength > 0 else None


def slice_l1_penalty(strength: float, *, slice_weights: Sequence[float] | None = None) -> Penalty | None:
    """Return the bit-slice L1 penalty of a fixed-point model.

        R = alpha / (K P) sum over quantized parameters and slices of lambda_k b_k

    Args:
        strength: alpha, >= 0; 0 gives ``None``, no penalty. The authors take 0.5.
        slice_weights: lambda, one for each slice, least significant first; ``None`` for ones.

    Returns:
        A function from a ``FixedPoint`` to R.

    Raises:
        ParameterError: if the strength is negative or not finite; from the penalty, if the model is not in fixed point.

    Source: [zhang2019bitslice], bit-slice L1; weights for slices are ours
    """
    require_strength(strength)
    weights = None if slice_weights is None else tuple(slice_weights)

    def penalty(model: nn.Module) -> Tensor:
        if not isinstance(model, FixedPoint):
            raise ParameterError(
                f"slices belong to a model in fixed point, got a {type(model).__name__}; train FixedPoint(model)"
            )
        parameters, parts = model.quantized(), []
        for name, parameter in parameters.items():
            index, step = model.index(name)
            parts.append(looked_up(parameter, index, step, model.bits, model.cell_bits, weights))
        size = sum(p.numel() for p in parameters.values())
        return torch.stack(parts).sum() * (strength * model.cell_bits / (model.bits * size))

    return penalty if strength > 0 else None


def require_strength(strength: float) -> None:
    """Check that a strength is a finite number of at least zero.

    Args:
        strength: alpha.

    Raises:
        ParameterError: if it is not.

    Source: ours
    """
    if not 0 <= strength < float("inf"):
        raise ParameterError(f"strength is alpha, a finite number >= 0, got {strength}")
