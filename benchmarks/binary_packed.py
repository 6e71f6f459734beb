"""Products with weights of one bit against the float32 product, and what the weights take in memory.

A packed weight is read as words of 64 bits, of which a processor counts the ones; the float product reads numbers of 32
bits, for which the library below torch has been tuned for decades. Who wins depends on whether the weights have to be
fetched from memory: many examples share one reading of them, a single one does not. brevitas, where it is installed
(``make peers``), keeps the weights as floats and computes their signs anew in every forward pass.
"""

from collections.abc import Callable
from importlib.util import find_spec

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.race import Race
from benchmarks.spiking_peers import versions
from weightlore.binary import binarize, pack, sign_product, spike_product
from weightlore.binary.packed import Packed, packed_bits
from weightlore.binary.popcount import LANES, compiled

Product = Callable[[], Tensor]


def races() -> list[Race]:
    if find_spec("brevitas") is None:
        print("  brevitas left out: not installed (make peers)", flush=True)
    engines = ["numba", "torch"] if find_spec("numba") else ["torch"]
    return [
        _signs("signs", "1024-1024, 256 examples", 1024, 256, engines),
        _signs("signs, one example", "4096-4096, 1 example", 4096, 1, engines),
        _spikes("spikes", "1024-1024, 256 examples of which 15% spike", 1024, 256, engines),
        _patches(engines),
    ]


def _weight(*shape: int) -> tuple[Tensor, Packed]:
    """A binary weight alpha B, and the same in bits."""
    scale, signs = binarize(torch.randn(shape, generator=torch.Generator().manual_seed(0)))
    weight = signs * scale.view(-1, *[1] * (len(shape) - 1))
    return weight, pack(weight)


def _stored(packed: Packed) -> str:
    bits, floats = packed.bits.nbytes + packed.scale.nbytes, 4 * packed.shape[0] * packed.inputs
    return f"weights take {bits:,} bytes with their scales instead of {floats:,}, {floats / bits:.1f} times fewer"


def _signs(name: str, what: str, width: int, examples: int, engines: list[str]) -> Race:
    weight, packed = _weight(width, width)
    x = torch.randn(examples, width, generator=torch.Generator().manual_seed(1))
    contestants: dict[str, Product] = {one: _signed(x, packed, one) for one in engines}
    contestants["float32 product of signs"] = lambda: F.linear(torch.where(x >= 0, 1.0, -1.0), weight)
    if find_spec("brevitas"):
        contestants["brevitas"] = _in_brevitas(x, weight)
    return _race(name, f"{what}; {_stored(packed)}", contestants, engines)


def _signed(x: Tensor, packed: Packed, engine: str) -> Product:
    return lambda: sign_product(x, packed, engine=engine)


def _spikes(name: str, what: str, width: int, examples: int, engines: list[str]) -> Race:
    weight, packed = _weight(width, width)
    x = (torch.rand(examples, width, generator=torch.Generator().manual_seed(1)) < 0.15).float()
    contestants: dict[str, Product] = {one: _spiked(x, packed, one) for one in engines}
    contestants["float32 product"] = lambda: F.linear(x, weight)
    return _race(name, f"{what}; {_stored(packed)}", contestants, engines)


def _spiked(x: Tensor, packed: Packed, engine: str) -> Product:
    return lambda: spike_product(x, packed, engine=engine)


def _patches(engines: list[str]) -> Race:
    """A convolution of spikes as a product of its patches, which have to be laid out first."""
    weight, packed = _weight(64, 64, 3, 3)
    x = (torch.rand(32, 64, 16, 16, generator=torch.Generator().manual_seed(1)) < 0.15).float()
    contestants: dict[str, Product] = {one: _unfolded(x, packed, one) for one in engines}
    contestants["float32 convolution"] = lambda: F.conv2d(x, weight, padding=1)
    if "numba" in engines:
        contestants["packed, then patches"] = _packed_first(x, weight)
    what = f"3x3 convolution of 64 channels, 32 examples of 16x16; {_stored(packed)}"
    return _race("spikes, convolution", what, contestants, engines)


def _unfolded(x: Tensor, packed: Packed, engine: str) -> Product:
    def run() -> Tensor:
        patches = F.unfold(x, 3, padding=1).transpose(1, 2).flatten(0, 1)
        found = spike_product(patches, packed, engine=engine)
        return found.view(len(x), -1, found.shape[1]).transpose(1, 2).reshape(len(x), -1, *x.shape[2:])

    return run


def _packed_first(x: Tensor, weight: Tensor) -> Product:
    """A pixel's 64 channels are one word: nine words are a patch, and no single bit is copied nine times.

    The last group of outputs holds one whose bits are all 1: its count is the number of spikes in a patch.
    """
    scale, (outputs, channels, rows, columns) = binarize(weight)[0], weight.shape
    bits = packed_bits(weight.permute(0, 2, 3, 1).flatten(1) >= 0)
    grouped = np.zeros((outputs + LANES, rows * columns), np.uint64)
    grouped[:outputs], grouped[outputs] = bits.numpy().view(np.uint64), ~np.uint64(0)
    grouped = np.ascontiguousarray(grouped.reshape(-1, LANES, rows * columns).transpose(0, 2, 1))

    def run() -> Tensor:
        pixels = packed_bits((x != 0).permute(0, 2, 3, 1).reshape(-1, channels)).view(torch.int64)
        padded = F.pad(pixels.view(len(x), *x.shape[2:]), (1, 1, 1, 1))
        patches = padded.unfold(1, rows, 1).unfold(2, columns, 1).reshape(-1, rows * columns)
        out = np.empty((len(patches), len(grouped) * LANES), np.int64)
        compiled()(out, patches.numpy().view(np.uint64), grouped, 1)
        count = torch.from_numpy(out)
        found = (2 * count[:, :outputs] - count[:, outputs, None]) * scale
        return found.view(len(x), *x.shape[2:], outputs).permute(0, 3, 1, 2)

    return run


def _in_brevitas(x: Tensor, weight: Tensor) -> Product:
    import brevitas.nn as layers
    from brevitas.inject.enum import ScalingImplType, StatsOp
    from brevitas.quant import SignedBinaryActPerTensorConst, SignedBinaryWeightPerTensorConst

    class Scaled(SignedBinaryWeightPerTensorConst):
        scaling_impl_type = ScalingImplType.STATS
        scaling_stats_op = StatsOp.AVE
        scaling_per_output_channel = True

    signs = layers.QuantIdentity(act_quant=SignedBinaryActPerTensorConst)
    layer = layers.QuantLinear(weight.shape[1], weight.shape[0], bias=False, weight_quant=Scaled)
    layer.weight.data.copy_(weight)
    network = nn.Sequential(signs, layer).eval()

    def run() -> Tensor:
        with torch.no_grad():
            return network(x)

    return run


def _race(name: str, what: str, contestants: dict[str, Product], engines: list[str]) -> Race:
    return Race(
        name=name,
        what=what + versions(one for one in contestants if one == "brevitas"),
        contestants=contestants,
        candidate=engines[0],
        reference=next(one for one in contestants if one.startswith("float32")),
        tolerance=1e-5,
    )
