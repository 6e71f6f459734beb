"""The compiled engine: what to hand to its inner loops, and what comes back.

A cell's level is cut into pairs of bits; four cells of a bit line make a group, and groups that are empty are left out.
Sums of groups are kept in bytes, so that a line with much in it is cut into segments that cannot overflow.

    available         is numba there
    prepare           bit lines of all tiles as flat arrays
    compiled_product  the product
"""

import functools
import importlib.util
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from weightlore.crossbar import kernel
from weightlore.crossbar.kernel import LANES, SLACK, Array
from weightlore.crossbar.packed import Lines

__all__ = ["Compiled", "Rule", "available", "compiled_product", "prepare", "rule"]

GROUPS = 255 // 12  # of four cells that hold 3 each: their sum fits a byte


def available() -> bool:
    """Return whether numba is installed.

    Source: ours
    """
    return importlib.util.find_spec("numba") is not None


@dataclass(frozen=True)
class Compiled:
    """Bit lines as the inner loops want them; see ``kernel.tiles_product`` for the arrays.

    Args:
        outputs: number O of outputs.
        dac_bits: of an input digit.
        tiles: shape (T, 4).
        lines: shape (C, 4).
        weights: shape (C,), float64.
        segments: shape (M, 3).
        entries: shape (E,).
        rules: shape (Q, 4).
        code_tables: shape (Q, S).
        narrow: whether 16 bits are enough for the codes of all input digits.

    Source: ours
    """

    outputs: int
    dac_bits: int
    tiles: Array
    lines: Array
    weights: Array
    segments: Array
    entries: Array
    rules: Array
    code_tables: Array
    narrow: bool


@dataclass(frozen=True)
class Rule:
    """A table of codes in whole numbers: ``min((sum * 2**shift + lift) * slope // 2**16, top)``.

    Args:
        shift: of the sum.
        lift: added to it.
        slope: factor; 0 where there is no such rule, and the table is looked up.
        top: the greatest code.

    Source: ours
    """

    shift: int
    lift: int
    slope: int
    top: int


def rule(table: Array, slope: float, lift: float) -> Rule:
    """Return arithmetic in 16-bit numbers that gives a table, entry by entry.

    Args:
        table: codes of the sums 0, 1, ..., shape (V,).
        slope: codes per cell level.
        lift: what is added before rounding down.

    Returns:
        The first rule that is right for every entry; slope 0 if none is.

    Source: ours
    """
    sums, top = np.arange(len(table), dtype=np.int64), int(table[-1])
    for shift in range(9):
        for factor in {int(np.ceil(slope * 2.0 ** (16 - shift))), int(slope * 2.0 ** (16 - shift))} - {0}:
            for more in (0, 1, -1):
                added = round(lift * 2**16 / factor) + more
                most = (int(sums[-1]) << shift) + added
                if added < 0 or factor >= 2**16 or most >= 2**16:
                    continue
                if np.array_equal(np.minimum(((sums << shift) + added) * factor >> 16, top), table):
                    return Rule(shift, added, factor, top)
    return Rule(0, 0, 0, top)


def prepare(tiles: list[tuple[slice, tuple[Lines, ...]]], outputs: int, *, bits: int, dac_bits: int) -> Compiled | None:
    """Cut bit lines into groups of cells, and converters into rules.

    Args:
        tiles: rows and lines of each.
        outputs: number O of outputs.
        bits: of an input.
        dac_bits: of an input digit.

    Returns:
        Flat arrays, ``None`` where sums or codes are too great for the inner loops.

    Source: ours
    """
    every = [one for _, lines in tiles for one in lines]
    most = max((int(one.table[-1]) for one in every), default=0)
    if any(one.greatest >= 2**16 for one in every) or most >= 2**16 or most << bits >= 2**32:
        return None
    found = _Found([], [], [], [], 0, 0)
    bounds, rules, tables = [], [], []
    for rows, lines in tiles:
        first = found.count
        for one in lines:
            table = one.table.numpy()
            rules.append(rule(table, one.slope, one.lift))
            tables.append(table if rules[-1].slope == 0 else table[:0])
            found = _cut(found, one, len(rules) - 1, int(table[0]) != 0)
        bounds.append((rows.start, rows.start + (lines[0].levels.shape[1] if lines else 0), first, found.count))
    longest = max((len(table) for table in tables), default=0)
    padded = [np.pad(table, (0, longest - len(table))) for table in tables]
    return Compiled(
        outputs,
        dac_bits,
        np.array(bounds, np.int64).reshape(-1, 4),
        _joined(found.lines, np.zeros((0, 4), np.int64)),
        _joined(found.weights, np.zeros(0)),
        _joined(found.segments, np.zeros((0, 3), np.int64)),
        _joined(found.entries, np.zeros(0, np.uint32)),
        np.array([(r.shift, r.lift, r.slope, r.top) for r in rules], np.int64).reshape(-1, 4),
        np.array(padded, np.int64).reshape(len(rules), longest),
        most << bits < 2**16,
    )


def compiled_product(out: Tensor, codes: Tensor, plan: Compiled, *, bits: int, rows: int | None = None) -> None:
    """Add the converted bit lines of all tiles to their outputs.

    Args:
        out: shape (B, O), float64; changed in place.
        codes: inputs, shape (B, D), whole numbers from zero up.
        plan: from ``prepare``.
        bits: of an input that are in use.
        rows: of the batch at once, at most; ``None`` for as many as there are lanes.

    Source: ours
    """
    span = min(LANES // bits, rows or LANES, len(codes))
    blocks = -(-len(codes) // span)
    padded = np.zeros((codes.shape[1], blocks * span), np.uint8 if codes.dtype == torch.uint8 else np.uint16)
    padded[:, : len(codes)] = codes.T.numpy()
    sums = np.zeros((blocks, plan.outputs, span))
    groups = -(-int((plan.tiles[:, 1] - plan.tiles[:, 0]).max()) // 4)
    kernel.compiled()(
        sums,
        padded,
        bits,
        plan.dac_bits,
        plan.tiles,
        plan.lines,
        plan.weights,
        plan.segments,
        plan.entries,
        plan.rules,
        plan.code_tables,
        _tables(),
        np.zeros(groups * LANES, np.uint8),
        np.zeros(LANES + SLACK, np.uint16 if plan.narrow else np.uint32),
    )
    out += torch.from_numpy(sums).transpose(1, 2).reshape(blocks * span, -1)[: len(codes)]


@functools.cache
def _tables() -> Array:
    return kernel.group_tables().reshape(-1)


@dataclass(frozen=True)
class _Found:
    """Arrays that grow, bit lines by bit lines."""

    lines: list[Array]
    weights: list[Array]
    segments: list[Array]
    entries: list[Array]
    count: int
    used: int


def _cut(found: _Found, one: Lines, number: int, heard: bool) -> _Found:
    """Add some bit lines, cut into segments of groups of four cells."""
    cells = one.levels.numpy()
    cells = np.pad(cells, ((0, 0), (0, -cells.shape[1] % 4))).reshape(len(cells), 1, -1, 4)
    pairs = (max(int(cells.max()), 1).bit_length() + 1) // 2
    cells = (cells >> (2 * np.arange(pairs, dtype=np.uint8)).reshape(1, -1, 1, 1)) & 3  # (C, M, G, 4)
    place = np.arange(4, dtype=np.uint8)
    codes = ((cells & 1) << place).sum(-1) + 16 * ((cells >> 1) << place).sum(-1)
    great = cells.sum((-1, -2), dtype=np.int64) > 255
    line, pair, group = codes.nonzero()
    piece = np.where(great[line, pair], group // GROUPS, 0)
    new = np.flatnonzero(np.diff(np.stack([line, pair, piece]), axis=1, prepend=-1).any(0))
    ends = np.append(new, len(line))[1:]
    segments = np.stack([new, ends, 2 * pair[new]], axis=1) + np.array([found.used, found.used, 0])
    per_line = np.bincount(line[new], minlength=len(cells))
    last = np.cumsum(per_line) + sum(map(len, found.segments))
    output = np.arange(len(cells)) if one.output is None else one.output.numpy()
    lines = np.stack([last - per_line, last, output, np.full(len(cells), number)], axis=1)
    lines = lines if heard else lines[per_line > 0]
    return _Found(
        [*found.lines, lines.astype(np.int64)],
        [*found.weights, np.full(len(lines), one.factor * one.step)],
        [*found.segments, segments.astype(np.int64)],
        [*found.entries, (group * 256 + codes[line, pair, group]).astype(np.uint32)],
        found.count + len(lines),
        found.used + len(line),
    )


def _joined(parts: list[Array], empty: Array) -> Array:
    return np.concatenate((empty, *parts))
