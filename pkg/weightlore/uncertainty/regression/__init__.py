"""Scores of predicted numbers: intervals, quantiles, densities and samples.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.regression.coverage_width import Penalty as Penalty
from weightlore.uncertainty.regression.coverage_width import coverage_width_criterion as coverage_width_criterion
from weightlore.uncertainty.regression.coverage_width import quality_driven_loss as quality_driven_loss
from weightlore.uncertainty.regression.crps import crps_gaussian as crps_gaussian
from weightlore.uncertainty.regression.crps import crps_samples as crps_samples
from weightlore.uncertainty.regression.densities import nll_gaussian as nll_gaussian
from weightlore.uncertainty.regression.densities import nll_mixture as nll_mixture
from weightlore.uncertainty.regression.intervals import interval_score as interval_score
from weightlore.uncertainty.regression.intervals import mpiw as mpiw
from weightlore.uncertainty.regression.intervals import nmpiw as nmpiw
from weightlore.uncertainty.regression.intervals import picp as picp
from weightlore.uncertainty.regression.quantiles import pinball_loss as pinball_loss
from weightlore.uncertainty.regression.spread import pit_mixture as pit_mixture
from weightlore.uncertainty.regression.spread import pit_samples as pit_samples
from weightlore.uncertainty.regression.spread import pit_values as pit_values
from weightlore.uncertainty.regression.spread import sharpness as sharpness
