"""Gradients that a step finds itself, instead of leaving them to ``backward``.

Some steps mix the gradients of several passes, or take them elsewhere than they apply them. Their loss is a number
with gradients beside it:

    Given(loss, parameters, gradients)   what such a step finds
    GivenStep(find)                      the step for ``training.fit``, which takes the gradients as they come

For anybody else the step returns a loss on which ``backward`` gives those gradients. ``fit`` does without: a graph that
computes nothing costs as much as a fifth of a plain step where networks are as small as the digits MLP.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from weightlore.data import Split

__all__ = ["Given", "GivenStep"]

Gradients = Sequence[Tensor | None]


@dataclass(frozen=True)
class Given:
    """A loss with its gradients.

    Args:
        loss: the number, shape ().
        parameters: what it is a function of; all require gradients.
        gradients: one for each, of its shape, or ``None`` for no gradient; held by nobody else.

    Source: ours
    """

    loss: Tensor
    parameters: Sequence[nn.Parameter]
    gradients: Gradients

    def connected(self) -> Tensor:
        """Return the loss on which ``backward`` gives the gradients, times the factors of the loss."""
        found: Tensor = _Connected.apply(self.loss, self.gradients, *self.parameters)
        return found

    def leave(self) -> None:
        """Add the gradients to those of the parameters, as ``connected().backward()`` does, bit for bit.

        They are handed over, not copied. Where a parameter has hooks the graph is taken, so that they are called.
        """
        if any(p._backward_hooks or p._post_accumulate_grad_hooks for p in self.parameters):
            self.connected().backward()
            return
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            if parameter.grad is None:
                parameter.grad = gradient
            elif gradient is not None:
                parameter.grad.add_(gradient)


class GivenStep:
    """A step for ``training.fit`` that finds the gradients itself.

    Args:
        find: returns loss and gradients from (model, batch, generator).

    Source: ours
    """

    def __init__(self, find: Callable[[nn.Module, Split, torch.Generator], Given]) -> None:
        self.find = find

    def __call__(self, model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        """Return the loss of a batch; ``backward`` on it gives the gradients that were found.

        Args:
            model: given to ``find``, as is the rest.
            batch: examples.
            generator: of all that is random.
        """
        return self.find(model, batch, generator).connected()


class _Connected(torch.autograd.Function):
    """A number whose gradients in the parameters are given."""

    @staticmethod
    def forward(ctx: Any, loss: Tensor, gradients: Gradients, *parameters: Tensor) -> Tensor:
        ctx.gradients = gradients
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        if float(outer[0]) == 1.0:  # as ``loss.backward()`` has it
            return None, None, *ctx.gradients
        return None, None, *(None if gradient is None else gradient * outer[0] for gradient in ctx.gradients)
