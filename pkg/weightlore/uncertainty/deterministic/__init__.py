"""One network, one pass: heads that say how sure they are.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.deterministic.bounded import SpectralBound as SpectralBound
from weightlore.uncertainty.deterministic.bounded import operator_norm as operator_norm
from weightlore.uncertainty.deterministic.bounded import spectral_norm_conv2d as spectral_norm_conv2d
from weightlore.uncertainty.deterministic.bounded import spectral_norm_linear as spectral_norm_linear
from weightlore.uncertainty.deterministic.bounded import with_bounds as with_bounds
from weightlore.uncertainty.deterministic.certificates import OrthonormalCertificates as OrthonormalCertificates
from weightlore.uncertainty.deterministic.certificates import certificate_loss as certificate_loss
from weightlore.uncertainty.deterministic.class_densities import (
    DeepDeterministicUncertainty as DeepDeterministicUncertainty,
)
from weightlore.uncertainty.deterministic.decomposed import DecomposedConfidenceHead as DecomposedConfidenceHead
from weightlore.uncertainty.deterministic.evidential import annealed as annealed
from weightlore.uncertainty.deterministic.evidential import (
    evidential_classification_loss as evidential_classification_loss,
)
from weightlore.uncertainty.deterministic.evidential import evidential_prediction as evidential_prediction
from weightlore.uncertainty.deterministic.evidential_regression import NormalInverseGamma as NormalInverseGamma
from weightlore.uncertainty.deterministic.evidential_regression import NormalInverseGammaHead as NormalInverseGammaHead
from weightlore.uncertainty.deterministic.evidential_regression import (
    evidential_regression_loss as evidential_regression_loss,
)
from weightlore.uncertainty.deterministic.evidential_regression import (
    normal_inverse_gamma_losses as normal_inverse_gamma_losses,
)
from weightlore.uncertainty.deterministic.gaussian_head import GaussianHead as GaussianHead
from weightlore.uncertainty.deterministic.gaussian_head import beta_nll as beta_nll
from weightlore.uncertainty.deterministic.gaussian_head import gaussian_nll as gaussian_nll
from weightlore.uncertainty.deterministic.inhibited import InhibitedSoftmax as InhibitedSoftmax
from weightlore.uncertainty.deterministic.logit_noise import HeteroscedasticSoftmaxHead as HeteroscedasticSoftmaxHead
from weightlore.uncertainty.deterministic.logit_noise import logit_noise_log_probs as logit_noise_log_probs
from weightlore.uncertainty.deterministic.logit_noise import logit_noise_nll as logit_noise_nll
from weightlore.uncertainty.deterministic.mixture_head import MixtureDensity as MixtureDensity
from weightlore.uncertainty.deterministic.mixture_head import MixtureDensityHead as MixtureDensityHead
from weightlore.uncertainty.deterministic.mixture_head import mixture_density_nll as mixture_density_nll
from weightlore.uncertainty.deterministic.posterior_network import PosteriorNetwork as PosteriorNetwork
from weightlore.uncertainty.deterministic.posterior_network import posterior_network as posterior_network
from weightlore.uncertainty.deterministic.posterior_network import posterior_network_loss as posterior_network_loss
from weightlore.uncertainty.deterministic.posterior_network import posterior_network_step as posterior_network_step
from weightlore.uncertainty.deterministic.prior_network import dirichlet_prior_loss as dirichlet_prior_loss
from weightlore.uncertainty.deterministic.prior_network import prior_prediction as prior_prediction
from weightlore.uncertainty.deterministic.prior_network import representation_gap_loss as representation_gap_loss
from weightlore.uncertainty.deterministic.quantile_net import QuantileInterval as QuantileInterval
from weightlore.uncertainty.deterministic.quantile_net import (
    SimultaneousQuantileRegressor as SimultaneousQuantileRegressor,
)
from weightlore.uncertainty.deterministic.quantile_net import quantile_loss_step as quantile_loss_step
from weightlore.uncertainty.deterministic.radial import DUQ as DUQ
from weightlore.uncertainty.deterministic.radial import RBFHead as RBFHead
from weightlore.uncertainty.deterministic.radial import gradient_penalty as gradient_penalty
from weightlore.uncertainty.deterministic.radial import radial_loss as radial_loss
from weightlore.uncertainty.deterministic.radial_flow import RadialFlow as RadialFlow
from weightlore.uncertainty.deterministic.radial_training import duq as duq
from weightlore.uncertainty.deterministic.radial_training import fit_duq as fit_duq
from weightlore.uncertainty.deterministic.random_features import Likelihood as Likelihood
from weightlore.uncertainty.deterministic.random_features import RandomFeatureGP as RandomFeatureGP
from weightlore.uncertainty.deterministic.sngp import SNGP as SNGP
from weightlore.uncertainty.deterministic.sngp import SNGPScore as SNGPScore
from weightlore.uncertainty.deterministic.sngp import fit_sngp as fit_sngp
from weightlore.uncertainty.deterministic.sngp import sngp as sngp
from weightlore.uncertainty.deterministic.sngp import sngp_loss as sngp_loss
from weightlore.uncertainty.deterministic.trunks import ResidualTrunk as ResidualTrunk
from weightlore.uncertainty.deterministic.trunks import trunk_of as trunk_of
