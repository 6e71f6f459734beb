"""One network, several views of each input: averages over augmentations.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.augmentation.aggregation import LearnedAggregation as LearnedAggregation
from weightlore.uncertainty.augmentation.averaging import TestTimeAugmentation as TestTimeAugmentation
from weightlore.uncertainty.augmentation.averaging import view_probs as view_probs
from weightlore.uncertainty.augmentation.loss_prediction import LossPredictionTTA as LossPredictionTTA
from weightlore.uncertainty.augmentation.loss_prediction import loss_ranks as loss_ranks
from weightlore.uncertainty.augmentation.loss_prediction import rank_loss as rank_loss
from weightlore.uncertainty.augmentation.policies import Policy as Policy
from weightlore.uncertainty.augmentation.policies import greedy_policy_search as greedy_policy_search
from weightlore.uncertainty.augmentation.spatial import DensePrediction as DensePrediction
from weightlore.uncertainty.augmentation.spatial import Spatial as Spatial
from weightlore.uncertainty.augmentation.spatial import SpatialTTA as SpatialTTA
from weightlore.uncertainty.augmentation.spatial import dihedral as dihedral
from weightlore.uncertainty.augmentation.spatial import quarter_turns as quarter_turns
from weightlore.uncertainty.augmentation.spatial import rolled as rolled
from weightlore.uncertainty.augmentation.temperatures import fitted_temperatures as fitted_temperatures
from weightlore.uncertainty.augmentation.views import Augmentation as Augmentation
from weightlore.uncertainty.augmentation.views import Axis as Axis
from weightlore.uncertainty.augmentation.views import blurred as blurred
from weightlore.uncertainty.augmentation.views import contrasted as contrasted
from weightlore.uncertainty.augmentation.views import digit_views as digit_views
from weightlore.uncertainty.augmentation.views import drawn_views as drawn_views
from weightlore.uncertainty.augmentation.views import flipped as flipped
from weightlore.uncertainty.augmentation.views import identity as identity
from weightlore.uncertainty.augmentation.views import rotated as rotated
from weightlore.uncertainty.augmentation.views import shifted as shifted
