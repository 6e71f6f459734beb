"""What a method says of an input: containers of class probabilities, Dirichlets, Gaussians, intervals and sets.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.predictions.categorical import CategoricalPrediction as CategoricalPrediction
from weightlore.uncertainty.predictions.dirichlet import DirichletPrediction as DirichletPrediction
from weightlore.uncertainty.predictions.gaussian import GaussianPrediction as GaussianPrediction
from weightlore.uncertainty.predictions.regions import IntervalPrediction as IntervalPrediction
from weightlore.uncertainty.predictions.regions import SetPrediction as SetPrediction
