"""Five architectures that differ in where they pool: what the paper's authors tried before they chose.

    "average_before"   convolution, average pooling, ReLU             the chosen one
    "average_after"    convolution, ReLU, average pooling
    "max_before"       convolution, max pooling, ReLU
    "max_after"        convolution, ReLU, max pooling
    "xnor"             normalization, sign, convolution, max pooling, ReLU: activations of one bit as well

A maximum and a ReLU can change places, so the two networks with max pooling compute the same; their spiking forms do
not.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal, get_args

import torch
from torch import nn

from weightlore.binary.activations import BinaryActivation
from weightlore.errors import ParameterError
from weightlore.networks.layered import Chain, built, require_counts

__all__ = ["Variant", "variant"]

Variant = Literal["average_before", "average_after", "max_before", "max_after", "xnor"]


def variant(
    kind: Variant,
    *,
    image: tuple[int, int, int] = (3, 32, 32),
    stages: Sequence[Sequence[int]] = ((32,), (64,)),
    hidden: int = 128,
    classes: int = 10,
    dropout: float = 0.0,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Chain:
    """Return a small convolutional network without biases that pools in one of five ways.

    Each stage is one or more 3x3 convolutions and halves height and width at its last one, rounding up; a fully
    connected layer and the readout follow. The same generator state gives the same weights in all five.

    Args:
        kind: where and how to pool. ``"xnor"`` normalizes and binarizes the input of every layer but first and last;
            inputs have no scale of their own there, and padding is zero, a third value.
        image: channels, height and width of one input.
        stages: output channels of the convolutions of each stage.
        hidden: width of the fully connected layer.
        classes: C.
        dropout: share of the activations that training drops after each ReLU, in [0, 1).
        generator: where the weights are drawn from, as ``built`` says.
        dtype: floating dtype of the parameters.

    Returns:
        The network; it reads (N, *image) or the same flattened. ``BinaryTraining`` makes its inner layers binary.

    Raises:
        ParameterError: if there is no such kind, a size is not a whole number of at least 1, or dropout not in [0, 1).

    Example:
        >>> model = variant("average_before", image=(1, 28, 28), generator=torch.Generator().manual_seed(0))
        >>> [type(pool).__name__ for pool in model.pools]
        ['AvgPool2d', 'AvgPool2d', 'Identity']

    Source: [lu2020binary], variants in the authors' code; the sizes are ours. "xnor": [rastegari2016xnor], section 3.2
    """
    widths = [image[0], *(count for stage in stages for count in stage)]
    _require(kind, image, stages, hidden, classes, dropout)
    halvings = [place == len(stage) - 1 for stage in stages for place in range(len(stage))]
    sizes = [image[1:]]
    for _ in stages:
        sizes.append(((sizes[-1][0] + 1) // 2, (sizes[-1][1] + 1) // 2))

    def make() -> Chain:
        layers: list[nn.Module] = [nn.Conv2d(a, b, 3, padding=1, bias=False) for a, b in pairwise(widths)]
        layers.append(nn.Linear(widths[-1] * sizes[-1][0] * sizes[-1][1], hidden, bias=False))
        pools = _pools(kind in ("max_before", "max_after", "xnor"), halvings, sizes)
        after = kind in ("average_after", "max_after")  # then the next layer begins with it
        entries = pools if after else [_bits(count) if kind == "xnor" else nn.Identity() for count in widths[1:]]
        first = nn.BatchNorm2d(widths[1]) if kind == "xnor" else nn.Identity()
        return Chain(
            layers,
            nn.Linear(hidden, classes, bias=False),
            inputs=image,
            entries=[nn.Identity(), *entries],
            norms=[first, *(nn.Identity() for _ in layers[1:])],
            pools=[*([nn.Identity() for _ in pools] if after else pools), nn.Identity()],
            dropout=[dropout] * len(layers),
        )

    return built(make, generator=generator, dtype=dtype)


def _require(
    kind: str, image: Sequence[int], stages: Sequence[Sequence[int]], hidden: int, classes: int, dropout: float
) -> None:
    if kind not in get_args(Variant):
        raise ParameterError(f"kind must be one of {', '.join(map(repr, get_args(Variant)))}, got {kind!r}")
    if not 0.0 <= dropout < 1.0:
        raise ParameterError(f"dropout is the share of activations dropped, in [0, 1), got {dropout}")
    require_counts(**{f"image[{place}]": size for place, size in enumerate(image)})
    require_counts(hidden=hidden, classes=classes, **{"number of stages": len(stages)})
    for number, stage in enumerate(stages):
        require_counts(**{f"number of convolutions in stages[{number}]": len(stage)})
        require_counts(**{f"stages[{number}][{place}]": count for place, count in enumerate(stage)})


def _pools(maximum: bool, halvings: Sequence[bool], sizes: Sequence[tuple[int, int]]) -> list[nn.Module]:
    """Return a pooling for each convolution that ends a stage, nothing for the others."""
    left, found = iter(sizes), list[nn.Module]()
    for halves in halvings:
        if not halves:
            found.append(nn.Identity())
            continue
        odd = any(side % 2 for side in next(left))
        found.append(nn.MaxPool2d(2, ceil_mode=odd) if maximum else nn.AvgPool2d(2, ceil_mode=odd))
    return found


def _bits(channels: int) -> nn.Module:
    """Return what stands before a layer with binary activations."""
    return nn.Sequential(nn.BatchNorm2d(channels), BinaryActivation())
