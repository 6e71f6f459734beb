"""Layers whose S weight matrices differ by a matrix of rank one.

Every member has the same weight W, times an outer product of its own:

    W_m = W o (r_m s_m^T)          o entry by entry; W (out, in), r_m (out,), s_m (in,)
    y   = r_m o (W (s_m o x)) + b  what is computed: two scalings around one product for all members

    BatchEnsembleLinear, BatchEnsembleConv2d    such layers, made from a trained or untrained one
    batch_ensemble(model, members=...)          a network of them
    sgd_sparing_factors                         gradient descent whose weight decay leaves r and s alone

S members cost S (in + out) parameters more than one.
"""

import copy
from collections.abc import Iterable
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.optim import SGD as Sgd
from torch.optim import Optimizer

from weightlore.errors import ParameterError, require_option
from weightlore.networks.layered import require_counts
from weightlore.training import MakeOptimizer, sgd
from weightlore.uncertainty.ensembles.batched import BatchedMembers, require_rows, scaled_by_member, with_layers

__all__ = ["BatchEnsembleConv2d", "BatchEnsembleLinear", "FactorStart", "batch_ensemble", "sgd_sparing_factors"]

FactorStart = Literal["sign", "normal"]
Layer = TypeVar("Layer", nn.Linear, nn.Conv2d)


class BatchEnsembleLinear(nn.Module):
    """A fully connected layer with S members of rank one apart; they share the bias.

        y_i = r_m o (W (s_m o x_i)) + b,   m = floor(i S / B)

    Args:
        layer: whose weight and bias are copied.
        members: S.
        generator: where the factors are drawn from.
        start: factors of random ``"sign"``, or ``"normal"`` with mean 1 and standard deviation 0.5.

    Raises:
        ParameterError: if S is no whole number of at least 1, or there is no such start.

    Example:
        >>> layer = BatchEnsembleLinear(nn.Linear(4, 3), 5, generator=torch.Generator().manual_seed(0))
        >>> layer(torch.ones(10, 4)).shape, sum(p.numel() for p in layer.parameters()) - (4 * 3 + 3)
        (torch.Size([10, 3]), 35)

    Source: [wen2020batchensemble], Eq. (1), weights of the members, and its vectorized form; one bias for all members
        keeps the count of parameters
    """

    def __init__(
        self, layer: nn.Linear, members: int, *, generator: torch.Generator, start: FactorStart = "sign"
    ) -> None:
        super().__init__()
        self.layer, self.bias = _without_bias(layer)
        self.r = _factors(members, layer.out_features, layer.weight, start, generator)
        self.s = _factors(members, layer.in_features, layer.weight, start, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return the rows of all members, shape (B, out).

        Args:
            x: rows, shape (B, in), dealt out to the members in order.

        Raises:
            ParameterError: if x has another shape.
        """
        require_rows(x)
        y = scaled_by_member(self.layer(scaled_by_member(x, self.s)), self.r)
        return y if self.bias is None else y + self.bias

    def member(self, number: int) -> nn.Linear:
        """Return one member as a plain layer with the weight W o (r s^T).

        Args:
            number: 0 to S - 1.
        """
        plain = copy.deepcopy(self.layer)
        plain.weight = nn.Parameter(self.layer.weight.detach() * torch.outer(self.r[number], self.s[number]).detach())
        plain.register_parameter("bias", copy.deepcopy(self.bias))
        return plain


class BatchEnsembleConv2d(nn.Module):
    """A convolution with S members of rank one apart: factors on its input and output channels.

        W_m[o, c, :, :] = r_m[o] s_m[c] W[o, c, :, :]

    Args:
        layer: whose weight, bias, stride, padding and dilation are copied; convolutions in groups too.
        members: S.
        generator: where the factors are drawn from.
        start: as for ``BatchEnsembleLinear``.

    Raises:
        ParameterError: if S is no whole number of at least 1, or there is no such start.

    Example:
        >>> layer = BatchEnsembleConv2d(nn.Conv2d(1, 6, 3), 2, generator=torch.Generator().manual_seed(0))
        >>> layer(torch.zeros(4, 1, 8, 8)).shape
        torch.Size([4, 6, 6, 6])

    Source: [wen2020batchensemble], convolutional layers
    """

    def __init__(
        self, layer: nn.Conv2d, members: int, *, generator: torch.Generator, start: FactorStart = "sign"
    ) -> None:
        super().__init__()
        self.layer, self.bias = _without_bias(layer)
        self.r = _factors(members, layer.out_channels, layer.weight, start, generator)
        self.s = _factors(members, layer.in_channels, layer.weight, start, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return the maps of all members, shape (B, out, height, width).

        Args:
            x: images, shape (B, in, height, width), dealt out to the members in order.
        """
        y = scaled_by_member(self.layer(scaled_by_member(x, self.s)), self.r)
        return y if self.bias is None else y + self.bias[:, None, None]

    def member(self, number: int) -> nn.Conv2d:
        """Return one member as a plain convolution.

        Args:
            number: 0 to S - 1.
        """
        plain, groups = copy.deepcopy(self.layer), self.layer.groups
        inputs = self.s[number].detach().reshape(groups, 1, -1).expand(-1, len(self.r[number]) // groups, -1)
        factors = self.r[number].detach()[:, None] * inputs.flatten(0, 1)  # (out, in / groups)
        plain.weight = nn.Parameter(self.layer.weight.detach() * factors[:, :, None, None])
        plain.register_parameter("bias", copy.deepcopy(self.bias))
        return plain


def batch_ensemble(
    model: nn.Module, *, members: int, generator: torch.Generator, start: FactorStart = "sign"
) -> BatchedMembers:
    """Return an ensemble whose members share the weights of a network, up to factors of rank one in every layer.

    Args:
        model: made of ``nn.Linear`` and ``nn.Conv2d`` and whatever else treats rows alike; copied.
        members: S.
        generator: where the factors are drawn from, layer by layer.
        start: of the factors.

    Returns:
        The ensemble, to be trained by ``fit`` with ``dealt_cross_entropy`` or ``member_cross_entropy``.

    Raises:
        ParameterError: if no layer can be replaced, or an argument is out of range.

    Example:
        >>> from weightlore.networks import healthy
        >>> joint = batch_ensemble(healthy(), members=4, generator=torch.Generator().manual_seed(0))
        >>> joint.predict(torch.zeros(5, 64, dtype=torch.float64)).probs.shape
        torch.Size([4, 5, 10])

    Source: [wen2020batchensemble]
    """

    def replace(name: str, layer: nn.Module) -> nn.Module | None:
        if isinstance(layer, nn.Linear):
            return BatchEnsembleLinear(layer, members, generator=generator, start=start)
        if isinstance(layer, nn.Conv2d):
            return BatchEnsembleConv2d(layer, members, generator=generator, start=start)
        return None

    return BatchedMembers(with_layers(model, replace), members)


def sgd_sparing_factors(
    model: nn.Module, lr: float, *, momentum: float = 0.9, weight_decay: float = 0.0
) -> MakeOptimizer:
    """Return a maker of gradient descent for a network of such layers: no weight decay on r and s.

    Args:
        model: with ``BatchEnsembleLinear`` or ``BatchEnsembleConv2d`` layers.
        lr: learning rate, > 0.
        momentum: in [0, 1).
        weight_decay: of all parameters but the factors, >= 0.

    Returns:
        A function from parameters to their optimizer, for ``training.fit``.

    Raises:
        ParameterError: if a number is out of its range, or there is no such layer.

    Source: [wen2020batchensemble], where the factors are not decayed
    """
    kinds = (BatchEnsembleLinear, BatchEnsembleConv2d)
    spared = {id(p) for layer in model.modules() if isinstance(layer, kinds) for p in (layer.r, layer.s)}
    if not spared:
        raise ParameterError(f"a {type(model).__name__} has no factors to spare; make it by batch_ensemble, or use sgd")
    sgd(lr, momentum=momentum, weight_decay=weight_decay)  # checks the numbers

    def make(parameters: Iterable[nn.Parameter]) -> Optimizer:
        given = list(parameters)
        factors, others = [p for p in given if id(p) in spared], [p for p in given if id(p) not in spared]
        groups = [{"params": others, "weight_decay": weight_decay}, {"params": factors, "weight_decay": 0.0}]
        return Sgd([group for group in groups if group["params"]], lr=lr, momentum=momentum)

    return make


def _without_bias(layer: Layer) -> tuple[Layer, nn.Parameter | None]:
    """Return a copy of the layer without bias, and its bias: factors apply to the product alone."""
    bare = copy.deepcopy(layer)
    bias = bare._parameters["bias"]
    bare.register_parameter("bias", None)
    return bare, bias


def _factors(members: int, size: int, like: Tensor, start: FactorStart, generator: torch.Generator) -> nn.Parameter:
    """Draw factors, shape (S, size)."""
    require_counts(members=members)
    require_option("start", start, FactorStart)
    noise = torch.randn(members, size, generator=generator, dtype=torch.float64, device=generator.device)
    drawn = torch.where(noise < 0, -1.0, 1.0) if start == "sign" else 1 + 0.5 * noise
    return nn.Parameter(drawn.to(like))
