"""Sets and intervals that hold the truth as often as promised, for exchangeable data.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.conformal.classifier import ConformalClassifier as ConformalClassifier
from weightlore.uncertainty.conformal.classifier import Score as Score
from weightlore.uncertainty.conformal.cross import CrossConformalRegressor as CrossConformalRegressor
from weightlore.uncertainty.conformal.cross import Learn as Learn
from weightlore.uncertainty.conformal.groups import Thresholds as Thresholds
from weightlore.uncertainty.conformal.groups import grouped_thresholds as grouped_thresholds
from weightlore.uncertainty.conformal.online import AdaptiveConformal as AdaptiveConformal
from weightlore.uncertainty.conformal.quantile import conformal_quantile as conformal_quantile
from weightlore.uncertainty.conformal.quantile import smallest_set as smallest_set
from weightlore.uncertainty.conformal.quantile import weighted_quantile as weighted_quantile
from weightlore.uncertainty.conformal.regressors import ConformalizedQuantileRegressor as ConformalizedQuantileRegressor
from weightlore.uncertainty.conformal.regressors import SplitConformalRegressor as SplitConformalRegressor
from weightlore.uncertainty.conformal.regressors import uncrossed as uncrossed
from weightlore.uncertainty.conformal.risk import Controlled as Controlled
from weightlore.uncertainty.conformal.risk import risk_control as risk_control
from weightlore.uncertainty.conformal.sets import aps_scores as aps_scores
from weightlore.uncertainty.conformal.sets import lac_scores as lac_scores
from weightlore.uncertainty.conformal.sets import raps_scores as raps_scores
