"""Layers that drop single weights instead of units: DropConnect.

    DropConnectLinear, DropConnectConv2d    made from a layer; y = (W o mask / q) x + b, mask = 1 with probability q
    drop_connect(model, keep=q)             a network of them
    drawn_step(loss)                        a step for ``training.fit`` that draws: masks, whatever the network has
    applied                                 a layer's map with another weight

Masks come from the generator of ``drawing``, one a pass, for training and for prediction (``predict_members``).
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import Step, cross_entropy
from weightlore.uncertainty.bayesian.drawing import Stochastic, drawing
from weightlore.uncertainty.ensembles.batched import with_layers

__all__ = ["DropConnectConv2d", "DropConnectLinear", "applied", "drawn_step", "drop_connect"]


class _DropConnect(Stochastic):
    """What both layers share: the mask and its scale."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, keep: float) -> None:
        super().__init__()
        if not 0 < keep <= 1:
            raise ParameterError(f"keep is the share of weights that stay, above 0 and up to 1, got {keep}")
        self.layer, self.keep = copy.deepcopy(layer), float(keep)
        self.train(layer.training)

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output; outside ``drawing``, in evaluation mode, that of all weights.

        Args:
            x: rows (N, in) or images (N, in, height, width), as the layer reads them.
        """
        generator, weight = self.chance(), self.layer.weight
        if generator is None:
            return applied(self.layer, x, weight, bias=self.layer.bias)
        # Departs from the paper: one mask a pass, where training there draws one for each example
        mask = self.kept("mask", lambda: _mask(weight, self.keep, generator))
        return applied(self.layer, x, weight * mask / self.keep, bias=self.layer.bias)


class DropConnectLinear(_DropConnect):
    """A fully connected layer whose weights are there or not.

        y = (W o mask / q) x + b,   mask_ij = 1 with probability q, else 0

    One mask a pass, for all rows: masks of their own for rows would take N times the memory of the weights. The mean
    of y is that of the layer, its variance 1/q - 1 times the sum of (W_ij x_j)^2. The bias always stays.

    Args:
        layer: copied.
        keep: q, in (0, 1]; 1 is the layer itself.

    Raises:
        ParameterError: if q is out of range.

    Example:
        >>> layer = DropConnectLinear(nn.Linear(4, 3), keep=0.5).eval()
        >>> layer(torch.zeros(2, 4)).shape
        torch.Size([2, 3])

    Source: [wan2013dropconnect]; as a posterior in [mobiny2021dropconnect]; scaled so that the mean is the layer's
    """

    def __init__(self, layer: nn.Linear, *, keep: float) -> None:
        super().__init__(layer, keep)


class DropConnectConv2d(_DropConnect):
    """A convolution whose weights are there or not, the same ones at all places of all images of a pass.

        y = (W o mask / q) * x + b,   mask = 1 with probability q, else 0, for each entry of the kernels

    Args:
        layer: copied, with its stride, padding, dilation and groups.
        keep: q, in (0, 1]; 1 is the layer itself.

    Raises:
        ParameterError: if q is out of range.

    Example:
        >>> layer = DropConnectConv2d(nn.Conv2d(1, 6, 3), keep=0.5).eval()
        >>> layer(torch.zeros(4, 1, 8, 8)).shape
        torch.Size([4, 6, 6, 6])

    Source: [mobiny2021dropconnect], convolutional layers
    """

    def __init__(self, layer: nn.Conv2d, *, keep: float) -> None:
        super().__init__(layer, keep)


def drop_connect(model: nn.Module, *, keep: float) -> nn.Module:
    """Return a copy of a network whose fully connected and convolutional layers drop weights.

    Args:
        model: trained or not; left as it is.
        keep: q, the share of weights that stay, in (0, 1].

    Returns:
        The copy. It is trained by ``drawn_step`` and asked by ``predict_members``.

    Raises:
        ParameterError: if there is no such layer, or q is out of range.

    Example:
        >>> from weightlore.uncertainty.bayesian import predict_members
        >>> net = drop_connect(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3)), keep=0.8)
        >>> predict_members(net, torch.ones(2, 4), samples=5, generator=torch.Generator().manual_seed(0)).members
        5

    Source: [mobiny2021dropconnect]
    """

    def replace(name: str, layer: nn.Module) -> nn.Module | None:
        if isinstance(layer, nn.Linear):
            return DropConnectLinear(layer, keep=keep)
        return DropConnectConv2d(layer, keep=keep) if isinstance(layer, nn.Conv2d) else None

    return with_layers(model, replace)


def drawn_step(loss: Step = cross_entropy) -> Step:
    """Return a step of training for ``training.fit`` whose pass draws from the generator, without a divergence.

    Args:
        loss: a step; it is called inside ``drawing``.

    Returns:
        A function of model, batch and generator.

    Source: [wan2013dropconnect], training with a random mask for each pass
    """

    def step(model: nn.Module, batch: Split, generator: torch.Generator) -> Tensor:
        with drawing(model, generator):
            return loss(model, batch, generator)

    return step


def applied(layer: nn.Linear | nn.Conv2d, x: Tensor, weight: Tensor, *, bias: Tensor | None) -> Tensor:
    """Return what a layer makes of its input with another weight and bias in the place of its own.

    Args:
        layer: says how: with which stride, padding, dilation and groups.
        x: its input.
        weight: in the shape of the layer's.
        bias: shape (out,), or ``None`` for none.

    Source: ours
    """
    return F.linear(x, weight, bias) if isinstance(layer, nn.Linear) else layer._conv_forward(x, weight, bias)


def _mask(weight: Tensor, keep: float, generator: torch.Generator) -> Tensor:
    """Draw 1 with probability keep, else 0, for each weight."""
    drawn = torch.rand(weight.shape, generator=generator, dtype=torch.float64, device=generator.device)
    return (drawn < keep).to(weight)
