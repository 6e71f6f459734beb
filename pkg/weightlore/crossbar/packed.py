"""Several bit lines in one number: the engine in plain torch.

The sum on a bit line is a whole number below a bound that the stored weights give. Two or more such sums fit side by
side into the 24 bits that float32 holds exactly, so that one matrix product adds up several bit lines at once:

    P[0] + 2**w P[1] + 2**(2w) P[2]  =  x @ (line[0] + 2**w line[1] + 2**(2w) line[2])

    pack            bit lines of a tile that share the words of one product
    packed_product  the product, in blocks that stay in the cache
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.crossbar.lookup import Steps

__all__ = ["Field", "Lines", "Words", "pack", "packed_product"]

BITS = 24  # of a float32 number
BLOCK = 2**18  # numbers at once: with their copies they fit a second-level cache


@dataclass(frozen=True)
class Lines:
    """Bit lines that hold one slice in one array of a tile.

    Args:
        levels: shape (C, R), uint8.
        output: which output each belongs to, shape (C,), int64; ``None`` for all in order.
        greatest: the greatest sum on any of them.
        slice: number k of the slice.
        step: what a code counts.
        factor: what a level counts, a whole number.
        table: codes of all sums up to the greatest, int64; empty where there are too many.
        slope: codes per cell level.
        lift: what is added before rounding down.
        code: the table as arithmetic.

    Source: ours
    """

    levels: Tensor
    output: Tensor | None
    greatest: int
    slice: int
    step: float
    factor: float
    table: Tensor
    slope: float
    lift: float
    code: Steps


@dataclass(frozen=True)
class Field:
    """One of the numbers that are packed in a word.

    Args:
        shift: it counts 2**shift.
        lines: that it holds, without levels.
        output: as for the lines.

    Source: ours
    """

    shift: int
    lines: Lines
    output: Tensor | None


@dataclass(frozen=True)
class Words:
    """Packed bit lines.

    Args:
        operand: shape (R, W), float32.
        fields: the lowest first.
        whole: the dtype in which their codes can be added up exactly.

    Source: ours
    """

    operand: Tensor
    fields: tuple[Field, ...]
    whole: torch.dtype


def pack(lines: tuple[Lines, ...], largest: int) -> tuple[Words, ...]:
    """Put bit lines side by side wherever they fit.

    Args:
        lines: of one tile.
        largest: the greatest input, which codes are multiplied with.

    Returns:
        Words; each line is in one of them.

    Source: ours
    """
    words, shelves = [], list[list[Lines]]()
    for one in sorted(lines, key=lambda one: -one.greatest):
        if one.output is not None:
            words.append(_split(one, one.output, largest))
            continue
        width = _width(one)
        fits = (s for s in shelves if sum(map(_width, s)) + width <= BITS and s[0].step == one.step)
        shelf = next(fits, None)
        if shelf is None:
            shelves.append([one])
        else:
            shelf.append(one)
    return (*(_side_by_side(shelf, largest) for shelf in shelves), *words)


def packed_product(
    out: Tensor, codes: Tensor, words: tuple[Words, ...], *, bits: int, dac_bits: int, rows: int | None = None
) -> None:
    """Add the converted bit lines of a tile to their outputs.

    Args:
        out: shape (B, O), float64; changed in place.
        codes: inputs of the tile, shape (B, R), whole numbers from zero up.
        words: from ``pack``.
        bits: of an input that are in use.
        dac_bits: of an input digit.
        rows: of the batch at once, ``None`` for as many as fit a cache.

    Source: ours
    """
    digits = -(-bits // dac_bits)
    widest = max((one.operand.shape[1] for one in words), default=1)
    size = min(rows or max(1, BLOCK // (digits * widest)), max(1, len(codes)))
    shifts = dac_bits * torch.arange(digits, dtype=codes.dtype).reshape(-1, 1, 1)
    buffers = torch.empty(3, digits * size * widest, dtype=torch.float32)
    for part, share in zip(codes.split(size), out.split(size), strict=True):
        planes = ((part >> shifts) & (2**dac_bits - 1)).flatten(0, 1).to(torch.float32)
        for one in words:
            _add(share, planes, one, shifts, buffers)


def _add(out: Tensor, planes: Tensor, words: Words, shifts: Tensor, buffers: Tensor) -> None:
    """Add what words make of input digits, shape (I * B, R), to outputs (B, O)."""
    shape = (len(planes), words.operand.shape[1])
    packed, high, total = (b[: shape[0] * shape[1]].view(shape) for b in buffers)
    count = torch.ldexp(torch.ones(len(shifts)), shifts.flatten().to(torch.int32)).to(words.whole)
    torch.mm(planes, words.operand, out=packed)
    unit, started = words.fields[0].lines, False
    for field in reversed(words.fields):
        one = packed
        if field.shift:
            one = torch.mul(packed, 2.0**-field.shift, out=high).floor_()
            packed.sub_(one, alpha=2.0**field.shift)
        codes = field.lines.code.apply_(one)
        if field.output is not None:
            value = _weighed(count, codes, len(out))[:, : len(field.output)].to(torch.float64)
            out.index_add_(1, field.output, value, alpha=field.lines.step * field.lines.factor)
        elif words.whole == torch.float64:
            out.add_(_weighed(count, codes, len(out)), alpha=field.lines.step * field.lines.factor)
        elif started:
            total.add_(codes, alpha=field.lines.factor)
        else:
            torch.mul(codes, field.lines.factor, out=total)
            started = True
    if started:
        out.add_(_weighed(count, total, len(out)).to(torch.float64), alpha=unit.step)


def _weighed(count: Tensor, codes: Tensor, rows: int) -> Tensor:
    """Shift and add over input digits: (I * B, W) -> (B, W)."""
    digits = codes.to(count.dtype).reshape(len(count), -1)
    return (count.unsqueeze(0) @ digits).view(rows, -1)


def _width(lines: Lines) -> int:
    return max(1, lines.greatest.bit_length())


def _whole(lines: list[Lines], largest: int) -> torch.dtype:
    most = sum(int(one.table[-1]) * abs(one.factor) for one in lines) * largest
    return torch.float32 if most < 2**BITS else torch.float64


def _side_by_side(lines: list[Lines], largest: int) -> Words:
    """Words of lines that all have every output."""
    operand, fields, shift = torch.zeros(lines[0].levels.shape, dtype=torch.float32), [], 0
    for one in lines:
        operand.add_(one.levels.to(torch.float32), alpha=2.0**shift)
        fields.append(Field(shift, one, None))
        shift += _width(one)
    return Words(operand.T.contiguous(), tuple(fields), _whole(lines, largest))


def _split(lines: Lines, outputs: Tensor, largest: int) -> Words:
    """Words of a few lines, cut in parts that stand side by side."""
    width = _width(lines)
    size = -(-len(lines.levels) // (BITS // width))
    operand, fields = torch.zeros(size, lines.levels.shape[1], dtype=torch.float32), []
    for n, (some, output) in enumerate(zip(lines.levels.split(size), outputs.split(size), strict=True)):
        operand[: len(some)].add_(some.to(torch.float32), alpha=2.0 ** (n * width))
        fields.append(Field(n * width, lines, output))
    return Words(operand.T.contiguous(), tuple(fields), _whole([lines], largest))
