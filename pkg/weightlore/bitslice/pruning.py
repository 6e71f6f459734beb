"""Set small parameters to zero, and keep them there.

    prune(model, threshold)             small entries become 0; a mask for each parameter
    masked(optimizer, model, masks)     a maker of optimizers whose steps leave pruned entries alone

A mask is 1 where an entry stays. Gradients are multiplied by it before each step, so that an entry that is zero and has
no velocity stays exactly zero.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from weightlore.errors import ParameterError
from weightlore.parameters import Group, layout
from weightlore.training import MakeOptimizer

__all__ = ["masked", "prune"]

Masks = dict[str, Tensor]


def prune(model: nn.Module, threshold: float = 0.01, *, group: Group = None) -> Masks:
    """Set parameters below a threshold to zero, in place, and return which ones stay.

        M = [|W| >= threshold],   W <- W M

    Args:
        model: any module; its parameters are changed.
        threshold: absolute, >= 0, in the unit of the parameters; 0 prunes nothing.
        group: which parameters; ``None`` for all, gains and shifts of normalization layers included.

    Returns:
        For each parameter of the group its mask of zeros and ones, by its name in ``model.named_parameters()``.

    Raises:
        ParameterError: if the threshold is negative or not finite, or the group is empty.

    Source: [zhang2019bitslice], pruning by an absolute threshold
    """
    if not 0 <= threshold < float("inf"):
        raise ParameterError(f"threshold is a size of parameters, finite and >= 0, got {threshold}")
    parameters, masks = dict(model.named_parameters()), {}
    with torch.no_grad():
        for name in layout(model, group).names:
            masks[name] = (parameters[name].abs() >= threshold).to(parameters[name].dtype)
            parameters[name].mul_(masks[name])
    return masks


def masked(optimizer: MakeOptimizer, model: nn.Module, masks: Mapping[str, Tensor]) -> MakeOptimizer:
    """Return a maker of the same optimizer that moves only what the masks let move.

        g <- g M before every step

    With momentum that starts at zero, pruned entries stay exactly zero; weight decay does not move them either.

    Args:
        optimizer: makes the optimizer from parameters.
        model: whose parameters are trained.
        masks: by the names of ``model.named_parameters()``; a parameter without mask moves freely.

    Returns:
        A maker for ``training.fit``.

    Raises:
        ParameterError: if a mask belongs to no parameter, or has another shape.

    Source: [zhang2019bitslice], fine-tuning of what pruning left
    """
    known = dict(model.named_parameters())
    for name, mask in masks.items():
        if name not in known or known[name].shape != mask.shape:
            there = f"shape {tuple(known[name].shape)}" if name in known else "no such parameter"
            raise ParameterError(
                f"the mask of {name!r} has shape {tuple(mask.shape)}, the model {there}; prune it first"
            )
    pairs = [(known[name], mask) for name, mask in masks.items() if not bool(mask.all())]

    def hold(*_: Any) -> None:
        with torch.no_grad():
            for parameter, mask in pairs:
                if parameter.grad is not None:
                    parameter.grad.mul_(mask)

    def make(parameters: Iterable[nn.Parameter]) -> Optimizer:
        made = optimizer(parameters)
        made.register_step_pre_hook(hold)
        return made

    return make
