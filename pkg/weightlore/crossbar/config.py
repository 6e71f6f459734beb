"""All that is to be known of a crossbar before weights are written into it.

Every part is a small frozen record of its own; what is ``None`` is ideal.
"""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weightlore.crossbar.cells import Cells
from weightlore.crossbar.converters import Adc
from weightlore.crossbar.encodings import Encoding
from weightlore.crossbar.faults import Faults
from weightlore.crossbar.wires import Wires
from weightlore.errors import ParameterError

__all__ = ["CrossbarConfig"]


@dataclass(frozen=True)
class CrossbarConfig:
    """A crossbar accelerator.

    Args:
        rows: word lines R of a tile; one bit line adds up at most so many cells.
        columns: bit lines of a tile; matters for wires and for what is counted.
        cell_bits: bits that a cell holds.
        weight_bits: magnitude bits of a weight; codes lie in -(2**bits - 1) to 2**bits - 1.
        input_bits: magnitude bits of an input.
        dac_bits: bits of an input that are applied at once; 1 is bit-serial.
        encoding: how cells hold signed weights.
        flip: store a bit line of an ``"offset"`` array as its complement where that makes its greatest sum smaller.
        signed_input: ``"none"`` takes inputs from zero up; ``"offset"`` adds 2**input_bits and corrects digitally;
            ``"two_pass"`` reads positive and negative parts one after the other.
        adc: the converters.
        cells: the cells' conductances and their noise, ``None`` for exact levels.
        faults: broken cells and lines, ``None`` for none.
        wires: resistance of the lines, ``None`` for none.
        age: seconds since programming at which the array is read; matters where cells drift.
        compensate: against drift, rescale each slice by one factor, measured on a reference input when it is read.

    Source: ours; the values of the bit-slice paper are the defaults [zhang2019bitslice]
    """

    rows: int = 128
    columns: int = 128
    cell_bits: int = 2
    weight_bits: int = 8
    input_bits: int = 8
    dac_bits: int = 1
    encoding: Encoding = "differential"
    flip: bool = False
    signed_input: Literal["none", "offset", "two_pass"] = "none"
    adc: Adc = field(default_factory=Adc)
    cells: Cells | None = None
    faults: Faults | None = None
    wires: Wires | None = None
    age: float | None = None
    compensate: bool = False

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not (isinstance(value, int) and 1 <= value <= most):
                raise ParameterError(f"{name} must be a whole number from 1 to {most}, got {value!r}")
        if self.encoding not in get_args(Encoding):
            raise ParameterError(f"encoding must be one of {', '.join(get_args(Encoding))}, got {self.encoding!r}")
        if self.signed_input not in ("none", "offset", "two_pass"):
            raise ParameterError(f"signed_input must be 'none', 'offset' or 'two_pass', got {self.signed_input!r}")
        if self.flip and (self.encoding != "offset" or self.adc.subtraction == "analog"):
            raise ParameterError('flip belongs to encoding="offset" with digital subtraction; leave it out here')
        if self.adc.subtraction == "analog" and self.encoding not in ("differential", "signed_digit"):
            raise ParameterError(f'analog subtraction needs two arrays; encoding "{self.encoding}" has one')
        if self.age is not None and (self.cells is None or self.cells.drift is None):
            raise ParameterError("age matters only where cells drift; give cells=Cells(drift=...)")
        if self.compensate and self.age is None:
            raise ParameterError("compensate=True is against drift, which takes time; give age= in seconds, too")

    @property
    def input_digits(self) -> int:
        """How many digits an input is applied in, for one pass."""
        bits = self.input_bits + (self.signed_input == "offset")
        return -(-bits // self.dac_bits)

    @property
    def largest_digit(self) -> int:
        """Of an input: 2**dac_bits - 1."""
        return 2**self.dac_bits - 1

    @property
    def largest_level(self) -> int:
        """Of a cell: 2**cell_bits - 1."""
        return 2**self.cell_bits - 1


_MOST = {"rows": 65536, "columns": 65536, "cell_bits": 8, "weight_bits": 15, "input_bits": 15, "dac_bits": 8}
