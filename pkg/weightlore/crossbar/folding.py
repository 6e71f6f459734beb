"""Skip what cannot change the result.

A bit line whose greatest sum is within its converter's range never saturates, so its slices may as well be one dense
weight again. Only the others go through digits and converters; bit lines with empty cells go nowhere.

    fold            which columns must be converted, tile by tile, and the dense matrix of all others
    folded_product  the product by that plan, equal to the long way bit for bit
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.crossbar.bitlines import input_planes
from weightlore.crossbar.config import CrossbarConfig
from weightlore.crossbar.converters import Converter, convert_sums
from weightlore.crossbar.ranges import largest_input
from weightlore.crossbar.reference import Programmed

__all__ = ["Plan", "Tile", "fold", "folded_product"]


@dataclass(frozen=True)
class Tile:
    """The bit lines of a row tile that have to be converted.

    Args:
        rows: of the inputs that the tile reads.
        lines: cell levels of the C bit lines, shape (C, R), uint8.
        slice: index k of each, shape (C,), int64.
        output: index o of each, shape (C,), int64.
        factor: what a level counts on each, shape (C,), float64.

    Source: ours
    """

    rows: slice
    lines: Tensor
    slice: Tensor
    output: Tensor
    factor: Tensor


@dataclass(frozen=True)
class Plan:
    """A product with all that is superfluous left out.

    Args:
        dense: the weights of all bit lines that cannot saturate, shape (O, D), float64; ``None`` if there is none.
        tiles: the others.

    Source: ours
    """

    dense: Tensor | None
    tiles: tuple[Tile, ...]


def fold(array: Programmed) -> Plan:
    """Sort the bit lines into those that are converted and those that need not be.

    Args:
        array: with exact cells.

    Returns:
        The plan.

    Source: ours
    """
    config, levels, factors = array.config, array.levels, array.factors
    ceiling = torch.tensor(array.converter.ceiling, dtype=torch.float64).reshape(-1, 1, 1)
    weights = factors[..., None, None]  # (K, S, 1, 1)
    dense, tiles = torch.zeros(levels.shape[-2:], dtype=torch.float64), list[Tile]()
    for start in range(0, levels.shape[-1], config.rows):
        rows = slice(start, start + config.rows)
        tile = levels[..., rows]
        load = tile.sum(-1, dtype=torch.float64) * largest_input(config)  # (K, S, O)
        kept = load > ceiling if config.adc.exact else load > 0
        dense[:, rows] = (tile * ~kept.unsqueeze(-1) * weights).sum((0, 1))
        k, s, o = kept.nonzero(as_tuple=True)
        if len(k):
            tiles.append(Tile(rows, tile[k, s, o].contiguous(), k, o, factors[k, s]))
    return Plan(dense if bool(dense.any()) else None, tuple(tiles))


def folded_product(
    codes: Tensor, plan: Plan, array: Programmed, *, chunk: int | None = None, engine: str = "torch"
) -> Tensor:
    """Return the product by a plan.

    Args:
        codes: inputs from zero up, shape (B, D), int64.
        plan: from ``fold``.
        array: that the plan was made for.
        chunk: rows of the batch to work on at once, ``None`` for as many as fit 32 MB.
        engine: what converts the bit lines that are left.

    Returns:
        The product, shape (..., B, O), float64, whole numbers.

    Source: ours
    """
    product = torch.zeros(len(codes), array.levels.shape[-2], dtype=torch.float64)
    if plan.dense is not None:
        product += codes.to(torch.float64) @ plan.dense.T
    for tile in plan.tiles:
        size = chunk or max(1, 8_000_000 // (array.config.input_digits * len(tile.lines)))
        for part, out in zip(codes[:, tile.rows].split(size), product.split(size), strict=True):
            _add_tile(out, part, tile, array.converter, array.config)
    return product


def _add_tile(out: Tensor, codes: Tensor, tile: Tile, converter: Converter, config: CrossbarConfig) -> None:
    """Add a tile's converted bit lines to their outputs."""
    bits = config.input_bits + (config.signed_input == "offset")
    accumulated = config.adc.placement == "accumulated"
    planes, count = input_planes(codes, bits=bits, dac_bits=config.dac_bits, accumulated=accumulated)
    used = planes.flatten(1).any(1)
    if not bool(used.any()):
        return
    whole = torch.float32 if float(tile.lines.sum(1).max()) * largest_input(config) < 2**24 else torch.float64
    sums = planes[used].to(whole) @ tile.lines.to(whole).T  # (I, B, C)
    steps = [converter.step[k] for k in tile.slice.tolist()]
    tops = [converter.top[k] for k in tile.slice.tolist()]
    one = Converter((0,) * len(steps), tuple(steps), tuple(tops), signed=False)
    values = convert_sums(sums.unsqueeze(-1).unsqueeze(-1), one, config.adc, generator=None).flatten(-3)
    shares = torch.einsum("ibc,i->bc", values.to(torch.float64), count[used]) * tile.factor
    out.index_add_(1, tile.output, shares)
