"""A Gaussian around the trained parameters: curvature, its structures, predictions and evidence.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.laplace.approximation import Laplace as Laplace
from weightlore.uncertainty.laplace.blocks import matrices_of as matrices_of
from weightlore.uncertainty.laplace.diag import fit_diag as fit_diag
from weightlore.uncertainty.laplace.directions import Directions as Directions
from weightlore.uncertainty.laplace.directions import directions as directions
from weightlore.uncertainty.laplace.directions import unit_directions as unit_directions
from weightlore.uncertainty.laplace.ekfac import fit_ekfac as fit_ekfac
from weightlore.uncertainty.laplace.evidence import log_marginal_likelihood as log_marginal_likelihood
from weightlore.uncertainty.laplace.evidence import tune_prior_precision as tune_prior_precision
from weightlore.uncertainty.laplace.full import FullCurvature as FullCurvature
from weightlore.uncertainty.laplace.full import IndefiniteError as IndefiniteError
from weightlore.uncertainty.laplace.full import fit_full as fit_full
from weightlore.uncertainty.laplace.jacobians import jacobians as jacobians
from weightlore.uncertainty.laplace.kron import fit_kron as fit_kron
from weightlore.uncertainty.laplace.kron import kronecker_factors as kronecker_factors
from weightlore.uncertainty.laplace.last_layer import fit_last_layer as fit_last_layer
from weightlore.uncertainty.laplace.links import bridge_alpha as bridge_alpha
from weightlore.uncertainty.laplace.links import probit_probs as probit_probs
from weightlore.uncertainty.laplace.links import sampled_probs as sampled_probs
from weightlore.uncertainty.laplace.lowrank import LowRankCurvature as LowRankCurvature
from weightlore.uncertainty.laplace.lowrank import fit_lowrank as fit_lowrank
from weightlore.uncertainty.laplace.priors import predict_under as predict_under
from weightlore.uncertainty.laplace.roots import output_hessian as output_hessian
from weightlore.uncertainty.laplace.roots import output_root as output_root
from weightlore.uncertainty.laplace.rotated import RotatedCurvature as RotatedCurvature
from weightlore.uncertainty.laplace.subnetwork import fit_subnetwork as fit_subnetwork
from weightlore.uncertainty.laplace.subnetwork import widest as widest
