"""Layers whose weights are distributions, and dropout that stays on: a posterior in one network.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.bayesian.drawing import Stochastic as Stochastic
from weightlore.uncertainty.bayesian.drawing import drawing as drawing
from weightlore.uncertainty.bayesian.filtering import WeightBeliefs as WeightBeliefs
from weightlore.uncertainty.bayesian.filtering import assimilated as assimilated
from weightlore.uncertainty.bayesian.filtering import initial_beliefs as initial_beliefs
from weightlore.uncertainty.bayesian.filtering import propagated as propagated
from weightlore.uncertainty.bayesian.filtering import reweighed as reweighed
from weightlore.uncertainty.bayesian.moments import GammaFactor as GammaFactor
from weightlore.uncertainty.bayesian.moments import gaussian_log_density as gaussian_log_density
from weightlore.uncertainty.bayesian.moments import linear_moments as linear_moments
from weightlore.uncertainty.bayesian.moments import matched_gaussian as matched_gaussian
from weightlore.uncertainty.bayesian.moments import relu_moments as relu_moments
from weightlore.uncertainty.bayesian.predicting import predict_members as predict_members
from weightlore.uncertainty.bayesian.probabilistic import ProbabilisticBackprop as ProbabilisticBackprop
