"""A network as a chain of layers that can be taken apart.

Each layer is an affine map followed by a non-linearity that keeps the shape; a linear readout ends the chain:

    a_l = pre(l, h_{l-1})       affine: weights, bias, normalization, average pooling
    h_l = phi(l)(a_l)           elementwise
    f(x) = head(h_{L-1}),       h_{-1} = x

Average pooling is linear, so it belongs to the affine map: of the same layer where it stands before the non-linearity,
of the next layer where it stands after. Chapters that mix the layers of two networks, or that let neurons spike, then
find input and output of every non-linearity of one shape.
"""

from collections.abc import Callable, Sequence
from math import prod
from typing import Literal, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from weightlore.errors import ParameterError

__all__ = ["Chain", "Layered", "built", "redraw", "require_counts", "walked"]

Shape = tuple[int, ...]
Model = TypeVar("Model", bound=nn.Module)


@runtime_checkable
class Layered(Protocol):
    """What every network of this package offers beside ``forward``: it can be taken apart into L layers.

    Source: [zhang2019ptu], which mixes two networks layer by layer; the interface is ours.
    """

    @property
    def num_layers(self) -> int:
        """L, the number of layers before the readout."""
        ...

    def pre(self, l: int, h: Tensor) -> Tensor:  # noqa: E741
        """Return the input of the non-linearity of layer l, given the output h of the layer before (or x)."""
        ...

    def phi(self, l: int) -> Callable[[Tensor], Tensor]:  # noqa: E741
        """Return the non-linearity of layer l."""
        ...

    def activations(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the L layers."""
        ...

    def head(self, h: Tensor) -> Tensor:
        """Return the logits, given the output of the last layer."""
        ...


def walked(network: Layered, x: Tensor) -> list[Tensor]:
    """Return the outputs of all layers, h_l = phi(l)(pre(l, h_{l-1})), first layer first.

    Args:
        network: what can be taken apart.
        x: its input.

    Returns:
        L tensors, in the shapes of the layers' outputs.

    Source: ours
    """
    outputs, h = [], x
    for l in range(network.num_layers):  # noqa: E741
        h = network.phi(l)(network.pre(l, h))
        outputs.append(h)
    return outputs


class Chain(nn.Module):
    """Fully connected and convolutional layers with ReLU, then a linear readout.

    Layer l computes ``phi(pool(norm(layer(entry(h)))))``; a fully connected layer flattens its input. The parameters
    are named ``layers.0.weight``, ``layers.0.bias``, ``norms.0.weight``, ..., ``readout.weight``, ``readout.bias``.

    Args:
        layers: L modules ``nn.Linear`` or ``nn.Conv2d``.
        readout: ``nn.Linear`` from the flattened last activation to the C classes.
        inputs: shape of one example; the input may come flattened, as (N, D) with D its product.
        entries: for each layer what happens to its input, an average pooling or nothing (``nn.Identity()``).
        norms: for each layer a normalization, or nothing.
        pools: for each layer an average pooling before the non-linearity, or nothing.
        dropout: for each layer the share of its activations that training drops, in [0, 1).

    Source: ours
    """

    def __init__(
        self,
        layers: Sequence[nn.Module],
        readout: nn.Linear,
        *,
        inputs: Shape,
        entries: Sequence[nn.Module] | None = None,
        norms: Sequence[nn.Module] | None = None,
        pools: Sequence[nn.Module] | None = None,
        dropout: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        count = range(len(layers))
        self.inputs = inputs
        self.layers = nn.ModuleList(layers)
        self.flattens = [isinstance(layer, nn.Linear) for layer in layers]  # known also when a layer is replaced
        self.entries = nn.ModuleList(entries or [nn.Identity() for _ in count])
        self.norms = nn.ModuleList(norms or [nn.Identity() for _ in count])
        self.pools = nn.ModuleList(pools or [nn.Identity() for _ in count])
        self.nonlinear = nn.ModuleList(_relu(share) for share in dropout or [0.0 for _ in count])
        self.readout = readout

    @property
    def num_layers(self) -> int:
        """L, the number of layers before the readout."""
        return len(self.layers)

    def pre(self, l: int, h: Tensor) -> Tensor:  # noqa: E741
        """Return the input of the non-linearity of layer l.

        Args:
            l: number of the layer, 0 to L-1.
            h: output of the layer before, or the network's input x for l = 0.

        Returns:
            Shape (N, width) or (N, channels, height, width).

        Raises:
            ParameterError: if x is not a batch of examples of the network's input shape.
        """
        layer = self.layers[l]
        h = self.entries[l](self._enter(h) if l == 0 else h)
        h = h.flatten(1) if self.flattens[l] else h
        return self.pools[l](self.norms[l](layer(h)))

    def phi(self, l: int) -> Callable[[Tensor], Tensor]:  # noqa: E741
        """Return the non-linearity of layer l, a module that keeps the shape."""
        return self.nonlinear[l]

    def activations(self, x: Tensor) -> list[Tensor]:
        """Return the outputs of the L layers for the input x, first layer first."""
        return walked(self, x)

    def head(self, h: Tensor) -> Tensor:
        """Return the logits, shape (N, C), given the output of the last layer."""
        return self.readout(h.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits, shape (N, C), of the input x, shape (N, *inputs) or (N, D)."""
        h = x
        for l in range(self.num_layers):  # noqa: E741
            h = self.phi(l)(self.pre(l, h))
        return self.head(h)

    def _enter(self, x: Tensor) -> Tensor:
        """Bring a batch into the shape of the network's input."""
        if x.ndim < 2 or prod(x.shape[1:]) != prod(self.inputs):
            raise ParameterError(
                f"the network reads batches of shape (N, {', '.join(map(str, self.inputs))}), also flattened, "
                f"got shape {tuple(x.shape)}; a single example x goes in as x[None]"
            )
        return x if x.shape[1:] == self.inputs else x.reshape(len(x), *self.inputs)


def _relu(dropout: float) -> nn.Module:
    return nn.Sequential(nn.ReLU(), nn.Dropout(dropout)) if dropout else nn.ReLU()


def built(
    make: Callable[[], Model],
    *,
    generator: torch.Generator,
    dtype: torch.dtype,
    fan: Literal["in", "out"] = "in",
    linear_spread: float | None = None,
) -> Model:
    """Return a module whose parameters are drawn from the generator alone.

    Modules of torch draw from the global random state when they are made; here that state is left as found, and what
    was drawn is overwritten, in the order of ``model.modules()``:

        convolution and linear   normal, mean 0, variance 2 / fan   (1 / fan_in for the readout: no ReLU follows)
        embedding                normal, mean 0, variance 1; the row of padding is zero
        biases 0, gains 1

    Args:
        make: makes the module, in any state.
        generator: where the draws come from.
        dtype: floating dtype of the parameters.
        fan: whether the variance counts the inputs of a unit, which keeps the size of the activations, or its outputs,
            which keeps the size of the gradients.
        linear_spread: standard deviation for fully connected layers instead, readout included.

    Raises:
        ParameterError: if the dtype is not floating.

    Source: [he2015rectifiers]; which variance goes where is ours.
    """
    if not dtype.is_floating_point:
        raise ParameterError(f"parameters are real numbers: dtype must be floating, for example float64, got {dtype}")
    with torch.random.fork_rng(devices=[]):
        model = make().to(dtype)
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            told = linear_spread if isinstance(module, nn.Linear) else None
            object.__setattr__(module, "spread", told or _spread(module.weight, name == "readout", fan))
            redraw(module, generator=generator)
        if isinstance(module, nn.Embedding):
            object.__setattr__(module, "spread", 1.0)
            redraw(module, generator=generator)
    return model


def redraw(module: nn.Module, *, generator: torch.Generator) -> bool:
    """Draw the parameters of a module anew, in place, by the law by which ``built`` drew them.

    ``built`` leaves the standard deviation as ``spread`` with each convolution, fully connected layer and embedding;
    copies keep it.

    Args:
        module: one of these; without its children.
        generator: where the draws come from.

    Returns:
        Whether the module has been drawn by ``built``; otherwise nothing happens.

    Source: [he2015rectifiers]; that networks remember their law is ours.
    """
    spread = vars(module).get("spread")
    if spread is None or not isinstance(module, nn.Linear | nn.Conv2d | nn.Embedding):
        return False
    with torch.no_grad():
        _draw(module.weight, spread, generator)
        if isinstance(module, nn.Embedding):
            if module.padding_idx is not None:
                module.weight[module.padding_idx] = 0.0
        elif module.bias is not None:
            module.bias.zero_()
    return True


def _spread(weight: Tensor, readout: bool, fan: Literal["in", "out"]) -> float:
    """Return the standard deviation for a weight of shape (out, in, ...)."""
    if readout:
        return weight[0].numel() ** -0.5
    return (2 / (weight[0] if fan == "in" else weight[:, 0]).numel()) ** 0.5


def _draw(parameter: Tensor, spread: float, generator: torch.Generator) -> None:
    noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype, device=generator.device)
    parameter.copy_(spread * noise)


def require_counts(**counts: int) -> None:
    """Check that every size is a whole number of at least one.

    Args:
        counts: the sizes under the names by which the caller knows them.

    Raises:
        ParameterError: if one is not; the message names it.

    Source: ours
    """
    for name, count in counts.items():
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise ParameterError(f"{name} must be a whole number of at least 1, got {count!r}")
