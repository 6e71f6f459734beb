"""Binary weights as they can be stored: one bit for each, one scale for each output.

    Packed              bits, eight to a byte, and scales
    pack, Packed.unpacked
    save_packed         a network on disk, its binary weights packed, everything else as it is
    load_packed         the network from there, bit for bit
    packed_size         bytes, and how many times fewer than with 32 bits a weight

With n entries for each output, 32-bit numbers take 32 n bits, bits and a 32-bit scale n + 32: a factor 32 n / (n + 32),
30.3 for a 3x3 convolution of 64 channels and 31.8 for one of 512.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from weightlore.binary.layers import binary_layers, require_weight
from weightlore.errors import DataError, ParameterError

__all__ = ["Packed", "PackedSize", "load_packed", "pack", "packed_size", "save_packed"]

FORMAT = "weightlore packed 1"


@dataclass(frozen=True)
class Packed:
    """A binary weight in one bit for each entry.

    Args:
        bits: shape (O, ceil(n / 8)), uint8; bit j of byte k is 1 where entry 8 k + j of an output is positive. Bits
            beyond the n-th are 0.
        scale: alpha, shape (O,), >= 0.
        shape: of the weight, (O, I, ...).

    Source: [rastegari2016xnor], section 3.1; the layout is ours
    """

    bits: Tensor
    scale: Tensor
    shape: tuple[int, ...]

    @property
    def inputs(self) -> int:
        """n, the number of entries for each output."""
        return int(np.prod(self.shape[1:]))

    def signs(self) -> Tensor:
        """Return B, shape (O, I, ...), +1 and -1 in the dtype of the scale."""
        bits = np.unpackbits(self.bits.cpu().numpy(), axis=1, count=self.inputs, bitorder="little")
        found = torch.from_numpy(bits).to(self.scale.device, self.scale.dtype)
        return found.mul_(2).sub_(1).view(self.shape)

    def unpacked(self) -> Tensor:
        """Return alpha B, shape (O, I, ...)."""
        return self.signs().mul_(self.scale.view(-1, *[1] * (len(self.shape) - 1)))


def pack(weight: Tensor) -> Packed:
    """Return a binary weight in one bit for each entry.

    Args:
        weight: alpha B, shape (O, I, ...), as ``BinaryTraining.deployed`` leaves it: for each output two values, one
            the negative of the other.

    Returns:
        Bits and scales; ``unpacked`` gives the same weight, bit for bit, where -0.0 counts as zero.

    Raises:
        ParameterError: if the weight is not finite, or has other magnitudes.

    Example:
        >>> pack(torch.tensor([[0.5, -0.5, 0.5]])).bits
        tensor([[5]], dtype=torch.uint8)

    Source: ours
    """
    weight = require_weight(weight.detach(), "a weight to be packed")
    scale = weight.abs().flatten(1)[:, 0].clone()
    different = (weight.abs().flatten(1) != scale[:, None]).any(1)
    if bool(different.any()):
        raise ParameterError(
            f"one bit holds two values for each output, one the negative of the other, but {int(different.sum())} of "
            f"{len(weight)} outputs have other magnitudes; take the network of fit_binary or rounded_binary"
        )
    return Packed(packed_bits(weight.flatten(1) >= 0), scale, tuple(weight.shape))


def packed_bits(rows: Tensor) -> Tensor:
    """Return rows of booleans, eight to a byte.

    Args:
        rows: shape (N, n), bool.

    Returns:
        Shape (N, ceil(n / 8)), uint8, the first of eight in the lowest bit.

    Source: ours
    """
    return torch.from_numpy(np.packbits(rows.cpu().numpy(), axis=1, bitorder="little")).to(rows.device)


@dataclass(frozen=True)
class PackedSize:
    """What a network takes in memory, in bytes.

    Args:
        bits: of the binary weights, packed.
        scales: of the binary weights.
        floats: of the same weights with 32 bits each.
        rest: of all other parameters and buffers, as they are.

    Source: ours
    """

    bits: int
    scales: int
    floats: int
    rest: int

    @property
    def ratio(self) -> float:
        """How many times fewer bytes the binary weights take, scales included."""
        return self.floats / (self.bits + self.scales)

    @property
    def network_ratio(self) -> float:
        """The same for the whole network, of which the rest stays as it is."""
        return (self.floats + self.rest) / (self.bits + self.scales + self.rest)


def packed_size(model: nn.Module, layers: Sequence[str] | None = None) -> PackedSize:
    """Return what a network takes with packed binary weights.

    Args:
        model: with binary weights, as for ``save_packed``.
        layers: names of the binary layers; ``None`` for all but first and last.

    Returns:
        Bytes of bits, scales and the rest, and of the binary weights with 32 bits each.

    Raises:
        ParameterError: as ``pack`` and ``binary_layers``.

    Source: ours
    """
    packed, rest = _divided(model, layers)
    return PackedSize(
        bits=sum(one.bits.numel() for one in packed.values()),
        scales=sum(one.scale.nbytes for one in packed.values()),
        floats=sum(4 * one.shape[0] * one.inputs for one in packed.values()),
        rest=sum(tensor.nbytes for tensor in rest.values()),
    )


def save_packed(model: nn.Module, path: str | os.PathLike[str], *, layers: Sequence[str] | None = None) -> PackedSize:
    """Write a network whose binary weights take one bit each.

    Args:
        model: with binary weights, as ``fit_binary`` and ``rounded_binary`` return it.
        path: the file, in the form of safetensors; written whole or not at all.
        layers: names of the binary layers; ``None`` for all but first and last.

    Returns:
        What it takes.

    Raises:
        ParameterError: as ``pack`` and ``binary_layers``.

    Source: ours
    """
    packed, rest = _divided(model, layers)
    tensors = {name: tensor.contiguous().cpu().clone() for name, tensor in rest.items()}
    for name, one in packed.items():
        tensors |= {f"{name}.bits": one.bits.cpu(), f"{name}.scale": one.scale.cpu()}
    shapes = {name: list(one.shape) for name, one in packed.items()}
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    save_file(tensors, partial, metadata={"format": FORMAT, "packed": json.dumps(shapes)})
    partial.replace(path)
    return packed_size(model, layers)


def load_packed(model: nn.Module, path: str | os.PathLike[str]) -> nn.Module:
    """Bring a network into the state of a file that ``save_packed`` wrote.

    Args:
        model: of the same architecture; its parameters and buffers are set.
        path: the file.

    Returns:
        The model, with the very bits that were saved.

    Raises:
        DataError: if the file is missing, broken, or holds another network; the model is then as it was.

    Source: ours
    """
    state = _read(Path(path))
    known = model.state_dict()
    wrong = sorted(set(known) ^ set(state)) or [n for n, t in state.items() if t.shape != known[n].shape]
    if wrong:
        raise DataError(
            f"{path} holds another network: {', '.join(wrong[:3])} is missing, unknown or of another shape; "
            "build the model with the sizes of the saved one"
        )
    model.load_state_dict(state)
    return model


def _divided(model: nn.Module, layers: Sequence[str] | None) -> tuple[dict[str, Packed], dict[str, Tensor]]:
    """Return the packed binary weights, and all other tensors of the state."""
    names = {f"{name}.weight" for name in binary_layers(model, layers)}
    state = model.state_dict()
    packed = {name: pack(tensor) for name, tensor in state.items() if name in names}
    return packed, {name: tensor for name, tensor in state.items() if name not in names}


def _read(path: Path) -> dict[str, Tensor]:
    """Return the unpacked state of a file."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            metadata = file.metadata() or {}
        shapes = json.loads(metadata["packed"])
        for name, shape in shapes.items():
            bits, scale = tensors.pop(f"{name}.bits"), tensors.pop(f"{name}.scale")
            tensors[name] = Packed(bits, scale, tuple(shape)).unpacked()
        return tensors
    except (OSError, SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise DataError(
            f"{path} cannot be read as a packed network ({type(error).__name__}: {str(error).splitlines()[0]}); "
            "write it again with save_packed, or restore it from a copy"
        ) from error
