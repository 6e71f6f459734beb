"""A Gaussian around the trained parameters: curvature, its structures, predictions and evidence.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.laplace.links import bridge_alpha as bridge_alpha
from weightlore.uncertainty.laplace.links import probit_probs as probit_probs
from weightlore.uncertainty.laplace.links import sampled_probs as sampled_probs
