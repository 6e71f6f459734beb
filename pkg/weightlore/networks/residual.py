"""A residual network for small images, with batch normalization.

h_0 = relu(norm(conv(x)))
h_l = relu(norm(conv(relu(norm(conv(h_{l-1}))))) + shortcut(h_{l-1}))
f   = readout(mean of h_L-1 over the image)
"""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError
from weightlore.networks.layered import built, require_counts, walked

__all__ = ["Block", "Residual", "resnet20"]


class Block(nn.Module):
    """Two normalized convolutions and the shortcut around them, up to the last non-linearity.

    Args:
        inputs: channels of the input.
        outputs: channels of the output; where they differ, height and width are halved, rounding up, and the shortcut
            is a normalized 1x1 convolution.

    Source: [he2016resnet], basic block with projection shortcut
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        stride = 1 if inputs == outputs else 2
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut: nn.Module = nn.Identity()
        if inputs != outputs:
            projection = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(outputs))

    def forward(self, h: Tensor) -> Tensor:
        """Return the input of the last non-linearity, given the block's input."""
        inner = self.relu(self.norm1(self.conv1(h)))
        return self.norm2(self.conv2(inner)) + self.shortcut(h)


class Residual(nn.Module):
    """A normalized convolution, residual blocks, the mean over the image and a linear readout.

    A block counts as one layer: what ``pre`` computes for it ends before its last non-linearity, and is not affine,
    because a non-linearity lies inside. Parameters are named ``stem.weight``, ``stem_norm.weight``,
    ``blocks.0.conv1.weight``, ..., ``readout.bias``.

    Args:
        channels: of the input.
        widths: output channels of the stem and of each block, of which each is the one before or its double.
        classes: C.

    Source: [he2016resnet]
    """

    def __init__(self, channels: int, widths: tuple[int, ...], classes: int) -> None:
        super().__init__()
        self.channels = channels
        self.stem = nn.Conv2d(channels, widths[0], 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(widths[0])
        self.blocks = nn.ModuleList(Block(a, b) for a, b in pairwise(widths))
        self.nonlinear = nn.ModuleList(nn.ReLU() for _ in widths)
        self.readout = nn.Linear(widths[-1], classes)

    @property
    def num_layers(self) -> int:
        """L, the stem and the blocks."""
        return len(self.nonlinear)

    def pre(self, l: int, h: Tensor) -> Tensor:  # noqa: E741
        """Return the input of the last non-linearity of the stem (l = 0) or of block l - 1.

        Args:
            l: number of the layer, 0 to L-1.
            h: output of the layer before, or the network's input x for l = 0.

        Returns:
            Shape (N, channels, height, width).

        Raises:
            ParameterError: if x is not a batch of images with the network's channels.
        """
        if l > 0:
            return self.blocks[l - 1](h)
        if h.ndim != 4 or h.shape[1] != self.channels:
            raise ParameterError(
                f"the network reads images of shape (N, {self.channels}, height, width), got shape {tuple(h.shape)}; "
                "a single image x goes in as x[None]"
            )
        return self.stem_norm(self.stem(h))

    def phi(self, l: int) -> Callable[[Tensor], Tensor]:  # noqa: E741
        """Return the last non-linearity of layer l, a module that keeps the shape."""
        return self.nonlinear[l]

    def activations(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the L layers for the input x, first layer first."""
        return walked(self, x)

    def head(self, h: Tensor) -> Tensor:
        """Return the logits, shape (N, C), given the output of the last layer."""
        return self.readout(h.mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, shape (N, C), of images x, shape (N, channels, height, width)."""
        return self.head(self.activations(x)[-1])


def resnet20(
    *,
    classes: int = 10,
    channels: int = 3,
    width: int = 16,
    generator: torch.Generator,
    dtype: torch.dtype = torch.float32,
) -> Residual:
    """Return ResNet-20: a convolution, three stages of three blocks of two convolutions, a readout.

    Widths 16, 32, 64 by default; 272,474 parameters with 3 input and 10 output classes. The shortcut between stages is
    a normalized 1x1 convolution.

    Args:
        classes: C.
        channels: of the input.
        width: of the first stage; the other two have twice and four times as much.
        generator: where the parameters are drawn from, as ``built`` says; the variance counts outputs.
        dtype: floating dtype of the parameters.

    Returns:
        The network with L = 10; it reads images of any size.

    Raises:
        ParameterError: if a size is not a whole number of at least 1.

    Source: [he2016resnet], section 4.2, with projection shortcuts
    """
    require_counts(classes=classes, channels=channels, width=width)
    widths = (width,) + (width,) * 3 + (2 * width,) * 3 + (4 * width,) * 3
    return built(lambda: Residual(channels, widths, classes), generator=generator, dtype=dtype, fan="out")
