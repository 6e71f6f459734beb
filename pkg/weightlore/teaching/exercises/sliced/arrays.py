"""Crossbars by hand: sums on bit lines, the bits that they need, shifting and adding, idle currents and wires."""

import torch
from torch import Tensor

from weightlore.crossbar import Cells, Wires, required_bits, slice_digits, solve_wires
from weightlore.crossbar.bitlines import shift_and_add
from weightlore.teaching.exercises.checker import Diagnosis, Exercise

__all__ = ["CONVERTER_BITS", "LINE_SUMS", "PEDESTAL", "SATURATE", "SERIES", "SHIFT_AND_ADD"]

WEIGHTS, PLANE = torch.tensor([65, 27, 3]), torch.tensor([1, 0, 1])


def _line_sums(plane: Tensor = PLANE) -> list[int]:
    return (slice_digits(WEIGHTS) @ plane).tolist()


LINE_SUMS = Exercise(
    id="sliced.line_sums",
    prompt="Three cells of 2 bits on each bit line hold the digits of 65, 27 and 3, and the input bits are 1, 0, 1. "
    "What do the four bit lines carry? Answer: four numbers, the least significant slice first.",
    nudge="Write 65 and 3 in base 4, the last digit first. The middle row is not driven.",
    hint="65 is (1, 0, 0, 1) and 3 is (3, 0, 0, 0), least significant first. Add digit by digit.",
    right="The first sum, 4, is no digit of base 4: a bit line does not carry over. Shifting and adding does, later.",
    reference=_line_sums,
    diagnoses=(
        Diagnosis("order", "The right sums, with the most significant slice first.", lambda: _line_sums()[::-1]),
        Diagnosis("input", "All three rows are added up; the input bit of 27 is 0.", lambda: _line_sums(PLANE * 0 + 1)),
        Diagnosis("input", "This is the row that is not driven.", lambda: _line_sums(1 - PLANE)),
        Diagnosis(
            "carry",
            "These are the digits of 65 + 3 = 68. The bit lines know nothing of each other and carry nothing over.",
            lambda: slice_digits(torch.tensor(68)).tolist(),
        ),
    ),
)

TILES = ((128, 2), (256, 2), (64, 4))  # rows, cell bits


def _sums() -> list[int]:
    return [rows * (2**bits - 1) for rows, bits in TILES]


CONVERTER_BITS = Exercise(
    id="sliced.converter_bits",
    prompt="How many bits must a converter have that never saturates, with inputs of one bit: 128 rows of 2-bit cells, "
    "256 rows of 2-bit cells, 64 rows of 4-bit cells? Answer: three numbers.",
    nudge="What is the greatest sum on a bit line, and how many different sums are there?",
    hint="128 cells of level 3 add up to 384, so there are 385 sums; 8 bits tell 256 apart and 9 bits 512.",
    right="Twice the rows is one bit more. Twice the bits of a cell is two more, and half as many conversions.",
    reference=lambda: [required_bits(total) for total in _sums()],
    diagnoses=(
        Diagnosis("sum", "These are the greatest sums; how many bits write them down?", _sums),
        Diagnosis(
            "rows only",
            "This counts the rows; a cell of 2 bits adds up to 3 and not to 1.",
            lambda: [(rows - 1).bit_length() for rows, _ in TILES],
        ),
        Diagnosis(
            "rounding",
            "You rounded the logarithm down; a converter must reach the greatest sum.",
            lambda: [required_bits(total) - 1 for total in _sums()],
        ),
        Diagnosis(
            "product",
            "Bits of a cell and of the row number are added here; that also counts sums that cannot occur, or misses.",
            lambda: [rows.bit_length() + bits for rows, bits in TILES],
        ),
    ),
)

Shifts = tuple[Tensor, int]


def _added(values: Tensor, cell_bits: int) -> Tensor:
    count = 2.0 ** torch.arange(len(values), dtype=torch.float64)
    scale = 2.0 ** (cell_bits * torch.arange(values.shape[1], dtype=torch.float64))
    factors = scale[:, None] * torch.tensor([1.0, -1.0], dtype=torch.float64)
    return shift_and_add(values.to(torch.float64)[:, None, :, :, None], count, factors)[0, 0]


def _cubes() -> list[Shifts]:
    generator = torch.Generator().manual_seed(5)
    return [(torch.randint(0, 40, (i, k, 2), generator=generator), c) for i, k, c in ((8, 4, 2), (5, 3, 4), (4, 8, 1))]


SHIFT_AND_ADD = Exercise(
    id="sliced.shift_and_add",
    prompt="Put the partial sums together. Answer: a function of (values, cell_bits), where values[i, k, s] comes from "
    "input bit i, slice k and array s (0 for positive, 1 for negative weights), least significant first; it returns "
    "the product as one number.",
    nudge="What is a sum worth that comes from input bit i and slice k? And with which sign does each array count?",
    hint="Input bit i counts 2**i, slice k counts (2**cell_bits)**k, and the second array is subtracted.",
    right="That is all the digital arithmetic that is left: no multiplication, only shifts and additions.",
    reference=_added,
    inputs=_cubes,
    diagnoses=(
        Diagnosis(
            "input bits",
            "The input bits all count the same here; bit i counts 2**i.",
            lambda v, c: _added(v.sum(0, keepdim=True), c),
        ),
        Diagnosis(
            "slices",
            "The slices all count the same here; slice k counts (2**cell_bits)**k.",
            lambda v, c: _added(v.sum(1, keepdim=True), c),
        ),
        Diagnosis("base", "Slices count 2**k here, as if a cell held one bit.", lambda v, c: _added(v, 1)),
        Diagnosis("base", "Slices count 4**k whatever the cells hold; use cell_bits.", lambda v, c: _added(v, 2)),
        Diagnosis(
            "polarity",
            "Both arrays are added; the second holds the negative weights.",
            lambda v, c: _added(v * torch.tensor([1, -1]), c),
        ),
        Diagnosis("order", "The slices are taken the most significant first.", lambda v, c: _added(v.flip(1), c)),
        Diagnosis("order", "The input bits are taken the most significant first.", lambda v, c: _added(v.flip(0), c)),
    ),
)


def _pedestal(ratio: float, cell_bits: int) -> float:
    return Cells(1.0, ratio).pedestal(cell_bits)


PEDESTAL = Exercise(
    id="sliced.pedestal",
    prompt="A cell that holds nothing still conducts g_min = g_max / ratio. How many levels does it seem to hold? "
    "Answer: a function of (ratio, cell_bits).",
    nudge="One level is a step of conductance; how large is it, and how many of them fit into g_min?",
    hint="step = (g_max - g_min) / (2**cell_bits - 1). Divide g_min by it; g_max cancels.",
    right="With 2-bit cells and a ratio of 4 an empty cell looks like a one. Sixty-four of them are a large sum of "
    "nothing.",
    reference=_pedestal,
    inputs=lambda: [(4.0, 2), (4.5, 1), (10.0, 4), (100.0, 2)],
    diagnoses=(
        Diagnosis(
            "step",
            "You took a step of g_max / (2**cell_bits - 1); the levels begin at g_min and not at zero.",
            lambda r, c: (2**c - 1) / r,
        ),
        Diagnosis(
            "levels", "There are 2**cell_bits levels, but one step fewer between them.", lambda r, c: 2**c / (r - 1)
        ),
        Diagnosis("unit", "This is the share of the whole range; the answer is in levels.", lambda r, c: 1 / (r - 1)),
        Diagnosis("inverse", "This is a step in units of g_min; turn it over.", lambda r, c: (r - 1) / (2**c - 1)),
    ),
)


def _series(conductance: float, row: float, column: float, voltage: float) -> float:
    cell = torch.tensor([[conductance]], dtype=torch.float64)
    drive = torch.tensor([voltage], dtype=torch.float64)
    return float(solve_wires(cell, drive, Wires(row=row, column=column)))


def _ohm(conductance: float, resistance: float, voltage: float) -> float:
    return voltage / (1 / conductance + resistance)


SERIES = Exercise(
    id="sliced.series",
    prompt="One cell, one pitch of word line, one pitch of bit line: what current flows? Answer: a function of "
    "(conductance, row, column, voltage) in uS, Ohm, Ohm and V that returns uA.",
    nudge="Three resistors in series. What is the resistance of the cell, in Ohm?",
    hint="The cell has 1e6 / conductance Ohm. The current is the voltage over the sum of the three, in A; times 1e6.",
    right="At 100 uS a cell has 10,000 Ohm, so one pitch is nothing. A bit line of 64 cells has 64 pitches, and all "
    "cells share them.",
    reference=_series,
    inputs=lambda: [(100.0, 1000.0, 500.0, 0.2), (25.0, 3000.0, 8000.0, 0.5), (500.0, 10.0, 20.0, 1.0)],
    diagnoses=(
        Diagnosis("wires", "This is the cell alone, G V; the wires are missing.", lambda g, r, c, v: g * v),
        Diagnosis("word line", "The word line is missing.", lambda g, r, c, v: _ohm(g, c * 1e-6, v)),
        Diagnosis("bit line", "The bit line is missing.", lambda g, r, c, v: _ohm(g, r * 1e-6, v)),
        Diagnosis(
            "unit",
            "Conductance is in uS: its inverse is in MOhm, the wires are in Ohm.",
            lambda g, r, c, v: _ohm(g, r + c, v),
        ),
        Diagnosis("unit", "This is in A; the answer is in uA.", lambda g, r, c, v: _ohm(g, (r + c) * 1e-6, v) * 1e-6),
        Diagnosis(
            "parallel",
            "You added conductances, as if they lay side by side; in series, resistances add.",
            lambda g, r, c, v: v * (g + 1e6 / r + 1e6 / c),
        ),
    ),
)

HELD, CEILING = torch.tensor([3, 0, 2, 1, 3, 0, 0, 1]), 7


def _plane(answer: object) -> Tensor:
    return torch.as_tensor(answer).to(torch.float64).flatten()


def _load(answer: object) -> float:
    return float(_plane(answer) @ HELD.to(torch.float64))


def _binary(answer: object) -> bool:
    return len(_plane(answer)) == len(HELD) and bool(((_plane(answer) == 0) | (_plane(answer) == 1)).all())


SATURATE = Exercise(
    id="sliced.saturate",
    prompt="A bit line holds the levels 3, 0, 2, 1, 3, 0, 0, 1 and ends in a converter of 3 bits. Break it: drive as "
    "few rows as possible so that it saturates. Answer: eight numbers, 0 or 1.",
    nudge="A converter of 3 bits returns 7 at most. Which sum is the first that it cannot tell?",
    hint="The sum must be 8 or more. Begin with the largest levels.",
    right="Five of eight rows are idle, and the sum is wrong by one. In the top slice, one level counts 64.",
    reference=lambda: torch.tensor([1, 0, 1, 0, 1, 0, 0, 0]),
    accept=lambda answer: _binary(answer) and _load(answer) > CEILING and float(_plane(answer).sum()) == 3,
    diagnoses=(
        Diagnosis("form", "Eight numbers, each 0 or 1.", matches=lambda a: not _binary(a)),
        Diagnosis("ceiling", "This adds up to 7, which 3 bits can still tell.", matches=lambda a: _load(a) == CEILING),
        Diagnosis("too few", "This stays below the ceiling.", matches=lambda a: _load(a) < CEILING),
        Diagnosis("too many", "It saturates, but fewer rows would do.", matches=lambda a: _load(a) > CEILING),
    ),
)
