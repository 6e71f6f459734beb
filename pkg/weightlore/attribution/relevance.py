"""Relevance that flows backward layer by layer and is kept, up to what biases and epsilon absorb.

    z_j = sum_i a_i w_ij + b_j
    R_i = sum_j a_i w_ij / (z_j + eps sgn(z_j)) R_j,   sgn(0) = +1

It starts with the logit at its class, passes elementwise non-linearities unchanged, and all of it goes to the winner of
a maximum. Average pooling, batch normalization in eval mode and residual additions are layers that add up like any
other. As eps goes to 0, a network of ReLU, maxima and linear layers gives the gradient times the input, biases or not.
"""

from typing import Any

import torch
from torch import Tensor, nn

from weightlore.attribution.operations import Call, Ruled, unruled
from weightlore.attribution.outputs import Attribution, Output, chosen, frozen, pulled_back, require
from weightlore.errors import ParameterError

__all__ = ["lrp_epsilon"]


def lrp_epsilon(
    model: nn.Module, x: Tensor, target: int | Tensor, *, epsilon: float = 1e-6, output: Output = "logit"
) -> Attribution:
    """Return the relevance of each input by the epsilon rule.

        R_i = sum_j a_i w_ij / (z_j + eps sgn(z_j)) R_j

    For a probability relevance starts at all logits, R_k = S_k dP_c/dS_k, as the limit of small epsilon asks.

    Args:
        model: in eval mode, of layers that add up, elementwise non-linearities and max pooling; returns logits, (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        epsilon: > 0, in units of the activations; it absorbs relevance where a sum is small.
        output: whether f is the logit or the probability.

    Returns:
        The relevance, in units of the score; its gap is what was lost on the way, sum(values) minus the relevance that
        started: for a logit sum(values) - f(x), with no baseline. Biases and epsilon absorb it.

    Raises:
        ParameterError: as ``require``; if epsilon is not positive, or an operation has no rule.

    Source: [bach2015lrp], the rule with a stabilizer; the start for probabilities is ours
    """
    if not 0 < epsilon < float("inf"):
        raise ParameterError(f"epsilon keeps sums away from zero and must be a finite number > 0, got {epsilon}")
    classes = require(model, x, target)

    def rule(call: Call) -> Any:
        match call.kind:
            case "sum":
                return call.written(_Shared.apply(call, epsilon, *call.inputs))
            case "elementwise":
                return call.written(_Kept.apply(call, call.inputs[0]))
            case "moved" | "maximum":
                return call.moved()
        raise unruled(call, "relevance propagation")

    with frozen(model), torch.inference_mode(False), torch.enable_grad():
        inputs = x.detach().clone().requires_grad_()
        with Ruled(rule):
            logits = model(inputs.clone())
        score = chosen(logits, classes, output)
        start = logits.detach() * pulled_back(score, logits)  # (N, C); for f = S_c it is S_c at class c
        values = pulled_back((logits * start).sum(1), inputs)
    return Attribution(values, values.flatten(1).sum(1) - start.sum(1), output)


class _Kept(torch.autograd.Function):
    """An elementwise function whose relevance passes unchanged."""

    @staticmethod
    def forward(ctx: Any, call: Call, z: Tensor) -> Tensor:
        """Return what the operation gives."""
        return call.at(z)

    @staticmethod
    def backward(ctx: Any, *relevance: Tensor) -> tuple[Tensor | None, ...]:
        """Return the relevance as it came."""
        return None, relevance[0]


class _Shared(torch.autograd.Function):
    """A layer that adds up, whose relevance is shared among its inputs by the epsilon rule."""

    @staticmethod
    def forward(ctx: Any, call: Call, epsilon: float, *inputs: Tensor) -> Tensor:
        """Return what the operation gives, and remember how it came about."""
        with torch.enable_grad():
            leaves = tuple(one.detach().clone().requires_grad_() for one in inputs)
            z = call.at(*leaves)
        ctx.inner, ctx.epsilon = (leaves, z), epsilon
        return z.detach().clone()

    @staticmethod
    def backward(ctx: Any, *relevance: Tensor) -> tuple[Tensor | None, ...]:
        """Return a_i sum_j w_ij R_j / (z_j + eps sgn(z_j)) for each input."""
        leaves, z = ctx.inner
        plain, epsilon = z.detach(), ctx.epsilon
        stable = torch.where(plain >= 0, plain + epsilon, plain - epsilon)
        passed = torch.autograd.grad(z, leaves, relevance[0] / stable)
        return None, None, *(leaf.detach() * one for leaf, one in zip(leaves, passed, strict=True))
