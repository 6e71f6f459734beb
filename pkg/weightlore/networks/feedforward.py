"""Small networks for small images: fully connected, and convolutional with average pooling.

mlp(sizes)   one fully connected layer between each two sizes
cnn(...)     3x3 convolutions, each with 2x2 average pooling, then one fully connected layer
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from weightlore.errors import ParameterError
from weightlore.networks.layered import Chain, built, require_counts

__all__ = ["cnn", "mlp"]


def mlp(
    sizes: Sequence[int] = (64, 64, 32, 10),
    *,
    bias: bool = True,
    normalize: bool = False,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> Chain:
    """Return a fully connected network with ReLU.

        h_l = relu(W_l h_{l-1} + b_l),   logits = W_L h_{L-1} + b_L

    Args:
        sizes: widths from the input D to the C classes, at least two; L = len(sizes) - 2 hidden layers.
        bias: whether layers and readout have biases.
        normalize: whether layer normalization, with gain and bias, stands before each non-linearity.
        generator: where the parameters are drawn from, as ``built`` says.
        dtype: floating dtype of the parameters.

    Returns:
        The network; it reads (N, D), or any (N, ...) that flattens to it.

    Raises:
        ParameterError: if a size is not a whole number of at least 1, or there are fewer than two.

    Example:
        >>> from weightlore.parameters import layout
        >>> layout(mlp(generator=torch.Generator().manual_seed(0))).size
        6570

    Source: ours; layer normalization is [ba2016layernorm]
    """
    sizes = tuple(sizes)
    if len(sizes) < 2:
        raise ParameterError(f"sizes must hold at least the input and the classes, got {sizes}")
    require_counts(**{f"sizes[{place}]": size for place, size in enumerate(sizes)})

    def make() -> Chain:
        layers = [nn.Linear(one, other, bias=bias) for one, other in pairwise(sizes[:-1])]
        norms = [nn.LayerNorm(size) for size in sizes[1:-1]] if normalize else None
        return Chain(layers, nn.Linear(sizes[-2], sizes[-1], bias=bias), inputs=(sizes[0],), norms=norms)

    return built(make, generator=generator, dtype=dtype)


def cnn(
    channels: Sequence[int] = (8, 16),
    *,
    image: tuple[int, int, int] = (1, 8, 8),
    hidden: int = 32,
    classes: int = 10,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float64,
) -> Chain:
    """Return a small convolutional network: 3x3 convolution, ReLU, 2x2 average pooling for each entry of channels.

    One fully connected layer and the readout follow. Average pooling and not max pooling, because flat patches tie
    under a maximum and a tie is broken by rounding, which differs between machines. The pooling is the first thing that
    ``pre`` of the next layer does, so that activations are shown before it.

    Args:
        channels: output channels of each convolution, at least one entry.
        image: channels, height and width of one input; each convolution halves height and width, rounding down.
        hidden: width of the fully connected layer.
        classes: C.
        generator: where the parameters are drawn from, as ``built`` says.
        dtype: floating dtype of the parameters.

    Returns:
        The network; it reads (N, *image) or the same flattened.

    Raises:
        ParameterError: if a size is not a whole number of at least 1, or the image is too small to be halved so often.

    Source: ours
    """
    channels, (depth, height, width) = tuple(channels), image
    require_counts(hidden=hidden, classes=classes, depth=depth, height=height, width=width, blocks=len(channels))
    require_counts(**{f"channels[{place}]": count for place, count in enumerate(channels)})
    rows, columns = height >> len(channels), width >> len(channels)
    if min(rows, columns) < 1:
        raise ParameterError(f"an image of {height}x{width} cannot be halved {len(channels)} times; use fewer channels")

    def make() -> Chain:
        layers: list[nn.Module] = [nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise((depth, *channels))]
        layers.append(nn.Linear(channels[-1] * rows * columns, hidden))
        entries = [nn.Identity(), *(nn.AvgPool2d(2) for _ in channels)]
        return Chain(layers, nn.Linear(hidden, classes), inputs=image, entries=entries)

    return built(make, generator=generator, dtype=dtype)
