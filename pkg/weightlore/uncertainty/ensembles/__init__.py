"""Several networks instead of one: how to get them, combine them, choose among them and distill them.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.ensembles.fitting import fit_ensemble as fit_ensemble
from weightlore.uncertainty.ensembles.members import DeepEnsemble as DeepEnsemble
