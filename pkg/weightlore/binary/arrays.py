"""Weights of one bit in crossbar cells: what a bit line, or the difference of two, says about spikes.

    reference      cells hold B+ = (B + 1)/2, one more bit line holds 1/2:    sum B s = 2 (sum B+ s - sum s/2)
    differential   two cells for each weight, one of them on:                 sum B s = sum [B = 1] s - sum [B = -1] s

The current that empty cells carry is on both sides of either difference and cancels.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from weightlore.binary.thresholds import scale_and_sign
from weightlore.crossbar import CrossbarConfig
from weightlore.crossbar.chips import Chip, manufacture
from weightlore.crossbar.encodings import Encoded
from weightlore.crossbar.layers import Geometry, patches
from weightlore.errors import ParameterError

__all__ = ["BinaryArray", "BinaryEncoding"]

BinaryEncoding = Literal["differential", "reference"]


class BinaryArray(nn.Module):
    """A layer with weights of +-1 whose currents flow through cells.

    Args:
        layer: ``nn.Linear`` or ``nn.Conv2d`` with weights +1 and -1; an output of zeros has no cells that conduct more
            than others. A bias stays a current of its own.
        config: cells, faults, wires, rows and columns of a tile, and age; cells hold one bit.
        encoding: ``"differential"`` or ``"reference"``.
        generator: needed where something is drawn in programming; it advances.

    Raises:
        ParameterError: if weights have other values, or a generator is missing.

    Source: [lu2020binary], binary weights on a crossbar; the encodings are ours
    """

    bias: Tensor | None
    weight: Tensor
    variance: Tensor | None
    generator: torch.Generator | None

    def __init__(
        self,
        layer: nn.Linear | nn.Conv2d,
        config: CrossbarConfig,
        *,
        encoding: BinaryEncoding = "differential",
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.geometry = Geometry.of(layer) if isinstance(layer, nn.Conv2d) else None
        self.encoding, self.generator = encoding, None
        groups = layer.weight.detach().flatten(1).chunk(1 if self.geometry is None else self.geometry.groups)
        chips = [manufacture(_encoded(signs, encoding), config, generator=generator) for signs in groups]
        read = [_differences(chip, encoding) for chip in chips]
        dtype = layer.weight.dtype
        self.register_buffer("weight", torch.stack([weight for weight, _ in read]).to(dtype))  # (groups, O, D)
        drawn = [variance for _, variance in read if variance is not None]
        self.register_buffer("variance", torch.stack(drawn).to(dtype) if drawn else None)  # (groups, lines, D)
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().clone())

    def forward(self, x: Tensor) -> Tensor:
        """Return the currents, in units of one weight and one spike, for whole numbers of spikes.

        Args:
            x: spikes, or how many of them arrive in the same step, shape (N, ...) as the layer read.

        Raises:
            ParameterError: if cells fluctuate and there is no generator.
        """
        parts = [x.flatten(1)] if self.geometry is None else patches(x, self.geometry)
        found = torch.cat([self._read(part, k) for k, part in enumerate(parts)], dim=-1)
        if self.geometry is not None:
            found = found.mT.unflatten(-1, _places(x, self.geometry))
        if self.bias is None:
            return found
        return found + (self.bias if self.geometry is None else self.bias[:, None, None])

    def _read(self, spikes: Tensor, group: int) -> Tensor:
        """The difference of currents of one array, (..., D) -> (..., O), with a draw for each bit line that is read."""
        found = spikes @ self.weight[group].mT
        if self.variance is None:
            return found
        if self.generator is None:
            raise ParameterError("these cells fluctuate from reading to reading; simulate with spike_on_chip")
        spread = (spikes @ self.variance[group].mT).clamp(min=0).sqrt()
        noise = spread * torch.randn(spread.shape, generator=self.generator, dtype=spread.dtype)
        if self.encoding == "differential":
            return found + noise[..., : found.shape[-1]] - noise[..., found.shape[-1] :]
        return found + 2 * (noise[..., :-1] - noise[..., -1:])


def _encoded(signs: Tensor, encoding: BinaryEncoding) -> Encoded:
    """What the cells hold, shape (1, S, lines, D): the on cells of both signs, or of one sign and the reference."""
    if scale_and_sign(signs) is None or not bool((signs.abs() <= 1).all()):
        raise ParameterError("a cell of one bit holds +1 or -1, but other weights came; use absorb_scales first")
    held = signs.double()
    if encoding == "differential":
        digits = torch.stack([held.clamp(min=0), (-held).clamp(min=0)])
        return Encoded(digits.unsqueeze(0), (1,), (1, -1), (1,), 0)
    halfway = torch.full_like(held[:1], 0.5)
    return Encoded(torch.cat([(held + 1) / 2, halfway])[None, None], (2,), (1,), (1,), 0)


def _differences(chip: Chip, encoding: BinaryEncoding) -> tuple[Tensor, Tensor | None]:
    """The weights that the differences of bit lines amount to, (O, D), and the variance of each line, (lines, D)."""
    levels = chip.levels[0].double()  # (S, lines, D)
    weight = levels[0] - levels[1] if encoding == "differential" else 2 * (levels[0, :-1] - levels[0, -1:])
    whole = weight.round()
    weight = torch.where((weight - whole).abs() < 1e-9, whole, weight)  # what only rounding keeps from it
    return weight, None if chip.variance is None else chip.variance[0].double().flatten(0, 1)


def _places(x: Tensor, geometry: Geometry) -> tuple[int, int]:
    """Height and width of the image that a convolution makes."""
    reach = [d * (k - 1) + 1 for d, k in zip(geometry.dilation, geometry.kernel, strict=True)]
    margins = (sum(geometry.padding[2:]), sum(geometry.padding[:2]))
    sizes = zip(x.shape[2:], margins, reach, geometry.stride, strict=True)
    height, width = ((size + margin - r) // s + 1 for size, margin, r, s in sizes)
    return height, width
