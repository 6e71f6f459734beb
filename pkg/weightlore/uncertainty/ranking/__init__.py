"""Whether the uncertain cases are the wrong ones: curves and areas over a ranking, with ties counted once.

The names of the sub-package, one line each.
"""

from weightlore.uncertainty.ranking.detection import DetectionCurve as DetectionCurve
from weightlore.uncertainty.ranking.detection import DetectionReport as DetectionReport
from weightlore.uncertainty.ranking.detection import auprc as auprc
from weightlore.uncertainty.ranking.detection import auroc as auroc
from weightlore.uncertainty.ranking.detection import detection_curve as detection_curve
from weightlore.uncertainty.ranking.detection import detection_error as detection_error
from weightlore.uncertainty.ranking.detection import detection_report as detection_report
from weightlore.uncertainty.ranking.detection import fpr_at_tpr as fpr_at_tpr
from weightlore.uncertainty.ranking.mistakes import misclassification_report as misclassification_report
from weightlore.uncertainty.ranking.mistakes import mistakes as mistakes
from weightlore.uncertainty.ranking.ordered import Rising as Rising
from weightlore.uncertainty.ranking.ordered import rising as rising
from weightlore.uncertainty.ranking.selective import RiskCoverageCurve as RiskCoverageCurve
from weightlore.uncertainty.ranking.selective import augrc as augrc
from weightlore.uncertainty.ranking.selective import aurc as aurc
from weightlore.uncertainty.ranking.selective import excess_aurc as excess_aurc
from weightlore.uncertainty.ranking.selective import optimal_aurc as optimal_aurc
from weightlore.uncertainty.ranking.selective import prediction_rejection_ratio as prediction_rejection_ratio
from weightlore.uncertainty.ranking.selective import risk_coverage_curve as risk_coverage_curve
from weightlore.uncertainty.ranking.selective import summed_losses as summed_losses
from weightlore.uncertainty.ranking.sparsification import SparsificationCurve as SparsificationCurve
from weightlore.uncertainty.ranking.sparsification import ause as ause
from weightlore.uncertainty.ranking.sparsification import sparsification_curve as sparsification_curve
