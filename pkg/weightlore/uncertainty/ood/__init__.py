"""Scores that say how unlike the training data an input is, from logits, features or gradients of a trained network.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.ood.gaussians import ClassGaussians as ClassGaussians
from weightlore.uncertainty.ood.gaussians import fit_gaussians as fit_gaussians
from weightlore.uncertainty.ood.gradient_norm import GradNorm as GradNorm
from weightlore.uncertainty.ood.gradient_norm import grad_norm_score as grad_norm_score
from weightlore.uncertainty.ood.logit_scores import Energy as Energy
from weightlore.uncertainty.ood.logit_scores import MaxLogit as MaxLogit
from weightlore.uncertainty.ood.logit_scores import MaxSoftmax as MaxSoftmax
from weightlore.uncertainty.ood.logit_scores import energy_score as energy_score
from weightlore.uncertainty.ood.logit_scores import max_logit_score as max_logit_score
from weightlore.uncertainty.ood.logit_scores import max_softmax_score as max_softmax_score
from weightlore.uncertainty.ood.mahalanobis import LayerMahalanobis as LayerMahalanobis
from weightlore.uncertainty.ood.mahalanobis import Mahalanobis as Mahalanobis
from weightlore.uncertainty.ood.mahalanobis import RelativeMahalanobis as RelativeMahalanobis
from weightlore.uncertainty.ood.neighbors import KNN as KNN
from weightlore.uncertainty.ood.neighbors import TrustScore as TrustScore
from weightlore.uncertainty.ood.neighbors import kth_distance as kth_distance
from weightlore.uncertainty.ood.odin import ODIN as ODIN
from weightlore.uncertainty.ood.odin import OdinChoice as OdinChoice
from weightlore.uncertainty.ood.odin import best_odin as best_odin
from weightlore.uncertainty.ood.odin import pushed as pushed
from weightlore.uncertainty.ood.reading import Detector as Detector
from weightlore.uncertainty.ood.reading import Reading as Reading
from weightlore.uncertainty.ood.reading import features as features
from weightlore.uncertainty.ood.reading import read as read
from weightlore.uncertainty.ood.vim import Residual as Residual
from weightlore.uncertainty.ood.vim import ViM as ViM
