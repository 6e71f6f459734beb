"""A Gaussian around the trained parameters: curvature, its structures, predictions and evidence.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.laplace.approximation import Laplace as Laplace
from weightlore.uncertainty.laplace.evidence import log_marginal_likelihood as log_marginal_likelihood
from weightlore.uncertainty.laplace.evidence import tune_prior_precision as tune_prior_precision
from weightlore.uncertainty.laplace.full import FullCurvature as FullCurvature
from weightlore.uncertainty.laplace.full import IndefiniteError as IndefiniteError
from weightlore.uncertainty.laplace.full import fit_full as fit_full
from weightlore.uncertainty.laplace.jacobians import jacobians as jacobians
from weightlore.uncertainty.laplace.links import bridge_alpha as bridge_alpha
from weightlore.uncertainty.laplace.links import probit_probs as probit_probs
from weightlore.uncertainty.laplace.links import sampled_probs as sampled_probs
from weightlore.uncertainty.laplace.lowrank import LowRankCurvature as LowRankCurvature
from weightlore.uncertainty.laplace.lowrank import fit_lowrank as fit_lowrank
from weightlore.uncertainty.laplace.roots import output_hessian as output_hessian
from weightlore.uncertainty.laplace.roots import output_root as output_root
from weightlore.uncertainty.laplace.subnetwork import fit_subnetwork as fit_subnetwork
from weightlore.uncertainty.laplace.subnetwork import widest as widest
