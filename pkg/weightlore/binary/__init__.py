"""Weights of one bit, and networks that spike.

The names of the sub-package, one line each.
"""

from weightlore.binary.activations import BinaryActivation as BinaryActivation
from weightlore.binary.activations import binary_activation as binary_activation
from weightlore.binary.chip import BinaryArray as BinaryArray
from weightlore.binary.chip import on_crossbar as on_crossbar
from weightlore.binary.chip import spike_on_chip as spike_on_chip
from weightlore.binary.constraints import Violation as Violation
from weightlore.binary.constraints import design_violations as design_violations
from weightlore.binary.constraints import require_design as require_design
from weightlore.binary.conversion import Converted as Converted
from weightlore.binary.conversion import to_spiking as to_spiking
from weightlore.binary.cutting import staged as staged
from weightlore.binary.fading import Fading as Fading
from weightlore.binary.fading import coupled_adam as coupled_adam
from weightlore.binary.fading import dropping as dropping
from weightlore.binary.fading import halving as halving
from weightlore.binary.folding import fold_norm as fold_norm
from weightlore.binary.folding import pooled_convolution as pooled_convolution
from weightlore.binary.normalization import activation_percentile as activation_percentile
from weightlore.binary.normalization import normalization_factors as normalization_factors
from weightlore.binary.normalization import normalized as normalized
from weightlore.binary.packed import Packed as Packed
from weightlore.binary.packed import PackedSize as PackedSize
from weightlore.binary.packed import load_packed as load_packed
from weightlore.binary.packed import pack as pack
from weightlore.binary.packed import packed_size as packed_size
from weightlore.binary.packed import save_packed as save_packed
from weightlore.binary.popcount import sign_product as sign_product
from weightlore.binary.popcount import spike_product as spike_product
from weightlore.binary.qcfs import SteppedFit as SteppedFit
from weightlore.binary.qcfs import fit_clip_floor_shift as fit_clip_floor_shift
from weightlore.binary.qcfs import with_clip_floor_shift as with_clip_floor_shift
from weightlore.binary.rectifiers import ClipFloorShift as ClipFloorShift
from weightlore.binary.rectifiers import clip_floor_shift as clip_floor_shift
from weightlore.binary.rules import PlainSign as PlainSign
from weightlore.binary.rules import Rule as Rule
from weightlore.binary.rules import ScaledSign as ScaledSign
from weightlore.binary.thresholds import absorb_scales as absorb_scales
from weightlore.binary.thresholds import absorbed_layers as absorbed_layers
from weightlore.binary.thresholds import scale_and_sign as scale_and_sign
from weightlore.binary.training import BinaryFit as BinaryFit
from weightlore.binary.training import BinaryRecipe as BinaryRecipe
from weightlore.binary.training import BinaryTraining as BinaryTraining
from weightlore.binary.training import fit_binary as fit_binary
from weightlore.binary.training import rounded_binary as rounded_binary
from weightlore.binary.variants import Variant as Variant
from weightlore.binary.variants import variant as variant
from weightlore.binary.weights import binarize as binarize
from weightlore.binary.weights import binary_gradient as binary_gradient
from weightlore.binary.weights import binary_layers as binary_layers
from weightlore.binary.weights import binary_weight as binary_weight
from weightlore.binary.weights import project_ as project_
from weightlore.binary.weights import sign as sign
