"""Two linear maps in a row become one, so that a spiking layer has one map before its neurons.

    gamma (W h + b - mu) / sigma + beta  =  (gamma / sigma) W h + (b - mu) gamma / sigma + beta     fold_norm
    average of 2x2 outputs of a 3x3 kernel  =  one 4x4 kernel of half the resolution                pooled_convolution

Both are exact up to rounding. What depends on the other examples of a batch, or on all units of a layer, is no fixed
linear map and cannot be folded.
"""

import copy

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError

__all__ = ["Norm", "Weighted", "fold_norm", "pair", "pooled_convolution"]

Weighted = nn.Linear | nn.Conv2d
Norm = nn.BatchNorm1d | nn.BatchNorm2d


def fold_norm(layer: Weighted, norm: Norm) -> Weighted:
    """Return a copy of a layer that also does what a batch normalization behind it does in eval mode.

        W' = (gamma / sigma) W,   b' = (b - mu) gamma / sigma + beta,   sigma = sqrt(var + eps)

    Args:
        layer: ``nn.Linear`` or ``nn.Conv2d`` with C outputs, with or without bias.
        norm: batch normalization of C channels with running statistics; without gain and shift they are 1 and 0.

    Returns:
        The layer with bias, in the dtype that it had. Both arguments stay as they are.

    Raises:
        ParameterError: if the normalization keeps no running statistics, or counts other channels.

    Source: [rueckauer2017conversion], batch normalization
    """
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ParameterError(
            "batch normalization without running statistics depends on the batch and cannot be folded; "
            "train with track_running_stats=True"
        )
    if len(mean) != len(layer.weight):
        raise ParameterError(
            f"a normalization of {len(mean)} channels cannot stand behind a layer with {len(layer.weight)} outputs; "
            "give both the same number"
        )
    share = (variance + norm.eps).rsqrt()
    scale = share if norm.weight is None else share * norm.weight
    shift = -mean * scale if norm.bias is None else norm.bias - mean * scale
    folded = copy.deepcopy(layer)
    with torch.no_grad():
        folded.weight.mul_(_beside(scale, layer.weight))
        bias = shift if layer.bias is None else layer.bias * scale + shift
        folded.bias = nn.Parameter(bias.detach().to(layer.weight.dtype).clone())
    return folded


def pooled_convolution(layer: nn.Conv2d, pool: nn.AvgPool2d) -> nn.Conv2d:
    """Return the one convolution that a convolution and the average pooling behind it are.

    A window of p x p outputs of a k x k kernel sees (k + p - 1) x (k + p - 1) inputs, at the stride of the pooling:

        K'[i, j] = 1/p^2 sum over u, v < p of  K[i - u, j - v]

    Args:
        layer: a convolution of stride and dilation 1 with zero padding.
        pool: average pooling without padding and without smaller windows at the end (``ceil_mode``).

    Returns:
        A convolution with the same bias; both arguments stay as they are.

    Raises:
        ParameterError: if stride, dilation, padding or pooling are of another kind.

    Source: [lu2020binary], pooling before the non-linearity; the single kernel is ours
    """
    plain = layer.stride == (1, 1) and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    if not plain or isinstance(layer.padding, str):
        raise ParameterError(
            "only a convolution of stride 1 and dilation 1 with a number of zeros as padding can be joined with a "
            f"pooling, got {layer}; leave the two apart"
        )
    if pool.ceil_mode or pair(pool.padding) != (0, 0) or pool.divisor_override is not None:
        raise ParameterError(
            f"only plain average pooling can be joined with a convolution, got {pool}; leave the two apart"
        )
    rows, columns = pair(pool.kernel_size)
    kernel = layer.weight.detach()
    wide = kernel.new_zeros(*kernel.shape[:2], kernel.shape[2] + rows - 1, kernel.shape[3] + columns - 1)
    for row in range(rows):
        for column in range(columns):
            wide[:, :, row : row + kernel.shape[2], column : column + kernel.shape[3]] += kernel
    joined = copy.deepcopy(layer)
    joined.weight = nn.Parameter(wide / (rows * columns))
    joined.kernel_size, joined.stride = (wide.shape[2], wide.shape[3]), pair(pool.stride)
    return joined


def pair(size: int | tuple[int, ...]) -> tuple[int, int]:
    """Return height and width of a window given as one number or as two.

    Args:
        size: as torch's layers keep it.

    Source: ours
    """
    return (size, size) if isinstance(size, int) else (size[0], size[-1])


def _beside(scale: Tensor, weight: Tensor) -> Tensor:
    """One factor for each output, ready to multiply a weight of shape (outputs, ...)."""
    return scale.reshape(-1, *[1] * (weight.ndim - 1)).to(weight.dtype)
