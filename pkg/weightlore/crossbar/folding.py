"""Skip what cannot change the result.

A bit line whose greatest sum is within its converter's range never saturates, so its slices may as well be one dense
weight again. Only the others go through digits and converters; bit lines with empty cells go nowhere, and neither do
the top bits of inputs that are all small.

    fold            which columns must be converted, tile by tile, and the dense matrix of all others
    folded_product  the product by that plan, equal to the long way bit for bit, in plain torch or compiled
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from weightlore.crossbar.bitlines import input_planes
from weightlore.crossbar.compiled import Compiled, available, compiled_product, prepare
from weightlore.crossbar.converters import Converter, convert_sums
from weightlore.crossbar.lookup import Steps, code_table, steps
from weightlore.crossbar.packed import Lines, Words, pack, packed_product
from weightlore.crossbar.ranges import largest_input
from weightlore.crossbar.reference import Programmed
from weightlore.errors import MissingExtra

__all__ = ["Plan", "Tile", "fold", "folded_product"]

TABLE = 2**20  # sums beyond this go through the converter itself, not through a table
DENSE_ROWS = 512  # of the batch, in a dense product: so many stay in the cache between its steps
WORTH_COMPILING = 2**20  # conversions; below, loading compiled code takes longer than the work


@dataclass(frozen=True)
class Tile:
    """The bit lines of a row tile that have to be converted.

    Args:
        rows: of the inputs that the tile reads.
        lines: slice by slice and array by array.
        wide: those with sums too great for a table.

    Source: ours
    """

    rows: slice
    lines: tuple[Lines, ...]
    wide: tuple[Lines, ...]


@dataclass(frozen=True)
class Plan:
    """A product with all that is superfluous left out.

    Args:
        dense: the weights of all bit lines that cannot saturate, shape (O, D), float64; ``None`` if there is none.
        tiles: the others.
        outputs: number O of outputs.
        bits: of an input.
        dac_bits: of an input digit.
        silent: whether converters make nothing of nothing.

    Source: ours
    """

    dense: Tensor | None
    tiles: tuple[Tile, ...]
    outputs: int
    bits: int
    dac_bits: int
    silent: bool

    @cached_property
    def words(self) -> tuple[tuple[Words, ...], ...]:
        """The lines of each tile as the engine in plain torch wants them."""
        return tuple(pack(tile.lines, 2**self.bits - 1) for tile in self.tiles)

    @cached_property
    def compiled(self) -> Compiled | None:
        """The lines of all tiles as the compiled engine wants them, ``None`` where it cannot serve them."""
        if any(tile.wide for tile in self.tiles):
            return None
        return prepare([(t.rows, t.lines) for t in self.tiles], self.outputs, bits=self.bits, dac_bits=self.dac_bits)

    @cached_property
    def halves(self) -> tuple[Tensor, int] | None:
        """The dense weights in float32, shape (D, O), and how many bits of an input keep their sums exact."""
        if self.dense is None or not torch.equal(self.dense, self.dense.round()):
            return None
        reach = max(1, int(self.dense.abs().sum(1).max()))
        bits = ((2**24 - 1) // reach + 1).bit_length() - 1
        return (self.dense.T.to(torch.float32).contiguous(), bits) if 2 * bits >= self.bits else None


def fold(array: Programmed) -> Plan:
    """Sort the bit lines into those that are converted and those that need not be.

    Args:
        array: with exact cells.

    Returns:
        The plan.

    Source: ours
    """
    config, levels = array.config, array.levels
    bits = config.input_bits + (config.signed_input == "offset")
    dac_bits = bits if config.adc.placement == "accumulated" else min(config.dac_bits, bits)
    ceiling = torch.tensor(array.converter.ceiling, dtype=torch.float64).reshape(-1, 1, 1)
    nothing = [int(code_table(array.converter, config.adc, k, 0)) for k in range(len(levels))]
    heard = torch.tensor(nothing).reshape(-1, 1, 1) != 0
    dense, tiles = torch.zeros(levels.shape[-2:], dtype=torch.float64), list[Tile]()
    for start in range(0, levels.shape[-1], config.rows):
        rows = slice(start, start + config.rows)
        tile = levels[..., rows]
        load = tile.sum(-1, dtype=torch.int64) * largest_input(config)  # (K, S, O)
        kept = load > ceiling if config.adc.exact else (load > 0) | heard
        dense[:, rows] = (tile * ~kept.unsqueeze(-1) * array.factors[..., None, None]).sum((0, 1))
        tiles.append(_tile(array, rows, kept, load))
    dense_or_none = dense if bool(dense.any()) else None
    return Plan(dense_or_none, tuple(tiles), levels.shape[-2], bits, dac_bits, not any(nothing))


def _tile(array: Programmed, rows: slice, kept: Tensor, load: Tensor) -> Tile:
    """The lines of a tile; where most of a slice's columns are converted, it keeps all and the others are empty."""
    lines = []
    for k, s in kept.any(-1).nonzero().tolist():
        columns, levels = kept[k, s], array.levels[k, s][:, rows]
        most = 2 * int(columns.sum()) >= len(columns)
        output = None if most else columns.nonzero().squeeze(1)
        levels = levels * columns.unsqueeze(1) if most else levels[columns]
        lines.append(_lines(array, k, float(array.factors[k, s]), levels, output, int(load[k, s][columns].max())))
    wide = tuple(one for one in lines if not len(one.table))
    return Tile(rows, tuple(one for one in lines if len(one.table)), wide)


def _lines(array: Programmed, k: int, factor: float, levels: Tensor, output: Tensor | None, greatest: int) -> Lines:
    adc, step = array.config.adc, array.converter.step[k]
    slope, lift = adc.gain / step, adc.offset + (0.5 if adc.rounding == "nearest" else 0.0)
    table, way = torch.empty(0, dtype=torch.int64), Steps()
    if greatest < TABLE:
        table = code_table(array.converter, adc, k, greatest)
        way = steps(table, slope, lift)
    return Lines(levels, output, greatest, k, step, factor, table, slope, lift, way)


def folded_product(
    codes: Tensor, plan: Plan, array: Programmed, *, chunk: int | None = None, engine: str = "torch"
) -> Tensor:
    """Return the product by a plan.

    Args:
        codes: inputs from zero up, shape (B, D), int64.
        plan: from ``fold``.
        array: that the plan was made for.
        chunk: rows of the batch to work on at once, ``None`` for as many as fit a cache.
        engine: what converts the bit lines that are left: ``"torch"``, ``"numba"`` (which leaves sums of 2**16 and more
            to torch), or ``"auto"`` for numba where it is installed and the work is worth loading it.

    Returns:
        The product, shape (B, O), float64.

    Raises:
        MissingExtra: if numba is asked for and not installed.

    Source: ours
    """
    if engine == "numba" and not available():
        raise MissingExtra("numba", "fast")
    product = torch.zeros(len(codes), plan.outputs, dtype=torch.float64)
    if not len(codes):
        return product
    small = codes.to(torch.uint8 if plan.bits <= 8 else torch.int32)
    if plan.dense is not None:
        for part, share in zip(small.split(DENSE_ROWS), product.split(DENSE_ROWS), strict=True):
            _add_dense(share, part, plan.dense, plan)
    if not any(tile.lines or tile.wide for tile in plan.tiles):
        return product
    top = int(small.max())
    bits = max(1, top.bit_length()) if plan.silent else plan.bits
    if plan.silent and not top:
        return product
    if _compiled(engine, plan, len(codes)) and plan.compiled is not None:
        compiled_product(product, small, plan.compiled, bits=bits, rows=chunk)
        return product
    for tile, words in zip(plan.tiles, plan.words, strict=True):
        packed_product(product, small[:, tile.rows], words, bits=bits, dac_bits=plan.dac_bits, rows=chunk)
        for one in tile.wide:
            _add_wide(product, codes[:, tile.rows], one, plan, array)
    return product


def _compiled(engine: str, plan: Plan, rows: int) -> bool:
    if engine != "auto":
        return engine == "numba"
    lines = sum(len(one.levels) for tile in plan.tiles for one in tile.lines)
    return rows * lines * plan.bits >= WORTH_COMPILING and available()


def _add_dense(product: Tensor, codes: Tensor, dense: Tensor, plan: Plan) -> None:
    """Add the dense product: exact, so in float32 where sums of whole inputs, or of their halves, stay below 2**24."""
    if plan.halves is None:
        product += codes.to(torch.float64) @ dense.T
        return
    weights, bits = plan.halves
    if bits >= plan.bits:
        product += codes.to(torch.float32) @ weights
        return
    low = plan.bits // 2
    product.add_((codes >> low).to(torch.float32) @ weights, alpha=2**low)
    product += (codes & (2**low - 1)).to(torch.float32) @ weights


def _add_wide(out: Tensor, codes: Tensor, lines: Lines, plan: Plan, array: Programmed) -> None:
    """Add lines whose sums are too great for a table, through the converter itself."""
    accumulated = array.config.adc.placement == "accumulated"
    planes, count = input_planes(codes, bits=plan.bits, dac_bits=plan.dac_bits, accumulated=accumulated)
    one, k = array.converter, lines.slice
    alone = Converter(one.bits[k : k + 1], one.step[k : k + 1], one.top[k : k + 1], one.signed)
    sums = (planes @ lines.levels.to(torch.float64).T).unsqueeze(-2).unsqueeze(-2)  # (I, B, 1, 1, C)
    values = convert_sums(sums, alone, array.config.adc, generator=None).squeeze(-2).squeeze(-2)
    share = torch.einsum("ibc,i->bc", values, count) * lines.factor
    columns = torch.arange(plan.outputs) if lines.output is None else lines.output
    out.index_add_(1, columns, share)
