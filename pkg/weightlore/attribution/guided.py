"""Gradients that pass each ReLU by another rule.

For y = relu(z), with R the signal that comes back:

    gradient            R_z = 1[y > 0] R_y
    guided_backprop     R_z = 1[y > 0] 1[R_y > 0] R_y
    deconvnet           R_z =          1[R_y > 0] R_y

Everything else, max pooling too, is passed as the gradient passes it. Every ReLU must be a module, once or many times
called, in place or not: one that is a mere function is found and is an error.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from weightlore.attribution.operations import Call, Ruled, visits
from weightlore.attribution.outputs import Attribution, Output, chosen, frozen, pulled_back, require
from weightlore.errors import ParameterError

__all__ = ["deconvnet", "guided_backprop", "passed_back"]

Pass = Callable[[Tensor, Tensor], Tensor]  # from 1[y > 0], bool, and R_y to R_z


def guided_backprop(model: nn.Module, x: Tensor, target: int | Tensor, *, output: Output = "logit") -> Attribution:
    """Return the gradient that passes a ReLU only where both the activation and the signal are positive.

        R_z = 1[y > 0] 1[R_y > 0] R_y

    Args:
        model: in eval mode, with ReLU modules; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        output: whether f is the logit or the probability.

    Returns:
        The attribution, in units of the score per unit of the input, with no completeness.

    Raises:
        ParameterError: as ``require``; if the network has no ReLU, or one that is not a module.

    Source: [springenberg2015striving], guided backpropagation
    """
    return _guided(model, x, target, output, lambda active, signal: signal.clamp(min=0) * active)


def deconvnet(model: nn.Module, x: Tensor, target: int | Tensor, *, output: Output = "logit") -> Attribution:
    """Return the signal that passes a ReLU where the signal is positive, whatever the activation.

        R_z = 1[R_y > 0] R_y

    Args:
        model: in eval mode, with ReLU modules; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        output: whether f is the logit or the probability.

    Returns:
        The attribution, in units of the score per unit of the input, with no completeness.

    Raises:
        ParameterError: as ``guided_backprop``.

    Source: [zeiler2014visualizing], section 2.1, as [springenberg2015striving] restates it
    """
    return _guided(model, x, target, output, lambda active, signal: signal.clamp(min=0))


def passed_back(
    model: nn.Module, x: Tensor, target: int | Tensor, *, rule: Pass, output: Output = "logit"
) -> tuple[Tensor, int]:
    """Return the gradient under a rule for ReLU, and how many ReLUs it has passed.

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,), int64.
        rule: from 1[y > 0], bool, and R_y to R_z, all of one shape.
        output: whether f is the logit or the probability.

    Returns:
        The signal at the input, shaped like x, and the number of ReLU calls; without any it is the gradient.

    Raises:
        ParameterError: as ``require``; if a ReLU is not a module.

    Source: ours, for both rules in one place
    """
    classes = require(model, x, target)
    with frozen(model), torch.inference_mode(False), torch.enable_grad(), visits(model) as seen:
        passed = 0

        def ruled(call: Call) -> Any:
            nonlocal passed
            if call.name != "relu":
                return call.direct()
            if not seen.running or not isinstance(seen.running[-1], nn.ReLU):
                raise ParameterError(
                    "the network calls ReLU as a function (F.relu, torch.relu or x.relu()); guided rules need modules: "
                    "make an nn.ReLU() in its __init__ and call that"
                )
            passed += 1
            return call.written(_Passed.apply(call.inputs[0], rule))

        inputs = x.detach().clone().requires_grad_()
        with Ruled(ruled):
            logits = model(inputs.clone())
        return pulled_back(chosen(logits, classes, output), inputs), passed


class _Passed(torch.autograd.Function):
    """ReLU forward, a rule backward."""

    @staticmethod
    def forward(ctx: Any, z: Tensor, rule: Pass) -> Tensor:
        """Return relu(z), and remember where it is positive."""
        ctx.save_for_backward(z > 0)
        ctx.rule = rule
        return z.clamp(min=0)

    @staticmethod
    def backward(ctx: Any, *signals: Tensor) -> tuple[Tensor | None, ...]:
        """Return the rule's signal at z."""
        (active,) = ctx.saved_tensors
        return ctx.rule(active, signals[0]), None


def _guided(model: nn.Module, x: Tensor, target: int | Tensor, output: Output, rule: Pass) -> Attribution:
    signal, passed = passed_back(model, x, target, rule=rule, output=output)
    if passed == 0:
        raise ParameterError(
            "guided rules change how a signal passes ReLU modules, and the network calls none: without them they are "
            "the gradient, so use that"
        )
    return Attribution(signal, None, output)
