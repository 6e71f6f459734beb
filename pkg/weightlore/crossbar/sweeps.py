"""How many bits does each converter need? One slice and one layer at a time, all resolutions from the same sums.

    result = sweep(hardware, data)
    result.accuracy[layer, slice, resolution]      all other converters lossless

The sums of a layer are computed once. A converter of fewer bits only cuts off what lies above its ceiling, so each
setting changes the layer's lossless output by that excess:

    y(k, bits) = y - sum over i, t, s of  base**i * scale[k] * sign[s] * max(P[i, t, k, s] - (2**bits - 1), 0)
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from weightlore.crossbar.arrays import Crossbar
from weightlore.crossbar.bitlines import input_planes
from weightlore.crossbar.conversion import crossbar_layers
from weightlore.crossbar.layers import CrossbarLayer
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import in_mode

__all__ = ["Sweep", "excess", "sweep"]


@dataclass(frozen=True)
class Sweep:
    """What each converter's resolution does to accuracy, the others being lossless.

    Args:
        layers: names of the L layers.
        bits: the resolutions, A of them.
        accuracy: shape (L, K, A), in [0, 1].
        saturated: share of the sums above the converter's ceiling, shape (L, K, A).
        lossless: accuracy with lossless converters everywhere.

    Source: ours
    """

    layers: tuple[str, ...]
    bits: tuple[int, ...]
    accuracy: Tensor
    saturated: Tensor
    lossless: float

    def smallest(self, tolerance: float = 0.005) -> Tensor:
        """Return the least resolution of each layer and slice that costs no more than a tolerance, shape (L, K).

        Where none is good enough the answer is one more than the greatest that was tried.
        """
        bits = torch.tensor([*self.bits, max(self.bits) + 1])
        fine = torch.cat(
            [self.accuracy >= self.lossless - tolerance, torch.ones_like(self.accuracy[..., :1]).bool()], -1
        )
        # A resolution counts only if all greater ones are good enough too.
        fine = fine.flip(-1).cumprod(-1).flip(-1).bool()
        return bits[fine.to(torch.int64).argmax(-1)]


def sweep(hardware: nn.Module, data: Split, *, bits: Sequence[int] = tuple(range(1, 9)), chunk: int = 250) -> Sweep:
    """Return the accuracy for every layer, slice and resolution of its converter, all others being lossless.

    Args:
        hardware: from ``convert`` with exact cells, converters that preserve the least significant bit, one conversion
            for each input digit, and subtraction after conversion; its own resolutions are not looked at.
        data: N examples.
        bits: resolutions to try, increasing.
        chunk: examples at once; each is followed for every resolution. The result does not depend on it.

    Returns:
        Accuracies and shares of saturated sums.

    Raises:
        ParameterError: if there are no data or resolutions, or the crossbars are of another kind.

    Source: ours; the question is that of [zhang2019bitslice]
    """
    tried = tuple(bits)
    if not len(data) or not tried or list(tried) != sorted(set(tried)) or tried[0] < 1:
        raise ParameterError(f"a sweep needs data, and increasing resolutions from 1 up; got {len(data)} and {tried}")
    lossless = _lossless(hardware)
    layers = crossbar_layers(lossless)
    slices = len(_arrays(next(iter(layers.values())))[0].largest)
    right, above = (torch.zeros(len(layers), slices, len(tried), dtype=torch.float64) for _ in range(2))
    hits = 0
    with torch.no_grad(), in_mode(lossless, training=False):
        for x, y in zip(data.x.split(chunk), data.y.split(chunk), strict=True):
            hits += int((lossless(x).argmax(-1) == y).sum())
            for number, layer in enumerate(layers.values()):
                for k in range(slices):
                    logits, share = _followed(lossless, layer, x, k, tried)
                    right[number, k] += (logits.argmax(-1) == y).sum(-1)
                    above[number, k] += share * len(x)
    return Sweep(tuple(layers), tried, right / len(data), above / len(data), hits / len(data))


def excess(array: Crossbar, x: Tensor, k: int, bits: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Return what saturating converters of one slice take from a product, for several resolutions.

        excess = sum over i, t, s of  base**i * scale[k] * sign[s] * max(P[i, t, k, s] - (2**bits - 1), 0)

    Args:
        array: with exact cells.
        x: input codes from zero up, shape (B, D).
        k: the slice.
        bits: A resolutions.

    Returns:
        The excess, shape (A, B, O), float64; and the share of sums that saturate, shape (A,).

    Source: ours
    """
    config, levels = array.config, array.levels[k]  # (S, O, D)
    width = config.input_bits + (config.signed_input == "offset")
    lost = torch.zeros(len(bits), len(x), levels.shape[1], dtype=torch.float64)
    above, count = torch.zeros(len(bits), dtype=torch.float64), 0
    for start in range(0, x.shape[1], config.rows):
        rows = slice(start, start + config.rows)
        planes, counts = input_planes(x[:, rows], bits=width, dac_bits=config.dac_bits)
        lines = levels[..., rows].to(torch.float32)
        sums = planes.to(torch.float32) @ lines.flatten(0, 1).T  # (I, B, S O), whole and below 2**24
        count, highest = count + sums.numel(), float(sums.max()) if sums.numel() else 0.0
        for number, b in enumerate(bits):
            if highest > 2**b - 1:
                over = (sums - (2**b - 1)).clamp_(min=0)
                above[number] += over.count_nonzero()
                shared = torch.tensordot(counts, over.to(torch.float64), dims=1).unflatten(-1, levels.shape[:2])
                lost[number] += torch.einsum("bso,s->bo", shared, array.factors[k])
    return lost, above / max(1, count)


def _followed(
    model: nn.Module, layer: CrossbarLayer, x: Tensor, k: int, bits: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Logits (A, B, C) with one slice of one layer saturating, and the share of its sums that do."""
    share = torch.zeros(len(bits), dtype=torch.float64)

    def saturate(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        lost, found = _lost(layer, inputs[0][: len(x)], k, bits)
        share.copy_(found)
        return output - lost.to(output.dtype)

    hook = layer.register_forward_hook(saturate)
    try:
        logits = model(x.repeat(len(bits), *[1] * (x.dim() - 1)))
    finally:
        hook.remove()
    return logits.unflatten(0, (len(bits), len(x))), share


def _lost(layer: CrossbarLayer, x: Tensor, k: int, bits: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """What a layer's output loses for each resolution, one after the other in the batch, and the share of sums."""
    losses, shares = [], []
    for array, codes in zip(_arrays(layer), layer.input_codes(x), strict=True):
        lost = torch.zeros(len(bits), *codes.shape[:-1], len(array.codes), dtype=torch.float64)
        for part, factor in array.passes(codes.reshape(-1, codes.shape[-1]).to(torch.int64)):
            found, share = excess(array, part, k, bits)
            lost += factor * found.reshape(lost.shape)
            shares.append(share)
        losses.append(lost.flatten(0, 1))
    return layer.assembled(losses, x), torch.stack(shares).mean(0)


def _lossless(hardware: nn.Module) -> nn.Module:
    """A copy whose converters saturate nowhere."""
    lossless = copy.deepcopy(hardware)
    for name, layer in crossbar_layers(lossless).items():
        for array in _arrays(layer):
            if not array.foldable or array.config.adc.placement == "accumulated":
                raise ParameterError(
                    f"layer {name!r}: a sweep needs exact cells and one conversion for each input digit, subtracted "
                    "digitally; convert the model with CrossbarConfig() and the sizes that you want"
                )
            array.converter_bits.fill_(24)
            array.converter_step.fill_(1.0)
    return lossless


def _arrays(layer: CrossbarLayer) -> list[Crossbar]:
    return [chip for chip in layer.chips if isinstance(chip, Crossbar)]
