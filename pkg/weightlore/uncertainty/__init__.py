"""How sure a prediction is, and whether that is honest: containers of predictions; the rest is in the sub-packages.

The names of the sub-package, one line each. ``coverage.csv`` lists every entry of the survey with its objects, its
test and its notebook.
"""

from weightlore.uncertainty.predictions.categorical import CategoricalPrediction as CategoricalPrediction
from weightlore.uncertainty.predictions.dirichlet import DirichletPrediction as DirichletPrediction
from weightlore.uncertainty.predictions.gaussian import GaussianPrediction as GaussianPrediction
from weightlore.uncertainty.predictions.regions import IntervalPrediction as IntervalPrediction
from weightlore.uncertainty.predictions.regions import SetPrediction as SetPrediction
from weightlore.uncertainty.warned import UncertaintyWarning as UncertaintyWarning
