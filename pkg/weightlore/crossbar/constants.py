"""Every number that the cost of a crossbar rests on, with its unit and where it comes from.

Numbers of one chip generation are not those of another: ISAAC and PUMA are at 32 nm, the digital arithmetic at 45 nm.
"""

from dataclasses import dataclass

__all__ = ["CONSTANTS", "Constant"]


@dataclass(frozen=True)
class Constant:
    """A number with its unit and source.

    Args:
        value: the number.
        unit: its unit.
        source: who says so, and for which technology.

    Source: ours
    """

    value: float
    unit: str
    source: str


_ISAAC = "[shafiee2016isaac], 32 nm, as tabulated in hwcomponents-library, library/isaac.py"
_PUMA = "[ankit2019puma], 32 nm, puma-simulator include/constants.py"
_FIT = "ours, a fit to ISAAC's converter scaled after [saberi2011capacitive] at 4 to 10 bits; below 4 extrapolated"
_NEUROSIM = "[read2025neurosim], SAR converter at 32 nm, low power, SarADC.cpp"
_DIGITAL = "[horowitz2014energy], 45 nm, 0.9 V"

CONSTANTS: dict[str, Constant] = {
    "isaac_adc_linear": Constant(0.19488, "pJ/bit", _FIT),
    "isaac_adc_exponential": Constant(4.20e-4, "pJ", _FIT),
    "isaac_adc_area_linear": Constant(81.74, "um^2/bit", _FIT),
    "isaac_adc_area_exponential": Constant(2.1333, "um^2", _FIT),
    "isaac_adc_energy_8": Constant(1.667, "pJ", _ISAAC),
    "isaac_adc_rate": Constant(1.2e9, "1/s", _ISAAC),
    "puma_adc_power": Constant(0.25e-3, "W/bit", f"{_PUMA}: 2 mW at 8 bits with leakage, taken as linear in bits"),
    "puma_adc_time": Constant(12.5e-9 / 128, "s/bit", f"{_PUMA}: 100 ns for 128 columns at 8 bits, linear in bits"),
    "puma_adc_area": Constant(1200.0, "um^2", _PUMA),
    "neurosim_adc_time": Constant(1e-9, "s", f"{_NEUROSIM}: one cycle per bit and one more"),
    "neurosim_adc_power_bit": Constant(1.1294e-6, "W/bit", _NEUROSIM),
    "neurosim_adc_power": Constant(8.8998e-6, "W", _NEUROSIM),
    "neurosim_column_power": Constant(0.079449, "W", f"{_NEUROSIM}: current of a column"),
    "neurosim_column_slope": Constant(2.297, "1/decade", f"{_NEUROSIM}: current of a column"),
    "adc_temperature_slope": Constant(1.3e-3, "1/K", f"{_NEUROSIM}: power above 300 K"),
    "dac_energy": Constant(0.417, "pJ", f"{_ISAAC}: one bit on one word line"),
    "dac_area": Constant(0.166, "um^2", _ISAAC),
    "shift_add_energy": Constant(0.021, "pJ", f"{_ISAAC}: 16 bits"),
    "shift_add_area": Constant(60.0, "um^2", _ISAAC),
    "array_energy": Constant(30.0 / 128**2, "pJ/cell", f"{_PUMA}: 0.3 mW for 100 ns, 128 x 128 cells of 2 bits"),
    "array_area": Constant(25.0 / 128**2, "um^2/cell", f"{_PUMA}: 128 x 128 cells"),
    "array_time": Constant(100e-9, "s", _ISAAC),
    "digital_multiply_8": Constant(0.2, "pJ", _DIGITAL),
    "digital_add_8": Constant(0.03, "pJ", _DIGITAL),
}
