"""Layers whose weights are distributions, and dropout that stays on: a posterior in one network.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.bayesian.batch_statistics import MCBatchNorm as MCBatchNorm
from weightlore.uncertainty.bayesian.batch_statistics import NormWithStatistics as NormWithStatistics
from weightlore.uncertainty.bayesian.batch_statistics import mc_batch_norm as mc_batch_norm
from weightlore.uncertainty.bayesian.concrete import ConcreteDropout as ConcreteDropout
from weightlore.uncertainty.bayesian.concrete import concrete_dropout as concrete_dropout
from weightlore.uncertainty.bayesian.drawing import Stochastic as Stochastic
from weightlore.uncertainty.bayesian.drawing import drawing as drawing
from weightlore.uncertainty.bayesian.drop_connect import DropConnectConv2d as DropConnectConv2d
from weightlore.uncertainty.bayesian.drop_connect import DropConnectLinear as DropConnectLinear
from weightlore.uncertainty.bayesian.drop_connect import applied as applied
from weightlore.uncertainty.bayesian.drop_connect import drawn_step as drawn_step
from weightlore.uncertainty.bayesian.drop_connect import drop_connect as drop_connect
from weightlore.uncertainty.bayesian.dropping import DropoutDraws as DropoutDraws
from weightlore.uncertainty.bayesian.dropping import MCDropout as MCDropout
from weightlore.uncertainty.bayesian.dropping import dropout_noise_variance as dropout_noise_variance
from weightlore.uncertainty.bayesian.dropping import mc_dropout as mc_dropout
from weightlore.uncertainty.bayesian.elbo import batch_shares as batch_shares
from weightlore.uncertainty.bayesian.elbo import elbo_loss as elbo_loss
from weightlore.uncertainty.bayesian.elbo import elbo_step as elbo_step
from weightlore.uncertainty.bayesian.elbo import kl_divergence as kl_divergence
from weightlore.uncertainty.bayesian.elbo import warmed as warmed
from weightlore.uncertainty.bayesian.filtering import WeightBeliefs as WeightBeliefs
from weightlore.uncertainty.bayesian.filtering import assimilated as assimilated
from weightlore.uncertainty.bayesian.filtering import initial_beliefs as initial_beliefs
from weightlore.uncertainty.bayesian.filtering import propagated as propagated
from weightlore.uncertainty.bayesian.filtering import reweighed as reweighed
from weightlore.uncertainty.bayesian.gaussian_dropout import VariationalDropout as VariationalDropout
from weightlore.uncertainty.bayesian.gaussian_dropout import log_uniform_kl as log_uniform_kl
from weightlore.uncertainty.bayesian.gaussian_dropout import variational_dropout as variational_dropout
from weightlore.uncertainty.bayesian.matrix_gaussian import MatrixGaussianLinear as MatrixGaussianLinear
from weightlore.uncertainty.bayesian.matrix_gaussian import matrix_gaussian_kl as matrix_gaussian_kl
from weightlore.uncertainty.bayesian.moments import GammaFactor as GammaFactor
from weightlore.uncertainty.bayesian.moments import gaussian_log_density as gaussian_log_density
from weightlore.uncertainty.bayesian.moments import linear_moments as linear_moments
from weightlore.uncertainty.bayesian.moments import matched_gaussian as matched_gaussian
from weightlore.uncertainty.bayesian.moments import relu_moments as relu_moments
from weightlore.uncertainty.bayesian.predicting import predict_members as predict_members
from weightlore.uncertainty.bayesian.priors import GaussianPrior as GaussianPrior
from weightlore.uncertainty.bayesian.priors import ScaleMixture as ScaleMixture
from weightlore.uncertainty.bayesian.priors import gaussian_kl as gaussian_kl
from weightlore.uncertainty.bayesian.probabilistic import ProbabilisticBackprop as ProbabilisticBackprop
from weightlore.uncertainty.bayesian.radial import RadialLinear as RadialLinear
from weightlore.uncertainty.bayesian.radial import radial_kl as radial_kl
from weightlore.uncertainty.bayesian.rank_one import Rank1Linear as Rank1Linear
from weightlore.uncertainty.bayesian.variational import BayesConv2d as BayesConv2d
from weightlore.uncertainty.bayesian.variational import BayesLinear as BayesLinear
from weightlore.uncertainty.bayesian.variational import variational as variational
