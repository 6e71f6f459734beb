"""What lies around the cells: shifting and adding, idle currents, and wires."""

from dataclasses import dataclass

import torch
from torch import Tensor

from weightlore.crossbar import Cells, Wires, solve_wires
from weightlore.crossbar.bitlines import shift_and_add
from weightlore.teaching.exercises.checker import Diagnosis, Exercise
from weightlore.teaching.variants.chance import integer, one_of
from weightlore.teaching.variants.families import Variants

__all__ = ["PEDESTAL", "SERIES", "SHIFT_AND_ADD", "VARIANTS"]

Shifts = tuple[Tensor, int]


@dataclass(frozen=True)
class _Order:
    """How partial sums are numbered: the bits of an input digit, which of them comes first, and which array."""

    input_bits: int = 1
    inputs_up: bool = True
    slices_up: bool = True
    positive_first: bool = True

    def arranged(self, values: Tensor) -> Tensor:
        """Return values[i, k, s] with the least significant, and the positive array, first."""
        turned = (self.inputs_up, self.slices_up, self.positive_first)
        return values.flip([axis for axis, as_is in enumerate(turned) if not as_is])

    def added(self, values: Tensor, cell_bits: int) -> Tensor:
        return _added(self.arranged(values), cell_bits, self.input_bits)

    @property
    def what(self) -> str:
        return "bit" if self.input_bits == 1 else "digit"

    @property
    def written(self) -> str:
        arrays = "0 for positive, 1 for negative weights" if self.positive_first else "0 for negative, 1 for positive"
        of = "" if self.input_bits == 1 else f" (of {self.input_bits} bits)"
        least, most = "least significant first", "most significant first"
        inputs, slices = ((least if up else most) for up in (self.inputs_up, self.slices_up))
        each = inputs if inputs == slices else f"inputs the {inputs}, slices the {slices}"
        return f"input {self.what} i{of}, slice k and array s ({arrays}), {each}"


def _orders(generator: torch.Generator) -> _Order:
    up = [one_of(generator, (False, True)) for _ in range(3)]
    return _Order(one_of(generator, (1, 2, 3, 4)), *up)


def _added(values: Tensor, cell_bits: int, input_bits: int = 1) -> Tensor:
    count = 2.0 ** (input_bits * torch.arange(len(values), dtype=torch.float64))
    scale = 2.0 ** (cell_bits * torch.arange(values.shape[1], dtype=torch.float64))
    factors = scale[:, None] * torch.tensor([1.0, -1.0], dtype=torch.float64)
    return shift_and_add(values.to(torch.float64)[:, None, :, :, None], count, factors)[0, 0]


def _cubes() -> list[Shifts]:
    generator = torch.Generator().manual_seed(5)
    return [(torch.randint(0, 40, (i, k, 2), generator=generator), c) for i, k, c in ((8, 4, 2), (5, 3, 4), (4, 8, 1))]


def _shift_and_add(d: _Order) -> Exercise:
    power = "2**i" if d.input_bits == 1 else f"{2**d.input_bits}**i"
    second = "second" if d.positive_first else "first"
    return Exercise(
        id="sliced.shift_and_add",
        prompt="Put the partial sums together. Answer: a function of (values, cell_bits), where values[i, k, s] comes "
        f"from {d.written}; it returns the product as one number.",
        given="A cell of cell_bits bits holds a digit of base 2^cell_bits; a partial sum is what one converter says.",
        nudge=f"What is a sum worth that comes from input {d.what} i and slice k? And with which sign does each array "
        "count?",
        hint=f"Input {d.what} i counts {power}, slice k counts (2**cell_bits)**k, and the {second} array is subtracted."
        + ("" if d.inputs_up and d.slices_up else " Both i and k count from the least significant one."),
        right="That is all the digital arithmetic that is left: no multiplication, only shifts and additions.",
        reference=d.added,
        inputs=_cubes,
        diagnoses=(*_counted_alike(d, power), *_misplaced(d)),
    )


def _counted_alike(d: _Order, power: str) -> tuple[Diagnosis, ...]:
    def summed(values: Tensor, cell_bits: int, axis: int) -> Tensor:
        return _added(d.arranged(values).sum(axis, keepdim=True), cell_bits, d.input_bits)

    other = Diagnosis("input bits", f"Input digits count 2**i here, as if they had one bit; digit i counts {power}.",
                      lambda v, c: _added(d.arranged(v), c))  # fmt: skip
    return (
        Diagnosis("input bits", f"The input {d.what}s all count the same here; {d.what} i counts {power}.",
                  lambda v, c: summed(v, c, 0)),
        Diagnosis("slices", "The slices all count the same here; slice k counts (2**cell_bits)**k.",
                  lambda v, c: summed(v, c, 1)),
        *(() if d.input_bits == 1 else (other,)),
        Diagnosis("base", "Slices count 2**k here, as if a cell held one bit.", lambda v, c: d.added(v, 1)),
        Diagnosis("base", "Slices count 4**k whatever the cells hold; use cell_bits.", lambda v, c: d.added(v, 2)),
    )  # fmt: skip


def _misplaced(d: _Order) -> tuple[Diagnosis, ...]:
    slices, inputs = ("most" if up else "least" for up in (d.slices_up, d.inputs_up))
    second = "second" if d.positive_first else "first"
    return (
        Diagnosis("polarity", f"Both arrays are added; the {second} holds the negative weights.",
                  lambda v, c: _added(d.arranged(v) * torch.tensor([1, -1]), c, d.input_bits)),
        Diagnosis("order", f"The slices are taken the {slices} significant first.",
                  lambda v, c: d.added(v.flip(1), c)),
        Diagnosis("order", f"The input {d.what}s are taken the {inputs} significant first.",
                  lambda v, c: d.added(v.flip(0), c)),
    )  # fmt: skip


def _pedestal(cells: int) -> Exercise:
    """Of one cell, or of several on a bit line."""
    one = cells == 1
    idle = "A cell that holds nothing" if one else f"Each of the {cells} driven cells of a bit line holds nothing and"
    many = "" if one else f"{cells} "
    asked = "does it seem to hold" if one else "do they seem to hold together"
    return Exercise(
        id="sliced.pedestal",
        prompt=f"{idle} still conducts g_min = g_max / ratio. How many levels {asked}? "
        "Answer: a function of (ratio, cell_bits).",
        given="A cell of cell_bits bits has 2^cell_bits levels, at equal steps of conductance from g_min to g_max.",
        nudge="One level is a step of conductance; how large is it, and how many of them fit into "
        f"{many}g_min?",
        hint=f"step = (g_max - g_min) / (2**cell_bits - 1). Divide {many}g_min by it; g_max cancels.",
        right="With 2-bit cells and a ratio of 4 an empty cell looks like a one. "
        f"{'Sixty-four of them' if one else 'And they add up: they'} are a large sum of nothing.",
        reference=lambda ratio, cell_bits: cells * Cells(1.0, ratio).pedestal(cell_bits),
        inputs=lambda: [(4.0, 2), (4.5, 1), (10.0, 4), (100.0, 2)],
        diagnoses=(
            Diagnosis("step",
                      "You took a step of g_max / (2**cell_bits - 1); the levels begin at g_min and not at zero.",
                      lambda r, c: cells * (2**c - 1) / r),
            Diagnosis("levels", "There are 2**cell_bits levels, but one step fewer between them.",
                      lambda r, c: cells * 2**c / (r - 1)),
            Diagnosis("unit", "This is the share of the whole range; the answer is in levels.",
                      lambda r, c: cells / (r - 1)),
            Diagnosis("inverse", "This is a step in units of g_min; turn it over.",
                      lambda r, c: (r - 1) / (2**c - 1) / cells),
            *(() if one else (Diagnosis("one cell", f"This is one cell; {cells} of them are on the bit line.",
                                        lambda r, c: (2**c - 1) / (r - 1)),)),
        ),
    )  # fmt: skip


def _ohm(conductance: float, resistance: float, voltage: float) -> float:
    return voltage / (1 / conductance + resistance)


@dataclass(frozen=True)
class _Path:
    """How many pitches of word line and of bit line lie on the way through a cell."""

    along: int = 1
    down: int = 1

    def current(self, conductance: float, row: float, column: float, voltage: float) -> float:
        """Return what one cell of an empty array lets through, in uA."""
        cells = torch.zeros(self.down, self.along, dtype=torch.float64)
        cells[0, -1] = conductance
        drive = torch.zeros(self.down, dtype=torch.float64)
        drive[0] = voltage
        return float(solve_wires(cells, drive, Wires(row=row, column=column))[-1])

    def wire(self, row: float, column: float) -> float:
        """In MOhm."""
        return (self.along * row + self.down * column) * 1e-6

    @property
    def written(self) -> str:
        return f"{_pitches(self.along)} of word line, {_pitches(self.down)} of bit line"


def _pitches(count: int) -> str:
    return "one pitch" if count == 1 else f"{count} pitches"


def _series(d: _Path) -> Exercise:
    plain = d == _Path()
    cells = "" if plain else ", other cells let nothing through"
    wires = "the sum of the three" if plain else f"the sum of the cell, {d.along} times row and {d.down} times column"
    return Exercise(
        id="sliced.series",
        prompt=f"One cell, {d.written}{cells}: what current flows? Answer: a function of (conductance, row, column, "
        "voltage) in uS, Ohm, Ohm and V that returns uA"
        f"{'' if plain else '; row and column are of one pitch'}.",
        nudge="Three resistors in series. What is the resistance of the cell, in Ohm?",
        hint=f"The cell has 1e6 / conductance Ohm. The current is the voltage over {wires}, in A; times 1e6.",
        right="At 100 uS a cell has 10,000 Ohm, so one pitch is nothing. A bit line of 64 cells has 64 pitches, and "
        "all cells share them.",
        reference=d.current,
        inputs=lambda: [(100.0, 1000.0, 500.0, 0.2), (25.0, 3000.0, 8000.0, 0.5), (500.0, 10.0, 20.0, 1.0)],
        diagnoses=(*_lost(d), *_counted(d)),
    )


def _lost(d: _Path) -> tuple[Diagnosis, ...]:
    return (
        Diagnosis("wires", "This is the cell alone, G V; the wires are missing.", lambda g, r, c, v: g * v),
        Diagnosis("word line", "The word line is missing.", lambda g, r, c, v: _ohm(g, d.wire(0, c), v)),
        Diagnosis("bit line", "The bit line is missing.", lambda g, r, c, v: _ohm(g, d.wire(r, 0), v)),
        Diagnosis("unit", "Conductance is in uS: its inverse is in MOhm, the wires are in Ohm.",
                  lambda g, r, c, v: _ohm(g, 1e6 * d.wire(r, c), v)),
        Diagnosis("unit", "This is in A; the answer is in uA.", lambda g, r, c, v: _ohm(g, d.wire(r, c), v) * 1e-6),
        Diagnosis("parallel", "You added conductances, as if they lay side by side; in series, resistances add.",
                  lambda g, r, c, v: v * (g + 1e6 / (d.along * r) + 1e6 / (d.down * c))),
    )  # fmt: skip


def _counted(d: _Path) -> tuple[Diagnosis, ...]:
    """Pitches that were not counted, or on the other line."""
    one = Diagnosis("pitches", f"You counted one pitch of each; on the way are {d.written}.", _Path().current)
    other = Diagnosis("pitches", f"The pitches are exchanged; on the way are {d.written}.",
                      _Path(d.down, d.along).current)  # fmt: skip
    return (() if d == _Path() else (one,)) + (() if d.down == d.along else (other,))


SHIFT_AND_ADD, PEDESTAL, SERIES = _shift_and_add(_Order()), _pedestal(1), _series(_Path())

VARIANTS = {
    SHIFT_AND_ADD.id: Variants(_shift_and_add, _orders),
    PEDESTAL.id: Variants(_pedestal, lambda generator: integer(generator, 5, 128)),
    SERIES.id: Variants(_series, lambda generator: _Path(integer(generator, 1, 8), integer(generator, 1, 8))),
}
