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
from weightlore.crossbar.conversion import crossbar_layers
from weightlore.crossbar.layers import CrossbarLayer
from weightlore.data import Split
from weightlore.errors import ParameterError
from weightlore.training import in_mode

__all__ = ["Sweep", "excess", "sweep"]

SUMS_IN_CACHE = 800_000


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


def sweep(hardware: nn.Module, data: Split, *, bits: Sequence[int] = tuple(range(1, 9)), chunk: int = 1000) -> Sweep:
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
        ParameterError: if there are no data or resolutions, one of them or the chunk is no whole number from 1 up, or
            the crossbars are of another kind.

    Source: ours; the question is that of [zhang2019bitslice]
    """
    tried = tuple(bits)
    whole = all(isinstance(b, int) and b >= 1 for b in tried)
    if not len(data) or not tried or not whole or list(tried) != sorted(set(tried)) or chunk < 1:
        raise ParameterError(
            "a sweep needs data, increasing whole resolutions from 1 up and chunks from 1 up; "
            f"got {len(data)}, {tried} and {chunk}"
        )
    lossless = _lossless(hardware)
    layers = crossbar_layers(lossless)
    slices = len(_arrays(next(iter(layers.values())))[0].largest)
    right, above = (torch.zeros(len(layers), slices, len(tried), dtype=torch.float64) for _ in range(2))
    hits = 0
    with torch.no_grad(), in_mode(lossless, training=False):
        for x, y in zip(data.x.split(chunk), data.y.split(chunk), strict=True):
            logits, calls = _recorded(lossless, layers, x)
            fine = (logits.argmax(-1) == y).sum()
            hits += int(fine)
            for number, name in enumerate(layers):
                for k in range(slices):
                    lost, share = _lost(layers[name], calls[name].x, k, tried)
                    cut, counted = share > 0, fine.repeat(len(tried))
                    if bool(cut.any()):
                        found = _followed(lossless, layers, calls, name, x, lost[cut])
                        counted[cut] = (found.argmax(-1) == y).sum(-1)
                    right[number, k] += counted
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
    config, levels = array.config, array.levels[k].to(torch.float32)  # (S, O, D)
    width = config.input_bits + (config.signed_input == "offset")
    lost = torch.zeros(len(bits), len(x), levels.shape[1], dtype=torch.float64)
    above, count = torch.zeros(len(bits), dtype=torch.float64), 0
    pair = levels.shape[0] == 2  # of arrays, whose factors differ in sign alone
    size = max(1, SUMS_IN_CACHE // (config.input_digits * levels.shape[:2].numel()))
    for start in range(0, x.shape[1], config.rows):
        rows = slice(start, start + config.rows)
        lines = levels[..., rows].flatten(0, 1).T.contiguous()  # (R, S O)
        highest = float(lines.sum(0).max()) * (2**config.dac_bits - 1)
        for first in range(0, len(x) if lines.any() else 0, size):
            some = slice(first, first + size)
            planes, counts = _planes(x[some, rows], width, config.dac_bits)
            wide = torch.float32 if highest * float(counts.sum()) < 2**24 else torch.float64
            sums = planes @ lines  # (I, B, S O), whole and below 2**24
            over, counts = sums.to(wide).flatten(1), counts.to(wide)
            above_it = torch.empty_like(over)
            for number, b in enumerate(bits):
                ceiling = 2.0**b - 1
                saturated = float(torch.gt(over, ceiling, out=above_it).sum())  # as numbers: exact, and fast
                if saturated == 0:
                    break
                above[number] += saturated
                # max(P - c, 0) = max(P, c) - c, and what was raised to a ceiling stays below the next one.
                shared = (counts @ over.clamp_(min=ceiling)).reshape(-1, *levels.shape[:2])  # (B, S, O)
                lower = shared[:, 1] if pair else ceiling * counts.sum()
                lost[number, some].add_(shared[:, 0] - lower, alpha=float(array.factors[k, 0]))
        count += config.input_digits * len(x) * lines.shape[1]
    return lost, above / max(1, count)


def _planes(x: Tensor, bits: int, dac_bits: int) -> tuple[Tensor, Tensor]:
    """Input digits (I, B, R) as float32 and what each counts; codes were checked before, and one byte is cut faster."""
    narrow = x.to(torch.uint8 if bits <= 8 else torch.int32)
    shifts = range(0, bits, dac_bits)
    planes = torch.stack([(narrow >> shift) & (2**dac_bits - 1) for shift in shifts])
    return planes.to(torch.float32), 2.0 ** torch.tensor(list(shifts), dtype=torch.float64)


@dataclass(frozen=True)
class _Call:
    """What a layer was called with, what it returned, and as which of the layers."""

    x: Tensor
    y: Tensor
    turn: int


def _recorded(model: nn.Module, layers: dict[str, CrossbarLayer], x: Tensor) -> tuple[Tensor, dict[str, _Call]]:
    """Logits, and the call of each layer."""
    calls: dict[str, _Call] = {}

    def note(name: str, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if name in calls:
            raise ParameterError(
                f"layer {name!r} is called more than once, which a sweep cannot follow; give each its own"
            )
        calls[name] = _Call(inputs[0], output, len(calls))

    hooks = [
        layer.register_forward_hook(lambda _, inputs, output, name=name: note(name, inputs, output))
        for name, layer in layers.items()
    ]
    try:
        logits = model(x)
    finally:
        for hook in hooks:
            hook.remove()
    return logits, calls


def _followed(
    model: nn.Module, layers: dict[str, CrossbarLayer], calls: dict[str, _Call], name: str, x: Tensor, lost: Tensor
) -> Tensor:
    """Logits (A, B, C) for what a layer loses, (A, B, ...); what comes before it is not computed again."""
    times, turn = len(lost), calls[name].turn
    known = {n: call.y.repeat(times, *[1] * (call.y.dim() - 1)) for n, call in calls.items() if call.turn < turn}
    known[name] = (calls[name].y - lost.to(calls[name].y.dtype)).flatten(0, 1)
    for n, value in known.items():
        layers[n].forward = lambda _, value=value: value  # type: ignore[method-assign, misc]
    try:
        return model(x.repeat(times, *[1] * (x.dim() - 1))).unflatten(0, (times, len(x)))
    finally:
        for n in known:
            del layers[n].forward


def _lost(layer: CrossbarLayer, x: Tensor, k: int, bits: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """What a layer's output loses for each resolution, shape (A, B, ...), and the share of sums."""
    losses, shares = [], []
    for array, codes in zip(_arrays(layer), layer.input_codes(x), strict=True):
        lost = torch.zeros(len(bits), *codes.shape[:-1], len(array.codes), dtype=torch.float64)
        for part, factor in array.passes(codes.reshape(-1, codes.shape[-1]).to(torch.int64)):
            found, share = excess(array, part, k, bits)
            lost += factor * found.reshape(lost.shape)
            shares.append(share)
        losses.append(lost.flatten(0, 1))
    return layer.assembled(losses, x).unflatten(0, (len(bits), len(x))), torch.stack(shares).mean(0)


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
