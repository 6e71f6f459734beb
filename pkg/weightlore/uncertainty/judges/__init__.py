"""A second component that judges what a network says: its gradients, a helper network, a confidence branch.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.judges.branch import ConfidenceBranch as ConfidenceBranch
from weightlore.uncertainty.judges.branch import confidence_step as confidence_step
from weightlore.uncertainty.judges.branch import hinted_loss as hinted_loss
from weightlore.uncertainty.judges.direct import DirectUncertaintyPredictor as DirectUncertaintyPredictor
from weightlore.uncertainty.judges.direct import differing_answers as differing_answers
from weightlore.uncertainty.judges.direct import wrong_answers as wrong_answers
from weightlore.uncertainty.judges.gradients import GradientMetrics as GradientMetrics
from weightlore.uncertainty.judges.meta import MetaClassifier as MetaClassifier
from weightlore.uncertainty.judges.true_class import TrueClassProbabilityHead as TrueClassProbabilityHead
from weightlore.uncertainty.judges.true_class import true_class_probabilities as true_class_probabilities
