"""One network, one pass: heads that say how sure they are.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.deterministic.gaussian_head import GaussianHead as GaussianHead
from weightlore.uncertainty.deterministic.gaussian_head import gaussian_nll as gaussian_nll
