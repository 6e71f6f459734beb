"""Layers that stretch no difference by more than a bound, so that distances between inputs survive in the features.

The largest factor by which a linear map stretches is its largest singular value, its spectral norm s(W). A bounded
layer computes with a smaller weight where that is above c [liu2020sngp]:

    W <- W min(1, c / s(W))

    spectral_norm_linear(layer, c)       bounds a fully connected layer
    spectral_norm_conv2d(layer, c)       bounds a convolution, as the operator on images that it is
    operator_norm(layer)                 s(W), by many iterations instead of one
    with_bounds(network, x, bound=c)     a copy of a network, bounded everywhere but in its readout

The norm comes from one power iteration each time the layer is used in training, v = W^T u / |.|, u = W v / |.|,
s = u . W v. In evaluation nothing is iterated.
"""

import copy
import math

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_input
from torch.nn.utils import parametrize

from weightlore.errors import ParameterError, require_finite
from weightlore.training import in_mode

__all__ = ["SpectralBound", "operator_norm", "spectral_norm_conv2d", "spectral_norm_linear", "with_bounds"]

FIRST = 30  # iterations before the first use


class SpectralBound(nn.Module):
    """The parametrization W min(1, c / s(W)); ``spectral_norm_linear`` and ``spectral_norm_conv2d`` register it.

    It differentiates through s(W), with u and v as constants.

    Args:
        layer: ``nn.Linear``, or ``nn.Conv2d`` that pads with zeros; only read.
        bound: c > 0.
        image: height and width of what a convolution reads; ``None`` for a fully connected layer.
        generator: where the first u is drawn from.

    Raises:
        ParameterError: if the bound is not positive and finite, or the layer is of another kind.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> _ = nn.init.eye_(layer.weight)
        >>> SpectralBound(layer, 0.5, None, torch.Generator().manual_seed(0))(layer.weight).detach()
        tensor([[0.5000, 0.0000],
                [0.0000, 0.5000]])

    Source: [liu2020sngp], spectral normalization, as a parametrization; the operator of a convolution is ours
    """

    u: Tensor
    v: Tensor

    def __init__(
        self, layer: nn.Linear | nn.Conv2d, bound: float, image: tuple[int, int] | None, generator: torch.Generator
    ) -> None:
        super().__init__()
        if isinstance(bound, bool) or not isinstance(bound, int | float) or not 0 < bound < math.inf:
            raise ParameterError(f"the bound of a spectral norm must be positive and finite, got {bound!r}")
        self.bound, self.options = float(bound), _options(layer)
        weight = require_finite("the weight of the layer", layer.weight.detach())
        inputs = (weight.shape[1],) if image is None else (weight.shape[1] * self.options[3], *image)
        outputs = self._map(weight.new_zeros(1, *inputs), weight).shape
        noise = torch.randn(outputs, generator=generator, dtype=torch.float64, device=generator.device)
        self.register_buffer("u", functional.normalize(noise.to(weight).flatten(), dim=0).reshape(outputs))
        self.register_buffer("v", weight.new_zeros(1, *inputs))
        self.iterate(weight, FIRST)

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight that the layer computes with.

        Args:
            weight: W, of the layer's shape.
        """
        if self.training:
            self.iterate(weight.detach(), 1)
        sigma = self.norm(weight)
        return weight * (self.bound / sigma) if bool(sigma > self.bound) else weight

    def norm(self, weight: Tensor) -> Tensor:
        """Return what u and v say of the spectral norm, shape (), never above the true one.

        Args:
            weight: W.
        """
        return (self.u.clone() * self._map(self.v.clone(), weight)).sum()  # copies, for the next iteration is in place

    @torch.no_grad()
    def iterate(self, weight: Tensor, count: int) -> None:
        """Move u and v towards the directions that the weight stretches most.

        Args:
            weight: W, without gradient.
            count: how often.
        """
        for _ in range(count):
            v = self._back(self.u, weight)
            if float(v.norm()) == 0:  # a weight of zero stretches nothing; directions stay
                return
            self.v.copy_(v / v.norm())
            u = self._map(self.v, weight)
            self.u.copy_(u / u.norm())

    def _map(self, v: Tensor, weight: Tensor) -> Tensor:
        if weight.ndim == 2:
            return functional.linear(v, weight)
        stride, padding, dilation, groups = self.options
        return functional.conv2d(v, weight, None, stride, padding, dilation, groups)

    def _back(self, u: Tensor, weight: Tensor) -> Tensor:
        """The adjoint of ``_map``."""
        if weight.ndim == 2:
            return functional.linear(u, weight.T)
        stride, padding, dilation, groups = self.options
        return conv2d_input(list(self.v.shape), weight, u, stride, padding, dilation, groups)


def spectral_norm_linear(layer: nn.Linear, bound: float, *, generator: torch.Generator) -> nn.Linear:
    """Bound the spectral norm of a fully connected layer, in place, from now on.

        W <- W min(1, c / s(W))

    A layer whose norm is not above c computes with the same bits as before. The power iteration is never above the
    true norm, so that the layer may be a little above the bound while the weight moves.

    Args:
        layer: gets the parametrization; its parameter is then ``parametrizations.weight.original``.
        bound: c > 0.
        generator: where the first direction of the power iteration is drawn from.

    Returns:
        The layer.

    Raises:
        ParameterError: if the bound is out of range, or the layer is bounded already or of another kind.

    Example:
        >>> layer = nn.Linear(2, 2, bias=False)
        >>> _ = layer.weight.data.copy_(torch.tensor([[4.0, 0.0], [0.0, 1.0]]))
        >>> spectral_norm_linear(layer, 2.0, generator=torch.Generator().manual_seed(0)).weight.detach()
        tensor([[2.0000, 0.0000],
                [0.0000, 0.5000]])

    Source: [liu2020sngp], spectral normalization of hidden weights
    """
    _require_unbounded(layer, nn.Linear)
    parametrize.register_parametrization(layer, "weight", SpectralBound(layer, bound, None, generator))
    return layer


def spectral_norm_conv2d(
    layer: nn.Conv2d, bound: float, *, image: tuple[int, int], generator: torch.Generator
) -> nn.Conv2d:
    """Bound the spectral norm of a convolution, in place, from now on.

        W <- W min(1, c / s),   s = max over images x of |W * x| / |x|

    The norm is that of the map from images to images, with stride and padding as they are. The kernel reshaped to a
    matrix has another norm: of the map, it sees one patch only.

    Args:
        layer: pads with zeros; gets the parametrization.
        bound: c > 0.
        image: height and width of what the layer reads. On smaller images it stretches no more.
        generator: where the first direction of the power iteration is drawn from.

    Returns:
        The layer.

    Raises:
        ParameterError: if the bound is out of range, the image is smaller than the kernel, or the layer is bounded
            already or of another kind.

    Example:
        >>> layer = nn.Conv2d(1, 1, 1)
        >>> _ = nn.init.constant_(layer.weight, 3.0)
        >>> bounded = spectral_norm_conv2d(layer, 1.5, image=(4, 4), generator=torch.Generator().manual_seed(0))
        >>> round(bounded.weight.item(), 4)
        1.5

    Source: [liu2020sngp], spectral normalization of hidden weights; the convolution's own operator is ours
    """
    _require_unbounded(layer, nn.Conv2d)
    try:
        bounded = SpectralBound(layer, bound, image, generator)
    except RuntimeError as error:
        raise ParameterError(f"the layer cannot read images of {image}, height and width: {error}") from error
    parametrize.register_parametrization(layer, "weight", bounded)
    return layer


def operator_norm(layer: nn.Module, *, iterations: int = 500) -> float:
    """Return the spectral norm of the weight that a bounded layer computes with, by many power iterations.

        s(W) = max over x of |W x| / |x|

    Args:
        layer: made by ``spectral_norm_linear`` or ``spectral_norm_conv2d``; left as it is.
        iterations: >= 1.

    Returns:
        s(W), for fully connected layers exactly, else from below.

    Raises:
        ParameterError: if the layer is not bounded, or there is no iteration.

    Example:
        >>> layer = nn.Linear(2, 2)
        >>> _ = nn.init.eye_(layer.weight)
        >>> operator_norm(spectral_norm_linear(layer, 0.5, generator=torch.Generator().manual_seed(0)))
        0.5

    Source: ours, because one iteration a step is an estimate that wants to be looked at
    """
    if not parametrize.is_parametrized(layer, "weight"):
        raise ParameterError(f"a {type(layer).__name__} without a bound has no power iteration; bound it first")
    if iterations < 1:
        raise ParameterError(f"iterations must be at least 1, got {iterations}")
    with torch.no_grad(), in_mode(layer, training=False):
        weight: Tensor = layer.get_parameter("parametrizations.weight.original").detach()
        held = copy.deepcopy(layer.get_submodule("parametrizations.weight.0"))
        if not isinstance(held, SpectralBound):
            raise ParameterError(
                f"the weight is made by a {type(held).__name__}, expected a SpectralBound; bound it here"
            )
        used: Tensor = held(weight)
        if used.ndim == 2:
            return float(torch.linalg.matrix_norm(used.double(), 2))
        held.iterate(used, iterations)
        return float(held.norm(used))


def with_bounds(model: nn.Module, x: Tensor, *, bound: float, generator: torch.Generator) -> nn.Module:
    """Return a copy of a network in which every layer is bounded but the one called ``readout``.

    Residual connections are what keeps distances from vanishing, too: with |g(a) - g(b)| <= c |a - b| and c < 1, h +
    g(h) shrinks no distance below 1 - c of it. In a plain chain the bound keeps distances from growing, no more. Gains
    of normalizations are not bounded.

    Args:
        model: of ``nn.Linear`` and ``nn.Conv2d`` and whatever else; left as it is.
        x: an input, shape (N, ...), that says which images the convolutions read.
        bound: c > 0 for each layer.
        generator: where the power iterations start from.

    Returns:
        The copy.

    Raises:
        ParameterError: if there is nothing to bound, or a layer or the bound does not suit.

    Example:
        >>> from weightlore.networks import mlp
        >>> drawn, x = torch.Generator().manual_seed(0), torch.zeros(5, 2, dtype=torch.float64)
        >>> bounded = with_bounds(mlp((2, 8, 3), generator=drawn), x, bound=0.9, generator=drawn)
        >>> bounded(x).shape, operator_norm(bounded.layers[0]) < 0.95
        (torch.Size([5, 3]), True)

    Source: [liu2020sngp], spectral normalization of the hidden weights
    """
    bounded = copy.deepcopy(model)
    layers = [m for name, m in bounded.named_modules() if _plain(m) and name.rpartition(".")[2] != "readout"]
    if not layers:
        raise ParameterError(f"a {type(model).__name__} has no fully connected layer or convolution beside its readout")
    images = _images(bounded, x, layers)
    for layer in layers:
        if isinstance(layer, nn.Linear):
            spectral_norm_linear(layer, bound, generator=generator)
        elif isinstance(layer, nn.Conv2d) and layer in images:
            spectral_norm_conv2d(layer, bound, image=images[layer], generator=generator)
    return bounded


def _images(model: nn.Module, x: Tensor, layers: list[nn.Module]) -> dict[nn.Module, tuple[int, int]]:
    """Return height and width of what each convolution reads."""
    images: dict[nn.Module, tuple[int, int]] = {}

    def note(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        images[layer] = (given[0].shape[-2], given[0].shape[-1])

    handles = [m.register_forward_pre_hook(note) for m in layers if isinstance(m, nn.Conv2d)]
    with torch.no_grad(), in_mode(model, training=False):
        model(x)
    for handle in handles:
        handle.remove()
    return images


def _plain(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Linear | nn.Conv2d) and not parametrize.is_parametrized(layer, "weight")


def _options(layer: nn.Linear | nn.Conv2d) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], int]:
    """Return stride, padding, dilation and groups of a layer."""
    if isinstance(layer, nn.Linear):
        return (1, 1), (0, 0), (1, 1), 1
    padding = layer.padding
    if isinstance(padding, str) or layer.padding_mode != "zeros" or len(padding) != 2:
        raise ParameterError(
            f"a bounded convolution pads with a number of zeros, got padding={padding!r}, {layer.padding_mode!r}"
        )
    return _pair(layer.stride), _pair(padding), _pair(layer.dilation), layer.groups


def _pair(numbers: tuple[int, ...]) -> tuple[int, int]:
    return numbers[0], numbers[1]


def _require_unbounded(layer: nn.Module, kind: type[nn.Module]) -> None:
    if not isinstance(layer, kind) or parametrize.is_parametrized(layer, "weight"):
        raise ParameterError(
            f"a plain {kind.__name__} can be bounded, got {type(layer).__name__}; one that is bounded keeps its bound"
        )
