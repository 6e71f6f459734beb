"""Weights cut into bit slices: quantization, penalties on digits, three-phase training, and what converters gain.

The names of the sub-package, one line each.
"""

from weightlore.bitslice.charging import Penalty as Penalty
from weightlore.bitslice.charging import charged_step as charged_step
from weightlore.bitslice.charging import l1_penalty as l1_penalty
from weightlore.bitslice.charging import none_penalty as none_penalty
from weightlore.bitslice.charging import slice_l1_penalty as slice_l1_penalty
from weightlore.bitslice.extensions import RecodedRatios as RecodedRatios
from weightlore.bitslice.extensions import bit_lasso_penalty as bit_lasso_penalty
from weightlore.bitslice.extensions import densities as densities
from weightlore.bitslice.extensions import recoded_ratios as recoded_ratios
from weightlore.bitslice.fixed_point import FixedPoint as FixedPoint
from weightlore.bitslice.frontier import Point as Point
from weightlore.bitslice.frontier import chosen as chosen
from weightlore.bitslice.frontier import density_at as density_at
from weightlore.bitslice.frontier import frontier as frontier
from weightlore.bitslice.frontier import pareto as pareto
from weightlore.bitslice.metrics import NonzeroRatios as NonzeroRatios
from weightlore.bitslice.metrics import Prediction as Prediction
from weightlore.bitslice.metrics import Saving as Saving
from weightlore.bitslice.metrics import bitline_loads as bitline_loads
from weightlore.bitslice.metrics import nonzero_ratios as nonzero_ratios
from weightlore.bitslice.metrics import predicted_bits as predicted_bits
from weightlore.bitslice.metrics import required_bits as required_bits
from weightlore.bitslice.metrics import saving as saving
from weightlore.bitslice.penalties import digit_sum as digit_sum
from weightlore.bitslice.penalties import digits_of as digits_of
from weightlore.bitslice.penalties import force as force
from weightlore.bitslice.penalties import l1 as l1
from weightlore.bitslice.penalties import l1_gradient as l1_gradient
from weightlore.bitslice.penalties import slice_l1 as slice_l1
from weightlore.bitslice.penalties import slice_l1_by_autograd as slice_l1_by_autograd
from weightlore.bitslice.penalties import slice_l1_gradient as slice_l1_gradient
from weightlore.bitslice.phases import Phase as Phase
from weightlore.bitslice.phases import Recipe as Recipe
from weightlore.bitslice.phases import ThreePhases as ThreePhases
from weightlore.bitslice.phases import fit_phase as fit_phase
from weightlore.bitslice.phases import fit_three_phases as fit_three_phases
from weightlore.bitslice.pruning import masked as masked
from weightlore.bitslice.pruning import prune as prune
from weightlore.bitslice.quantizer import Quantized as Quantized
from weightlore.bitslice.quantizer import exponent_of as exponent_of
from weightlore.bitslice.quantizer import quantize as quantize
from weightlore.bitslice.quantizer import straight_through as straight_through
