"""The compiled engine's inner loops: sixteen sums looked up at a time, for hundreds of inputs side by side.

Four word lines of one input bit make a number from 0 to 15, and the four cells of a bit line make one of 256 small
tables: what they add to the sum for each of these numbers. A processor looks up dozens of bytes in such a table with
one instruction; where there is none, bits are counted. Inputs are the lanes: ``LANES`` pairs of an input bit and a row
of the batch are worked on together.

The functions are plain Python until ``compiled`` has numba take them; two of them are then replaced by vector code.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LANES", "SLACK", "compiled", "group_tables", "tiles_product"]

LANES = 512  # bytes that are worked on together
SLACK = 64  # bytes or numbers that vectors may reach beyond them
Array = NDArray[Any]


def group_tables() -> Array:
    """Return what four 2-bit cells add to a sum, for all cells and inputs.

        table[low + 16 * high, inputs] = bits of (inputs and low) + 2 * bits of (inputs and high)

    Returns:
        Shape (256, 16), uint8; ``low`` and ``high`` hold the lower and the upper bits of the four cells.

    Source: ours
    """
    ones = np.array([bin(n).count("1") for n in range(16)])
    cells, inputs = np.arange(256)[:, None], np.arange(16)
    return (ones[inputs & (cells & 15)] + 2 * ones[inputs & (cells >> 4)]).astype(np.uint8)


def add_groups(sums: Array, index: Array, tables: Array, entries: Array, first: int, last: int) -> None:
    """Set ``sums`` to what the groups of one bit line add up to, lane by lane."""
    sums[:LANES] = 0
    for entry in entries[first:last]:
        group, cells = entry >> 8, entry & 255
        sums[:LANES] += tables[cells * 16 + index[group * LANES : (group + 1) * LANES]]


def join_codes(
    total: Array, sums: Array, span: int, digits: int, dac_bits: int, shift: int, lift: int, slope: int, top: int
) -> None:
    """Set ``total`` to the codes of all input digits, shifted and added: code = min(slope * sum' >> 16, top)."""
    total[:span] = 0
    for digit in range(digits - 1, -1, -1):
        lifted = (sums[digit * span : (digit + 1) * span].astype(np.int64) << shift) + lift
        total[:span] = (total[:span] << dac_bits) + np.minimum((lifted * slope) >> 16, top)


def look_up(total: Array, sums: Array, span: int, digits: int, dac_bits: int, table: Array) -> None:
    """As ``join_codes``, for a converter that no arithmetic gives."""
    for v in range(span):
        code = 0
        for digit in range(digits - 1, -1, -1):
            code = (code << dac_bits) + table[sums[digit * span + v]]
        total[v] = code


def widen(wide: Array, sums: Array, span: int, bits: int, dac_bits: int, shift: int) -> None:
    """Add the sums of one segment, for all bits of an input digit, to those of its whole line."""
    for bit in range(bits):
        left, at, to = shift + bit % dac_bits, bit * span, bit // dac_bits * span
        for v in range(span):
            wide[to + v] += np.uint16(sums[at + v]) << left


def load_inputs(index: Array, codes: Array, tile: Array, start: int, span: int, bits: int) -> None:
    """Set ``index`` to what four word lines of a tile make for each input bit and row of the batch."""
    row, end = tile[0], tile[1]
    for group in range((end - row + 3) // 4):
        for bit in range(bits):
            at = group * LANES + bit * span
            for r in range(row + 4 * group, min(row + 4 * group + 4, end)):
                cell = r - row - 4 * group
                for v in range(span):
                    one = ((codes[r, start + v] >> bit) & 1) << cell
                    index[at + v] = one if cell == 0 else index[at + v] | one


def tiles_product(
    out: Array,
    codes: Array,
    bits: int,
    dac_bits: int,
    tiles: Array,
    lines: Array,
    weights: Array,
    segments: Array,
    entries: Array,
    rules: Array,
    code_tables: Array,
    tables: Array,
    index: Array,
    total: Array,
) -> None:
    """Add the converted bit lines of all tiles to their outputs.

    Args:
        out: shape (N, O, V): blocks of V rows of the batch, float64; changed in place.
        codes: inputs, shape (D, N * V), unsigned.
        bits: of an input, V * bits <= LANES.
        dac_bits: of an input digit.
        tiles: first and last row, first and last line, shape (T, 4).
        lines: first and last segment, output and rule, shape (C, 4).
        weights: what a code counts on each line, shape (C,), float64.
        segments: first and last entry, and by how much their sum is shifted, shape (M, 3).
        entries: 256 * group + cells, shape (E,).
        rules: shift, lift, slope and top of each way to convert, shape (Q, 4); slope 0 for a table.
        code_tables: shape (Q, S).
        tables: from ``group_tables``, flat.
        index: room for a tile's inputs, shape (G * LANES,), uint8.
        total: room for codes, shape (LANES + SLACK,), unsigned.

    Source: ours
    """
    span, digits = out.shape[2], -(-bits // dac_bits)
    sums = np.zeros(LANES + SLACK, np.uint8)
    wide = np.zeros(LANES + SLACK, np.uint16)
    for block in range(out.shape[0]):
        for tile in range(tiles.shape[0]):
            load_inputs(index, codes, tiles[tile], block * span, span, bits)
            for line in range(tiles[tile, 2], tiles[tile, 3]):
                first, last, output, rule = lines[line]
                shift, lift, slope, top = rules[rule]
                narrow = last - first == 1 and dac_bits == 1 and segments[first, 2] == 0
                if narrow:
                    add_groups(sums, index, tables, entries, segments[first, 0], segments[first, 1])
                else:
                    wide[:] = 0
                for segment in range(first, first if narrow else last):
                    add_groups(sums, index, tables, entries, segments[segment, 0], segments[segment, 1])
                    widen(wide, sums, span, bits, dac_bits, segments[segment, 2])
                if slope == 0 and narrow:
                    look_up(total, sums, span, digits, dac_bits, code_tables[rule])
                elif slope == 0:
                    look_up(total, wide, span, digits, dac_bits, code_tables[rule])
                elif narrow:
                    join_codes(total, sums, span, digits, dac_bits, shift, lift, slope, top)
                else:
                    join_codes(total, wide, span, digits, dac_bits, shift, lift, slope, top)
                for v in range(span):
                    out[block, output, v] += weights[line] * total[v]


@functools.cache
def compiled() -> Callable[..., None]:
    """Return ``tiles_product`` as compiled code, from the disk where it was compiled before.

    Returns:
        The function.

    Raises:
        ImportError: if numba is not installed.

    Source: ours
    """
    numba = importlib.import_module("numba")
    _vectorize(numba.extending)
    try:
        return numba.njit(cache=True, nogil=True, boundscheck=False)(tiles_product)
    except RuntimeError:  # no folder that can be written to
        return numba.njit(nogil=True, boundscheck=False)(tiles_product)


def _vectorize(extending: Any) -> None:
    """Tell numba what the two inner functions are made of."""
    types = importlib.import_module("numba.core.types")
    for plain in (look_up, widen, load_inputs):
        extending.register_jitable(plain)
    for function, emit, count in ((add_groups, _emit_add_groups, 6), (join_codes, _emit_join_codes, 9)):
        extending.type_callable(function)(lambda context, count=count: _typer(types.none, count))
        extending.lower_builtin(function, *[types.Any] * count)(emit)


def _typer(result: Any, count: int) -> Callable[..., Any]:
    """What numba asks for the type of a result; it looks at how many arguments there are."""
    if count == 6:
        return lambda a, b, c, d, e, f: result
    return lambda a, b, c, d, e, f, g, h, i: result


def _pointer(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    return context.make_array(kind)(context, builder, array).data


def _emit_add_groups(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Vector code of ``add_groups``: eight registers of lanes, a loop over entries for each such part."""
    ir, cgutils = importlib.import_module("llvmlite.ir"), importlib.import_module("numba.core.cgutils")
    sums, index, tables, entries = (_pointer(context, builder, signature.args[n], arguments[n]) for n in range(4))
    first, last = arguments[4:]
    features = set(context.codegen().magic_tuple()[2].split(","))
    width = 64 if "+avx512bw" in features else 32 if "+avx2" in features else 16
    byte, word = ir.IntType(8), ir.IntType(64)
    vector = ir.VectorType(byte, width)
    registers = min(8, LANES // width)
    for part in range(0, LANES, registers * width):
        held = [cgutils.alloca_once_value(builder, ir.Constant(vector, None)) for _ in range(registers)]
        for one in held:
            builder.store(ir.Constant(vector, None), one)
        with cgutils.for_range_slice(builder, first, last, ir.Constant(word, 1), word) as (at, _):
            entry = builder.zext(builder.load(builder.gep(entries, [at])), word)
            cells = builder.and_(entry, ir.Constant(word, 255))
            group = builder.mul(builder.lshr(entry, ir.Constant(word, 8)), ir.Constant(word, LANES))
            place = builder.gep(index, [builder.add(group, ir.Constant(word, part))])
            look = _lookup(builder, features, vector, tables, cells)
            for n, one in enumerate(held):
                lanes = builder.gep(place, [ir.Constant(word, n * width)])
                found = builder.load(builder.bitcast(lanes, vector.as_pointer()), align=1)
                builder.store(builder.add(builder.load(one), look(found)), one)
        for n, one in enumerate(held):
            to = builder.gep(sums, [ir.Constant(word, part + n * width)])
            builder.store(builder.load(one), builder.bitcast(to, vector.as_pointer()), align=1)
    return context.get_dummy_value()


def _lookup(builder: Any, features: set[str], vector: Any, tables: Any, cells: Any) -> Callable[[Any], Any]:
    """How a vector of numbers from 0 to 15 becomes what a group of cells adds to the sum."""
    ir = importlib.import_module("llvmlite.ir")
    byte, word, lane = ir.IntType(8), ir.IntType(64), ir.IntType(32)
    if "+ssse3" in features:
        half = ir.VectorType(byte, 16)
        at = builder.gep(tables, [builder.shl(cells, ir.Constant(word, 4))])
        table = builder.load(builder.bitcast(at, half.as_pointer()), align=1)
        order = ir.Constant(ir.VectorType(lane, vector.count), [n % 16 for n in range(vector.count)])
        table = builder.shuffle_vector(table, ir.Constant(half, ir.Undefined), order)
        name = {16: "llvm.x86.ssse3.pshuf.b.128", 32: "llvm.x86.avx2.pshuf.b", 64: "llvm.x86.avx512.pshuf.b.512"}
        kind = ir.FunctionType(vector, [vector, vector])
        shuffle = _declared(builder.module, kind, name[vector.count])
        return lambda found: builder.call(shuffle, [table, found])
    low = _spread(builder, vector, builder.and_(cells, ir.Constant(word, 15)))
    high = _spread(builder, vector, builder.lshr(cells, ir.Constant(word, 4)))
    count = _declared(builder.module, ir.FunctionType(vector, [vector]), f"llvm.ctpop.v{vector.count}i8")

    def counted(found: Any) -> Any:
        twice = builder.call(count, [builder.and_(found, high)])
        return builder.add(builder.call(count, [builder.and_(found, low)]), builder.add(twice, twice))

    return counted


def _spread(builder: Any, kind: Any, value: Any) -> Any:
    """A whole number in every lane of a vector."""
    ir = importlib.import_module("llvmlite.ir")
    lane, nothing = ir.IntType(32), ir.Constant(kind, ir.Undefined)
    seed = builder.insert_element(nothing, builder.trunc(value, kind.element), ir.Constant(lane, 0))
    return builder.shuffle_vector(seed, nothing, ir.Constant(ir.VectorType(lane, kind.count), None))


def _declared(module: Any, kind: Any, name: str) -> Any:
    """A function of the processor, declared once in a module."""
    ir = importlib.import_module("llvmlite.ir")
    return module.globals.get(name) or ir.Function(module, kind, name)


def _emit_join_codes(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Vector code of ``join_codes``: 32 lanes at a time, from the greatest digit down."""
    ir, cgutils = importlib.import_module("llvmlite.ir"), importlib.import_module("numba.core.cgutils")
    total, sums = (_pointer(context, builder, signature.args[n], arguments[n]) for n in range(2))
    span, digits, dac_bits, shift, lift, slope, top = arguments[2:]
    word, lanes = ir.IntType(64), 32
    short, long = ir.VectorType(ir.IntType(16), lanes), ir.VectorType(ir.IntType(32), lanes)
    source = ir.VectorType(sums.type.pointee, lanes)
    target = ir.VectorType(total.type.pointee, lanes)
    shifts, lifts, tops = (_spread(builder, short, value) for value in (shift, lift, top))
    slopes, left = builder.zext(_spread(builder, short, slope), long), _spread(builder, target, dac_bits)
    held = cgutils.alloca_once_value(builder, ir.Constant(target, None))
    with cgutils.for_range_slice(builder, ir.Constant(word, 0), span, ir.Constant(word, lanes), word) as (at, _):
        builder.store(ir.Constant(target, None), held)
        with cgutils.for_range(builder, digits) as loop:
            digit = builder.sub(builder.sub(digits, ir.Constant(word, 1)), loop.index)
            place = builder.gep(sums, [builder.add(builder.mul(digit, span), at)])
            found = builder.load(builder.bitcast(place, source.as_pointer()), align=1)
            found = builder.zext(found, short) if source.element.width < 16 else found
            lifted = builder.zext(builder.add(builder.shl(found, shifts), lifts), long)
            code = builder.trunc(builder.lshr(builder.mul(lifted, slopes), ir.Constant(long, [16] * lanes)), short)
            code = builder.select(builder.icmp_unsigned("<", code, tops), code, tops)
            code = builder.zext(code, target) if target.element.width > 16 else code
            builder.store(builder.add(builder.shl(builder.load(held), left), code), held)
        to = builder.gep(total, [at])
        builder.store(builder.load(held), builder.bitcast(to, target.as_pointer()), align=1)
    return context.get_dummy_value()
