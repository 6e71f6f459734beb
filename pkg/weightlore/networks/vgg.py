"""Deep convolutional networks without normalization: VGG with 11 and with 15 layers of weights.

Stages of 3x3 convolutions, each stage halving height and width by average pooling, then fully connected layers. They
differ in where the pooling stands:

    vgg11   convolution, ReLU, pooling
    vgg15   convolution, pooling, ReLU: a layer that can spike, without biases
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.networks.layered import Chain, built, require_counts

__all__ = ["vgg11", "vgg15"]


def vgg11(
    *,
    classes: int = 10,
    channels: int = 3,
    width: int = 64,
    size: int = 32,
    dropout: float = 0.5,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Chain:
    """Return VGG-11 for small images: 8 convolutions, then 512-512-C, with biases.

    Widths 64 | 128 | 256, 256 | 512, 512 | 512, 512, each stage with 2x2 average pooling after its last ReLU.
    Departs from the paper: average pooling where it has max pooling, and 512 hidden units where it has 4,096.

    Args:
        classes: C.
        channels: of the input.
        width: of the first convolution; all others follow in proportion.
        size: height and width of the input, halved five times, rounding up.
        dropout: share of the inputs of the two hidden fully connected layers that training drops, in [0, 1).
        generator: where the parameters are drawn from, as ``built`` says.
        dtype: floating dtype of the parameters.

    Returns:
        The network with L = 10; it reads (N, channels, size, size) or the same flattened.

    Raises:
        ParameterError: if a size is not a whole number of at least 1, or dropout not in [0, 1).

    Source: [simonyan2015vgg], configuration A; the small head is that of common versions for small images
    """
    require_counts(classes=classes, channels=channels, width=width, size=size)
    _require_share(dropout)
    stages = ((width,), (2 * width,), (4 * width,) * 2, (8 * width,) * 2, (8 * width,) * 2)

    def make() -> Chain:
        convolutions, halvings = _convolutions(channels, stages, bias=True)
        sizes = _halved(size)
        hidden = 8 * width
        layers = [*convolutions, nn.Linear(hidden * sizes[-1] ** 2, hidden), nn.Linear(hidden, hidden)]
        entries = [nn.Identity(), *_pools(halvings, sizes), nn.Identity()]
        shares = [0.0] * (len(convolutions) - 1) + [dropout, dropout, 0.0]
        inputs = (channels, size, size)
        return Chain(layers, nn.Linear(hidden, classes), inputs=inputs, entries=entries, dropout=shares)

    return built(make, generator=generator, dtype=dtype)


def vgg15(
    *,
    classes: int = 10,
    channels: int = 3,
    width: int = 64,
    size: int = 32,
    dropout: float = 0.1,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Chain:
    """Return VGG-15, made to be converted to spikes: no bias, no normalization, average pooling before the ReLU.

    Widths 64, 64 | 128, 128 | 256 three times | 512 three times | 512 three times, then 4,096 hidden units. The
    variance of the initial convolutions counts outputs, that of the fully connected layers is 1e-4.

    Args:
        classes: C.
        channels: of the input.
        width: of the first convolution; all others follow in proportion.
        size: height and width of the input, halved five times, rounding up.
        dropout: share of the activations that training drops after each ReLU, in [0, 1).
        generator: where the parameters are drawn from.
        dtype: floating dtype of the parameters.

    Returns:
        The network with L = 14; it reads (N, channels, size, size) or the same flattened.

    Raises:
        ParameterError: if a size is not a whole number of at least 1, or dropout not in [0, 1).

    Source: [lu2020binary]; the authors' code has dropout after most ReLUs, and rounds up in the last three poolings
    only, which differs where a size is odd before the first or second
    """
    require_counts(classes=classes, channels=channels, width=width, size=size)
    _require_share(dropout)
    stages = ((width,) * 2, (2 * width,) * 2, (4 * width,) * 3, (8 * width,) * 3, (8 * width,) * 3)

    def make() -> Chain:
        convolutions, halvings = _convolutions(channels, stages, bias=False)
        sizes = _halved(size)
        hidden = 64 * width
        layers = [*convolutions, nn.Linear(8 * width * sizes[-1] ** 2, hidden, bias=False)]
        readout = nn.Linear(hidden, classes, bias=False)
        pools = [*_pools(halvings, sizes), nn.Identity()]
        return Chain(layers, readout, inputs=(channels, size, size), pools=pools, dropout=[dropout] * len(layers))

    return built(make, generator=generator, dtype=dtype, fan="out", linear_spread=0.01)


def _convolutions(channels: int, stages: Sequence[Sequence[int]], *, bias: bool) -> tuple[list[nn.Module], list[bool]]:
    """Return the convolutions and, for each, whether it is the last of its stage."""
    widths = [channels, *(width for stage in stages for width in stage)]
    ends = [place == len(stage) - 1 for stage in stages for place in range(len(stage))]
    return [nn.Conv2d(a, b, 3, padding=1, bias=bias) for a, b in pairwise(widths)], ends


def _halved(size: int) -> list[int]:
    """Return the size of the image before each of the five poolings, and after the last."""
    sizes = [size]
    for _ in range(5):
        sizes.append((sizes[-1] + 1) // 2)
    return sizes


def _pools(halvings: Sequence[bool], sizes: Sequence[int]) -> list[nn.Module]:
    """Return a pooling for each convolution that ends a stage; at an odd size the last row is averaged alone."""
    left = iter(sizes)
    return [nn.AvgPool2d(2, ceil_mode=next(left) % 2 == 1) if halves else nn.Identity() for halves in halvings]


def _require_share(dropout: float) -> None:
    if not 0.0 <= dropout < 1.0:
        raise ParameterError(f"dropout is the share of activations dropped, in [0, 1), got {dropout}")
