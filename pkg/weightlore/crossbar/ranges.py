"""How great a sum can become: what a converter must be built for.

    worst_case_range    any weights, any inputs
    static_range        these weights, any inputs; this is what slice sparsity makes smaller
    calibrated_range    these weights, these inputs

The range of the batch that is being read is never among them: a result would depend on its neighbors.
"""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from weightlore.crossbar.config import CrossbarConfig
from weightlore.crossbar.converters import Adc, Converter
from weightlore.errors import ParameterError

__all__ = ["best_range", "calibrated_range", "largest_input", "static_range", "sum_histogram", "worst_case_range"]


def largest_input(config: CrossbarConfig) -> int:
    """Return the greatest digit that meets a converter: of one input digit, or of all where charge is accumulated.

    Args:
        config: of the crossbar.

    Returns:
        The digit.

    Source: ours
    """
    bits = config.input_bits + (config.signed_input == "offset")
    return 2**bits - 1 if config.adc.placement == "accumulated" else 2 ** min(config.dac_bits, bits) - 1


def worst_case_range(
    config: CrossbarConfig, largest: tuple[int, ...], inputs: int, pedestal: float = 0.0
) -> tuple[float, ...]:
    """Return the greatest sum that any weights and inputs can give, for each slice.

        range[k] = R * largest_input * (largest_level[k] + pedestal),   half of it where bit lines may be flipped

    Args:
        config: of the crossbar.
        largest: the greatest level of each of the K slices.
        inputs: number D of inputs; a tile has R = min(rows, D) rows in use.
        pedestal: levels that every cell shows above its own, for its conductance does not start at zero.

    Returns:
        K ranges, in cell levels.

    Source: [shafiee2016isaac], resolution of the converter and the flipped encoding
    """
    rows = min(config.rows, inputs)
    halves = 2 if config.flip else 1
    return tuple(largest_input(config) * (rows * level // halves + rows * pedestal) for level in largest)


def static_range(levels: Tensor, config: CrossbarConfig) -> tuple[float, ...]:
    """Return the greatest sum that these weights can give with any inputs, for each slice.

        range[k] = largest_input * max over tiles, arrays and bit lines of  sum over rows of  level

    Args:
        levels: of the cells, shape (..., K, S, O, D).
        config: of the crossbar.

    Returns:
        K ranges, in cell levels.

    Source: [zhang2019bitslice], required resolution
    """
    lines = levels.dim() - 4
    loads = torch.stack([tile.clamp(min=0).sum(-1) for tile in levels.to(torch.float64).split(config.rows, dim=-1)])
    worst = loads.amax(dim=[d for d in range(loads.dim()) if d != lines + 1])
    return tuple(float(w) * largest_input(config) for w in worst)


def sum_histogram(sums: Iterable[Tensor], slices: int) -> Tensor:
    """Count how often each sum occurs on the bit lines of each slice.

    Args:
        sums: tensors of shape (..., K, S, O), in cell levels; real sums are rounded up, signs are dropped.
        slices: K.

    Returns:
        Counts, shape (K, V), V - 1 the greatest sum seen, int64.

    Source: ours
    """
    counts = torch.zeros(slices, 1, dtype=torch.int64)
    for tile in sums:
        found = tile.abs().ceil().to(torch.int64).movedim(-3, 0).flatten(1)
        if not found.numel():
            continue
        width = max(counts.shape[1], int(found.max()) + 1)
        new = torch.stack([torch.bincount(row, minlength=width) for row in found])
        new[:, : counts.shape[1]] += counts
        counts = new
    return counts


def calibrated_range(counts: Tensor, adc: Adc, converter: Converter) -> tuple[float, ...]:
    """Return the range that data ask for, for each slice.

    Args:
        counts: how often each sum occurs, shape (K, V), from ``sum_histogram``.
        adc: its ``calibration`` is the share of the sums that the range holds, or ``"mse"``.
        converter: for the number of codes of each slice.

    Returns:
        K ranges, in cell levels, at least one level each.

    Raises:
        ParameterError: if nothing was counted.

    Source: ours
    """
    if int(counts.sum()) == 0:
        raise ParameterError("the calibration set is empty; give the inputs that a typical batch would bring")
    share: float | Literal["mse"] = adc.calibration
    if share == "mse":
        return tuple(best_range(row, top) for row, top in zip(counts, converter.top, strict=True))
    within = counts.cumsum(1).to(torch.float64) / counts.sum(1, keepdim=True)
    return tuple(float(max(1, int((row < share - 1e-15).sum()))) for row in within)


def best_range(counts: Tensor, top: int) -> float:
    """Return the range with the least squared error of conversion.

        argmin over v of  sum over s of  counts[s] * (min(round(s / step), top) * step - s)**2,   step = v / top

    Args:
        counts: how often each sum s = 0, 1, ... occurs, shape (V,).
        top: the greatest code.

    Returns:
        One of 1, ..., V - 1, at most 512 of them tried; 1 where only zeros occur.

    Source: ours
    """
    sums, often = counts.nonzero().squeeze(1).to(torch.float64), counts[counts > 0].to(torch.float64)
    ranges = torch.linspace(1, max(1, len(counts) - 1), min(512, max(1, len(counts) - 1)), dtype=torch.float64).round()
    errors = []
    for step in ranges / top:
        errors.append(((sums / step + 0.5).floor().clamp(max=top) * step - sums).square() @ often)
    return float(ranges[torch.stack(errors).argmin()])
