"""Where uncertainty comes from: the five factors as functions, exact splits, and models whose posterior is known.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.sources.decomposition import Parts as Parts
from weightlore.uncertainty.sources.decomposition import ThreeWayParts as ThreeWayParts
from weightlore.uncertainty.sources.decomposition import decompose_entropy as decompose_entropy
from weightlore.uncertainty.sources.decomposition import decompose_three_way as decompose_three_way
from weightlore.uncertainty.sources.decomposition import decompose_variance as decompose_variance
from weightlore.uncertainty.sources.evidence import maximize_evidence as maximize_evidence
from weightlore.uncertainty.sources.gaussian_process import ExactGP as ExactGP
from weightlore.uncertainty.sources.gaussian_process import linear_kernel as linear_kernel
from weightlore.uncertainty.sources.gaussian_process import rbf_kernel as rbf_kernel
from weightlore.uncertainty.sources.linear import BayesianLinearRegression as BayesianLinearRegression
from weightlore.uncertainty.sources.linear import with_bias as with_bias
from weightlore.uncertainty.sources.mixture import GaussianClasses as GaussianClasses
from weightlore.uncertainty.sources.mixture import gaussian_ring as gaussian_ring
from weightlore.uncertainty.sources.noise import add_measurement_noise as add_measurement_noise
from weightlore.uncertainty.sources.noise import flip_entropy as flip_entropy
from weightlore.uncertainty.sources.noise import flip_labels as flip_labels
from weightlore.uncertainty.sources.noise import flipped_probabilities as flipped_probabilities
from weightlore.uncertainty.sources.reducibility import ReducibilityCurve as ReducibilityCurve
from weightlore.uncertainty.sources.reducibility import log_slope as log_slope
from weightlore.uncertainty.sources.reducibility import reducibility_curve as reducibility_curve
from weightlore.uncertainty.sources.structure import BiasVariance as BiasVariance
from weightlore.uncertainty.sources.structure import bias_variance as bias_variance
from weightlore.uncertainty.sources.structure import fit_network as fit_network
from weightlore.uncertainty.sources.structure import fit_polynomial as fit_polynomial
from weightlore.uncertainty.sources.structure import structure_sweep as structure_sweep
from weightlore.uncertainty.sources.triage import Triage as Triage
from weightlore.uncertainty.sources.triage import triage_splits as triage_splits
from weightlore.uncertainty.sources.unknown import hold_out_classes as hold_out_classes
from weightlore.uncertainty.sources.unknown import unknown_inputs as unknown_inputs
from weightlore.uncertainty.sources.variability import Variability as Variability
from weightlore.uncertainty.sources.variability import churn as churn
from weightlore.uncertainty.sources.variability import training_variability as training_variability
