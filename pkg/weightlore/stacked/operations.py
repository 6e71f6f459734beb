"""The operations of a network on many copies at once, examples last.

A value has shape (S, features..., N): copies first, examples last. S is 1 as long as the copies do not differ, so a
layer that all copies share is computed once. With examples last, a linear layer is one matrix product per copy, a
convolution too (on patches), pooling and non-linearities run along contiguous memory, and flattening is free.

    affine       W h + b, for linear layers and convolutions
    patches      the windows that a convolution looks at
    max_pool, average_pool, batch_norm, layer_norm, flatten_to

Parameters carry the copies in front too: a weight has shape (S, O, ...), where S is 1 for one that all copies share.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

__all__ = ["affine", "average_pool", "batch_norm", "examples_last", "flatten_to", "layer_norm", "max_pool", "patches"]


def examples_last(x: Tensor) -> Tensor:
    """Turn a batch of inputs into a value that all copies share.

    Args:
        x: shape (N, features...).

    Returns:
        Shape (1, features..., N), contiguous.

    Source: ours
    """
    return x.movedim(0, -1).unsqueeze(0).contiguous()


def affine(h: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Return W h + b for every copy, as one product where the copies share h and one per copy where they do not.

    Args:
        h: shape (S or 1, I, places..., N): a product is taken at every place and example.
        weight: shape (S or 1, O, ...) with I entries per output.
        bias: shape (S or 1, O), or ``None``.

    Returns:
        Shape (S or 1, O, places..., N).

    Source: ours
    """
    weight, columns = weight.flatten(2), h.flatten(2)
    if len(columns) == 1:
        out = _shared_product(columns[0], weight, bias)
    else:
        weight = weight.expand(len(columns), -1, -1)
        out = weight @ columns if bias is None else torch.baddbmm(bias.unsqueeze(2), weight, columns)
    return out.view(len(out), weight.shape[1], *h.shape[2:])


def _shared_product(columns: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply columns (I, M) that all copies share: the copies' weights are rows of one tall matrix."""
    tall, shape = weight.flatten(0, 1), (len(weight), weight.shape[1], -1)
    if bias is None:
        return (tall @ columns).view(shape)
    if len(bias) > len(weight):  # only the biases differ
        return (tall @ columns).view(shape) + bias.unsqueeze(2)
    rows = bias.expand(len(weight), -1).reshape(-1, 1)
    return torch.addmm(rows, tall, columns).view(shape)


def patches(h: Tensor, kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int]) -> Tensor:
    """Return the windows that a convolution looks at.

    Args:
        h: shape (S, C, height, width, N).
        kernel: height and width of a window.
        stride: steps between windows.
        padding: rows and columns of zeros around the picture.

    Returns:
        Shape (S, C * kernel height * kernel width, windows down, windows across, N), a convolution's weight order.

    Source: ours
    """
    if any(padding):
        h = F.pad(h, (0, 0, padding[1], padding[1], padding[0], padding[0]))
    windows = h.unfold(2, kernel[0], stride[0]).unfold(3, kernel[1], stride[1])
    return windows.permute(0, 1, 5, 6, 2, 3, 4).flatten(1, 3)


def max_pool(h: Tensor, kernel: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Return the largest entry of every window, per channel and example.

    Args:
        h: shape (S, C, height, width, N).
        kernel: height and width of a window.
        stride: steps between windows.

    Returns:
        Shape (S, C, windows down, windows across, N).

    Source: ours
    """
    return _pool(h, kernel, stride, torch.maximum)


def average_pool(h: Tensor, kernel: tuple[int, int], stride: tuple[int, int]) -> Tensor:
    """Return the mean of every window, per channel and example; arguments and result as ``max_pool``.

    Source: ours
    """
    return _pool(h, kernel, stride, torch.add) / (kernel[0] * kernel[1])


def _pool(h: Tensor, kernel: tuple[int, int], stride: tuple[int, int], join: Callable[..., Tensor]) -> Tensor:
    for dim, size, step in zip((2, 3), kernel, stride, strict=True):  # rows, then columns
        last = h.shape[dim] - size
        parts = [h[(slice(None),) * dim + (slice(k, k + last + 1, step),)] for k in range(size)]
        h = parts[0]
        for part in parts[1:]:
            h = join(h, part)
    return h


def batch_norm(h: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    """Normalize every channel by its running statistics, as batch normalization does in evaluation.

    Args:
        h: shape (S or 1, C, places..., N).
        weight: gain, shape (S or 1, C), or ``None``.
        bias: shape (S or 1, C), or ``None``.
        mean: running mean, shape (1, C).
        var: running variance, shape (1, C).
        eps: added to the variance.

    Returns:
        Shape (S or 1, C, places..., N).

    Source: [ioffe2015batchnorm], Algorithm 2
    """
    scale = (var + eps).rsqrt() if weight is None else weight * (var + eps).rsqrt()
    shift = -mean * scale if bias is None else bias - mean * scale
    places = (1,) * (h.ndim - 2)
    return torch.addcmul(shift.view(*shift.shape, *places), h, scale.view(*scale.shape, *places))


def layer_norm(h: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """Normalize all features of an example together.

    Args:
        h: shape (S or 1, features..., N).
        weight: gain, shape (S or 1, features...), or ``None``.
        bias: shape (S or 1, features...), or ``None``.
        eps: added to the variance.

    Returns:
        Shape (S or 1, features..., N).

    Source: [ba2016layernorm], Eq. (4)
    """
    features = tuple(range(1, h.ndim - 1))
    var, mean = torch.var_mean(h, dim=features, correction=0, keepdim=True)
    h = (h - mean) * (var + eps).rsqrt()
    h = h if weight is None else h * weight.unsqueeze(-1)
    return h if bias is None else h + bias.unsqueeze(-1)


def flatten_to(h: Tensor, features: tuple[int, ...]) -> Tensor:
    """Give the features of a value another shape; their order stays.

    Args:
        h: shape (S, ..., N).
        features: the new shape, of as many entries.

    Returns:
        Shape (S, features..., N), a view where memory allows.

    Source: ours
    """
    return h.reshape(len(h), *features, h.shape[-1])
