"""Weights of one bit: a sign for each, and one scale for each output.

A layer keeps a *latent* weight W of shape (O, I, ...), with n entries for each of its O outputs. It computes with the
closest two-valued weight, and the gradient found there is mapped back to the latent one [lu2020binary]:

    W <- clip(W - mean over I, -1, 1)                                      project_
    W~ = alpha sign(W),   alpha = mean |W| for each output                 binarize
    dC/dW_j = alpha G_j [|W_j| <= 1] + sign(W_j)/n sum_m G_m sign(W_m)     binary_gradient,  G = dC/dW~

    sign            +1 where W >= 0, -1 elsewhere: one bit, also at zero
    binary_weight   W~ as a function that autograd differentiates in this way

A filter of zeros has alpha = 0: a dead output, which is allowed.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from weightlore.binary.layers import require_channels, require_weight
from weightlore.errors import ParameterError, require_finite

__all__ = ["binarize", "binary_gradient", "binary_weight", "project_", "sign"]

BLOCK = 2**18  # entries at once: what is needed beside the result stays in the cache


def sign(x: Tensor) -> Tensor:
    """Return +1 where x >= 0 and -1 elsewhere.

    Args:
        x: any shape, floating, without NaN; -0.0 counts as zero.

    Returns:
        Signs in the shape and dtype of x; never 0, as ``torch.sign`` has it.

    Example:
        >>> sign(torch.tensor([-2.0, 0.0, 3.0]))
        tensor([-1.,  1.,  1.])

    Source: ours, because the authors' sign of zero is zero, which one bit cannot hold
    """
    return torch.ge(x.detach(), 0, out=torch.empty_like(x)).mul_(2).sub_(1)  # one new tensor, and four passes in place


def binarize(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return the scale and the signs that come closest to a weight in the L2 norm, for each output.

        alpha_o = mean |W_o|,   B_o = sign(W_o);    ||W_o - alpha_o B_o||^2 = ||W_o||^2 - n alpha_o^2

    Args:
        weight: latent weight, shape (O, I, ...), of a fully connected or convolutional layer.

    Returns:
        The scale alpha, shape (O,), in the unit of the weight, and the signs B, in the shape of the weight.

    Raises:
        ParameterError: if the weight is not a finite floating tensor of at least two dimensions.

    Example:
        >>> scale, signs = binarize(torch.tensor([[0.5, -1.5], [0.0, 0.0]]))
        >>> scale.tolist(), signs.tolist()
        ([1.0, 0.0], [[1.0, -1.0], [1.0, 1.0]])

    Source: [rastegari2016xnor], section 3.1; sign(0) = +1 is ours
    """
    weight = require_weight(weight)
    return weight.abs().flatten(1).mean(1), sign(weight)


def project_(weight: Tensor, *, center: bool = True, limit: float | None = 1.0) -> Tensor:
    """Center a latent weight over its input channels and clamp it, in place.

        W <- W - mean over dim 1,   W <- clip(W, -limit, limit)

    Clamping comes last, so that the mean can differ from zero afterwards.

    Args:
        weight: latent weight, shape (O, I, ...); changed in place.
        center: whether the mean over the I input channels is taken away, per output and kernel position.
        limit: largest magnitude, > 0; ``None`` for no clamping.

    Returns:
        The same tensor.

    Raises:
        ParameterError: if the weight is no finite weight, the limit is not positive, or there is one input channel,
            which centering would set to zero.

    Source: [lu2020binary], binary-weight training, steps 1 and 2 of the authors' code
    """
    require_weight(weight)
    if center:
        require_channels(weight)
    _require_limit(limit)
    with torch.no_grad():
        if center:
            weight.sub_(weight.mean(1, keepdim=True))
        return weight if limit is None else weight.clamp_(-limit, limit)


def binary_gradient(
    weight: Tensor, gradient: Tensor, *, center: bool = True, rescale: float | None = 1.0, limit: float | None = 1.0
) -> Tensor:
    """Return the gradient in the latent weight, given that in the binary one.

        dC/dW_j = alpha G_j [|W_j| <= limit] + sign(W_j)/n sum_m G_m sign(W_m),     times rescale (1 - 1/I) n

    The first line is the derivative of alpha sign(W) where the gradient passes straight through the sign. The factor is
    the diagonal of the centering's Jacobian and a number that makes Adam's epsilon and L2 decay negligible.

    Args:
        weight: latent weight W, shape (O, I, ...), centered and clamped.
        gradient: G = dC/dW~, same shape.
        center: whether the factor contains 1 - 1/I.
        rescale: further factor, > 0: 1 in the authors' code for small images, 1e9 in that for ImageNet; ``None`` leaves
            out the whole factor.
        limit: beyond which the sign lets no gradient through; ``None`` for nowhere.

    Returns:
        The gradient, in the shape of the weight.

    Raises:
        ParameterError: if weight or gradient is not finite, their shapes differ, or a factor of zero would kill the
            gradient.

    Source: [lu2020binary], binary-weight training, step 7 of the authors' code
    """
    require_weight(weight)
    if gradient.shape != weight.shape:
        raise ParameterError(
            f"the gradient must have the shape of the weight, {tuple(weight.shape)}, got {tuple(gradient.shape)}"
        )
    require_finite("the gradient in the binary weight", gradient)
    _require_limit(limit)
    if rescale is not None and not rescale > 0:
        raise ParameterError(f"rescale must be > 0, or None for the gradient without a factor, got {rescale}")
    if rescale is not None and center:
        require_channels(weight)
    return mapped(weight, gradient, center=center, rescale=rescale, limit=limit)


def mapped(weight: Tensor, gradient: Tensor, *, center: bool, rescale: float | None, limit: float | None) -> Tensor:
    """Return ``binary_gradient`` of what is known to be in order: the inner loop of training.

    Args:
        weight: latent weight.
        gradient: in the binary weight.
        center: as there.
        rescale: as there.
        limit: as there.

    Source: [lu2020binary], binary-weight training, step 7 of the authors' code
    """
    n, found = weight[0].numel(), torch.empty_like(weight)
    factor = 1.0 if rescale is None else rescale * n * (1 - 1 / weight.shape[1] if center else 1.0)
    shape = (-1, *[1] * (weight.ndim - 1))
    for w, g, out in _blocks(weight, gradient, found):
        torch.ge(w, 0, out=out).mul_(2).sub_(1)
        room = g * out
        turned = room.flatten(1).sum(1).mul_(factor / n).view(shape)
        alpha = torch.abs(w, out=room).flatten(1).mean(1).mul_(factor).view(shape)
        passed = g if limit is None else torch.le(room, limit, out=room).mul_(g)
        out.mul_(turned).addcmul_(passed, alpha)
    return found


def binary_weight(weight: Tensor, *, limit: float | None = 1.0) -> Tensor:
    """Return alpha sign(W), differentiable in the latent weight by ``binary_gradient`` without its factor.

    Args:
        weight: latent weight, shape (O, I, ...).
        limit: beyond which the sign lets no gradient through; ``None`` for nowhere.

    Returns:
        The binary weight W~, same shape, two values for each output.

    Raises:
        ParameterError: if the weight is no finite weight, or the limit is not positive.

    Source: [rastegari2016xnor], Algorithm 1; the derivative is that of [lu2020binary]
    """
    _require_limit(limit)
    return _Binary.apply(require_weight(weight), limit)


class _Binary(torch.autograd.Function):
    """alpha sign(W) forward, ``mapped`` backward."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, limit: float | None) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.limit = limit
        return closest_(weight.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (weight,) = ctx.saved_tensors
        return mapped(weight, gradients[0], center=False, rescale=None, limit=ctx.limit), None


def closest_(weight: Tensor) -> Tensor:
    """Turn a weight that is known to be in order into alpha sign(W), in place.

    Args:
        weight: shape (O, I, ...).

    Source: [rastegari2016xnor], section 3.1
    """
    shape = (-1, *[1] * (weight.ndim - 1))
    for (part,) in _blocks(weight):
        alpha = part.abs().flatten(1).mean(1).view(shape)
        part.ge_(0).mul_(2 * alpha).sub_(alpha)
    return weight


def _blocks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Cut tensors of one shape into the same runs of outputs."""
    size = tensors[0].numel()
    if size <= BLOCK:
        return iter([tensors])
    rows = max(1, BLOCK * len(tensors[0]) // size)
    return zip(*(tensor.split(rows) for tensor in tensors), strict=True)


def _require_limit(limit: float | None) -> None:
    if limit is not None and not limit > 0:
        raise ParameterError(f"limit is the largest magnitude of a latent weight and must be > 0, or None, got {limit}")
