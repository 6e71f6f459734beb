"""What is attributed: the score of one class, as a logit or as a probability, and its gradient at the input.

    scores(model, x, target)           f_n = S_c(x_n), or P_c(x_n)
    input_gradient(model, x, target)   d sum_n weights_n f_n / dx, all examples in one backward pass
    require(model, x, target)          what every method asks of a model in eval mode, an input and a class

With probabilities the gradient is a competition between classes and fades where the network is sure:
dP_c = P_c sum_k P_k (dS_c - dS_k). So every result says which of the two was attributed. The class is always told:
explaining whatever class a network predicts would change class and parameters together.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from weightlore.errors import ParameterError, require_finite, require_option

__all__ = ["Attribution", "Method", "Output", "chosen", "frozen", "input_gradient", "pulled_back", "require", "scores"]

Output = Literal["logit", "probability"]


@dataclass(frozen=True)
class Attribution:
    """How much each entry of an input counts for the score of a class.

    Args:
        values: signed, detached, shaped like the input, (N, ...), in units of the score where the method promises
            completeness, else in those of its formula.
        gap: what is missing to completeness, sum(values) - (f(x) - f(b)), shape (N,), in units of the score; ``None``
            where the method promises none.
        output: what was attributed.

    Source: ours
    """

    values: Tensor
    gap: Tensor | None
    output: Output


Method: TypeAlias = Callable[[nn.Module, Tensor, Tensor], Attribution]


def require(model: nn.Module, x: Tensor, target: int | Tensor) -> Tensor:
    """Return the class of each example, if model, input and class can be used.

    That a class is below C shows when the network runs: ``chosen`` checks it.

    Args:
        model: in eval mode with all its parts; otherwise batch normalization would mix the examples.
        x: inputs, shape (N, ...), N >= 1, finite, in the dtype of the parameters.
        target: one class for all examples, or shape (N,), int64.

    Returns:
        The classes, shape (N,), int64, on the device of x.

    Raises:
        ParameterError: if one of them cannot be used.

    Source: ours
    """
    training = [name or "the network itself" for name, module in model.named_modules() if module.training]
    if training:
        raise ParameterError(
            f"the network must be in eval mode, but {len(training)} of its parts train, first {training[0]!r}: batch "
            "normalization would mix the examples and dropout would be random; call model.eval()"
        )
    mixing = [n for n, m in model.named_modules() if isinstance(m, _BatchNorm) and m.running_mean is None]
    if mixing:
        raise ParameterError(
            f"{mixing[0]!r} normalizes by the statistics of the batch also in eval mode, which mixes the examples: "
            "keep track_running_stats=True"
        )
    if x.ndim < 2 or len(x) == 0 or not x.is_floating_point():
        raise ParameterError(
            f"x must be a batch of at least one example, shape (N, ...), floating, got shape {tuple(x.shape)}, "
            f"{x.dtype}; a single example x goes in as x[None]"
        )
    dtypes = {p.dtype for p in model.parameters() if p.is_floating_point()}
    if dtypes and x.dtype not in dtypes:
        wanted = min(dtypes, key=str)
        raise ParameterError(f"x must be {wanted} as the parameters are, got {x.dtype}; use x.to({wanted})")
    require_finite("x", x)
    return _classes(x, target)


def chosen(logits: Tensor, target: Tensor, output: Output = "logit") -> Tensor:
    """Return the score of one class for each example, differentiable in the logits.

    Args:
        logits: shape (N, C).
        target: classes, shape (N,), int64, >= 0.
        output: ``"logit"`` for S_c, ``"probability"`` for P_c = softmax(S)_c.

    Returns:
        f, shape (N,).

    Raises:
        ParameterError: if the logits have another shape, a class is not below C, or there is no such output.

    Example:
        >>> chosen(torch.tensor([[1.0, 1.0], [0.0, 2.0]]), torch.tensor([0, 1]), "probability")
        tensor([0.5000, 0.8808])

    Source: ours
    """
    require_option("output", output, Output)
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(target):
        came = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise ParameterError(
            f"the network must return logits of shape ({len(target)}, C), one row a row of x, got {came}"
        )
    if int(target.max()) >= logits.shape[1]:
        raise ParameterError(f"classes lie between 0 and {logits.shape[1] - 1}, got a target of {int(target.max())}")
    if output == "logit":
        return logits.gather(1, target[:, None]).squeeze(1)
    if logits.shape[1] == 1:
        raise ParameterError(
            "the softmax of one logit is always 1: attribute the logit, or give the network two classes"
        )
    return logits.softmax(dim=1).gather(1, target[:, None]).squeeze(1)


def scores(model: nn.Module, x: Tensor, target: int | Tensor, output: Output = "logit") -> Tensor:
    """Return the score that is attributed, f_n = S_c(x_n) or P_c(x_n).

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,).
        output: ``"logit"`` or ``"probability"``.

    Returns:
        f, shape (N,), detached.

    Raises:
        ParameterError: as ``require`` and ``chosen``, or if a score is not finite.

    Source: ours
    """
    classes = require(model, x, target)
    with torch.no_grad():
        return require_finite("the score", chosen(model(x), classes, output))


def input_gradient(
    model: nn.Module, x: Tensor, target: int | Tensor, output: Output = "logit", weights: Tensor | None = None
) -> Tensor:
    """Return the gradient of the scores with respect to the input, for all examples in one backward pass.

        d sum_n weights_n f_n / dx

    In eval mode examples do not act on one another, so row n is weights_n df_n/dx_n. Parameters get no graph and no
    gradient; their flags are as before, also after an exception.

    Args:
        model: in eval mode; returns logits, shape (N, C).
        x: inputs, shape (N, ...).
        target: one class, or one for each example, shape (N,).
        output: ``"logit"`` or ``"probability"``.
        weights: shape (N,), dtype of x; ``None`` for ones.

    Returns:
        The gradient, shaped like x, detached.

    Raises:
        ParameterError: as ``require`` and ``chosen``; if a gradient is not finite, or the score has no gradient.

    Source: [simonyan2014deep], section 3
    """
    classes = require(model, x, target)
    if weights is not None and weights.shape != x.shape[:1]:
        raise ParameterError(f"weights must hold one number an example, ({len(x)},), got {tuple(weights.shape)}")
    with frozen(model), torch.inference_mode(False), torch.enable_grad():
        inputs = x.detach().clone().requires_grad_()
        score = chosen(model(inputs.clone()), classes, output)  # a copy, because a first layer may work in place
        return pulled_back(score, inputs, weights)


def pulled_back(score: Tensor, inputs: Tensor, signal: Tensor | None = None) -> Tensor:
    """Return the signal that reaches the inputs when one starts at each score and runs backward.

    Args:
        score: shape (N,), in the graph of the inputs.
        inputs: what requires the gradient.
        signal: what starts at each score, shape (N,); ``None`` for ones.

    Returns:
        The signal, shaped like the inputs, detached.

    Raises:
        ParameterError: if the score does not depend on the inputs in a differentiable way, or the signal is not finite.

    Source: ours
    """
    if not score.requires_grad:
        raise ParameterError("the score has no gradient: the network must not detach its input or round it")
    start = torch.ones_like(score) if signal is None else signal.to(score)
    (found,) = torch.autograd.grad(score, inputs, start, materialize_grads=True)
    return require_finite("what runs back from the score", found)


@contextmanager
def frozen(model: nn.Module) -> Iterator[nn.Module]:
    """Let the parameters of a model need no gradient for a while; afterwards their flags are as before.

    A backward pass to the input is then not charged for the parameters.

    Args:
        model: any module.

    Source: ours
    """
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for parameter, _ in flags:
            parameter.requires_grad_(False)
        yield model
    finally:
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def _classes(x: Tensor, target: int | Tensor) -> Tensor:
    """Return one class for each example."""
    if isinstance(target, int) and not isinstance(target, bool):
        target = torch.tensor(target)
    if not isinstance(target, Tensor) or target.dtype != torch.int64 or target.shape not in ((len(x),), ()):
        came = f"shape {tuple(target.shape)}, {target.dtype}" if isinstance(target, Tensor) else repr(target)
        raise ParameterError(f"target must be one class, or one for each of the {len(x)} examples, int64, got {came}")
    with torch.inference_mode(False):
        classes = target.to(x.device).expand(len(x)).clone()
    if int(classes.min()) < 0:
        raise ParameterError(f"classes are counted from 0, got a target of {int(classes.min())}")
    return classes
