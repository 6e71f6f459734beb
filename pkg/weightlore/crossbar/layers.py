"""Fully connected and convolutional layers whose product is computed by a crossbar.

    y = step_x step_w crossbar(codes of x) + bias

Forward is the hardware. Backward is the quantized layer without hardware: rounding, converters and noise pass the
gradient straight through. A convolution is a product of unfolded patches; its groups are arrays of their own.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightlore.crossbar.arrays import Crossbar, Engine
from weightlore.crossbar.config import CrossbarConfig
from weightlore.crossbar.scales import codes_of, step_for
from weightlore.errors import ParameterError, require_finite

__all__ = ["CrossbarLayer", "Geometry", "patches", "require_width"]

Dense = nn.Linear | nn.Conv2d


class CrossbarLayer(nn.Module):
    """A layer on a crossbar; ``convert`` makes it.

    ``weight`` and ``bias`` are real parameters and can be trained; when the codes of the weight change, the crossbar is
    programmed anew. ``clipped`` counts inputs beyond the calibrated range: too large, or below zero where none was.

    Args:
        layer: ``nn.Linear`` or ``nn.Conv2d``; it is left as it is.
        config: of the crossbar; its ``signed_input`` gives way to the data if it says ``"none"``.
        inputs: a batch of typical inputs of the layer, for the range of the inputs and of the converters.
        generator: for what is drawn, in programming and in reading; kept, and advanced by each call.
        engine: which engine computes the product.

    Raises:
        ParameterError: if there are no inputs, or they are not finite.

    Source: [zhang2019bitslice], deployment; [bengio2013estimating], straight-through estimator
    """

    input_step: Tensor
    clipped: Tensor

    def __init__(
        self,
        layer: Dense,
        config: CrossbarConfig,
        inputs: Tensor,
        *,
        generator: torch.Generator | None = None,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        if inputs.numel() == 0:
            raise ParameterError("the calibration set is empty; give the inputs that a typical batch would bring")
        signed = bool((inputs < 0).any())
        if signed and config.signed_input == "none":
            config = replace(config, signed_input="two_pass")
        self.config, self.generator, self.engine = config, generator, engine
        self.geometry = None if isinstance(layer, nn.Linear) else Geometry.of(layer)
        self.weight = nn.Parameter(layer.weight.detach().clone())
        self.bias = None if layer.bias is None else nn.Parameter(layer.bias.detach().clone())
        step = step_for(float(inputs.detach().abs().max()), config.input_bits)
        self.register_buffer("input_step", torch.tensor(step, dtype=torch.float64))
        self.register_buffer("clipped", torch.tensor(0))
        self.chips = nn.ModuleList(self._program(inputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return the layer's output for inputs of the shape that the layer had before."""
        bound = float(self.input_step) * 2**self.config.input_bits
        low = 0.0 if self.config.signed_input == "none" else -bound
        require_finite("inputs of a layer on a crossbar", x)
        self._require(x)
        self.clipped += ((x > bound) | (x < low)).sum()
        self._reprogram()
        with torch.no_grad():
            product = self._product(x).to(x.dtype)
        if torch.is_grad_enabled() and (x.requires_grad or self.weight.requires_grad):
            product = _Straight.apply(self._dense(x), product)
        if self.bias is None:
            return product
        return product + (self.bias if self.geometry is None else self.bias[:, None, None])

    @property
    def arrays(self) -> list[Crossbar]:
        """The programmed crossbars, one for each group of channels."""
        return [chip for chip in self.chips if isinstance(chip, Crossbar)]

    def _step(self) -> float:
        return step_for(float(self.weight.detach().abs().max()), self.config.weight_bits)

    def _codes(self) -> list[Tensor]:
        """Weight codes as matrices (O, D), one for each group."""
        codes = codes_of(self.weight, self._step(), self.config.weight_bits).to(torch.int64).flatten(1)
        return list(codes.chunk(1 if self.geometry is None else self.geometry.groups))

    def input_codes(self, x: Tensor) -> list[Tensor]:
        """Return the input codes of each group, shape (..., D)."""
        self._require(x)
        signed = self.config.signed_input != "none"
        codes = codes_of(x.to(torch.float64), float(self.input_step), self.config.input_bits, signed=signed)
        return [codes] if self.geometry is None else patches(codes, self.geometry)

    def _require(self, x: Tensor) -> None:
        groups = None if self.geometry is None else self.geometry.groups
        require_width(x, self.weight.shape[1] * (groups or 1), channels=groups is not None)

    def _program(self, inputs: Tensor | None) -> list[Crossbar]:
        codes = self.input_codes(inputs) if self.config.adc.range == "calibrated" and inputs is not None else None
        return [
            Crossbar.program(w, self.config, generator=self.generator, calibration=None if codes is None else codes[i])
            for i, w in enumerate(self._codes())
        ]

    def _reprogram(self) -> None:
        """Write what has changed; converters stay as they were calibrated."""
        for i, (w, old) in enumerate(zip(self._codes(), self.arrays, strict=True)):
            if not torch.equal(w, old.codes):
                self.chips[i] = old.rewritten(w, generator=self.generator)

    def _product(self, x: Tensor) -> Tensor:
        pairs = zip(self.arrays, self.input_codes(x), strict=True)
        products = [chip(codes, generator=self.generator, engine=self.engine) for chip, codes in pairs]
        return self.assembled(products, x)

    def assembled(self, products: list[Tensor], x: Tensor) -> Tensor:
        """Return the integer products of all groups as the layer's output, without bias, for inputs like x."""
        scaled = torch.cat(products, dim=-1) * (float(self.input_step) * self._step())
        return scaled if self.geometry is None else _image(scaled, x, self.geometry)

    def _dense(self, x: Tensor) -> Tensor:
        """The quantized layer without hardware or bias, differentiable as a clamp is."""
        bound_x, bound_w = float(self.input_step) * 2**self.config.input_bits, self._step() * 2**self.config.weight_bits
        signed = self.config.signed_input != "none"
        codes = codes_of(x, float(self.input_step), self.config.input_bits, signed=signed)
        rounded = _Straight.apply(x.clamp(-bound_x if signed else 0, bound_x), codes * float(self.input_step))
        weight = codes_of(self.weight, self._step(), self.config.weight_bits) * self._step()
        weight = _Straight.apply(self.weight.clamp(-bound_w, bound_w), weight)
        if self.geometry is None:
            return F.linear(rounded, weight)
        g = self.geometry
        return F.conv2d(g.padded(rounded), weight, None, g.stride, 0, g.dilation, g.groups)


class _Straight(torch.autograd.Function):
    """The second argument forward; the gradient backward to the first, as it comes."""

    @staticmethod
    def forward(ctx: Any, through: Tensor, value: Tensor) -> Tensor:
        """Return the value."""
        return value.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """Return the gradient."""
        return gradients[0], None


def require_width(x: Tensor, width: int, *, channels: bool) -> None:
    """Check that inputs are as wide as a layer reads them.

    Args:
        x: inputs of the layer, shape (..., D), or (N, channels, height, width) for a convolution.
        width: D, or the number of channels.
        channels: whether the layer is a convolution.

    Raises:
        ParameterError: if they are not; the message gives both.

    Source: ours
    """
    if channels and x.dim() != 4:
        raise ParameterError(f"a convolution reads batches (N, channels, height, width), got shape {tuple(x.shape)}")
    if x.dim() == 0 or x.shape[1 if channels else -1] != width:
        what = "channels in dimension 1" if channels else "inputs in the last dimension"
        raise ParameterError(
            f"the layer reads {width} {what}, got shape {tuple(x.shape)}; give data like those it was trained on"
        )


@dataclass(frozen=True)
class Geometry:
    """Where a convolution looks.

    Args:
        kernel: height and width.
        stride: vertical and horizontal.
        padding: left, right, top, bottom.
        dilation: vertical and horizontal.
        groups: of channels, each with kernels of its own.
        mode: of the padding, as ``torch.nn.functional.pad`` calls it.

    Source: ours
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, ...]
    dilation: tuple[int, int]
    groups: int
    mode: str

    @classmethod
    def of(cls, layer: nn.Conv2d) -> "Geometry":
        """Return the geometry of a convolution."""
        mode = "constant" if layer.padding_mode == "zeros" else layer.padding_mode
        padding = tuple(layer._reversed_padding_repeated_twice)
        pairs = [(a, b) for a, b in (layer.kernel_size, layer.stride, layer.dilation)]
        return cls(pairs[0], pairs[1], padding, pairs[2], layer.groups, mode)

    def padded(self, x: Tensor) -> Tensor:
        """Return images with their margins."""
        return F.pad(x, self.padding, mode=self.mode)


def patches(x: Tensor, geometry: Geometry) -> list[Tensor]:
    """Return the patches that a convolution multiplies with its kernels.

    Args:
        x: images, shape (N, channels, height, width).
        geometry: of the convolution.

    Returns:
        For each group the patches, shape (N, positions, channels of the group * kernel height * kernel width).

    Raises:
        ParameterError: if x is no batch of images.

    Source: ours
    """
    if x.dim() != 4:
        raise ParameterError(f"a convolution reads batches (N, channels, height, width), got shape {tuple(x.shape)}")
    parts = geometry.padded(x).chunk(geometry.groups, dim=1)
    return [F.unfold(p, geometry.kernel, dilation=geometry.dilation, stride=geometry.stride).mT for p in parts]


def _image(product: Tensor, x: Tensor, geometry: Geometry) -> Tensor:
    """Products (N, positions, channels) as images (N, channels, height, width)."""
    reach = geometry.dilation[0] * (geometry.kernel[0] - 1) + 1
    height = (x.shape[2] + sum(geometry.padding[2:]) - reach) // geometry.stride[0] + 1
    return product.mT.unflatten(-1, (height, -1)).contiguous()
