"""One network, one pass: heads that say how sure they are.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.deterministic.certificates import OrthonormalCertificates as OrthonormalCertificates
from weightlore.uncertainty.deterministic.certificates import certificate_loss as certificate_loss
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
from weightlore.uncertainty.deterministic.prior_network import dirichlet_prior_loss as dirichlet_prior_loss
from weightlore.uncertainty.deterministic.prior_network import prior_prediction as prior_prediction
from weightlore.uncertainty.deterministic.prior_network import representation_gap_loss as representation_gap_loss
from weightlore.uncertainty.deterministic.quantile_net import QuantileInterval as QuantileInterval
from weightlore.uncertainty.deterministic.quantile_net import (
    SimultaneousQuantileRegressor as SimultaneousQuantileRegressor,
)
from weightlore.uncertainty.deterministic.quantile_net import quantile_loss_step as quantile_loss_step
