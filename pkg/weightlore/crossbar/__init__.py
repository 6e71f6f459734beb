"""Weights in a ReRAM crossbar: digits in cells, sums on bit lines, converters that see only so much.

The names of the sub-package, one line each.
"""

from weightlore.crossbar.arrays import Crossbar as Crossbar
from weightlore.crossbar.arrays import matmul as matmul
from weightlore.crossbar.cells import Cells as Cells
from weightlore.crossbar.config import CrossbarConfig as CrossbarConfig
from weightlore.crossbar.conversion import clipped_inputs as clipped_inputs
from weightlore.crossbar.conversion import convert as convert
from weightlore.crossbar.conversion import crossbar_layers as crossbar_layers
from weightlore.crossbar.converters import Adc as Adc
from weightlore.crossbar.converters import required_bits as required_bits
from weightlore.crossbar.cost import Cost as Cost
from weightlore.crossbar.digits import join_digits as join_digits
from weightlore.crossbar.digits import slice_digits as slice_digits
from weightlore.crossbar.encodings import decode as decode
from weightlore.crossbar.encodings import encode as encode
from weightlore.crossbar.encodings import signed_digits as signed_digits
from weightlore.crossbar.faults import Faults as Faults
from weightlore.crossbar.layers import CrossbarLayer as CrossbarLayer
from weightlore.crossbar.reports import Report as Report
from weightlore.crossbar.reports import report as report
from weightlore.crossbar.sweeps import Sweep as Sweep
from weightlore.crossbar.sweeps import sweep as sweep
from weightlore.crossbar.wires import Wires as Wires
from weightlore.crossbar.wires import solve_wires as solve_wires
from weightlore.crossbar.wires import transfer_matrix as transfer_matrix
from weightlore.crossbar.wires import voltage_map as voltage_map
