"""Weights of one bit, and networks that spike.

The names of the sub-package, one line each.
"""

from weightlore.binary.constraints import Violation as Violation
from weightlore.binary.constraints import design_violations as design_violations
from weightlore.binary.constraints import require_design as require_design
from weightlore.binary.conversion import Converted as Converted
from weightlore.binary.conversion import to_spiking as to_spiking
from weightlore.binary.cutting import staged as staged
from weightlore.binary.folding import fold_norm as fold_norm
from weightlore.binary.folding import pooled_convolution as pooled_convolution
from weightlore.binary.normalization import activation_percentile as activation_percentile
from weightlore.binary.normalization import normalization_factors as normalization_factors
from weightlore.binary.normalization import normalized as normalized
from weightlore.binary.rectifiers import ClipFloorShift as ClipFloorShift
from weightlore.binary.rectifiers import clip_floor_shift as clip_floor_shift
