"""The loss of a network as a function of the corruption of its parameters.

With theta the parameters of a group, a a corruption and D the data:

    L(theta + a; D)         measure(model, data, corruption=a)        with the accuracy
    grad L(theta + a; D)    loss_gradient(model, data, corruption=a)
    H(theta) v              hessian_vector(model, data, v)

Means over all of the data, batch by batch, in evaluation mode (running statistics are used and not updated, dropout is
off). The model, its gradients, modes and buffers, and the global random state are left as they are.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.corruption.arguments import require_whole
from weightlore.data import Split
from weightlore.data.split import require_labels
from weightlore.errors import ParameterError, require_finite
from weightlore.parameters import Group, call, flatten

__all__ = ["Loss", "Measurement", "at_rest", "hessian_vector", "loss_gradient", "measure"]

Loss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Measurement:
    """How a network does on data.

    Args:
        loss: mean loss; infinite or NaN where the model's output is.
        accuracy: share of examples whose largest output is the target's; NaN where targets are not classes.

    Source: ours
    """

    loss: float
    accuracy: float


def measure(
    model: nn.Module,
    data: Split,
    *,
    corruption: Tensor | None = None,
    group: Group = None,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 1000,
) -> Measurement:
    """Return loss and accuracy of a model whose parameters are corrupted.

    Args:
        model: any module with floating-point parameters; left as it is.
        data: N >= 1 examples of the parameters' dtype and device.
        corruption: added to the parameters of the group, shape (P,), finite; ``None`` for none.
        group: which parameters; ``None`` for all.
        loss: of (output, target), the mean over a batch, shape ().
        batch_size: examples at once, >= 1.

    Returns:
        Mean loss and accuracy over the data.

    Raises:
        ParameterError: if data and model do not fit, the group is empty, the corruption has another length, or data or
            corruption are not finite.

    Source: ours
    """
    theta = _corrupted(flatten(model, group), corruption)
    total, right, classes = 0.0, 0, True
    with at_rest(model), torch.no_grad():
        for batch in _batches(data, theta, batch_size):
            output = call(model, theta, batch.x, group)
            total += float(_mean(loss, output, batch.y)) * len(batch)
            classes = classes and not batch.y.is_floating_point() and output.shape[:-1] == batch.y.shape
            right += int((output.argmax(dim=-1) == batch.y).sum()) if classes else 0
    return Measurement(total / len(data), right / data.y.numel() if classes else float("nan"))


def loss_gradient(
    model: nn.Module,
    data: Split,
    *,
    corruption: Tensor | None = None,
    group: Group = None,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 1000,
) -> Tensor:
    """Return the gradient of the mean loss over all of the data.

        g = sum over batches of |batch|/N grad L(theta + a; batch)

    Args:
        model: any module with floating-point parameters; left as it is.
        data: N >= 1 examples of the parameters' dtype and device.
        corruption: where, relative to the parameters, shape (P,); ``None`` at the parameters themselves.
        group: which parameters; ``None`` for all. Frozen ones do not count; unused ones have gradient zero.
        loss: of (output, target), the mean over a batch, shape ().
        batch_size: examples at once, >= 1; only rounding depends on it.

    Returns:
        The gradient, shape (P,), loss units per parameter unit.

    Raises:
        ParameterError: as ``measure``; also if the gradient is not finite, as that of a diverged model.

    Source: ours
    """
    theta = _corrupted(flatten(model, group), corruption)
    gradient = torch.zeros_like(theta)
    with at_rest(model), torch.enable_grad():
        for batch in _batches(data, theta, batch_size):
            leaf = theta.clone().requires_grad_()
            value = _mean(loss, call(model, leaf, batch.x, group), batch.y)
            gradient += _derivative(value, leaf) * (len(batch) / len(data))
    return require_finite("the gradient", gradient)


def hessian_vector(
    model: nn.Module,
    data: Split,
    vector: Tensor,
    *,
    group: Group = None,
    loss: Loss = nn.functional.cross_entropy,
    batch_size: int = 1000,
) -> Tensor:
    """Return the Hessian of the mean loss times a vector, without forming the Hessian.

        H v = grad (grad L . v)

    Args:
        model: any module with floating-point parameters; left as it is.
        data: N >= 1 examples of the parameters' dtype and device.
        vector: shape (P,), finite, of the parameters' dtype.
        group: which parameters; ``None`` for all.
        loss: of (output, target), the mean over a batch, shape ().
        batch_size: examples at once, >= 1.

    Returns:
        The product, shape (P,).

    Raises:
        ParameterError: as ``measure``, or if the product is not finite, as that of a diverged model.

    Source: ours, two backward passes
    """
    theta = flatten(model, group)
    _corrupted(theta, vector)
    product = torch.zeros_like(theta)
    with at_rest(model), torch.enable_grad():
        for batch in _batches(data, theta, batch_size):
            leaf = theta.clone().requires_grad_()
            value = _mean(loss, call(model, leaf, batch.x, group), batch.y)
            slope = _derivative(value, leaf, again=True) @ vector.detach()
            product += _derivative(slope, leaf) * (len(batch) / len(data))
    return require_finite("the product", product)


@contextmanager
def at_rest(model: nn.Module) -> Iterator[nn.Module]:
    """Put a model into evaluation mode for a while; modes and the global random state are as before afterwards.

    Args:
        model: any module; each of its modules gets its own mode back, also after an exception.

    Source: ours
    """
    modes = [(module, module.training) for module in model.modules()]
    with torch.random.fork_rng(devices=[]):
        try:
            model.eval()
            yield model
        finally:
            for module, training in modes:
                module.training = training


def _derivative(value: Tensor, theta: Tensor, again: bool = False) -> Tensor:
    """Derivative of a scalar, zero where it does not depend on theta."""
    if not value.requires_grad:
        return torch.zeros_like(theta)
    (found,) = torch.autograd.grad(value, theta, create_graph=again, allow_unused=True)
    return torch.zeros_like(theta) if found is None else found


def _corrupted(theta: Tensor, corruption: Tensor | None) -> Tensor:
    if corruption is None:
        return theta
    if corruption.shape != theta.shape:
        raise ParameterError(
            f"a corruption of this group must have shape {tuple(theta.shape)}, got {tuple(corruption.shape)}"
        )
    return theta + require_finite("the corruption", corruption).to(theta)


def _batches(data: Split, theta: Tensor, batch_size: int) -> Iterator[Split]:
    """Cut the data into batches after checking that they fit the parameters."""
    if len(data) == 0:
        raise ParameterError("data must have at least one example to take a mean over, got none")
    require_whole("batch_size", batch_size)
    if batch_size < 1:
        raise ParameterError(f"batch_size counts examples and must be >= 1, got {batch_size}")
    if data.x.device != theta.device or data.y.device != theta.device:
        raise ParameterError(
            f"the model is on {theta.device}, the data on {data.x.device} and {data.y.device}; move one of them, "
            f"for example data.to(device={str(theta.device)!r})"
        )
    if data.x.is_floating_point() and data.x.dtype != theta.dtype:
        raise ParameterError(
            f"the model is {theta.dtype}, the data {data.x.dtype}; convert one of them, for example "
            f"data.to(dtype={theta.dtype})"
        )
    require_finite("the inputs of data", data.x), require_finite("the targets of data", data.y)
    for start in range(0, len(data), batch_size):
        yield data[start : start + batch_size]


def _mean(loss: Loss, output: Tensor, target: Tensor) -> Tensor:
    """The loss of a batch, if targets are what the loss can read and the result is one number."""
    if loss is nn.functional.cross_entropy and not target.is_floating_point() and output.ndim > 1:
        require_labels(target, output.shape[1])
    value = loss(output, target)
    if value.ndim != 0:
        raise ParameterError(
            f"loss must return the mean over the batch, of shape (), got shape {tuple(value.shape)}; use "
            'reduction="mean"'
        )
    return value
