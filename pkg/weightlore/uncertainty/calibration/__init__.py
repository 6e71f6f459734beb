"""Whether a confidence of 90 % is right nine times in ten: measures with their noise, training losses, and repairs.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.calibration.affine import MatrixScaling as MatrixScaling
from weightlore.uncertainty.calibration.affine import VectorScaling as VectorScaling
from weightlore.uncertainty.calibration.beta import BetaCalibration as BetaCalibration
from weightlore.uncertainty.calibration.binned_errors import debiased_ce as debiased_ce
from weightlore.uncertainty.calibration.binned_errors import ece_noise_floor as ece_noise_floor
from weightlore.uncertainty.calibration.binned_errors import expected_calibration_error as expected_calibration_error
from weightlore.uncertainty.calibration.binned_errors import maximum_calibration_error as maximum_calibration_error
from weightlore.uncertainty.calibration.binwise import BinwiseTemperature as BinwiseTemperature
from weightlore.uncertainty.calibration.binwise import ScalingBinning as ScalingBinning
from weightlore.uncertainty.calibration.brier import BrierParts as BrierParts
from weightlore.uncertainty.calibration.brier import brier_decomposition as brier_decomposition
from weightlore.uncertainty.calibration.brier import brier_score as brier_score
from weightlore.uncertainty.calibration.calibrator import Calibrator as Calibrator
from weightlore.uncertainty.calibration.calibrator import from_probs as from_probs
from weightlore.uncertainty.calibration.classwise import adaptive_calibration_error as adaptive_calibration_error
from weightlore.uncertainty.calibration.classwise import class_errors as class_errors
from weightlore.uncertainty.calibration.classwise import classwise_ece as classwise_ece
from weightlore.uncertainty.calibration.classwise import static_calibration_error as static_calibration_error
from weightlore.uncertainty.calibration.classwise import thresholded_ace as thresholded_ace
from weightlore.uncertainty.calibration.consistency import CalibrationTest as CalibrationTest
from weightlore.uncertainty.calibration.consistency import calibration_test as calibration_test
from weightlore.uncertainty.calibration.cumulative import ks_calibration_error as ks_calibration_error
from weightlore.uncertainty.calibration.dirichlet_map import DirichletCalibration as DirichletCalibration
from weightlore.uncertainty.calibration.ensemble_temperature import (
    EnsembleTemperatureScaling as EnsembleTemperatureScaling,
)
from weightlore.uncertainty.calibration.ensemble_temperature import simplex_weights as simplex_weights
from weightlore.uncertainty.calibration.gaps import Bins as Bins
from weightlore.uncertainty.calibration.gaussian_process import GPCalibration as GPCalibration
from weightlore.uncertainty.calibration.histogram import HistogramBinning as HistogramBinning
from weightlore.uncertainty.calibration.isotonic import IsotonicCalibration as IsotonicCalibration
from weightlore.uncertainty.calibration.kernel import mmce as mmce
from weightlore.uncertainty.calibration.kernel import mmce_loss as mmce_loss
from weightlore.uncertainty.calibration.losses import brier_loss as brier_loss
from weightlore.uncertainty.calibration.losses import confidence_penalty as confidence_penalty
from weightlore.uncertainty.calibration.losses import focal_loss as focal_loss
from weightlore.uncertainty.calibration.losses import label_smoothing_loss as label_smoothing_loss
from weightlore.uncertainty.calibration.losses import sample_gamma as sample_gamma
from weightlore.uncertainty.calibration.losses_binned import avuc_loss as avuc_loss
from weightlore.uncertainty.calibration.losses_binned import dca_penalty as dca_penalty
from weightlore.uncertainty.calibration.losses_binned import soft_ece_loss as soft_ece_loss
from weightlore.uncertainty.calibration.losses_mixup import Mixed as Mixed
from weightlore.uncertainty.calibration.losses_mixup import mixup_batch as mixup_batch
from weightlore.uncertainty.calibration.losses_mixup import mixup_loss as mixup_loss
from weightlore.uncertainty.calibration.losses_outliers import outlier_exposure_loss as outlier_exposure_loss
from weightlore.uncertainty.calibration.losses_views import augmix_batch as augmix_batch
from weightlore.uncertainty.calibration.losses_views import jensen_shannon_consistency as jensen_shannon_consistency
from weightlore.uncertainty.calibration.near_isotonic import NearIsotonic as NearIsotonic
from weightlore.uncertainty.calibration.near_isotonic import NearIsotonicEnsemble as NearIsotonicEnsemble
from weightlore.uncertainty.calibration.near_isotonic import near_isotonic_path as near_isotonic_path
from weightlore.uncertainty.calibration.one_vs_rest import log_odds as log_odds
from weightlore.uncertainty.calibration.platt import PlattScaling as PlattScaling
from weightlore.uncertainty.calibration.platt import smoothed_targets as smoothed_targets
from weightlore.uncertainty.calibration.pooling import CalibratedEnsemble as CalibratedEnsemble
from weightlore.uncertainty.calibration.pooling import calibrate_ensemble as calibrate_ensemble
from weightlore.uncertainty.calibration.pooling import pooled_logits as pooled_logits
from weightlore.uncertainty.calibration.quantile_bins import BayesianBinningQuantiles as BayesianBinningQuantiles
from weightlore.uncertainty.calibration.quantile_bins import log_evidence as log_evidence
from weightlore.uncertainty.calibration.quantile_curve import QuantileCurve as QuantileCurve
from weightlore.uncertainty.calibration.quantile_curve import miscalibration_area as miscalibration_area
from weightlore.uncertainty.calibration.quantile_curve import quantile_calibration_curve as quantile_calibration_curve
from weightlore.uncertainty.calibration.regression_map import IsotonicCDF as IsotonicCDF
from weightlore.uncertainty.calibration.regression_map import StdScaling as StdScaling
from weightlore.uncertainty.calibration.regression_map import gaussian_levels as gaussian_levels
from weightlore.uncertainty.calibration.reliability import ReliabilityCurve as ReliabilityCurve
from weightlore.uncertainty.calibration.reliability import reliability_curve as reliability_curve
from weightlore.uncertainty.calibration.synthetic import Synthetic as Synthetic
from weightlore.uncertainty.calibration.synthetic import synthetic_calibrated as synthetic_calibrated
from weightlore.uncertainty.calibration.temperature import TemperatureScaling as TemperatureScaling
from weightlore.uncertainty.calibration.temperature import find_temperature as find_temperature
from weightlore.uncertainty.calibration.variance import ence as ence
from weightlore.uncertainty.calibration.variance import uce as uce
