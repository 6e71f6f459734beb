"""What a layer on crossbars costs: conversions, energy, time and area, and what a digital machine would pay.

    N_adc[k] = D T p N                       conversions per input vector of slice k            counts
    E = sum_k N_adc[k] E_adc(A_k) + N_dac E_dac + N_read E_read + N_add E_add                  Cost.bill
    time = vectors D max(t_read, columns t_adc(A))

with D input digits, T row tiles, p polarities, N outputs. Four models of a converter of A bits differ by more than the
savings that are told from any one of them, so that every bill names the one it was made with:

    isaac      0.19488 A + 4.20e-4 2^A  pJ           a whole converter, ISAAC's 8 bits scaled
    cdac       E(8) (2^A / (A + 1)) / (2^8 / 9)      its capacitor array alone
    puma       proportional to A^2                   power and time both linear in bits
    neurosim   (A + 1) ns (1.1294 A + 8.8998 uW)     and the current of the column

Every number is in ``constants.CONSTANTS`` with its source. Memory, buses and routers are not in the bill.
"""

import math
import numbers
from dataclasses import dataclass
from typing import Literal, get_args

from weightlore.crossbar.constants import CONSTANTS
from weightlore.errors import ParameterError

__all__ = ["MOST_BITS", "Bill", "Cost", "CostModel", "Counts", "counts", "digital_energy"]

CostModel = Literal["isaac", "cdac", "puma", "neurosim"]
MOST_BITS = 16


@dataclass(frozen=True)
class Counts:
    """How often each part of the hardware works, and how much of it there is.

    Args:
        adc_bits: resolution of each slice's converters, least significant first, shape (K,); 0 for a slice left out.
        conversions: of each slice, shape (K,).
        row_drives: word lines that a digit is put on.
        reads: arrays read.
        shift_adds: additions of conversions.
        arrays: of each slice, shape (K,); every slice, polarity and tile has its own.
        converters: of each slice, shape (K,).
        steps: time steps: input digits of all vectors, one after the other.
        conversions_in_turn: by one converter, per step.
        rows: word lines of an array.
        columns: bit lines of an array.
        macs: multiplications that the layer amounts to.

    Source: ours
    """

    adc_bits: tuple[int, ...]
    conversions: tuple[int, ...]
    row_drives: int
    reads: int
    shift_adds: int
    arrays: tuple[int, ...]
    converters: tuple[int, ...]
    steps: int
    conversions_in_turn: float
    rows: int
    columns: int
    macs: int


def counts(
    inputs: int,
    outputs: int,
    adc_bits: tuple[int, ...],
    *,
    vectors: int = 1,
    digits: int = 8,
    polarities: int = 2,
    rows: int = 128,
    columns: int = 128,
    columns_per_adc: int = 128,
    accumulate: bool = False,
) -> Counts:
    """Count what a layer does with a number of input vectors.

    Args:
        inputs: of the layer; for a convolution those of one patch.
        outputs: of the layer.
        adc_bits: resolution of each slice, least significant first; 0 leaves a slice (of zeros only) out.
        vectors: inputs, or patches, that go through.
        digits: in which an input is applied, all passes together.
        polarities: 2 for differential arrays, 1 for offset ones.
        rows: word lines of an array.
        columns: bit lines of an array.
        columns_per_adc: bit lines that share a converter.
        accumulate: whether charge is gathered over the digits, and converted once per vector.

    Returns:
        The counts.

    Raises:
        ParameterError: if a count is not an integer in its range.

    Source: ours
    """
    given = {"inputs": inputs, "outputs": outputs, "vectors": vectors, "digits": digits, "polarities": polarities}
    given |= {"rows": rows, "columns": columns, "columns_per_adc": columns_per_adc}
    for name, value in given.items():
        _whole(name, value, 0 if name == "vectors" else 1)
    if not len(adc_bits):
        raise ParameterError("adc_bits is empty; give one resolution per slice, least significant first")
    bits = tuple(_whole("a resolution in adc_bits", value, 0, MOST_BITS) for value in adc_bits)
    row_tiles, column_tiles = -(-inputs // rows), -(-outputs // columns)
    used, steps = [int(a > 0) for a in bits], vectors * digits
    arrays = [one * polarities * row_tiles * column_tiles for one in used]
    conversions = [one * polarities * row_tiles * outputs * (vectors if accumulate else steps) for one in used]
    return Counts(
        adc_bits=bits,
        conversions=tuple(conversions),
        row_drives=steps * sum(used) * polarities * inputs * column_tiles,
        reads=steps * sum(arrays),
        shift_adds=sum(conversions),
        arrays=tuple(arrays),
        converters=tuple(count * -(-columns // columns_per_adc) for count in arrays),
        steps=steps,
        conversions_in_turn=min(columns_per_adc, columns, outputs) / (digits if accumulate else 1),
        rows=rows,
        columns=columns,
        macs=vectors * inputs * outputs,
    )


@dataclass(frozen=True)
class Bill:
    """What a layer, or several, cost; bills of one model add up.

    Args:
        model: whose converters.
        area_model: whose converters' area; not every model has one.
        adc_energy: of all conversions, pJ.
        dac_energy: of driving word lines, pJ.
        array_energy: of reading arrays, pJ.
        add_energy: of shifting and adding, pJ.
        latency: s; layers work one after the other.
        adc_area: of all converters, um^2.
        other_area: of arrays, drivers and adders, um^2.
        digital_energy: of the same multiplications and additions in 8-bit digital arithmetic, pJ.

    Source: ours
    """

    model: CostModel
    area_model: CostModel
    adc_energy: float
    dac_energy: float
    array_energy: float
    add_energy: float
    latency: float
    adc_area: float
    other_area: float
    digital_energy: float

    @property
    def energy(self) -> float:
        """Of everything, pJ."""
        return self.adc_energy + self.dac_energy + self.array_energy + self.add_energy

    @property
    def area(self) -> float:
        """Of everything, um^2."""
        return self.adc_area + self.other_area

    @property
    def adc_energy_share(self) -> float:
        """The converters' share of the energy; 0 where nothing is spent."""
        return self.adc_energy / self.energy if self.energy else 0.0

    @property
    def adc_area_share(self) -> float:
        """The converters' share of the area; 0 where nothing is built."""
        return self.adc_area / self.area if self.area else 0.0

    @property
    def digital_ratio(self) -> float:
        """How many times the crossbar's energy digital arithmetic takes; above 1 the crossbar saves."""
        return self.digital_energy / self.energy if self.energy else math.inf

    def __add__(self, other: "Bill") -> "Bill":
        if not isinstance(other, Bill):
            return NotImplemented
        if (self.model, self.area_model) != (other.model, other.area_model):
            raise ParameterError(
                f"bills add up within one model, got {self.model!r} and {other.model!r}; make both with the same Cost"
            )
        mine, theirs = list(vars(self).values())[2:], list(vars(other).values())[2:]
        return Bill(self.model, self.area_model, *(a + b for a, b in zip(mine, theirs, strict=True)))

    def __str__(self) -> str:
        return (
            f"{self.energy / 1e6:.4g} uJ ({self.adc_energy_share:.0%} in converters), {self.latency * 1e6:.4g} us, "
            f"{self.area / 1e6:.4g} mm^2 ({self.adc_area_share:.0%} converters, area of {self.area_model!r}); "
            f"digital arithmetic takes {self.digital_ratio:.3g} times the energy; converter model {self.model!r}"
        )


@dataclass(frozen=True)
class Cost:
    """A model of the converters, and with it of a crossbar's cost.

    Args:
        model: "isaac", "cdac", "puma" or "neurosim"; see the module.
        column_resistance: of a bit line as "neurosim" sees it, Ohm, > 0.
        temperature: K, from 300 up; converters take 0.13 % more power per kelvin above 300.

    Raises:
        ParameterError: if a value is outside its range, or a column resistance is given to another model.

    Example:
        >>> round(Cost("cdac").adc_energy(8) / Cost("cdac").adc_energy(1), 1)
        28.4

    Source: [shafiee2016isaac], [ankit2019puma], [saberi2011capacitive] and [read2025neurosim]; the fits are ours
    """

    model: CostModel = "isaac"
    column_resistance: float | None = None
    temperature: float = 300.0

    def __post_init__(self) -> None:
        if self.model not in get_args(CostModel):
            raise ParameterError(f"model must be one of {', '.join(get_args(CostModel))}, got {self.model!r}")
        if not _real(self.temperature) or not 300 <= self.temperature < math.inf:
            raise ParameterError(f"temperature must be a number from 300 K up, got {self.temperature!r}")
        if self.column_resistance is None:
            return
        if self.model != "neurosim":
            raise ParameterError(f"column_resistance is for model 'neurosim' only, got model {self.model!r}")
        if not _real(self.column_resistance) or not 0 < self.column_resistance < math.inf:
            raise ParameterError(f"column_resistance must be a number > 0 Ohm, got {self.column_resistance!r}")

    @property
    def area_model(self) -> CostModel:
        """Whose area a converter has: ISAAC's where the model has none of its own."""
        return "puma" if self.model == "puma" else "isaac"

    def adc_energy(self, bits: int) -> float:
        """Return the energy of one conversion in pJ, for 1 to 16 bits."""
        _whole("bits of a converter", bits, 1, MOST_BITS)
        warmer = 1 + _value("adc_temperature_slope") * (self.temperature - 300)
        if self.model == "isaac":
            return warmer * (_value("isaac_adc_linear") * bits + _value("isaac_adc_exponential") * 2**bits)
        if self.model == "cdac":
            return warmer * _value("isaac_adc_energy_8") * (2**bits / (bits + 1)) / (2**8 / 9)
        return warmer * 1e12 * self._adc_power(bits) * self.adc_latency(bits)

    def _adc_power(self, bits: int) -> float:
        """Return the power of a converter in W, for the models that have time and power of their own."""
        if self.model == "puma":
            return _value("puma_adc_power") * bits
        power = _value("neurosim_adc_power_bit") * bits + _value("neurosim_adc_power")
        if self.column_resistance is None:
            return power
        decades = math.log10(self.column_resistance)
        return power + _value("neurosim_column_power") * math.exp(-_value("neurosim_column_slope") * decades)

    def adc_latency(self, bits: int) -> float:
        """Return the time of one conversion in s: constant for "isaac", linear in bits for the others."""
        _whole("bits of a converter", bits, 1, MOST_BITS)
        if self.model == "puma":
            return _value("puma_adc_time") * bits
        if self.model == "neurosim":
            return _value("neurosim_adc_time") * (bits + 1)
        return (1 if self.model == "isaac" else bits / 8) / _value("isaac_adc_rate")

    def adc_area(self, bits: int) -> float:
        """Return the area of one converter in um^2, of ``area_model``."""
        _whole("bits of a converter", bits, 1, MOST_BITS)
        if self.area_model == "puma":
            return _value("puma_adc_area")
        return _value("isaac_adc_area_linear") * bits + _value("isaac_adc_area_exponential") * 2**bits

    def bill(self, counts: Counts) -> Bill:
        """Return what the counted work costs; layers' bills are added with ``+``."""
        built = [(k, bits) for k, bits in enumerate(counts.adc_bits) if bits]
        slowest = max([self.adc_latency(bits) for _, bits in built], default=0.0)
        cells, arrays = counts.rows * counts.columns, sum(counts.arrays)
        other = arrays * (_value("array_area") * cells + _value("dac_area") * counts.rows)
        step = max(_value("array_time"), counts.conversions_in_turn * slowest) if built else 0.0
        return Bill(
            model=self.model,
            area_model=self.area_model,
            adc_energy=sum(counts.conversions[k] * self.adc_energy(bits) for k, bits in built),
            dac_energy=counts.row_drives * _value("dac_energy"),
            array_energy=counts.reads * _value("array_energy") * cells,
            add_energy=counts.shift_adds * _value("shift_add_energy"),
            latency=counts.steps * step,
            adc_area=sum(counts.converters[k] * self.adc_area(bits) for k, bits in built),
            other_area=other + sum(counts.converters) * _value("shift_add_area"),
            digital_energy=digital_energy(counts.macs),
        )


def digital_energy(macs: int) -> float:
    """Return the energy of multiplications and additions of 8 bits in digital arithmetic, pJ.

    Arithmetic alone, at 45 nm: neither memory nor control, and an accumulator no wider than the operands. A digital
    machine pays more than this.

    Args:
        macs: multiplications, each with its addition, >= 0.

    Raises:
        ParameterError: if macs is not an integer >= 0.

    Example:
        >>> round(digital_energy(100), 6)
        23.0

    Source: [horowitz2014energy], 0.2 pJ a multiplication and 0.03 pJ an addition of 8-bit integers
    """
    return _whole("macs", macs, 0) * (_value("digital_multiply_8") + _value("digital_add_8"))


def _value(name: str) -> float:
    return CONSTANTS[name].value


def _real(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _whole(what: str, value: int, least: int, most: float = math.inf) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or not least <= value <= most:
        upper = "" if most == math.inf else f" and <= {most:g}"
        raise ParameterError(f"{what} must be an integer >= {least}{upper}, got {value!r}")
    return int(value)
